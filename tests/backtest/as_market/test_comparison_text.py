"""Tests of the text and the JSON of a comparison."""

import dataclasses
import json

import pytest
from tests.session_replay.golden_sessions import path_of

from trailingedge.backtest.as_market.comparison import Comparison, Pair, compare_session
from trailingedge.backtest.as_market.comparison_text import comparison_json, comparison_text
from trailingedge.report.progress import InterruptRequest, ProgressBar


@pytest.fixture(scope="module")
def faulty() -> Comparison:
    return compare_session(path_of("faulty"), {}, None, ProgressBar(None), InterruptRequest())


def test_the_text_ends_with_the_counts_and_the_latency_to_use(faulty: Comparison) -> None:
    *_, verdict, also, given = comparison_text(faulty).splitlines()
    assert f"{verdict} {also.strip()}" == (
        "2 of 2 exits matched by the backtest, which had 2, with a latency of 29 ms each way; "
        "slippage and time to fill are medians"
    )
    assert given == "to backtest with the measured latency: trailing-edge backtest --latency 29"


def test_no_line_is_longer_than_the_terminal(faulty: Comparison) -> None:
    _, *lines = comparison_text(faulty, 80).splitlines()  # the first names the file, however long that is
    assert max(map(len, lines)) <= 80


def test_each_exit_has_a_row_of_the_session_and_one_of_the_backtest(faulty: Comparison) -> None:
    rows = [line.split() for line in comparison_text(faulty, 200).splitlines() if "take-profit" in line]
    assert [row[2] for row in rows] == ["session", "backtest"] * 2
    assert rows[0][3:] == ["take-profit", "SELL", "2584.29", "0.65", "%", "worse", "57.1", "s", "20"]


def test_the_histogram_counts_every_order_request(faulty: Comparison) -> None:
    text = comparison_text(faulty)
    assert "round trips of 42 order requests: median 57.3 ms, 95 % within 694.8 ms" in text
    counts = [int(line.split()[4]) for line in text.splitlines() if line.lstrip()[:1].isdigit() and " ms " in line[:25]]
    assert sum(counts) == 42


def test_an_exit_without_a_match_is_listed_on_its_side(faulty: Comparison) -> None:
    first, second = faulty.pairs
    apart = dataclasses.replace(faulty, pairs=(Pair(first.live, None), Pair(None, second.simulated)))
    lines = [line.strip() for line in comparison_text(apart, 200).splitlines()]
    assert "no exit in the backtest matches" in lines
    assert "no exit in the session matches" in lines
    assert comparison_text(apart).count("0 of 2 exits matched") == 1


def test_rejected_requests_are_counted_by_code(faulty: Comparison) -> None:
    results = dataclasses.replace(faulty.live.results, rejected={-2010: 3, -1021: 1})
    live = dataclasses.replace(faulty.live, results=results)
    told = dataclasses.replace(faulty, live=live)
    assert "3 of -2010, 1 of -1021" in comparison_text(told, 200)
    assert comparison_json(told)["rejected"] == {"session": {"-2010": 3, "-1021": 1}, "backtest": {}}


def test_the_json_has_both_sides_and_the_latency(faulty: Comparison) -> None:
    data = json.loads(json.dumps(comparison_json(faulty), allow_nan=False))
    assert (data["version"], data["matched"], data["latency_ms"]) == (1, 2, 29)
    for exits in data["exits"]:
        assert exits["session"].keys() == exits["backtest"].keys()
        assert exits["session"]["average"] == exits["backtest"]["average"]
    assert data["measured_latency"]["one_way_ms"] == 29
    assert sum(bucket["count"] for bucket in data["measured_latency"]["histogram"]) == 42


def test_changed_settings_and_a_halt_are_told(faulty: Comparison) -> None:
    told = dataclasses.replace(faulty, changed_settings={"BUFFER": "0.003"}, halt_reason="a bug of ours")
    text = comparison_text(told)
    assert "the backtest ran with BUFFER=0.003; the session had other values" in text
    assert "the backtest was halted: a bug of ours" in text

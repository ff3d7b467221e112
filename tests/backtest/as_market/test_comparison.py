"""Tests of the comparison of a session with a backtest of its own market."""

import dataclasses
from pathlib import Path

import pytest
from tests.session_replay.edited_records import changed, without
from tests.session_replay.golden_sessions import path_of

from trailingedge.backtest.as_market.comparison import MATCHED_WITHIN_MS, Comparison, compare_session, match_exits
from trailingedge.core.errors import ConfigError
from trailingedge.model.market import Side
from trailingedge.report.progress import InterruptRequest, ProgressBar


def compare(path: Path, latency_ms: int | None = None, **overrides: str) -> Comparison:
    return compare_session(path, overrides, latency_ms, ProgressBar(None), InterruptRequest())


@pytest.fixture(scope="module")
def faulty() -> Comparison:
    return compare(path_of("faulty"))


@pytest.mark.parametrize("name", ["fair", "faulty"])
def test_with_the_measured_latency_the_backtest_does_what_the_session_did(name: str) -> None:
    compared = compare(path_of(name))
    assert compared.matched == len(compared.pairs) > 1
    for pair in compared.pairs:
        assert pair.live is not None
        assert pair.simulated is not None
        assert pair.simulated.kind is pair.live.kind
        assert pair.simulated.average == pair.live.average
        assert pair.simulated.replaces == pair.live.replaces
        assert abs(pair.simulated.age_s - pair.live.age_s) < 0.2


def test_a_latency_that_is_given_comes_before_the_measured_one(faulty: Comparison) -> None:
    slow = compare(path_of("faulty"), 2000)
    assert (slow.latency_ms, slow.measured) == (2000, faulty.measured)
    assert slow.simulated.fills != faulty.simulated.fills
    assert slow.live.fills == faulty.live.fills


def test_other_settings_are_those_of_the_backtest_alone(faulty: Comparison) -> None:
    other = compare(path_of("faulty"), None, MIN_GAIN_TRIGGER_FRAC_BASE="0.5")
    assert other.live.exits == faulty.live.exits
    assert other.matched == 0
    assert other.changed_settings == {"MIN_GAIN_TRIGGER_FRAC_BASE": "0.5"}


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("SYMBOL", "BTCUSDT", "SYMBOL: the recorded session has its own value"),
        ("KLINE_INTERVAL", "15m", "KLINE_INTERVAL: the recorded session has its own value"),
        ("BUFFER", "x", "this is not a number"),
        ("HARD_STOP_THRESHOLD_FRAC", "3", "HARD_STOP_THRESHOLD_FRAC is 3"),
    ],
)
def test_settings_that_cannot_be_are_refused(name: str, value: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        compare(path_of("storm"), None, **{name: value})


def test_without_an_answered_request_a_latency_must_be_given(tmp_path: Path) -> None:
    path = changed(tmp_path, without(b'[">"'))
    with pytest.raises(ConfigError, match="give one with --latency MS"):
        compare(path)
    assert compare(path, 10).measured is None


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    compared = compare(changed(tmp_path, without(b'["over"')))
    one_line = " ".join(compared.unknown)
    assert "the record has no end" in one_line
    assert "3 breaks of the price stream" in one_line
    assert "the record does not show which orders are ahead of ours" in one_line
    assert "our own orders are taken out of the recorded book" in one_line


def test_exits_of_the_same_side_match_by_the_nearest_start(faulty: Comparison) -> None:
    first = dataclasses.replace(faulty.live.exits[0], side=Side.SELL, started_ms=1_000_000)
    near = dataclasses.replace(first, started_ms=1_001_000)
    nearer = dataclasses.replace(first, started_ms=999_500)
    pairs = match_exits([first], [near, nearer])
    assert [(pair.live, pair.simulated) for pair in pairs] == [(first, nearer), (None, near)]


@pytest.mark.parametrize(
    "change", [{"side": Side.BUY}, {"started_ms": 1_000_001 + MATCHED_WITHIN_MS}], ids=["side", "time"]
)
def test_an_exit_of_the_other_side_or_of_another_time_does_not_match(
    faulty: Comparison, change: dict[str, object]
) -> None:
    first = dataclasses.replace(faulty.live.exits[0], side=Side.SELL, started_ms=1_000_000)
    other = dataclasses.replace(first, **change)  # type: ignore[arg-type]
    pairs = [(pair.live, pair.simulated) for pair in match_exits([first], [other])]
    assert pairs == [(first, None), (None, other)]

"""The charts are drawn from what the report holds."""

import dataclasses
import json
from typing import Any

import pytest
from tests.report.column_decoder import decoded
from tests.report.report_builders import MIDNIGHT_MS, a_quiet_story, a_story

from trailingedge.report.model import EquityBand, RunReport
from trailingedge.report.page_data import chart_data


def read_data(report: RunReport) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(chart_data(report))
    return told


def test_the_lines_are_drawn_from_what_the_report_holds() -> None:
    told = read_data(a_story())
    assert (told["base"], told["quote"], told["priceDecimals"], told["band"]) == ("ETH", "FDUSD", 2, None)
    candles, samples, fills = (decoded(told[name]) for name in ("candles", "samples", "fills"))
    assert candles["close"] == pytest.approx([2500, 2550, 2501, 2500])
    assert candles["ms"][0] == MIDNIGHT_MS
    assert samples["account"] == pytest.approx([0, 0.02, 0.0192, 0.0188])
    assert samples["holdHalf"] == pytest.approx([0, 0.01, 0.0002, 0])
    assert samples["anchor"] == [2500.0, 2500.0, None, 2500.0]
    assert (samples["gate"], samples["held"]) == ([0, 1, 0, 0], [1, 2, 0, 1])
    assert fills["exit"] == [0, 0, 2, None]  # the last one's exit is under way


def test_the_longest_drawdown_and_the_round_trips_have_their_times() -> None:
    told, report = read_data(a_story()), a_story()
    began_ms = MIDNIGHT_MS + 120_000
    assert told["longestDrawdown"] == [began_ms, began_ms + 3_600_000]
    assert told["trips"] == [[MIDNIGHT_MS, report.results.round_trips[0].closed_ms]]
    assert told["exits"][0] == [report.exits[0].started_ms, report.exits[0].ended_ms]


def test_an_order_is_drawn_from_each_move_to_the_next_until_its_exit_is_over() -> None:
    report = a_story()
    rests = decoded(read_data(report)["rests"])
    began_ms = report.exits[0].started_ms
    assert rests["from"] == [began_ms, began_ms + 4000, began_ms + 8000]
    assert rests["to"] == [began_ms + 4000, began_ms + 8000, began_ms + 12_000]
    assert rests["price"] == pytest.approx([2552.0, 2551.01, 2550.04])


def test_an_order_that_was_withdrawn_rests_no_longer() -> None:
    report = a_story()
    placed = report.orders[0]
    gone = dataclasses.replace(placed, time_ms=placed.time_ms + 700, what="withdrawn")
    rests = decoded(read_data(dataclasses.replace(report, orders=(placed, gone)))["rests"])
    assert rests["to"] == [placed.time_ms + 700]


def test_the_band_of_several_paths_has_times_of_its_own() -> None:
    times = (MIDNIGHT_MS, MIDNIGHT_MS + 3_600_000)
    band = EquityBand(times, p5=(0.0, -0.0312), median=(0.0, -0.01), p95=(0.0, 0.02))
    told = decoded(read_data(dataclasses.replace(a_story(), band=band))["band"])
    assert told["ms"] == list(times)
    assert told["p5"] == pytest.approx([0, -0.0312])
    assert told["p95"] == pytest.approx([0, 0.02])


def test_a_report_of_nothing_has_empty_columns() -> None:
    told = read_data(a_quiet_story())
    assert decoded(told["candles"])["close"] == decoded(told["samples"])["ms"] == []


def test_text_from_elsewhere_cannot_end_the_script_element() -> None:
    report = a_story()
    results = dataclasses.replace(report.results, base_asset="</script><b>")
    text = chart_data(dataclasses.replace(report, results=results))
    assert "<" not in text
    assert json.loads(text)["base"] == "</script><b>"


def test_a_fortnight_of_minutes_is_small() -> None:
    report = a_story()
    rows = 14 * 1440
    candles = [dataclasses.replace(report.candles[0], open_ms=MIDNIGHT_MS + row * 60_000) for row in range(rows)]
    samples = [dataclasses.replace(report.samples[0], time_ms=MIDNIGHT_MS + row * 60_000) for row in range(rows)]
    assert len(chart_data(dataclasses.replace(report, candles=tuple(candles), samples=tuple(samples)))) < 1_000_000

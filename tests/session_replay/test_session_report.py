"""Tests of the report of a recorded session."""

from functools import cache
from pathlib import Path

import pytest
from tests.session_replay.golden_sessions import path_of

from trailingedge.core.errors import ConfigError
from trailingedge.model.market import Side
from trailingedge.report import file_format
from trailingedge.report.model import RunReport
from trailingedge.report.terminal import summary_text
from trailingedge.session_replay.session_report import report_of_session


@cache
def report_of(name: str) -> RunReport:
    return report_of_session(path_of(name))


def test_the_report_has_exits_fills_orders_candles_and_samples_in_order() -> None:
    story = report_of("fair")
    assert (story.symbol, story.base_asset, story.quote_asset) == ("ETHFDUSD", "ETH", "FDUSD")
    assert [(exit_.kind.name, exit_.side) for exit_ in story.exits] == [
        ("MANUAL", Side.SELL),
        ("MANUAL", Side.BUY),
        ("FLUSH", Side.SELL),
    ]
    assert sum(fill.quantity for fill in story.fills if fill.number == story.exits[0].number) == story.exits[0].base
    assert {event.what for event in story.orders} >= {"placed", "replaced"}
    assert len(story.candles) == len(story.samples) > 20
    assert [candle.open_ms for candle in story.candles] == sorted(candle.open_ms for candle in story.candles)
    assert story.from_ms <= story.samples[0].time_ms <= story.to_ms
    assert story.settings["ROLLING_KLINES_MAXLEN"] == "60"
    assert story.gaps == ()
    assert "sales and buy-backs 3" in summary_text(story)


def test_a_take_profit_is_an_exit_of_the_report() -> None:
    exits = report_of("faulty").exits
    assert [(exit_.kind.name, exit_.side) for exit_ in exits] == [("TAKE_PROFIT", Side.SELL), ("TAKE_PROFIT", Side.BUY)]


def test_the_report_can_be_saved_and_read_again(tmp_path: Path) -> None:
    story = report_of("faulty")
    file_format.save(story, tmp_path / "a.story.json.gz")
    assert file_format.load(tmp_path / "a.story.json.gz") == story


def test_the_report_of_a_cut_off_record_names_the_gap(tmp_path: Path) -> None:
    path = tmp_path / path_of("fair").name
    path.write_bytes(path_of("fair").read_bytes()[:50_000])
    (gap,) = report_of_session(path).gaps
    assert gap.startswith("the record is incomplete: fair.session.jsonl.gz breaks off after line ")


def test_a_session_that_never_traded_has_no_report(tmp_path: Path) -> None:
    path = tmp_path / path_of("fair").name
    path.write_bytes(path_of("fair").read_bytes()[:200])
    with pytest.raises(ConfigError):
        report_of_session(path)

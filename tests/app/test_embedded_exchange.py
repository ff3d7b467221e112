"""Embedded exchange as an environment: it plays the given market and warns of files of another symbol."""

from pathlib import Path

import pytest
from tests.backtest import market_files

from trailingedge.app.embedded_exchange import relabelling_warnings, simulation_source
from trailingedge.config import Settings


def test_a_market_that_is_played_as_another_is_warned_of(tmp_path: Path) -> None:
    path = market_files.write_klines(tmp_path, 7, 5)
    settings = Settings(symbol="BTCUSDT")
    assert simulation_source(settings, [path], None).symbol == "BTCUSDT"
    (warning,) = relabelling_warnings([path], settings.symbol)
    assert warning.startswith(f"{path}: the file name says ETHFDUSD, but SYMBOL says BTCUSDT: the prices are used")


@pytest.mark.parametrize("name", ["ETHFDUSD-1m-2026-07.csv", "mine-1m.csv"])
def test_a_name_that_agrees_or_tells_nothing_for_certain_is_no_matter(name: str) -> None:
    assert relabelling_warnings([Path(name)], "ETHFDUSD") == []

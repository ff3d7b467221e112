"""Tests of the market loader against the simulator's reader of the same files."""

from decimal import Decimal
from pathlib import Path

import pytest
from tests.backtest import market_files

from trailingedge.core.errors import ConfigError
from trailingedge.simulator.feeds.historical import open_market
from trailingedge.simulator.feeds.market_loader import load_columns

KLINE = "{ms},{open},{high},{low},{close},{volume},{end},0,0,0,0,0"


@pytest.mark.parametrize("write", [market_files.write_klines, market_files.write_trades, market_files.write_quotes])
def test_the_ticks_do_not_depend_on_how_much_is_read_at_once(
    write: market_files.Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = open_market([write(tmp_path, 1, 30)])
    told = list(market)
    monkeypatch.setattr("trailingedge.simulator.feeds.historical._ROWS_AT_ONCE", 7)
    assert list(market) == told


def test_overlapping_klines_are_loaded_once(tmp_path: Path) -> None:
    path = tmp_path / "ETHUSDT-1m-2026-07.csv"
    rows = [kline(0), kline(1), kline(1, close="2"), kline(0), kline(2)]
    path.write_text("\n".join(rows), encoding="utf-8")
    market = open_market([path])
    assert [tick.last_price for tick in market if not tick.time_ms % 60_000] == 3 * [Decimal(1)]


def kline(number: int, close: str = "1.5") -> str:
    ms = market_files.START_MS + number * 60_000
    return KLINE.format(ms=ms, open="1.00", high="2.00", low="0.50", close=close, volume="12.500", end=ms + 59_999)


@pytest.mark.parametrize(
    "row", ["3,free,1,0,{ms},True,True", "3,10.02,1,0,{ms},perhaps,True", "3,10.02,-1,0,{ms},True,True"]
)
def test_a_row_that_cannot_be_read_is_left_out(row: str, tmp_path: Path) -> None:
    path = tmp_path / "ETHUSDT-trades-2026-07.csv"
    good = "".join(f"{number},10.0{number},1,0,{market_files.START_MS},True,True\n" for number in (1, 2))
    path.write_text(good + row.format(ms=market_files.START_MS), encoding="utf-8")
    (told,) = open_market([path]).gaps
    assert told.startswith(f"{path.name}: 1 of 3 rows left out, which cannot be read; line 3: ")
    assert [str(tick.last_price) for tick in open_market([path])] == ["10.01", "10.02"]


def test_progress_ends_at_one(tmp_path: Path) -> None:
    shares: list[float] = []
    market = open_market([market_files.write_trades(tmp_path, 1, 30)])
    list(load_columns(market, shares.append))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_file_that_grew_finer_since_it_was_opened_is_an_error(tmp_path: Path) -> None:
    path = market_files.write_trades(tmp_path, 1, 3)
    market = open_market([path])
    path.write_text(path.read_text(encoding="utf-8").replace(".", ".00001"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"line 1: .* is finer than 2 decimals; the file has changed"):
        list(load_columns(market))

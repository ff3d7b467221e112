"""Tests of the market loader against the simulator's reader of the same files."""

from pathlib import Path

import pytest
from tests.backtest import market_files

from trailingedge.backtest.candle_segments import walk_kline
from trailingedge.backtest.columns import KlineColumns
from trailingedge.backtest.market_loader import load_columns, price_grid
from trailingedge.core.errors import ConfigError
from trailingedge.simulator.feeds.candle_path import StraightPath
from trailingedge.simulator.feeds.historical import RecordedMarket, open_market
from trailingedge.simulator.feeds.ticks import Tick

KLINE = "{ms},{open},{high},{low},{close},{volume},{end},0,0,0,0,0"


def ticks_of(market: RecordedMarket) -> list[Tick]:
    """The columns as single ticks."""
    told: list[Tick] = []
    walker, grid = StraightPath(), price_grid(market)
    for columns in load_columns(market):
        pieces = [walk_kline(kline, walker) for kline in columns] if isinstance(columns, KlineColumns) else [columns]
        told += [piece.tick(index, grid) for piece in pieces for index in range(len(piece))]
    return told


@pytest.mark.parametrize("write", [market_files.write_klines, market_files.write_trades, market_files.write_quotes])
def test_the_columns_equal_the_ticks_of_the_same_files(write: market_files.Write, tmp_path: Path) -> None:
    market = open_market([write(tmp_path, 1, 30)])
    assert ticks_of(market) == list(market)


def test_overlapping_klines_are_loaded_once(tmp_path: Path) -> None:
    path = tmp_path / "ETHUSDT-1m-2026-07.csv"
    rows = [kline(0), kline(1), kline(1, close="2"), kline(0), kline(2)]
    path.write_text("\n".join(rows), encoding="utf-8")
    market = open_market([path])
    assert ticks_of(market) == list(market)
    assert sum(len(columns) for columns in load_columns(market)) == 3


def kline(number: int, close: str = "1.5") -> str:
    ms = market_files.START_MS + number * 60_000
    return KLINE.format(ms=ms, open="1.00", high="2.00", low="0.50", close=close, volume="12.500", end=ms + 59_999)


def test_trades_finer_than_the_inspected_rows_are_rounded_to_the_grid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trailingedge.simulator.feeds.inspection.INSPECTED_ROWS", 2)
    path = tmp_path / "ETHUSDT-trades-2026-07.csv"
    rows = [(1, "10.00", "1.5", "True"), (2, "10.01", "2.5", "False"), (3, "10.0149", "0.3333", "False")]
    path.write_text(
        "\n".join(
            f"{number},{price},{size},0,{market_files.START_MS},{maker},True" for number, price, size, maker in rows
        ),
        encoding="utf-8",
    )
    market = open_market([path])
    assert ticks_of(market) == list(market)
    assert [str(tick.traded) for tick in ticks_of(market)] == ["1.5", "2.5", "0.3"]


@pytest.mark.parametrize(
    "row", ["3,free,1,0,{ms},True,True", "3,10.02,1,0,{ms},perhaps,True", "3,10.02,-1,0,{ms},True,True"]
)
def test_an_unreadable_row_is_refused_like_in_the_simulator(
    row: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trailingedge.simulator.feeds.inspection.INSPECTED_ROWS", 2)
    path = tmp_path / "ETHUSDT-trades-2026-07.csv"
    good = "".join(f"{number},10.0{number},1,0,{market_files.START_MS},True,True\n" for number in (1, 2))
    path.write_text(good + row.format(ms=market_files.START_MS), encoding="utf-8")
    market = open_market([path])
    with pytest.raises(ConfigError) as by_columns:
        ticks_of(market)
    with pytest.raises(ConfigError) as by_tape:
        list(market)
    assert by_columns.value.problems == by_tape.value.problems


def test_progress_ends_at_one(tmp_path: Path) -> None:
    shares: list[float] = []
    market = open_market([market_files.write_trades(tmp_path, 1, 30)])
    list(load_columns(market, shares.append))
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_an_absurd_price_is_reported_with_its_file(tmp_path: Path) -> None:
    path = market_files.write_klines(tmp_path, 7, 92)
    rows = path.read_text(encoding="utf-8").splitlines()
    cells = rows[50].split(",")
    cells[2] = "1" + "0" * 30
    path.write_text("\n".join([*rows[:50], ",".join(cells), *rows[51:]]) + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"line 51: '10+' is no number with at most 20 digits"):
        list(load_columns(open_market([path])))

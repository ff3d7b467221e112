"""Trades and quotes of the same hours, and rows that are out of order."""

from pathlib import Path

import pytest
from tests.backtest import market_files
from tests.backtest.test_market_loader import ticks_of

from trailingedge.backtest.market_loader import load_columns
from trailingedge.core.errors import ConfigError
from trailingedge.simulator.feeds.historical import open_market


def test_trades_meet_the_recorded_book(tmp_path: Path) -> None:
    generated = list(market_files.ticks(3, 30))
    trades, quotes = market_files.write_trades(tmp_path, 3, 30), market_files.write_quotes(tmp_path, 3, 30)
    market = open_market([quotes, trades])
    told = ticks_of(market)
    assert told == list(market)
    traded = [tick for tick in generated if tick.traded]
    assert len(told) == len(generated) + len(traded)
    # A trade comes before the quotes of its millisecond, so it meets the book before it.
    books = {tick.time_ms: (tick.bid, tick.ask) for tick in generated}
    times = sorted(books)
    for tick in told:
        if tick.traded and tick.time_ms > times[0]:
            before = max(time_ms for time_ms in times if time_ms < tick.time_ms)
            assert (tick.bid, tick.ask) == books[before]
    assert [tick.last_price for tick in told if tick.traded] == [tick.last_price for tick in traded]


def test_trades_long_after_the_last_quote_have_a_book_of_one_tick(tmp_path: Path) -> None:
    trades, quotes = market_files.write_trades(tmp_path, 3, 30), market_files.write_quotes(tmp_path, 3, 5)
    told = ticks_of(open_market([quotes, trades]))
    late = [tick for tick in told if tick.time_ms > market_files.START_MS + 400_000]
    assert late
    assert {tick.ask - tick.bid for tick in late} == {late[0].ask - late[0].bid}


def test_quotes_are_not_merged_with_candles(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mixed layouts"):
        open_market([market_files.write_quotes(tmp_path, 3, 5), market_files.write_klines(tmp_path, 3, 5)])


@pytest.mark.parametrize("write", [market_files.write_klines, market_files.write_trades, market_files.write_quotes])
def test_rows_out_of_order_are_sorted_and_doubled_ones_left_out_and_both_are_counted(
    write: market_files.Write, tmp_path: Path
) -> None:
    path = write(tmp_path, 3, 30)
    usual = ticks_of(open_market([path]))
    rows = path.read_text(encoding="utf-8").splitlines()
    rows[5], rows[20] = rows[20], rows[5]
    if write is not market_files.write_quotes:  # the same book twice is no error
        rows.insert(12, rows[11])
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    market = open_market([path])
    assert ticks_of(market) == usual
    assert market.rows_sorted == 2
    assert market.rows_left_out == (write is not market_files.write_quotes)


def test_files_out_of_order_are_sorted(tmp_path: Path) -> None:
    path = market_files.write_klines(tmp_path, 3, 30)
    usual = ticks_of(open_market([path]))
    rows = path.read_text(encoding="utf-8").splitlines()
    parts = [tmp_path / "ETHFDUSD-1m-a.csv", tmp_path / "ETHFDUSD-1m-b.csv"]
    for number, part in enumerate(parts):
        part.write_text("\n".join(rows[number::2]) + "\n", encoding="utf-8")
    market = open_market(parts)
    assert ticks_of(market) == usual
    assert not market.gaps
    assert list(load_columns(market))

"""Trades and quotes of the same hours."""

from pathlib import Path

import pytest
from tests.backtest import market_files

from trailingedge.core.errors import ConfigError
from trailingedge.simulator.feeds.historical import open_market


def test_trades_meet_the_recorded_book(tmp_path: Path) -> None:
    generated = list(market_files.ticks(3, 30))
    trades, quotes = market_files.write_trades(tmp_path, 3, 30), market_files.write_quotes(tmp_path, 3, 30)
    market = open_market([quotes, trades])
    told = list(market)
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
    told = list(open_market([quotes, trades]))
    late = [tick for tick in told if tick.time_ms > market_files.START_MS + 400_000]
    assert late
    assert {tick.ask - tick.bid for tick in late} == {late[0].ask - late[0].bid}


def test_quotes_are_not_merged_with_candles(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mixed layouts"):
        open_market([market_files.write_quotes(tmp_path, 3, 5), market_files.write_klines(tmp_path, 3, 5)])

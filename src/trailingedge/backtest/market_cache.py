"""Market cache: recorded markets that are read once and kept in memory for many backtests."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final

from trailingedge.backtest.inputs import open_market_files
from trailingedge.live.node_params import PairParams
from trailingedge.simulator.feeds.columns import Columns
from trailingedge.simulator.feeds.historical import RecordedMarket
from trailingedge.simulator.feeds.market_loader import load_columns

_ROWS_KEPT: Final = 5_000_000  # in memory; a longer market is read again for each backtest


Market = tuple[RecordedMarket, Callable[[], Iterable[Columns]]]
"""A market, and a function that returns its columns from the start."""


def kept_market(files: tuple[str, ...], symbol: str | None, pair: PairParams) -> Market:
    """Return the market in these files. Raises ConfigError."""
    return kept_markets((files,), symbol, pair)[0]


# A worker gets the same files for every backtest, and parsing them takes as long as the backtest itself.
@lru_cache(maxsize=1)
def kept_markets(files: tuple[tuple[str, ...], ...], symbol: str | None, pair: PairParams) -> tuple[Market, ...]:
    """Return the markets in these files, each with an equal share of the memory. Raises ConfigError."""
    return tuple(_read(each, symbol, pair, _ROWS_KEPT // len(files)) for each in files)


def _read(files: tuple[str, ...], symbol: str | None, pair: PairParams, most_rows: int) -> Market:
    market = open_market_files([Path(file) for file in files], pair, symbol=symbol)
    kept: list[Columns] = []
    rows = 0
    for columns in load_columns(market):
        rows += len(columns)
        if rows > most_rows:
            return market, lambda: load_columns(market)
        kept.append(columns)
    return market, lambda: kept

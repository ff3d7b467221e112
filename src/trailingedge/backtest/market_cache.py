"""Market cache: recorded markets that are read once and kept in memory for many backtests."""

import gc
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from trailingedge.backtest.inputs import open_market_files
from trailingedge.backtest.market_memo import MOST_CHANNELS, MOST_KLINES, MarketMemo
from trailingedge.live.node_params import PairParams
from trailingedge.simulator.feeds.columns import Columns
from trailingedge.simulator.feeds.historical import RecordedMarket
from trailingedge.simulator.feeds.market_loader import load_columns

_ROWS_KEPT: Final = 5_000_000  # in memory; a longer market is read again for each backtest
_GC_THRESHOLD: Final = 50_000  # new objects between two collections


@dataclass(frozen=True, slots=True)
class KeptMarket:
    """A market, a function that returns its columns from the start, and the memo that its backtests share."""

    market: RecordedMarket
    columns: Callable[[], Iterable[Columns]]
    memo: MarketMemo


def kept_market(files: tuple[str, ...], symbol: str | None, pair: PairParams) -> KeptMarket:
    """Return the market in these files. Raises ConfigError."""
    return kept_markets((files,), symbol, pair)[0]


# A worker gets the same files for every backtest, and parsing them takes as long as the backtest itself.
@lru_cache(maxsize=1)
def kept_markets(files: tuple[tuple[str, ...], ...], symbol: str | None, pair: PairParams) -> tuple[KeptMarket, ...]:
    """Return the markets in these files, each with an equal share of the memory. Raises ConfigError."""
    markets = tuple(_read(each, symbol, pair, len(files)) for each in files)
    calm_collector()
    return markets


def calm_collector() -> None:
    """Make the garbage collector run less often. Call this once, before the first backtest of a process.

    The objects that exist now stay until the end, and a backtest creates few reference cycles: the collector would scan
    all these objects again and again and find almost no garbage.
    """
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD)


def _read(files: tuple[str, ...], symbol: str | None, pair: PairParams, share: int) -> KeptMarket:
    """Read a market. It may use `1 / share` of the memory."""
    market = open_market_files([Path(file) for file in files], pair, symbol=symbol)
    kept: list[Columns] = []
    rows = 0
    for columns in load_columns(market):
        rows += len(columns)
        if rows > _ROWS_KEPT // share:
            return KeptMarket(market, lambda: load_columns(market), MarketMemo(0, MOST_CHANNELS // share))
        kept.append(columns)
    return KeptMarket(market, lambda: kept, MarketMemo(MOST_KLINES // share, MOST_CHANNELS // share))

"""Market cache: a recorded market that is read once and kept in memory for many backtests."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final

from trailingedge.backtest.columns import Columns
from trailingedge.backtest.inputs import open_market_files
from trailingedge.backtest.market_loader import load_columns
from trailingedge.live.node_params import PairParams
from trailingedge.simulator.feeds.historical import RecordedMarket

_ROWS_KEPT: Final = 5_000_000  # of a market in memory; a longer one is read again for each backtest


# A worker gets the same files for every backtest, and parsing them takes as long as the backtest itself.
@lru_cache(maxsize=1)
def kept_market(
    files: tuple[str, ...], symbol: str | None, pair: PairParams
) -> tuple[RecordedMarket, Callable[[], Iterable[Columns]]]:
    """Return the market in these files, and a function that returns its columns from the start. Raises ConfigError."""
    market = open_market_files([Path(file) for file in files], pair, symbol=symbol)
    kept: list[Columns] = []
    rows = 0
    for columns in load_columns(market):
        rows += len(columns)
        if rows > _ROWS_KEPT:
            return market, lambda: load_columns(market)
        kept.append(columns)
    return market, lambda: kept

"""One combination on one market: what a worker does, wherever it lives.

Everything that goes to a worker and comes back is plain data, so that it does not matter which engine carries it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Final

from trailingedge.backtest.columns import Columns, KlineColumns, opening_price
from trailingedge.backtest.engine import Backtest
from trailingedge.backtest.inputs import build_inputs, open_market_files
from trailingedge.backtest.market_loader import load_columns
from trailingedge.backtest.recorder import BacktestPart
from trailingedge.config import Settings
from trailingedge.simulator.feeds.recorded import RecordedMarket
from trailingedge.sweep.search_space import Combination, apply_combination

_ROWS_KEPT: Final = 5_000_000  # of a market in memory; a longer one is read anew for each trial


@dataclass(frozen=True, slots=True)
class TrialTask:
    """What all trials of a sweep have in common."""

    files: tuple[str, ...]
    symbol: str | None
    settings: Settings
    balances: Mapping[str, Decimal] | None
    splits: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """What came of it, part by part. Values are numbers, for they are only compared."""

    parts: tuple["PartResult", ...]
    halted: bool = False


@dataclass(frozen=True, slots=True)
class PartResult:
    """`growth` is last value over first, `hold` the same of the base asset's price."""

    growth: float
    hold: float
    drawdown_frac: float
    exits: int


@dataclass(frozen=True, slots=True)
class TrialMarket:
    """What is known of the market before anything is tried. `price` is its first, None where it has none."""

    market: RecordedMarket
    from_ms: int
    to_ms: int
    price: Decimal | None


def inspect_market(task: TrialTask) -> TrialMarket:
    """Read it once, to see where it begins and ends. Raises ConfigError."""
    market, columns = _market(task.files, task.symbol, task.settings)
    from_ms, to_ms, price = None, 0, None
    for piece in columns():
        times, ends = (piece.open_ms, piece.close_ms) if isinstance(piece, KlineColumns) else (piece.time_ms,) * 2
        if piece:
            if from_ms is None:
                from_ms, price = times[0], opening_price(piece) * market.tick_size
            to_ms = ends[-1] + 1
    return TrialMarket(market, from_ms or 0, to_ms, price)


def run_trial(
    task: TrialTask, combination: Combination, stopped: Callable[[], bool] = lambda: False
) -> TrialOutcome | None:
    """Replay the market with these settings; None where it was stopped before its end."""
    market, columns = _market(task.files, task.symbol, task.settings)
    settings = apply_combination(task.settings, combination)
    replay = Backtest(build_inputs(market, settings, task.balances), curves=False, splits=task.splits, stopped=stopped)
    replay.run(columns())
    if stopped():
        return None
    return TrialOutcome(tuple(map(_result, replay.recorder.parts)), halted=replay.halt_reason is not None)


def _result(part: BacktestPart) -> PartResult:
    growth = float(part.last_value / part.first_value) if part.first_value else 1.0
    hold = float(part.last_bid / part.first_bid) if part.first_bid else 1.0
    return PartResult(growth, hold, part.max_drawdown_frac, part.exits)


# A worker is given the same files again and again, and reading them takes as long as a replay.
@lru_cache(maxsize=1)
def _market(
    files: tuple[str, ...], symbol: str | None, settings: Settings
) -> tuple[RecordedMarket, Callable[[], Iterable[Columns]]]:
    market = open_market_files([Path(file) for file in files], settings, symbol=symbol)
    kept: list[Columns] = []
    rows = 0
    for columns in load_columns(market):
        rows += len(columns)
        if rows > _ROWS_KEPT:
            return market, lambda: load_columns(market)
        kept.append(columns)
    return market, lambda: kept

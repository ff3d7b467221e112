"""Trial of a sweep: one backtest with one combination of settings, as a worker process runs it.

A worker's input and output are plain data that can be pickled, so every backend can carry them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from trailingedge.backtest.columns import KlineColumns, opening_price
from trailingedge.backtest.engine import Backtest
from trailingedge.backtest.inputs import build_inputs
from trailingedge.backtest.market_cache import kept_market
from trailingedge.backtest.result_recorder import BacktestPart
from trailingedge.live import factory
from trailingedge.simulator.feeds.historical import RecordedMarket
from trailingedge.sweep.search_space import Combination


@dataclass(frozen=True, slots=True)
class TrialTask:
    """The inputs that all trials of a sweep share.

    `settings` has every setting except secrets, by name, as text.
    """

    files: tuple[str, ...]
    symbol: str | None
    settings: Mapping[str, str]
    balances: Mapping[str, Decimal] | None
    splits: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """Result of one trial, with one entry per part of the days (the days are cut at the splits).

    The numbers are floats, because results are only compared.
    """

    # Field names of this class and of `PartResult` are the keys of the lines in a trial store.

    parts: tuple["PartResult", ...]
    halted: bool = False


@dataclass(frozen=True, slots=True)
class PartResult:
    """Result of one part of the days. `growth` is the account's last value divided by its first.

    `hold` is the last price of base divided by the first.
    """

    growth: float
    hold: float
    drawdown_frac: float
    exits: int


@dataclass(frozen=True, slots=True)
class TrialMarket:
    """The market of a sweep, its first and last time, and its first price (None if it is empty)."""

    market: RecordedMarket
    from_ms: int
    to_ms: int
    price: Decimal | None


def inspect_market(task: TrialTask) -> TrialMarket:
    """Read the market once to find its bounds. Raises ConfigError."""
    market, columns = kept_market(task.files, task.symbol, factory.pair_params(task.settings))
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
    """Backtest the market with the settings of `task`, changed by `combination`.

    Returns None if the backtest was stopped before its end.
    """
    market, columns = kept_market(task.files, task.symbol, factory.pair_params(task.settings))
    inputs = build_inputs(market, {**task.settings, **combination}, task.balances)
    backtest = Backtest(inputs, curves=False, splits=task.splits, stopped=stopped)
    backtest.run(columns())
    if stopped():
        return None
    return TrialOutcome(tuple(map(_result, backtest.recorder.parts)), halted=backtest.halt_reason is not None)


def _result(part: BacktestPart) -> PartResult:
    growth = float(part.last_value / part.first_value) if part.first_value else 1.0
    hold = float(part.last_bid / part.first_bid) if part.first_bid else 1.0
    return PartResult(growth, hold, part.max_drawdown_frac, part.exits)

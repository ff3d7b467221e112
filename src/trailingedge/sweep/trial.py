"""Trial of a sweep: the backtests with one combination of settings, as a worker process runs them.

A worker's input and output are plain data that can be pickled, so every backend can carry them.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from trailingedge.accounting.metrics import daily_returns
from trailingedge.backtest.engine import Backtest
from trailingedge.backtest.inputs import BacktestInputs, build_inputs, shared_balances
from trailingedge.backtest.market_cache import KeptMarket, kept_markets
from trailingedge.backtest.paths import Scenario
from trailingedge.backtest.result_recorder import BacktestPart
from trailingedge.live import factory
from trailingedge.simulator.feeds.columns import KlineColumns, opening_price
from trailingedge.simulator.feeds.historical import RecordedMarket
from trailingedge.sweep.search_space import Combination


@dataclass(frozen=True, slots=True)
class TrialTask:
    """The inputs that all trials of a sweep share.

    `markets` are the files of each market. `symbol` is the symbol of a single market, None if the file names give it.
    `settings` has every setting except secrets, by name, as text. Each market gets the starting balances of its own
    assets.
    """

    markets: tuple[tuple[str, ...], ...]
    symbol: str | None
    settings: Mapping[str, str]
    balances: Mapping[str, Decimal] | None
    splits: tuple[int, ...]
    scenario: Scenario

    def read_markets(self) -> tuple[KeptMarket, ...]:
        """Return the markets; they are read once in each process. Raises ConfigError."""
        return kept_markets(self.markets, self.symbol, factory.pair_params(self.settings))

    def inputs(self, market: RecordedMarket, combination: Combination) -> BacktestInputs:
        """Return the inputs of a backtest on this market. Raises ConfigError."""
        balances = self.balances if len(self.markets) == 1 else shared_balances(self.balances, market)
        return build_inputs(market, {**self.settings, **combination}, balances)


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """Result of one trial: one result for each path on each market.

    The numbers are floats, because results are only compared with each other.
    """

    # Field names of this class and of those below are the keys of the lines in a trial store.

    runs: tuple["RunOutcome", ...]

    @property
    def halted(self) -> bool:
        return any(run.halted for run in self.runs)

    @property
    def markets(self) -> int:
        return max(run.market for run in self.runs) + 1

    def of_market(self, number: int) -> "list[RunOutcome]":
        """Return the results of all paths on this market."""
        return [run for run in self.runs if run.market == number]


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """Result of one path on one market, with one entry per part of the days (the days are cut at the splits)."""

    market: int
    parts: tuple["PartResult", ...]
    halted: bool = False


@dataclass(frozen=True, slots=True)
class PartResult:
    """Result of one part of the days. `growth` is the account's last value divided by its first.

    `hold` is the last price of base divided by the first. `returns` are the daily changes of the account, `trips` the
    results of the round trips that ended in this part, as fractions of their cost.
    """

    growth: float
    hold: float
    drawdown_frac: float
    exits: int
    returns: tuple[float, ...] = ()
    trips: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class TrialMarket:
    """One market of a sweep: its first and its last time, and its first price, which is None if the market is empty."""

    market: RecordedMarket
    from_ms: int
    to_ms: int
    price: Decimal | None


def inspect_markets(task: TrialTask) -> tuple[TrialMarket, ...]:
    """Read all markets to find their bounds. Raises ConfigError."""
    return tuple(map(_inspect, task.read_markets()))


def _inspect(read: KeptMarket) -> TrialMarket:
    from_ms, to_ms, price = None, 0, None
    for piece in read.columns():
        times, ends = (piece.open_ms, piece.close_ms) if isinstance(piece, KlineColumns) else (piece.time_ms,) * 2
        if piece:
            if from_ms is None:
                from_ms, price = times[0], opening_price(piece) * read.market.tick_size
            to_ms = ends[-1] + 1
    return TrialMarket(read.market, from_ms or 0, to_ms, price)


def run_trial(
    task: TrialTask, combination: Combination, stopped: Callable[[], bool] = lambda: False
) -> TrialOutcome | None:
    """Backtest all markets on all paths with the settings of `task`, changed by `combination`.

    Returns None if a backtest was stopped before its end.
    """
    runs = []
    for number, kept in enumerate(task.read_markets()):
        inputs, scenario = task.inputs(kept.market, combination), task.scenario.of_market(kept.market)
        for path in range(1, scenario.paths + 1):
            backtest = Backtest(
                inputs,
                curves=False,
                splits=task.splits,
                stopped=stopped,
                path=scenario.path(path),
                latency_ms=scenario.latency_ms,
                memo=kept.memo,
            )
            backtest.run(kept.columns())
            if stopped():
                return None
            runs.append(RunOutcome(number, _parts(backtest, task.splits), backtest.halt_reason is not None))
    return TrialOutcome(tuple(runs))


def _parts(backtest: Backtest, splits: Sequence[int]) -> tuple[PartResult, ...]:
    results = backtest.recorder.statistics.results()
    closes = [mark.growth for mark in results.marks]
    # The close of a day is its last valuation, at midnight or before: at a split it belongs to the part that ends.
    returns = _by_part(((mark.market_ms for mark in results.marks[1:]), daily_returns(closes)), splits)
    trips = _by_part(
        ((trip.closed_ms for trip in results.round_trips), (trip.result_frac for trip in results.round_trips)), splits
    )
    return tuple(map(_result, backtest.recorder.parts, returns, trips))


def _by_part(timed: tuple[Iterable[int], Iterable[float]], splits: Sequence[int]) -> tuple[tuple[float, ...], ...]:
    """Group numbers by the part of the days in which their time lies.

    `timed` has pairs of a time and a number.
    """
    found: list[list[float]] = [[] for _ in range(len(splits) + 1)]
    for time_ms, number in zip(*timed, strict=False):  # an account without value has no more returns
        found[bisect_left(splits, time_ms)].append(number)
    return tuple(map(tuple, found))


def _result(part: BacktestPart, returns: tuple[float, ...], trips: tuple[float, ...]) -> PartResult:
    growth = float(part.last_value / part.first_value) if part.first_value else 1.0
    hold = float(part.last_bid / part.first_bid) if part.first_bid else 1.0
    return PartResult(growth, hold, part.max_drawdown_frac, part.exits, returns, trips)

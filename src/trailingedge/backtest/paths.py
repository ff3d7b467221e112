"""Paths of a backtest: runs one market on several paths within its candles, and compares the results.

A candle does not show the sequence of its prices. So a backtest on candles runs on seeded random paths and reports the
median of the results with a band; its report lists the orders of the median path. Worker processes get plain data,
because it must be pickled. The result does not depend on the number of processes.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from operator import and_, eq, not_
from typing import Final

from trailingedge.accounting.results import RunResults
from trailingedge.backtest.engine import Backtest
from trailingedge.backtest.inputs import build_inputs
from trailingedge.backtest.market_cache import kept_market
from trailingedge.backtest.worker_pool import StopCheck, run_in_processes, stop_requested
from trailingedge.core.time_units import MINUTE_MS
from trailingedge.live import factory
from trailingedge.model.intent import ExitKind
from trailingedge.report.model import EquityBand
from trailingedge.report.robustness import LEAST_FRAC, PathFigures, Walk, band_of
from trailingedge.simulator.feeds.candle_path import GridPath, StraightPath
from trailingedge.simulator.feeds.columns import Columns, KlineColumns
from trailingedge.simulator.feeds.csv_schemas import CsvSchema
from trailingedge.simulator.feeds.historical import RecordedMarket
from trailingedge.simulator.feeds.inspection import interval_name
from trailingedge.simulator.feeds.random_path import RandomPath

DEFAULT_PATHS: Final = 16
MOST_PATHS: Final = 1000
DEFAULT_LATENCY_MS: Final = 500
MOST_LATENCY_MS: Final = 10_000
THIN_SHARE: Final = 0.05  # of candles with one price: above, a market is thin
_WORTH_A_PROCESS: Final = 100_000  # candles of all paths together: less is done before a process has started


@dataclass(frozen=True, slots=True)
class Scenario:
    """The assumptions of a backtest: the walk within candles, the number of paths, and the latency each way."""

    walk: Walk = Walk.RANDOM
    paths: int = DEFAULT_PATHS
    latency_ms: int = DEFAULT_LATENCY_MS

    def of_market(self, market: RecordedMarket) -> "Scenario":
        """Return the scenario for this market.

        Paths within candles exist only for a market of candles: other files contain every price.
        """
        if market.schema is not CsvSchema.KLINES:
            return Scenario(Walk.RECORDED, 1, self.latency_ms)
        return self if self.walk is Walk.RANDOM else Scenario(self.walk, 1, self.latency_ms)

    def path(self, number: int) -> GridPath:
        """Return a new path; `number` is the seed of a random path."""
        if self.walk is Walk.RANDOM:
            return RandomPath(number)
        return StraightPath(opposite=self.walk is Walk.OPPOSITE)

    def hides(self, market: RecordedMarket, flat_share: float) -> tuple[str, ...]:
        """Return sentences on what limits the trust in a result.

        `flat_share` is the share of candles with only one price, among the candles whose number of trades is not known.
        """
        found = []
        if self.walk is Walk.RANDOM:
            if self.paths == 1:
                found.append(
                    "one random path: another may change the result by several percentage points; leave --paths "
                    "out for a range of results"
                )
            found.append(
                "the paths have no jumps within a minute, a spread of one tick and an invented queue: "
                "real stops slip more"
            )
        elif self.walk is not Walk.RECORDED:
            found.append(
                "a candle does not show the sequence of its prices: another sequence may change the result by "
                "several percentage points; leave --walk out for a range of results"
            )
        elif market.schema is CsvSchema.BOOK_TICKER:
            found.append("no trades are recorded: an order fills only when the best price goes through it")
        elif not market.quote_files:
            found.append(
                "no book is recorded: the spread is assumed to be one tick, and the queue is invented; add the "
                "bookTicker files"
            )
        if not self.latency_ms:
            found.append(
                "with no latency each order meets the book that it was priced for, which no real order does; leave "
                "--latency out for the usual latency"
            )
        if market.interval_ms > MINUTE_MS:
            name = interval_name(market.interval_ms)
            found.append(f"the prices within {name} candles are a guess, and so is the band; give files of 1m candles")
        if flat_share > THIN_SHARE:
            found.append(
                f"a thin market ({flat_share:.0%} of the candles have one price) whose files do not count the "
                "trades: the result is much too good"
            )
        return tuple(found)


@dataclass(frozen=True, slots=True)
class PathTask:
    """The inputs that all paths share. `settings` has every setting except secrets, by name, as text."""

    files: tuple[str, ...]
    symbol: str | None
    settings: Mapping[str, str]
    balances: Mapping[str, Decimal] | None
    scenario: Scenario


@dataclass(frozen=True, slots=True)
class PathRun:
    """The run of one path up to a market time; the time is 0 if it had not begun.

    `figures` is None if it was stopped before the end.
    """

    number: int
    reached_ms: int
    figures: PathFigures | None


def run_path(task: PathTask, number: int, stopped: StopCheck = stop_requested) -> PathRun:
    """Backtest the market on one path, until its end or a stop request."""
    if stopped():
        return PathRun(number, 0, None)
    kept = kept_market(task.files, task.symbol, factory.pair_params(task.settings))
    inputs = build_inputs(kept.market, task.settings, task.balances)
    scenario = task.scenario
    backtest = Backtest(
        inputs,
        curves=False,
        stopped=stopped,
        path=scenario.path(number),
        latency_ms=scenario.latency_ms,
        memo=kept.memo,
    )
    backtest.run(kept.columns())
    figures = None if stopped() else figures_of(number, backtest.recorder.statistics.results())
    return PathRun(number, backtest.time_ms, figures)


def run_paths(
    task: PathTask, candles: int, stopped: StopCheck, done: Callable[[int], None]
) -> tuple[list[PathFigures], PathRun]:
    """Run all paths of the scenario. After each path, `done` gets the number of finished paths.

    Returns the figures of the finished paths by number, and the unfinished path that had come furthest at a stop
    request.
    """
    found: dict[int, PathFigures] = {}
    furthest = PathRun(1, 0, None)
    numbers = range(1, task.scenario.paths + 1)

    def collect(number: int, run: PathRun) -> None:
        nonlocal furthest
        if run.figures is None:
            furthest = max(furthest, run, key=lambda each: each.reached_ms)
            return
        found[number] = run.figures
        done(len(found))

    jobs = min(os.cpu_count() or 1, len(numbers))
    if jobs > 1 and candles * len(numbers) >= _WORTH_A_PROCESS:
        run_in_processes(partial(run_path, task), numbers, jobs, collect, stopped)
    else:
        for number in numbers:
            if stopped():
                break
            collect(number, run_path(task, number, stopped))
    return [found[number] for number in sorted(found)], furthest


class FlatShare:
    """Counts candles with only one price, among those whose number of trades is unknown, while the market is read."""

    def __init__(self) -> None:
        self._flat = self._count = 0

    @property
    def share(self) -> float:
        return self._flat / self._count if self._count else 0.0

    def watch(self, columns: Iterable[Columns]) -> Iterator[Columns]:
        """Yield the columns unchanged, and count their candles."""
        for piece in columns:
            if isinstance(piece, KlineColumns):
                self._flat += sum(map(and_, map(eq, piece.highs, piece.lows), map(not_, piece.trades)))
                self._count += len(piece) - sum(map(bool, piece.trades))
            yield piece


def figures_of(number: int, results: RunResults) -> PathFigures:
    """Return the figures of a finished path."""
    whole = results.whole
    return PathFigures(
        number=number,
        result_frac=whole.result_frac,
        excess_frac=whole.result_frac - whole.hold_half_frac,
        max_drawdown_frac=results.drawdown.max_frac,
        exits=len(results.exits),
        hard_stops=sum(finished.kind is ExitKind.FLUSH for finished in results.exits),
        round_trips=len(results.round_trips),
        won=whole.won,
        rejected=sum(results.rejected.values()),
        changes=tuple(mark.growth - 1.0 for mark in results.marks),
    )


def equity_band(figures: Sequence[PathFigures], listed: RunResults) -> EquityBand | None:
    """Return the band of the account's value over all paths; None if there is only one path.

    Its times are those of the valuations in `listed`. Paths with another number of valuations are left out.
    """
    times_ms = tuple(mark.market_ms for mark in listed.marks)
    paths = [path.changes for path in figures if len(path.changes) == len(times_ms)]
    if len(paths) < 2:
        return None
    # At the start all paths have the same account.
    changes = zip(*paths, strict=True)
    bands = [band_of(values, LEAST_FRAC if number else 0.0) for number, values in enumerate(changes)]
    columns = (tuple(getattr(band, name) for band in bands) for name in ("p5", "median", "p95"))
    return EquityBand(times_ms, *columns)

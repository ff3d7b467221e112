"""Benchmark of the backtest: how many ticks, and how many candles, it plays in a second.

The ticks are in memory: a random walk with about as many exits a day as the pair has had. The floor is what any
tick-by-tick program in Python costs before it orders anything: one method call with a trailing stop in it.
If backtesting.py is installed (`uv run --with backtesting …`), it runs with a trailing stop on the same ticks.
The year of candles is read from a file, and reading counts.
"""

import cProfile
import dataclasses
import gc
import importlib
import io
import pstats
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.benchmarks.measurements import table

from trailingedge.backtest.engine import Backtest
from trailingedge.backtest.inputs import BacktestInputs, build_inputs, open_market_files
from trailingedge.live import factory
from trailingedge.report.model import RunReport
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.feeds.columns import Columns, TickColumns
from trailingedge.simulator.feeds.market_loader import load_columns

TITLE: Final = "replay: {count:,} ticks in memory, through strategy, execution and matching"
HEAD: Final = ("", "ticks", "ticks/s", "of the floor", "by round", "exits", "orders")
FLOOR: Final = "floor: a class, no orders"
FLOOR_AGAIN: Final = "floor again"
TRADES: Final = "backtest, trades"
QUOTES: Final = "backtest, bookTicker"
EVERY_TICK: Final = "backtest, every tick decided"
YEAR_TITLE: Final = "replay: {count:,} one-minute candles from a file, of at least eight book frames each"
YEAR_HEAD: Final = ("", "seconds", "candles/s", "frames/s")
REQUIRED_RATE: Final = 500_000  # ticks a second, the project's requirement
START_MS: Final = 1_783_000_020_000
_PIECE: Final = 4096
_SWING: Final = 8.0  # ticks of 0.01 in a tenth of a second, a standard deviation
_SLOW_SHARE: Final = 50  # slow programs play one in so many ticks
_SHOWN: Final = 15  # lines of the profile


@dataclasses.dataclass(frozen=True)
class BacktestTiming:
    """The rounds of one program: ticks a second in each."""

    name: str
    ticks: int
    rates: Sequence[float]
    report: RunReport | None = None

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)


class TrailingStopFloor:
    """The floor: a high, a trailing level and a stop, without orders."""

    def __init__(self, price: int) -> None:
        self.high = price
        self.level = 0.0
        self.stop = price * 0.995
        self.exits = 0

    def tick(self, bid: int, ask: int) -> None:
        if bid > self.high:
            self.high = bid
            self.level = bid * 0.99
        if bid <= self.stop or bid <= self.level:
            self.exits += 1
            self.high, self.level, self.stop = ask, 0.0, ask * 0.995


def run(folder: Path, *, rounds: int, ticks: int, candles: int, chance: Random) -> str:
    """Run the measure and return all tables, and the profile of one more run."""
    seed = chance.getrandbits(32)
    timed = timings(rounds, ticks, seed)
    year = _year(folder / "ETHFDUSD-1m-2025.csv", candles, Random(seed))
    trades = market(Random(seed), ticks, trades=True)
    profile = _profiled(lambda: _run_backtest(trades))
    return "\n\n".join([_ticks_table(timed, ticks), year, profile])


def timings(rounds: int, ticks: int, seed: int) -> list[BacktestTiming]:
    """Time each program on the ticks of one random walk."""
    trades, quotes = market(Random(seed), ticks, trades=True), market(Random(seed), ticks, trades=False)
    few = [trades[0]] if ticks <= _PIECE * _SLOW_SHARE else trades[: len(trades) // _SLOW_SHARE]
    runs: list[tuple[str, Callable[[], RunReport | None], int]] = [
        (FLOOR, lambda: _run_floor(trades), ticks),
        (FLOOR_AGAIN, lambda: _run_floor(trades), ticks),
        (TRADES, lambda: _run_backtest(trades), ticks),
        (QUOTES, lambda: _run_backtest(quotes), ticks),
        (EVERY_TICK, lambda: _run_backtest(few, thorough=True), sum(map(len, few))),
    ]
    library = _library()
    if library is not None:
        bars = _bars(library, few)
        runs.append(("backtesting.py, trailing stop", lambda: _backtest(library, bars), sum(map(len, few))))
    return [_timed(name, play, count, rounds) for name, play, count in runs]


def market(dice: Random, count: int, *, trades: bool) -> list[Columns]:
    """`count` ticks of a random walk, a tenth of a second apart on average."""
    columns_made: list[Columns] = []
    columns, exact, last, time_ms, bid, ask = TickColumns(), 250_000.0, 250_000, START_MS, 249_999, 250_000
    for _ in range(count):
        time_ms += dice.randrange(1, 200)
        exact += dice.gauss(0.0, _SWING)
        if trades:
            price = round(exact)
            bought = price > last or (price == last and dice.random() < 0.5)
            last = price
            bid = price - 1 if bought else price
            columns.add(time_ms, bid, 20_000, bid + 1, 20_000, price, dice.randrange(1, 20_000), bought=bought)
        else:
            if dice.random() < 0.5:
                bid = round(exact)
                ask = bid + dice.choice((1, 1, 1, 2, 3))
            columns.add(time_ms, bid, dice.randrange(1, 60_000), ask, dice.randrange(1, 60_000), bid, 0, bought=False)
        if len(columns) == _PIECE:
            columns_made.append(columns)
            columns = TickColumns()
    return [*columns_made, columns] if columns else columns_made


def _timed(name: str, play: Callable[[], RunReport | None], ticks: int, rounds: int) -> BacktestTiming:
    rates, report = [], None
    for _ in range(rounds):
        gc.collect()
        began_s = time.perf_counter()
        report = play()
        rates.append(ticks / (time.perf_counter() - began_s))
    return BacktestTiming(name, ticks, rates, report)


def _run_floor(columns_made: Sequence[Columns]) -> None:
    floor_strategy = TrailingStopFloor(250_000)
    for columns in columns_made:
        if isinstance(columns, TickColumns):
            for bid, ask in zip(columns.bids, columns.asks, strict=True):
                floor_strategy.tick(bid, ask)


def _run_backtest(columns_made: Sequence[Columns], *, thorough: bool = False) -> RunReport:
    backtest_run = Backtest(
        BacktestInputs(factory.backtest_params({}), ExchangeSpec(), {"ETH": Decimal(1)}), thorough=thorough
    )
    backtest_run.run(columns_made)
    return backtest_run.recorder.build_report({}, ())


def _ticks_table(found: Sequence[BacktestTiming], ticks: int) -> str:
    floor = found[0]
    rows = [
        (
            timing.name,
            f"{timing.ticks:,}",
            f"{timing.rate:,.0f}",
            f"{timing.rate / floor.rate:.3f}",
            f"{min(timing.rates) / 1e6:.2f} - {max(timing.rates) / 1e6:.2f} M",
            "-" if timing.report is None else str(len(timing.report.exits)),
            "-" if timing.report is None else str(len(timing.report.orders)),
        )
        for timing in found
    ]
    ours = min(timing.rate for timing in found if timing.name in (TRADES, QUOTES))
    notes = [f"needed: {REQUIRED_RATE:,} ticks/s; the slower of both is {ours / REQUIRED_RATE:.1f} times that"]
    library = [timing for timing in found if timing.name.startswith("backtesting")]
    notes += [f"{ours / timing.rate:.0f} times backtesting.py (needed: 2)" for timing in library]
    if not library:
        notes.append("backtesting.py is not installed: uv run --with backtesting python -m tests.benchmarks replay")
    return table(TITLE.format(count=ticks), HEAD, rows, notes)


def _year(path: Path, candles: int, dice: Random) -> str:
    """A year of minutes, from opening the file to the finished report."""
    write_candles(path, candles, dice)
    began_s = time.perf_counter()
    found = open_market_files([path], factory.pair_params({}), symbol=None)
    opened_s = time.perf_counter() - began_s
    backtest_run = Backtest(build_inputs(found, {}, None))
    backtest_run.run(load_columns(found))
    report = backtest_run.recorder.build_report({}, ())
    whole_s = time.perf_counter() - began_s
    rows = [
        ("opened and checked", f"{opened_s:.1f}", f"{candles / opened_s:,.0f}", "-"),
        ("read and replayed", f"{whole_s - opened_s:.1f}", f"{candles / (whole_s - opened_s):,.0f}", "-"),
        ("all of it", f"{whole_s:.1f}", f"{candles / whole_s:,.0f}", f"{8 * candles / whole_s:,.0f}"),
    ]
    notes = [f"{len(report.exits)} exits, {len(report.orders)} orders, {backtest_run.cycles:,} ticks decided"]
    if candles != 525_600:
        notes.append(f"a year of 525,600 at this pace: {525_600 * whole_s / candles:.1f} s")
    return table(YEAR_TITLE.format(count=candles), YEAR_HEAD, rows, notes)


def write_candles(path: Path, candles: int, dice: Random) -> None:
    """Write klines of a random walk in Binance's CSV schema, from 2024-01-01 on."""
    with path.open("w", encoding="utf-8") as file:
        price, open_ms = 250_000, 1_704_067_200_000
        for _ in range(candles):
            walked = [price]
            for _ in range(4):
                walked.append(max(1000, walked[-1] + round(dice.gauss(0.0, 70.0))))
            corners = (walked[0], max(walked) + dice.randrange(20), min(walked) - dice.randrange(20), walked[-1])
            volume = dice.randrange(100_000, 4_000_000)
            cells = ",".join(f"{corner // 100}.{corner % 100:02d}000000" for corner in corners)
            file.write(f"{open_ms},{cells},{volume / 10_000:.8f},{open_ms + 59_999},0,1,0,0,0\n")
            price = walked[-1] + dice.randrange(-1, 2)
            open_ms += 60_000


def _profiled(play: Callable[[], object]) -> str:
    profiler = cProfile.Profile()
    profiler.runcall(play)
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).strip_dirs().sort_stats("tottime").print_stats(_SHOWN)
    lines = [line.rstrip() for line in text.getvalue().splitlines() if line.strip()]
    begin = next(number for number, line in enumerate(lines) if line.lstrip().startswith("ncalls"))
    return "\n".join(["backtest, trades: where its time goes, by a profile (which overstates calls)", *lines[begin:]])


# backtesting.py, which is not a dependency of the project


def _library() -> Any:
    try:
        return importlib.import_module("backtesting")
    except ImportError:
        return None


def _bars(_: Any, columns_made: Sequence[Columns]) -> Any:
    """Each tick as a bar of its own: the only way to give that library ticks."""
    pandas: Any = importlib.import_module("pandas")
    bids = [bid / 100 for columns in columns_made if isinstance(columns, TickColumns) for bid in columns.bids]
    times = [time_ms for columns in columns_made if isinstance(columns, TickColumns) for time_ms in columns.time_ms]
    index = pandas.to_datetime(times, unit="ms")
    return pandas.DataFrame({"Open": bids, "High": bids, "Low": bids, "Close": bids}, index=index)


def _backtest(library: Any, bars: Any) -> None:
    """Buy with all cash, with a stop half a percent below the highest price."""
    strategy: Any = library.Strategy

    class Trailing(strategy):  # type: ignore[misc]
        def init(self) -> None:
            pass

        def next(self) -> None:
            price = self.data.Close[-1]
            if not self.position:
                self.buy(size=0.99)
            for trade in self.trades:
                trade.sl = max(trade.sl or 0.0, price * 0.995)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library.Backtest(bars, Trailing, cash=10_000_000, finalize_trades=True).run()

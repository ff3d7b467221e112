"""Replay: how many ticks, and how many candles, a second go through strategy, chaser and matching.

The ticks are in memory already, a random walk with about as many exits a day as the pair has had. The floor is
what any tick-by-tick core in Python pays before it orders anything: one method call with a trailing stop in it.
Beside it, where it can be imported (`uv run --with backtesting …`), stands backtesting.py with a trailing stop on
the same ticks. The year of candles is read from a file, which is part of its time.
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

from trailingedge.backtest.columns import Columns, TickColumns
from trailingedge.backtest.engine import Backtest
from trailingedge.backtest.inputs import BacktestInputs, build_inputs, open_market_files
from trailingedge.backtest.market_loader import load_columns
from trailingedge.config import Settings
from trailingedge.report.model import RunReport
from trailingedge.simulator.exchange_spec import ExchangeSpec

TITLE: Final = "replay: {count:,} ticks in memory, through strategy, chaser and matching"
HEAD: Final = ("", "ticks", "ticks/s", "of the floor", "by round", "exits", "orders")
YEAR_TITLE: Final = "replay: {count:,} one-minute candles from a file, of at least eight book frames each"
YEAR_HEAD: Final = ("", "seconds", "candles/s", "frames/s")
REQUIRED_RATE: Final = 500_000  # ticks a second
START_MS: Final = 1_783_000_020_000
_PIECE: Final = 4096
_SWING: Final = 8.0  # ticks of 0.01 in a tenth of a second, a standard deviation
_SLOW_SHARE: Final = 50  # whoever takes so long gets one of so many ticks
_SHOWN: Final = 15  # lines of the profile


@dataclasses.dataclass(frozen=True)
class BacktestTiming:
    """One player's rounds: ticks a second in each."""

    name: str
    ticks: int
    rates: Sequence[float]
    report: RunReport | None = None

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)


class TrailingStopFloor:
    """The floor: a high, a trailing level and a stop, and nobody to tell."""

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
    """Every table, with the profile of one more run."""
    seed = chance.getrandbits(32)
    trades, quotes = market(Random(seed), ticks, trades=True), market(Random(seed), ticks, trades=False)
    few = [trades[0]] if ticks <= _PIECE * _SLOW_SHARE else trades[: len(trades) // _SLOW_SHARE]
    players: list[tuple[str, Callable[[], RunReport | None], int]] = [
        ("floor: a class, no orders", lambda: _core(trades), ticks),
        ("floor again", lambda: _core(trades), ticks),
        ("replay, trades", lambda: _replay(trades), ticks),
        ("replay, bookTicker", lambda: _replay(quotes), ticks),
        ("replay, a beat for each tick", lambda: _replay(few, thorough=True), sum(map(len, few))),
    ]
    library = _library()
    if library is not None:
        bars = _bars(library, few)
        players.append(("backtesting.py, trailing stop", lambda: _backtest(library, bars), sum(map(len, few))))
    laps = [_timed(name, play, count, rounds) for name, play, count in players]
    year = _year(folder / "ETHFDUSD-1m-2025.csv", candles, Random(seed))
    profile = _profiled(lambda: _replay(trades))
    return "\n\n".join([_ticks_table(laps, ticks), year, profile])


def market(dice: Random, count: int, *, trades: bool) -> list[Columns]:
    """Ticks a tenth of a second apart on average."""
    told: list[Columns] = []
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
            told.append(columns)
            columns = TickColumns()
    return [*told, columns] if columns else told


def _timed(name: str, play: Callable[[], RunReport | None], ticks: int, rounds: int) -> BacktestTiming:
    rates, story = [], None
    for _ in range(rounds):
        gc.collect()
        began_s = time.perf_counter()
        story = play()
        rates.append(ticks / (time.perf_counter() - began_s))
    return BacktestTiming(name, ticks, rates, story)


def _core(told: Sequence[Columns]) -> None:
    core = TrailingStopFloor(250_000)
    for columns in told:
        if isinstance(columns, TickColumns):
            for bid, ask in zip(columns.bids, columns.asks, strict=True):
                core.tick(bid, ask)


def _replay(told: Sequence[Columns], *, thorough: bool = False) -> RunReport:
    replay = Backtest(BacktestInputs(Settings(), ExchangeSpec(), {"ETH": Decimal(1)}), thorough=thorough)
    replay.run(told)
    return replay.recorder.build_report({}, ())


def _ticks_table(laps: Sequence[BacktestTiming], ticks: int) -> str:
    floor = laps[0]
    rows = [
        (
            lap.name,
            f"{lap.ticks:,}",
            f"{lap.rate:,.0f}",
            f"{lap.rate / floor.rate:.3f}",
            f"{min(lap.rates) / 1e6:.2f} - {max(lap.rates) / 1e6:.2f} M",
            "-" if lap.report is None else str(len(lap.report.exits)),
            "-" if lap.report is None else str(len(lap.report.orders)),
        )
        for lap in laps
    ]
    ours = min(lap.rate for lap in laps if lap.name in ("replay, trades", "replay, bookTicker"))
    notes = [f"needed: {NEEDED:,} ticks/s; the slower of both is {ours / NEEDED:.1f} times that"]
    library = [lap for lap in laps if lap.name.startswith("backtesting")]
    notes += [f"{ours / lap.rate:.0f} times backtesting.py (needed: 2)" for lap in library]
    if not library:
        notes.append("backtesting.py is not installed: uv run --with backtesting python -m tests.benchmarks replay")
    return table(TITLE.format(count=ticks), HEAD, rows, notes)


def _year(path: Path, candles: int, dice: Random) -> str:
    """A year of minutes, from opening the file to the end of the story."""
    write_candles(path, candles, dice)
    began_s = time.perf_counter()
    found = open_market_files([path], Settings(), symbol=None)
    opened_s = time.perf_counter() - began_s
    replay = Backtest(build_inputs(found, Settings(), None))
    replay.run(load_columns(found))
    story = replay.recorder.build_report({}, ())
    whole_s = time.perf_counter() - began_s
    rows = [
        ("opened and checked", f"{opened_s:.1f}", f"{candles / opened_s:,.0f}", "-"),
        ("read and replayed", f"{whole_s - opened_s:.1f}", f"{candles / (whole_s - opened_s):,.0f}", "-"),
        ("all of it", f"{whole_s:.1f}", f"{candles / whole_s:,.0f}", f"{8 * candles / whole_s:,.0f}"),
    ]
    notes = [f"{len(story.exits)} exits, {len(story.orders)} orders, {replay.cycles:,} beats"]
    if candles != 525_600:
        notes.append(f"a year of 525,600 at this pace: {525_600 * whole_s / candles:.1f} s")
    return table(YEAR_TITLE.format(count=candles), YEAR_HEAD, rows, notes)


def write_candles(path: Path, candles: int, dice: Random) -> None:
    """A random walk in Binance's layout, from the first of January 2024 on."""
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
    return "\n".join(["replay, trades: what is left, by a profile (which makes calls look dear)", *lines[begin:]])


# --- backtesting.py, which is no dependency of ours ---


def _library() -> Any:
    try:
        return importlib.import_module("backtesting")
    except ImportError:
        return None


def _bars(_: Any, told: Sequence[Columns]) -> Any:
    """Each tick as a bar of its own, which is how that library is fed ticks."""
    pandas: Any = importlib.import_module("pandas")
    bids = [bid / 100 for columns in told if isinstance(columns, TickColumns) for bid in columns.bids]
    times = [time_ms for columns in told if isinstance(columns, TickColumns) for time_ms in columns.time_ms]
    index = pandas.to_datetime(times, unit="ms")
    return pandas.DataFrame({"Open": bids, "High": bids, "Low": bids, "Close": bids}, index=index)


def _backtest(library: Any, bars: Any) -> None:
    """Buy with all there is, and let a stop trail half a percent below the best price."""
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

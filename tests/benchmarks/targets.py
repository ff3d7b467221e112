"""Targets: one row for each figure that the project promises, with the floor against itself and the bound beside it.

    uv run python -m tests.benchmarks targets

Everything runs in one process after the other, in turns with the floor. Run it three times on an idle machine.
"""

import asyncio
import contextlib
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from tests.benchmarks import backtest, measured_processes, tick_to_order
from tests.benchmarks.ingest import flood, watch
from tests.benchmarks.measured_processes import MeasuredProcess
from tests.benchmarks.measurements import Sample, ratio, table
from tests.benchmarks.price_burst import burst
from tests.benchmarks.tick_to_order import PriceDeck

TITLE: Final = "targets"
HEAD: Final = ("", "daemon", "floor", "daemon / floor", "noise", "must", "aim")
_CALM_S: Final = 1.2


@dataclass(frozen=True)
class Target:
    """One figure of the daemon, the floor and the floor again, and what it must be and should be.

    `unit` is the factor from the measured unit to the shown one. The floors are None if nothing smaller is comparable.
    """

    name: str
    ours: float
    floor: float | None
    again: float | None
    must: str
    aim: str
    unit: float = 1.0
    digits: int = 0

    def row(self) -> Sequence[str]:
        floor = "-" if self.floor is None else self._shown(self.floor)
        by_floor = "-" if not self.floor else ratio(self.ours, self.floor)
        noise = "-" if not self.floor or self.again is None else ratio(self.again, self.floor)
        return self.name, self._shown(self.ours), floor, by_floor, noise, self.must, self.aim

    def _shown(self, value: float) -> str:
        return f"{value * self.unit:,.{self.digits}f}"


async def run(
    folder: Path, *, rounds: int, ticks: int, frames: int, later: int, moves: int, market_ticks: int, chance: Random
) -> str:
    """Run all measures and return their table."""
    targets = await _live(folder, rounds, ticks, frames, later, chance)
    targets += await _storm(folder, rounds, moves, chance)
    targets += _backtests(rounds, market_ticks, chance)
    return table(TITLE, HEAD, [target.row() for target in targets])


async def _live(folder: Path, rounds: int, ticks: int, frames: int, later: int, chance: Random) -> list[Target]:
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        floors = [await enter(measured_processes.floor()), await enter(measured_processes.floor("floor again"))]
        watching = await enter(measured_processes.daemon(folder, "no exit working", chasing=False))
        await asyncio.sleep(_CALM_S)
        three: list[MeasuredProcess] = [watching, *floors]
        ready = [process.resident_bytes for process in three]
        watched = await _medians([(process, frames) for process in three], rounds, chance)
        await watching.flip()
        found = await tick_to_order.measure(three, rounds, ticks, chance)
        back = await tick_to_order.measure(three, 1, ticks, chance, returning=True)
        prices = PriceDeck(chance)
        rates: dict[str, list[float]] = {process.name: [] for process in three}
        for _ in range(rounds):
            for process in chance.sample(three, len(three)):
                await asyncio.sleep(_CALM_S)
                rates[process.name].append((await flood(process, frames, prices))[0])
        for _ in range(later // frames):
            await flood(watching, frames, prices)
        samples = [Sample(process.name, found.seconds[process.name]) for process in three]
        slowest = [max(Sample(process.name, back.seconds[process.name]).pooled) for process in three]
        return [
            _target("tick to order, p50, us", [each.median for each in samples], "0.95", "0.85", 1e6),
            _target("tick to order, p99, us", [each.p99 for each in samples], "1.1", "1.0", 1e6),
            _target(f"slowest of {ticks} ticks whose prices come back, ms", slowest, "20 ms", "p99", 1e3, 1),
            _target(
                "CPU per tick with its order, us",
                [statistics.median(found.cpu_s[each.name]) for each in three],
                "3.0",
                "2.0",
                1e6,
            ),
            _target("CPU per frame, no exit working, us", watched, "0.5", "0.3", 1e6, 1),
            _target("frames a second in a flood", [statistics.median(rates[each.name]) for each in three], "3", "5"),
            _target("resident, ready, MiB", ready, "1.25", "1.2", 1 / (1 << 20), 1),
            Target(
                f"resident, after {later:,} frames, MiB",
                watching.resident_bytes,
                ready[1],
                None,
                "1.35",
                "1.25",
                1 / (1 << 20),
                1,
            ),
        ]


def _target(name: str, three: Sequence[float], must: str, aim: str, unit: float = 1.0, digits: int = 0) -> Target:
    ours, floor, again = three
    return Target(name, ours, floor, again, must, aim, unit, digits)


async def _medians(processes: Sequence[tuple[MeasuredProcess, int]], rounds: int, chance: Random) -> list[float]:
    found: dict[str, list[float]] = {process.name: [] for process, _ in processes}
    for _ in range(rounds):
        for process, frames in chance.sample(processes, len(processes)):
            await asyncio.sleep(_CALM_S)
            found[process.name].append(await watch(process, frames))
    return [statistics.median(each) for each in found.values()]


async def _storm(folder: Path, rounds: int, moves: int, chance: Random) -> list[Target]:
    async with (
        measured_processes.daemon(folder, "storm") as daemon,
        measured_processes.floor("floor", "newest") as floor,
        measured_processes.floor("floor again", "newest") as again,
    ):
        three = (daemon, floor, again)
        prices = PriceDeck(chance)
        found: dict[str, list[tuple[float, int]]] = {process.name: [] for process in three}
        for _ in range(rounds):
            for process in chance.sample(three, len(three)):
                await asyncio.sleep(_CALM_S)
                found[process.name].append(await burst(process, moves, prices))
    seconds = [statistics.median(took_s for took_s, _ in each) for each in found.values()]
    orders = [statistics.median(count for _, count in each) for each in found.values()]
    return [
        _target(f"storm of {moves:,} moves, ms", seconds, "80 ms", "", 1e3, 1),
        _target("… orders", orders, "10", ""),
    ]


def _backtests(rounds: int, ticks: int, chance: Random) -> list[Target]:
    timings = {timing.name: timing.rate for timing in backtest.timings(rounds, ticks, chance.getrandbits(32))}
    floor, again = timings[backtest.FLOOR], timings[backtest.FLOOR_AGAIN]
    return [
        Target("backtest, ticks a second", timings[backtest.QUOTES], floor, again, "3,000,000", "10,000,000"),
        Target("backtest, every tick decided", timings[backtest.EVERY_TICK], floor, again, "30,000", ""),
    ]

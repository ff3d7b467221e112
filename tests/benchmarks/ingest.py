"""Ingest benchmark: how fast the daemon takes in book frames that change quantities only, while its loop decides.

The flood is written as fast as the program reads it; its last frame moves the price, and the order at that price shows
that all frames have been read. In the steady flood a price move comes now and then; measured is its age when the order
for it arrives, in the first and in the second half, because a growing age means a growing backlog.
"""

import asyncio
import contextlib
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

from tests.benchmarks import measured_processes
from tests.benchmarks.measured_processes import MeasuredProcess
from tests.benchmarks.measurements import LATENCY_HEAD, Sample, latency_rows, ratio, table
from tests.benchmarks.tick_to_order import PriceDeck

TITLE: Final = "ingest: {frames} frames, as fast as they are read"
HEAD: Final = ("", "frames/s", "/ floor", "CPU us a frame", "/ floor")
WATCHED_TITLE: Final = "ingest: {frames} frames while no exit is working"
WATCHED_HEAD: Final = ("", "CPU us a frame", "/ floor")
STEADY_TITLE: Final = "ingest: age of a move when it has led to an order, under a steady {rate} frames a second"
_CHUNK: Final = 500
_BATCH_EVERY_S: Final = 0.005
_MOVE_EVERY: Final = 10  # batches
_CALM_S: Final = 1.2


async def flood(process: MeasuredProcess, frames: int, prices: PriceDeck) -> tuple[float, float]:
    """Write a flood. Returns frames per second and seconds of CPU time per frame. Raises TimeoutError."""
    exchange = process.exchange
    chunks = [
        b"".join(exchange.book_frame(exchange.ask, _quantity(n)) for n in range(_CHUNK))
        for _ in range(frames // _CHUNK)
    ]
    before_s = process.cpu_s
    wrote_s = time.perf_counter()
    for chunk in chunks:
        exchange.write_frames(chunk)
        await exchange.drain()
    exchange.write_frames(exchange.book_frame(prices.unused()))
    took_s = await exchange.order_at(exchange.ask) - wrote_s
    return frames / took_s, (process.cpu_s - before_s) / frames


async def watch(process: MeasuredProcess, frames: int) -> float:
    """Write a flood that leads to no order. Returns seconds of CPU time per frame."""
    exchange, before_s = process.exchange, process.cpu_s
    for _ in range(frames // _CHUNK):
        exchange.write_frames(b"".join(exchange.book_frame(exchange.ask, _quantity(n)) for n in range(_CHUNK)))
        await exchange.drain()
    await asyncio.sleep(_CALM_S)  # until all of them are read
    return (process.cpu_s - before_s) / frames


async def steady(process: MeasuredProcess, rate: int, seconds: float, prices: PriceDeck) -> Sequence[float]:
    """Write frames at a steady rate. Returns the seconds from each move to its order."""
    exchange = process.exchange
    batch = round(rate * _BATCH_EVERY_S)
    found: list[float] = []
    due_s = time.perf_counter()
    for number in range(round(seconds / _BATCH_EVERY_S)):
        frames = [exchange.book_frame(exchange.ask, _quantity(n)) for n in range(batch)]
        moves = number % _MOVE_EVERY == 0
        if moves:
            frames[-1] = exchange.book_frame(prices.unused())
        wrote_s = exchange.write_frames(b"".join(frames))
        if moves:
            found.append(await exchange.order_at(exchange.ask) - wrote_s)
        due_s += _BATCH_EVERY_S
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
    return found


def _quantity(number: int) -> str:
    """A quantity larger than the order's, so that the daemon never takes the level for its own order."""
    return f"{10 + number % 89}.00000000"


async def run(folder: Path, *, rounds: int, frames: int, rate: int, seconds: float, chance: Random) -> str:
    """Run the measure and return its three tables."""
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        measured: Sequence[MeasuredProcess] = [
            await enter(measured_processes.floor()),
            await enter(measured_processes.floor("floor again (noise)")),
            await enter(measured_processes.daemon(folder)),
        ]
        watching = [*measured[:2], await enter(measured_processes.daemon(folder, "no exit working", chasing=False))]
        prices = PriceDeck(chance)
        fast: dict[str, list[tuple[float, float]]] = {process.name: [] for process in measured}
        aged: dict[str, list[Sequence[float]]] = {process.name: [] for process in measured}
        watched: dict[str, list[float]] = {process.name: [] for process in watching}
        for _ in range(rounds):
            for process in chance.sample(measured, len(measured)):
                await asyncio.sleep(_CALM_S)
                fast[process.name].append(await flood(process, frames, prices))
                await asyncio.sleep(_CALM_S)
                aged[process.name].append(await steady(process, rate, seconds, prices))
            for process in chance.sample(watching, len(watching)):
                await asyncio.sleep(_CALM_S)
                watched[process.name].append(await watch(process, frames))
    return f"{_flooded(fast, frames)}\n\n{_watched(watched, frames)}\n\n{_steady(aged, rate)}"


def _flooded(found: dict[str, list[tuple[float, float]]], frames: int) -> str:
    rates = {name: statistics.median(rate for rate, _ in each) for name, each in found.items()}
    costs = {name: statistics.median(cost for _, cost in each) for name, each in found.items()}
    floor_rate, floor_cost = next(iter(rates.values())), next(iter(costs.values()))
    rows = [
        (
            name,
            f"{rates[name]:.0f}",
            ratio(rates[name], floor_rate),
            f"{costs[name] * 1e6:.1f}",
            ratio(costs[name], floor_cost),
        )
        for name in found
    ]
    return table(TITLE.format(frames=f"{frames:,}"), HEAD, rows)


def _watched(found: dict[str, list[float]], frames: int) -> str:
    costs = {name: statistics.median(each) for name, each in found.items()}
    floor = next(iter(costs.values()))
    rows = [(name, f"{cost * 1e6:.1f}", ratio(cost, floor)) for name, cost in costs.items()]
    return table(WATCHED_TITLE.format(frames=f"{frames:,}"), WATCHED_HEAD, rows)


def _steady(found: dict[str, list[Sequence[float]]], rate: int) -> str:
    samples = []
    for name, rounds in found.items():
        samples.append(Sample(f"{name}, first half", [each[: len(each) // 2] for each in rounds]))
        samples.append(Sample(f"{name}, second half", [each[len(each) // 2 :] for each in rounds]))
    return table(STEADY_TITLE.format(rate=f"{rate:,}"), LATENCY_HEAD, latency_rows(samples))

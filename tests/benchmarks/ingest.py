"""Ingest: a flood of frames that change quantities only, through to the snapshot, with the loop deciding.

The flood is as fast as the player takes it; its last frame moves the price, and the order that follows says
that all of it has been read. In the steady flood a move comes now and then, and what is measured is how old
it is when the order that follows it comes in: in the first half and in the second, for it must not grow.
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
from tests.benchmarks.measured_processes import Player
from tests.benchmarks.measurements import LATENCY_HEAD, Sample, latency_rows, ratio, table
from tests.benchmarks.tick_to_order import PriceDeck

TITLE: Final = "ingest: {frames} frames, as fast as they are read"
HEAD: Final = ("", "frames/s", "/ floor", "CPU us a frame", "/ floor")
STEADY_TITLE: Final = "ingest: age of a move when it has led to an order, under a steady {rate} frames a second"
_CHUNK: Final = 500
_BATCH_EVERY_S: Final = 0.005
_MOVE_EVERY: Final = 10  # batches
_CALM_S: Final = 1.2


async def flood(player: Player, frames: int, deck: PriceDeck) -> tuple[float, float]:
    """Frames a second, and seconds of processor time per frame. Raises TimeoutError."""
    venue = player.venue
    chunks = [
        b"".join(venue.book_frame(venue.ask, _quantity(n)) for n in range(_CHUNK)) for _ in range(frames // _CHUNK)
    ]
    before_s = player.cpu_s
    wrote_s = time.perf_counter()
    for chunk in chunks:
        venue.write_frames(chunk)
        await venue.drain()
    venue.write_frames(venue.book_frame(deck.unused()))
    took_s = await venue.order_at(venue.ask) - wrote_s
    return frames / took_s, (player.cpu_s - before_s) / frames


async def steady(player: Player, rate: int, seconds: float, deck: PriceDeck) -> Sequence[float]:
    """Seconds from each move to its order, in order."""
    venue = player.venue
    batch = round(rate * _BATCH_EVERY_S)
    found: list[float] = []
    due_s = time.perf_counter()
    for number in range(round(seconds / _BATCH_EVERY_S)):
        frames = [venue.book_frame(venue.ask, _quantity(n)) for n in range(batch)]
        moves = number % _MOVE_EVERY == 0
        if moves:
            frames[-1] = venue.book_frame(deck.unused())
        wrote_s = venue.write_frames(b"".join(frames))
        if moves:
            found.append(await venue.order_at(venue.ask) - wrote_s)
        due_s += _BATCH_EVERY_S
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
    return found


def _quantity(number: int) -> str:
    """More than an order of ours, so that it is never taken for one."""
    return f"{10 + number % 89}.00000000"


async def run(folder: Path, *, rounds: int, frames: int, rate: int, seconds: float, chance: Random) -> str:
    """Both tables."""
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        contestants: Sequence[Player] = [
            await enter(measured_processes.floor()),
            await enter(measured_processes.floor("floor again (noise)")),
            await enter(measured_processes.daemon(folder)),
        ]
        deck = PriceDeck(chance)
        fast: dict[str, list[tuple[float, float]]] = {player.name: [] for player in contestants}
        aged: dict[str, list[Sequence[float]]] = {player.name: [] for player in contestants}
        for _ in range(rounds):
            for player in chance.sample(contestants, len(contestants)):
                await asyncio.sleep(_CALM_S)
                fast[player.name].append(await flood(player, frames, deck))
                await asyncio.sleep(_CALM_S)
                aged[player.name].append(await steady(player, rate, seconds, deck))
    return f"{_flooded(fast, frames)}\n\n{_steady(aged, rate)}"


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


def _steady(found: dict[str, list[Sequence[float]]], rate: int) -> str:
    samples = []
    for name, rounds in found.items():
        samples.append(Sample(f"{name}, first half", [each[: len(each) // 2] for each in rounds]))
        samples.append(Sample(f"{name}, second half", [each[len(each) // 2 :] for each in rounds]))
    return table(STEADY_TITLE.format(rate=f"{rate:,}"), LATENCY_HEAD, latency_rows(samples))

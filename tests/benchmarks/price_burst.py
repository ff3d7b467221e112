"""Price-burst benchmark: 20,000 price moves written at once, and the time until the order at the last price arrives.

An order for a price that is gone uses up the order limit and is too late anyway, so a program that follows every move
is slower at the last one. The floor `newest` has one request in flight, as the daemon does.
"""

import asyncio
import contextlib
import statistics
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

from tests.benchmarks import measured_processes
from tests.benchmarks.measured_processes import MeasuredProcess
from tests.benchmarks.measurements import ratio, table
from tests.benchmarks.tick_to_order import PriceDeck

TITLE: Final = "storm: {moves} price moves written at once"
HEAD: Final = ("", "last order s", "worst s", "/ floor", "orders", "most")
_CALM_S: Final = 1.2  # the daemon takes a price it left less than a second ago for an echo of its own order


async def burst(process: MeasuredProcess, moves: int, prices: PriceDeck) -> tuple[float, int]:
    """Seconds until the order at the final price, and how many orders were sent. Raises TimeoutError.

    The final price occurs only once in a burst; otherwise an order for an earlier occurrence would end the measurement.
    """
    exchange = process.exchange
    frames = [
        *(exchange.book_frame(prices.next_price()) for _ in range(moves - 1)),
        exchange.book_frame(prices.unused()),
    ]
    before = exchange.replaces
    wrote_s = exchange.write_frames(b"".join(frames))
    return await exchange.order_at(exchange.ask) - wrote_s, exchange.replaces - before


async def run(folder: Path, *, rounds: int, moves: int, chance: Random) -> str:
    """Run the measure and return its table."""
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        measured: Sequence[MeasuredProcess] = [
            await enter(measured_processes.floor("floor, newest", "newest")),
            await enter(measured_processes.floor("floor, newest again (noise)", "newest")),
            await enter(measured_processes.floor("floor, every move")),
            await enter(measured_processes.daemon(folder)),
        ]
        found: dict[str, list[tuple[float, int]]] = {process.name: [] for process in measured}
        prices = PriceDeck(chance)
        for _ in range(rounds):
            for process in chance.sample(measured, len(measured)):
                await asyncio.sleep(_CALM_S)
                found[process.name].append(await burst(process, moves, prices))
    medians = {name: statistics.median(seconds for seconds, _ in each) for name, each in found.items()}
    floor = next(iter(medians.values()))
    rows = [
        (
            name,
            f"{medians[name]:.3f}",
            f"{max(seconds for seconds, _ in each):.3f}",
            ratio(medians[name], floor),
            f"{statistics.median(orders for _, orders in each):.0f}",
            str(max(orders for _, orders in each)),
        )
        for name, each in found.items()
    ]
    return table(TITLE.format(moves=f"{moves:,}"), HEAD, rows)

"""A storm: 20,000 moves of the best price written at once; until the order at the last of them has come in.

An order for a price that is gone costs an order of the exchange's allowance and comes too late anyway: who
follows every move is slower at the last one. `newest` is the floor for whoever has one request in flight.
"""

import asyncio
import contextlib
import statistics
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

from tests.benchmarks import measured_processes
from tests.benchmarks.measured_processes import Player
from tests.benchmarks.measurements import ratio, table
from tests.benchmarks.tick_to_order import PriceDeck

TITLE: Final = "storm: {moves} price moves written at once"
HEAD: Final = ("", "last order s", "worst s", "/ floor", "orders", "most")
_CALM_S: Final = 1.2  # what was left less than a second ago counts as an echo


async def burst(player: Player, moves: int, deck: PriceDeck) -> tuple[float, int]:
    """Seconds until the order at the final price, and how many orders it took. Raises TimeoutError.

    The final price comes only once, or an order for an earlier visit to it would be taken for the last.
    """
    venue = player.venue
    frames = [*(venue.book_frame(deck.next_price()) for _ in range(moves - 1)), venue.book_frame(deck.unused())]
    before = venue.replaces
    wrote_s = venue.write_frames(b"".join(frames))
    return await venue.order_at(venue.ask) - wrote_s, venue.replaces - before


async def run(folder: Path, *, rounds: int, moves: int, chance: Random) -> str:
    """The table."""
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        contestants: Sequence[Player] = [
            await enter(measured_processes.floor("floor, newest", "newest")),
            await enter(measured_processes.floor("floor, newest again (noise)", "newest")),
            await enter(measured_processes.floor("floor, every move")),
            await enter(measured_processes.daemon(folder)),
        ]
        found: dict[str, list[tuple[float, int]]] = {player.name: [] for player in contestants}
        deck = PriceDeck(chance)
        for _ in range(rounds):
            for player in chance.sample(contestants, len(contestants)):
                await asyncio.sleep(_CALM_S)
                found[player.name].append(await burst(player, moves, deck))
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

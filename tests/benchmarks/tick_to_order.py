"""Tick to order: a frame moves the best price while an exit is working; until the cancel-replace has come in.

What was tried on the way, kept and dropped, by `uv run python -m tests.benchmarks ways --rounds 3 --ticks 250`, against
the floor of that run (against itself it had 0.94 and 1.03):

| way | p50 | p99 | verdict |
|---|---|---|---|
| as it is | 0.95 | 1.14 | |
| a book is read like any other JSON | 0.96 | 0.96 | within noise; the short reading finds the newest of many as well |
| frames cut out by the library's parser | 1.01 | 1.01 | cut here: 0.1 of the floor when the rest was slower |
| log records that find out where they come from | 0.88 | 1.01 | within noise; they do not, for less of the processor |
| no collection of garbage | 0.94 | 1.14 | within noise; what the start has loaded is frozen, the rest is not |
| the core kept after a write | 0.90 | 1.70 | given away: who waits for our bytes may be on it |
| threads that let go of the interpreter without a rest | 0.97 | 1.31 | they rest, or have it back before we wake |
| the books first, then the request | 1.25 | 1.26 | the request first |
| frames by recv in a task, requests by send in another | 1.86 | 2.26 | only beside a library that was not tried out |
| no reflex: the main loop finds the answer | 1.86 | 1.93 | only where it takes a beat to tell |

Before these, the way to the write was cut from 209 us to 157 us with caches gone cold: what lies on the grid is not
rounded, the quantity of a SELL is worked out beforehand, frames are masked here.

The daemon is measured by itself, without a record of its session, and with a Bot API that hangs, that answers
429, and that is not there. All players are connected all the time; they take turns, in another order each round.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from random import Random
from typing import Final

from tests.benchmarks import measured_processes
from tests.benchmarks.broken_bot_apis import ApiFailure, failing_bot_api
from tests.benchmarks.exchange_process import MID_PRICE
from tests.benchmarks.measured_processes import Daemon, Player
from tests.benchmarks.measurements import LATENCY_HEAD, Sample, latency_rows, table

TITLE: Final = "tick to order: a frame that moves the best price, until the order that follows it has come in"
SHORTEST_GAP_S: Final = 0.005
LONGEST_GAP_S: Final = 0.025
# A frame that shows a price which an order left less than a second ago is taken for an echo of that order:
# dealt from a deck, a price comes back only after all the others.
_DECK_HALF: Final = 100
_SETTLE_S: Final = 0.3


class PriceDeck:
    """Prices around the middle, dealt one by one: none comes again before all the others have.

    `fresh` prices lie beyond them and are like no other that was dealt lately.
    """

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._cards: list[int] = []
        self._dealt = list(range(MID_PRICE - _DECK_HALF, MID_PRICE + _DECK_HALF))
        chance.shuffle(self._dealt)
        self._beyond = count()

    def unused(self) -> int:
        return MID_PRICE + _DECK_HALF + next(self._beyond) % _DECK_HALF

    def next_price(self) -> int:
        if not self._cards:
            self._reshuffle()
        return self._cards.pop()

    def _reshuffle(self) -> None:
        """Shuffle anew, but those that were dealt first come first again: each stays away for half a deck."""
        dealt = self._dealt
        for half in (dealt[_DECK_HALF:], dealt[:_DECK_HALF]):
            self._chance.shuffle(half)
            self._cards += half
        self._dealt = self._cards[::-1]


async def measure(
    contestants: Sequence[Player], rounds: int, ticks: int, chance: Random
) -> Mapping[str, Sequence[Sequence[float]]]:
    """Seconds from tick to order: by player's name, a list a round. Raises TimeoutError where no order comes."""
    decks = {player.name: PriceDeck(chance) for player in contestants}
    found: dict[str, list[list[float]]] = {player.name: [] for player in contestants}
    for _ in range(rounds):
        for player in chance.sample(contestants, len(contestants)):
            await player.warm_up()
            await asyncio.sleep(_SETTLE_S)
            found[player.name].append(await _run(player, decks[player.name], ticks, chance))
    return found


async def _run(player: Player, deck: PriceDeck, ticks: int, chance: Random) -> list[float]:
    seconds = []
    for _ in range(ticks):
        await asyncio.sleep(chance.uniform(SHORTEST_GAP_S, LONGEST_GAP_S))
        seconds.append(await player.venue.move_price(deck.next_price()))
    return seconds


async def run(folder: Path, *, rounds: int, ticks: int, chance: Random) -> str:
    """The table."""
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        floors = [await enter(measured_processes.floor()), await enter(measured_processes.floor("floor again (noise)"))]
        daemons = [await enter(measured_processes.daemon(folder))]
        unrecorded = await enter(measured_processes.daemon(folder, "trailing-edge, RECORD=false", {"RECORD": "false"}))
        for trouble in ApiFailure:
            environment = await enter(failing_bot_api(trouble))
            name = f"trailing-edge, Telegram {trouble.value}"
            daemons.append(await enter(measured_processes.daemon(folder, name, environment)))
        contestants = [*floors, *daemons, unrecorded]
        found = await measure(contestants, rounds, ticks, chance)
    samples = [Sample(player.name, found[player.name]) for player in contestants]
    return table(TITLE, LATENCY_HEAD, latency_rows(samples), ["", *map(_of_telegram, daemons)])


def _of_telegram(daemon: Daemon) -> str:
    """What it had to say of Telegram: a trouble that it never met has shown nothing."""
    said = [line for line in daemon.lines if "telegram" in line.lower()]
    return f"{daemon.name}: {said[-1] if said else 'not a word of Telegram'}"

"""Tick to order: a frame moves the best price while an exit is working; until the cancel-replace has come in.

What was tried on the way, kept and dropped, by `uv run python -m tests.benchmarks ways --rounds 4 --ticks 150`, median
against the floor of that run (0.00 to 0.13 of it noise):

| way | / floor | verdict |
|---|---|---|
| as it is | 1.22 | |
| a book is read like any other JSON | 1.23 | the short reading is kept: it also finds the newest of many |
| frames cut out by the library's parser | 1.35 | cut here |
| log records that find out where they come from | 1.16 | within noise; they do not, for less of the processor |
| no collection of garbage | 1.26 | within noise; what the start has loaded is frozen, the rest is collected as ever |
| the books first, then the request | 1.54 | the request first |
| frames by recv in a task, requests by send in another | 2.19 | only beside a library that was not tried out |
| no reflex: the main loop finds the answer | 2.01 | only where it takes a beat to tell |

After that run the way to the write was cut from 209 us to 157 us with caches gone cold: what lies on the grid is not
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

from tests.benchmarks import players
from tests.benchmarks.bots import Trouble, bot
from tests.benchmarks.figures import LATENCY_HEAD, Sample, latency_rows, table
from tests.benchmarks.players import Daemon, Player
from tests.benchmarks.venue import MIDDLE

TITLE: Final = "tick to order: a frame that moves the best price, until the order that follows it has come in"
SHORTEST_GAP_S: Final = 0.005
LONGEST_GAP_S: Final = 0.025
# A frame that shows a price which an order left less than a second ago is taken for an echo of that order:
# dealt from a deck, a price comes back only after all the others.
_DECK_HALF: Final = 100
_SETTLE_S: Final = 0.3


class Deck:
    """Prices around the middle, dealt one by one: none comes again before all the others have.

    `fresh` prices lie beyond them and are like no other that was dealt lately.
    """

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._cards: list[int] = []
        self._dealt = list(range(MIDDLE - _DECK_HALF, MIDDLE + _DECK_HALF))
        chance.shuffle(self._dealt)
        self._beyond = count()

    def fresh(self) -> int:
        return MIDDLE + _DECK_HALF + next(self._beyond) % _DECK_HALF

    def deal(self) -> int:
        if not self._cards:
            self._gather()
        return self._cards.pop()

    def _gather(self) -> None:
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
    decks = {player.name: Deck(chance) for player in contestants}
    found: dict[str, list[list[float]]] = {player.name: [] for player in contestants}
    for _ in range(rounds):
        for player in chance.sample(contestants, len(contestants)):
            await player.warm_up()
            await asyncio.sleep(_SETTLE_S)
            found[player.name].append(await _run(player, decks[player.name], ticks, chance))
    return found


async def _run(player: Player, deck: Deck, ticks: int, chance: Random) -> list[float]:
    seconds = []
    for _ in range(ticks):
        await asyncio.sleep(chance.uniform(SHORTEST_GAP_S, LONGEST_GAP_S))
        seconds.append(await player.venue.tick(deck.deal()))
    return seconds


async def run(folder: Path, *, rounds: int, ticks: int, chance: Random) -> str:
    """The table."""
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        floors = [await enter(players.floor()), await enter(players.floor("floor again (noise)"))]
        daemons = [await enter(players.daemon(folder))]
        unrecorded = await enter(players.daemon(folder, "trailing-edge, RECORD=false", {"RECORD": "false"}))
        for trouble in Trouble:
            environment = await enter(bot(trouble))
            name = f"trailing-edge, Telegram {trouble.value}"
            daemons.append(await enter(players.daemon(folder, name, environment)))
        contestants = [*floors, *daemons, unrecorded]
        found = await measure(contestants, rounds, ticks, chance)
    samples = [Sample(player.name, found[player.name]) for player in contestants]
    return table(TITLE, LATENCY_HEAD, latency_rows(samples), ["", *map(_of_telegram, daemons)])


def _of_telegram(daemon: Daemon) -> str:
    """What it had to say of Telegram: a trouble that it never met has shown nothing."""
    said = [line for line in daemon.lines if "telegram" in line.lower()]
    return f"{daemon.name}: {said[-1] if said else 'not a word of Telegram'}"

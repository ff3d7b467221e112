"""Tick-to-order benchmark: time from a frame that moves the best price to the arrival of the cancel-replace.

Alternatives measured by `uv run python -m tests.benchmarks ways --rounds 3 --ticks 250`, as ratios to the floor of
that run (the second floor had 0.94 and 1.03). The last two were measured on a busy machine, as ratios to the daemon as
it is in the same run, and are rough.

| alternative | p50 | p99 | verdict |
|---|---|---|---|
| unchanged | 0.95 | 1.14 | |
| parsed as JSON: a book like any other message | 0.96 | 0.96 | noise; the short reading finds the newest of many |
| parsed by the library: frames cut out by its parser | 1.01 | 1.01 | cut here: see below |
| full log records: file, line and thread are looked up | 0.88 | 1.01 | noise; they are not, which saves CPU time |
| no garbage collection | 0.94 | 1.14 | noise; what the start has loaded is frozen, the rest is not |
| no yield of the core after a write | 0.90 | 1.70 | yielded: the process that waits for our bytes may need it |
| no pause of threads that release the GIL | 0.97 | 1.31 | they pause, or they get it back before we wake |
| recv and send in tasks, by public methods | 1.86 | 2.26 | only with a library version not tested |
| no plan: a tick decides each price | 1.6 | | planned |
| request not prepared | 1.05 | | noise; prepared once for an exit, which saves CPU time |

Our own reading and writing of frames stays. In turns with each other on a busy machine, the daemon took 4.6 of the
floor's CPU time for a tick as it is, 4.8 with the frames parsed by the library, and 5.7 by its public methods, which
took 1.3 times as long to an order. The parser alone would not be worth it for an order, but for a flood: it reads five
times as many frames a second as the floor, which has the library's.

The daemon is measured by itself, without a session record, and with a Bot API that hangs, that answers 429, and that is
down. All programs stay connected all the time and take turns, in another order each round.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from typing import Final

from tests.benchmarks import measured_processes
from tests.benchmarks.broken_bot_apis import ApiFailure, failing_bot_api
from tests.benchmarks.exchange_process import MID_PRICE
from tests.benchmarks.measured_processes import MeasuredDaemon, MeasuredProcess
from tests.benchmarks.measurements import LATENCY_HEAD, Sample, latency_rows, ratio, table

TITLE: Final = "tick to order: a frame that moves the best price, until the order that follows it has come in"
CPU_TITLE: Final = "tick to order: CPU time of the process for each of these ticks, its reply and its reports"
CPU_HEAD: Final = ("", "us", "/ floor", "by round")
RETURN_TITLE: Final = "tick to order: the same with prices that come back within a second"
RETURN_HEAD: Final = ("", "n", "p50 us", "slowest us", "slowest / floor")
SHORTEST_GAP_S: Final = 0.005
LONGEST_GAP_S: Final = 0.025
# Dealt from a deck, a price comes again only after all the others.
_DECK_HALF: Final = 100
_SETTLE_S: Final = 0.3
_FEW_PRICES: Final = 8


class PriceDeck:
    """Prices around the middle, dealt one by one: none comes again before all the others have.

    `unused` prices lie beyond them and differ from all prices dealt lately.
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
        """Shuffle each half by itself: the half dealt first comes first, so no price returns within half a deck."""
        dealt = self._dealt
        for half in (dealt[_DECK_HALF:], dealt[:_DECK_HALF]):
            self._chance.shuffle(half)
            self._cards += half
        self._dealt = self._cards[::-1]


class FewPrices:
    """A few prices around the middle, dealt at random: each comes again within a second, though never at once."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._last = 0

    def next_price(self) -> int:
        choice = [step for step in range(_FEW_PRICES) if step != self._last]
        self._last = self._chance.choice(choice)
        return MID_PRICE - _FEW_PRICES // 2 + self._last


@dataclass(frozen=True)
class Latencies:
    """By the process's name, for each round: the seconds from each tick to its order, and CPU seconds for a tick."""

    seconds: Mapping[str, Sequence[Sequence[float]]]
    cpu_s: Mapping[str, Sequence[float]]


async def measure(
    measured: Sequence[MeasuredProcess], rounds: int, ticks: int, chance: Random, *, returning: bool = False
) -> Latencies:
    """Move the price and wait for the order, again and again. Raises TimeoutError if no order comes."""
    decks: dict[str, PriceDeck | FewPrices] = {
        process.name: FewPrices(chance) if returning else PriceDeck(chance) for process in measured
    }
    found: dict[str, list[list[float]]] = {process.name: [] for process in measured}
    costs: dict[str, list[float]] = {process.name: [] for process in measured}
    for _ in range(rounds):
        for process in chance.sample(measured, len(measured)):
            await process.prepare()
            await asyncio.sleep(_SETTLE_S)
            before_s = process.cpu_s
            found[process.name].append(await _run(process, decks[process.name], ticks, chance))
            costs[process.name].append((process.cpu_s - before_s) / ticks)
    return Latencies(found, costs)


async def _run(process: MeasuredProcess, prices: PriceDeck | FewPrices, ticks: int, chance: Random) -> list[float]:
    seconds = []
    for _ in range(ticks):
        await asyncio.sleep(chance.uniform(SHORTEST_GAP_S, LONGEST_GAP_S))
        seconds.append(await process.exchange.move_price(prices.next_price()))
    return seconds


async def run(folder: Path, *, rounds: int, ticks: int, chance: Random) -> str:
    """Run the measure and return its table."""
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        floors = [await enter(measured_processes.floor()), await enter(measured_processes.floor("floor again (noise)"))]
        daemons = [await enter(measured_processes.daemon(folder))]
        unrecorded = await enter(measured_processes.daemon(folder, "trailing-edge, RECORD=false", {"RECORD": "false"}))
        for trouble in ApiFailure:
            environment = await enter(failing_bot_api(trouble))
            name = f"trailing-edge, Telegram {trouble.value}"
            daemons.append(await enter(measured_processes.daemon(folder, name, environment)))
        measured = [*floors, *daemons, unrecorded]
        found = await measure(measured, rounds, ticks, chance)
        few = [*floors, daemons[0]]
        back = await measure(few, 1, ticks, chance, returning=True)
    samples = [Sample(process.name, found.seconds[process.name]) for process in measured]
    tables = [
        table(TITLE, LATENCY_HEAD, latency_rows(samples), ["", *map(_of_telegram, daemons)]),
        table(CPU_TITLE, CPU_HEAD, cpu_rows([Sample(each.name, [found.cpu_s[each.name]]) for each in measured])),
        table(RETURN_TITLE, RETURN_HEAD, _return_rows([Sample(each.name, back.seconds[each.name]) for each in few])),
    ]
    return "\n\n".join(tables)


def cpu_rows(samples: Sequence[Sample]) -> Iterable[Sequence[str]]:
    floor = samples[0].median
    for sample in samples:
        by_round = " ".join(f"{seconds * 1e6:.0f}" for seconds in sample.pooled)
        yield sample.name, f"{sample.median * 1e6:.0f}", ratio(sample.median, floor), by_round


def _return_rows(samples: Sequence[Sample]) -> Iterable[Sequence[str]]:
    floor = max(samples[0].pooled)
    for sample in samples:
        slowest = max(sample.pooled)
        yield (
            sample.name,
            str(len(sample.pooled)),
            f"{sample.median * 1e6:.0f}",
            f"{slowest * 1e6:.0f}",
            ratio(slowest, floor),
        )


def _of_telegram(daemon: MeasuredDaemon) -> str:
    """The daemon's last line about Telegram: it must show that the daemon met the failure, or nothing was measured."""
    said = [line for line in daemon.lines if "telegram" in line.lower()]
    return f"{daemon.name}: {said[-1] if said else 'no line about Telegram'}"

"""Pacer of the simulated market: plays each tick when it is due, and waits until clients have processed it.

Without the wait, the clients could not keep up with a fast market: at a speed of 1000 the daemon would decide on prices
that are minutes old in market time. That does not happen on a real market.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import chain
from typing import Final

from trailingedge.core.clock import Clock
from trailingedge.simulator.feeds.ticks import Tick

# A market that falls further behind its schedule than both of these moves the schedule instead of catching up in a
# burst. At a speed near one a burst of half a minute is a few ticks; at high speeds it would be hours of the market.
MAX_BEHIND_S: Final = 0.25
MAX_MARKET_BEHIND_S: Final = 30.0


class Pacer:
    """Plays the ticks of a source at up to `speed` times real time.

    A tick is due at start + (its time − first time) / speed. `on_tick` returns whether any client was sent
    anything; if so, `settled` is awaited before the next tick.
    """

    def __init__(
        self,
        clock: Clock,
        speed: float,
        on_tick: Callable[[Tick], bool],
        settled: Callable[[], Awaitable[None]],
    ) -> None:
        if speed <= 0:
            raise ValueError(f"a market cannot run at speed {speed}")
        self._clock = clock
        self._speed = speed
        self._on_tick = on_tick
        self._settled = settled

    async def skip_to(self, market_ms: int, ticks: Iterator[Tick]) -> Iterator[Tick]:
        """Play the ticks up to `market_ms` at once, without waiting until they are due. Returns the remaining ticks."""
        for tick in ticks:
            if tick.time_ms > market_ms:
                return chain([tick], ticks)
            self._on_tick(tick)
            await asyncio.sleep(0)
        return ticks

    async def run(self, first_ms: int, ticks: Iterator[Tick]) -> None:
        """Play all ticks; return after the last one. Market time is `first_ms` when this is called."""
        start_s = self._clock.now_s()
        max_behind_s = max(MAX_BEHIND_S, MAX_MARKET_BEHIND_S / self._speed)
        for tick in ticks:
            # The due time is computed from the start, not from the last tick: rounding and sleep errors do not add up.
            early_s = start_s + (tick.time_ms - first_ms) / 1000 / self._speed - self._clock.now_s()
            if early_s > 0:
                await self._clock.sleep(early_s)
            else:
                await asyncio.sleep(0)  # late: give other tasks one turn, or a fast market would starve them
            # The process was suspended, or the machine cannot keep up: the lost time is not caught up.
            if early_s < -max_behind_s:
                start_s -= early_s
            if self._on_tick(tick):
                await self._settled()

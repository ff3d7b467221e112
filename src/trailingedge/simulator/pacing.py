"""The pace of the market: ticks are played when they are due, but never faster than they are answered."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from trailingedge.core.clock import Clock
from trailingedge.simulator.feeds.ticks import Tick

MAX_BEHIND_S: Final = 0.25  # a market that has fallen further behind does not sprint after its schedule


class Pacer:
    """Plays the rest of a tape at up to `speed` times the pace of the wall.

    A tick is due at start + (its time − first time) / speed. `play` says whether anybody was told of it;
    then `answered` is awaited before the next.
    """

    def __init__(
        self,
        clock: Clock,
        speed: float,
        play: Callable[[Tick], bool],
        answered: Callable[[], Awaitable[None]],
    ) -> None:
        if speed <= 0:
            raise ValueError(f"a market cannot run at speed {speed}")
        self._clock = clock
        self._speed = speed
        self._on_tick = play
        self._settled = answered

    async def run(self, first_ms: int, ticks: Iterator[Tick]) -> None:
        """Return at the end of the tape."""
        start_s = self._clock.now_s()
        for tick in ticks:
            early_s = start_s + (tick.time_ms - first_ms) / 1000 / self._speed - self._clock.now_s()
            if early_s > 0:
                await self._clock.sleep(early_s)
            else:
                await asyncio.sleep(0)  # late or not, the others get their turn
            if early_s < -MAX_BEHIND_S:
                start_s -= early_s
            if self._on_tick(tick):
                await self._settled()

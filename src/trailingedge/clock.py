"""Time, as an argument.

`now_s()` is monotonic and measures age and patience, `unix_ms()` is the wall and only stamps
requests, `sleep(seconds)` is the one way to wait. Pure code is told `now_s`; the shell holds a `Clock`.
"""

import asyncio
import heapq
import time
from typing import Protocol


class Clock(Protocol):
    """What the shell asks for the time."""

    def now_s(self) -> float:
        """Monotonic seconds from an arbitrary origin."""
        ...

    def unix_ms(self) -> int:
        """Milliseconds since 1970 by this machine's wall clock."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after that many monotonic seconds."""
        ...


class RealClock:
    """The machine's own clocks."""

    def now_s(self) -> float:
        return time.monotonic()

    def unix_ms(self) -> int:
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class HandClock:
    """A clock that moves only when it is wound, for tests."""

    def __init__(self, now_s: float = 0.0, unix_ms: int = 1_783_000_000_000) -> None:
        self._now_s = now_s
        self._unix_zero_ms = unix_ms - round(now_s * 1000)
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._sleeps = 0

    def now_s(self) -> float:
        return self._now_s

    def unix_ms(self) -> int:
        return self._unix_zero_ms + round(self._now_s * 1000)

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleeps += 1  # ties wake in the order in which they fell asleep
        heapq.heappush(self._sleepers, (self._now_s + max(0.0, seconds), self._sleeps, woken))
        await woken

    async def wind(self, seconds: float) -> None:
        """Let that much time pass, waking each sleeper at its moment."""
        until_s = self._now_s + seconds
        while True:
            await self._settle()
            if not self._sleepers or self._sleepers[0][0] > until_s:
                break
            wake_s, _, woken = heapq.heappop(self._sleepers)
            self._now_s = max(self._now_s, wake_s)
            if not woken.done():
                woken.set_result(None)
        self._now_s = until_s

    @staticmethod
    async def _settle() -> None:
        """Give every task that is ready its turns."""
        for _ in range(20):
            await asyncio.sleep(0)

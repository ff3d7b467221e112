"""Time, as an argument.

`now_s()` is monotonic and measures age and patience, `unix_ms()` is the wall and only stamps
requests, `sleep(seconds)` is the one way to wait, and `call_later` and `within` are made of the same stuff: nobody
sets a timer on the event loop itself. Pure code is told `now_s`; the shell holds a `Clock`.
"""

import asyncio
import contextlib
import heapq
import time
from collections.abc import AsyncIterator, Callable
from typing import Protocol


class TimerHandle(Protocol):
    """Something that is to happen later."""

    def cancel(self) -> None:
        """It shall not happen. Harmless when it has."""
        ...


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

    def call_later(self, seconds: float, act: Callable[[], None]) -> TimerHandle:
        """Call `act`, on the loop, after that many monotonic seconds."""
        ...


@contextlib.asynccontextmanager
async def within(clock: Clock, seconds: float) -> AsyncIterator[None]:
    """`asyncio.timeout` by that clock: raises TimeoutError where the block takes longer."""
    async with asyncio.timeout(None) as limit:
        alarm = clock.call_later(seconds, lambda: limit.reschedule(0.0))
        try:
            yield
        finally:
            alarm.cancel()


class RealClock:
    """The machine's own clocks."""

    # Between a price and its order they are read several times.
    now_s = staticmethod(time.monotonic)
    now_ns = staticmethod(time.monotonic_ns)

    def unix_ms(self) -> int:
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, act: Callable[[], None]) -> TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, act)


def wake_waiter(woken: "asyncio.Future[None]") -> None:
    """Let whoever awaits it go on; who was cancelled meanwhile has not had his turn to say so."""
    if not woken.done():
        woken.set_result(None)


class ManualClock:
    """A clock that moves only when it is wound, for tests."""

    def __init__(self, now_s: float = 0.0, unix_ms: int = 1_783_000_000_000) -> None:
        self._now_s = now_s
        self._unix_zero_ms = unix_ms - round(now_s * 1000)
        self._alarms: list[tuple[float, int, _ManualTimer]] = []
        self._alarms_set = 0

    def now_s(self) -> float:
        return self._now_s

    def unix_ms(self) -> int:
        return self._unix_zero_ms + round(self._now_s * 1000)

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        alarm = self.call_later(seconds, lambda: wake_waiter(woken))
        try:
            await woken
        finally:
            alarm.cancel()

    def call_later(self, seconds: float, act: Callable[[], None]) -> TimerHandle:
        alarm = _ManualTimer(act)
        self._alarms_set += 1  # of two at the same moment the one that was set first rings first
        heapq.heappush(self._alarms, (self._now_s + max(0.0, seconds), self._alarms_set, alarm))
        return alarm

    async def advance(self, seconds: float) -> None:
        """Let that much time pass, each alarm ringing at its moment."""
        until_s = self._now_s + seconds
        while True:
            await self._settle()
            if not self._alarms or self._alarms[0][0] > until_s:
                break
            ring_s, _, alarm = heapq.heappop(self._alarms)
            self._now_s = max(self._now_s, ring_s)
            alarm.fire()
        self._now_s = until_s

    @staticmethod
    async def _settle() -> None:
        """Give every task that is ready its turns."""
        for _ in range(20):
            await asyncio.sleep(0)


class _ManualTimer:
    """An alarm of a hand clock."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act: Callable[[], None] | None = act

    def fire(self) -> None:
        act, self._act = self._act, None
        if act is not None:
            act()

    def cancel(self) -> None:
        self._act = None

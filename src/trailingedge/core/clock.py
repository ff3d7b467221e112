"""Clocks: the protocol, the machine's clock, and a manual clock for tests.

`now_s()` is monotonic and measures ages and time-outs; `unix_ms()` is the wall clock and only stamps requests.
Code sets timers only with `sleep`, `call_later` and `within`, never on the event loop itself. So a
simulation, a replay or a test controls all timers through its clock. Pure code receives `now_s` as
an argument.
"""

import asyncio
import contextlib
import heapq
import time
from collections.abc import AsyncIterator, Callable
from typing import Protocol


class TimerHandle(Protocol):
    """A timer that can be cancelled."""

    def cancel(self) -> None:
        """Cancel the timer: its callback is not called. Has no effect once the timer has fired."""
        ...


class Clock(Protocol):
    """The source of time for everything that waits or measures."""

    def now_s(self) -> float:
        """Return the monotonic time in seconds, counted from an arbitrary origin."""
        ...

    def unix_ms(self) -> int:
        """Return this machine's wall-clock time, in milliseconds since 1970."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of monotonic time."""
        ...

    def call_later(self, seconds: float, act: Callable[[], None]) -> TimerHandle:
        """Call `act` on the event loop after `seconds` of monotonic time."""
        ...


@contextlib.asynccontextmanager
async def within(clock: Clock, seconds: float) -> AsyncIterator[None]:
    """Like `asyncio.timeout`, but by `clock`: TimeoutError if the `async with` block takes longer than `seconds`."""
    async with asyncio.timeout(None) as limit:
        # A deadline in the past makes asyncio cancel the block at the next turn of the loop.
        timer = clock.call_later(seconds, lambda: limit.reschedule(0.0))
        try:
            yield
        finally:
            timer.cancel()


class RealClock:
    """The clock of a live process: reads the monotonic clock and the wall clock of the machine."""

    # The functions themselves, without a Python frame around them: between a price and its order the clock is read
    # several times.
    now_s = staticmethod(time.monotonic)
    now_ns = staticmethod(time.monotonic_ns)

    def unix_ms(self) -> int:
        return time.time_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, act: Callable[[], None]) -> TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, act)


def wake_waiter(woken: "asyncio.Future[None]") -> None:
    """Resolve `woken` unless it is done, so that the task that awaits it continues."""
    # The task may have been cancelled without having run since: the future is done then, and must not be set again.
    if not woken.done():
        woken.set_result(None)


class ManualClock:
    """A clock for tests, which moves only when `advance` is called."""

    def __init__(self, now_s: float = 0.0, unix_ms: int = 1_783_000_000_000) -> None:
        self._now_s = now_s
        self._unix_zero_ms = unix_ms - round(now_s * 1000)
        self._timers: list[tuple[float, int, _ManualTimer]] = []
        self._timers_set = 0

    def now_s(self) -> float:
        return self._now_s

    def unix_ms(self) -> int:
        return self._unix_zero_ms + round(self._now_s * 1000)

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_later(seconds, lambda: wake_waiter(woken))
        try:
            await woken
        finally:
            timer.cancel()

    def call_later(self, seconds: float, act: Callable[[], None]) -> TimerHandle:
        timer = _ManualTimer(act)
        self._timers_set += 1  # of two timers for the same time the one set first fires first
        heapq.heappush(self._timers, (self._now_s + max(0.0, seconds), self._timers_set, timer))
        return timer

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass; each timer fires at its own time."""
        until_s = self._now_s + seconds
        while True:
            await self._settle()
            if not self._timers or self._timers[0][0] > until_s:
                break
            due_s, _, timer = heapq.heappop(self._timers)
            self._now_s = max(self._now_s, due_s)
            timer.fire()
        self._now_s = until_s

    @staticmethod
    async def _settle() -> None:
        """Let every task that is ready run until it waits again."""
        # A task that wakes up another one takes one turn of the loop each; the longest chain in the tests is shorter.
        for _ in range(20):
            await asyncio.sleep(0)


class _ManualTimer:
    """A timer of a manual clock; it fires once."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act: Callable[[], None] | None = act

    def fire(self) -> None:
        act, self._act = self._act, None
        if act is not None:
            act()

    def cancel(self) -> None:
        self._act = None

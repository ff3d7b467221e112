"""How often the event loop has gone round: which of two things that came close together found its tasks still at work.

A loop counts by its selector, which it asks exactly once a turn; that costs nothing worth mentioning. Where the
loop is another one, turns are counted by a callback that schedules itself, for a few turns after each moment: by
then everything that the moment has set going is done.
"""

import asyncio
import selectors
import sys
from typing import Final, Protocol, cast

ENOUGH_TURNS: Final = 16
AT_REST: Final = 1_000_000  # turns, where nobody has counted further


class _CountingSelector(selectors.DefaultSelector):
    turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.turns += 1
        return super().select(timeout)


class Counter(Protocol):
    """Whoever knows how often the loop has gone round."""

    @property
    def turns(self) -> int: ...


class CountingLoop(asyncio.SelectorEventLoop):
    """An event loop that knows how often it has gone round."""

    def __init__(self) -> None:
        self.counter = _CountingSelector()
        super().__init__(self.counter)


def counting_loop() -> asyncio.AbstractEventLoop:
    """The loop of a session. On Windows the usual one, for pipes and consoles want it there."""
    return asyncio.new_event_loop() if sys.platform == "win32" else CountingLoop()


def counter_of(loop: asyncio.AbstractEventLoop) -> Counter:
    """To be asked at each moment, and at no other time."""
    if isinstance(loop, CountingLoop):
        return loop.counter
    if isinstance(getattr(loop, "turns", None), int):  # a virtual one
        return cast("Counter", loop)
    return _Chain(loop)


class _Chain:
    """Counts the turns after a moment, the first few of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._turns = 0
        self._left = 0

    @property
    def turns(self) -> int:
        """The count; it goes on from here."""
        if not self._left:
            self._loop.call_soon(self._count)
        self._left = ENOUGH_TURNS
        return self._turns

    def _count(self) -> None:
        self._turns += 1
        self._left -= 1
        if self._left:
            self._loop.call_soon(self._count)
        else:
            self._turns += AT_REST

"""How often the event loop has gone round: which of two things that came close together found its tasks still at work.

A loop counts by its selector, which it asks exactly once a turn; that costs nothing worth mentioning. Where the
loop is another one, turns are counted by a callback that schedules itself, for a few turns after each moment: by
then everything that the moment has set going is done.
"""

import asyncio
import selectors
import sys
from collections.abc import Callable
from typing import Final

ENOUGH_TURNS: Final = 16
AT_REST: Final = 1_000_000  # turns, where nobody has counted further


class _CountingSelector(selectors.DefaultSelector):
    turns = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.turns += 1
        return super().select(timeout)


class CountingLoop(asyncio.SelectorEventLoop):
    """An event loop that knows how often it has gone round."""

    def __init__(self) -> None:
        self._counting = _CountingSelector()
        super().__init__(self._counting)

    @property
    def turns(self) -> int:
        return self._counting.turns


def counting_loop() -> asyncio.AbstractEventLoop:
    """The loop of a session. On Windows the usual one, for pipes and consoles want it there."""
    return asyncio.new_event_loop() if sys.platform == "win32" else CountingLoop()


def turns_of(loop: asyncio.AbstractEventLoop) -> Callable[[], int]:
    """What tells, from moment to moment, how often `loop` has gone round."""
    if isinstance(getattr(loop, "turns", None), int):
        return lambda: loop.turns  # type: ignore[attr-defined]  # it has just been looked at
    return _Chain(loop).turns


class _Chain:
    """Counts the turns after a moment, the first few of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._turns = 0
        self._left = 0

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

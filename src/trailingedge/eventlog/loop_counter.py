"""How often the event loop has gone round: which of two things that came close together found its tasks still at work.

A loop counts by its selector, which it asks exactly once a turn; that costs nothing worth mentioning. Where the
loop is another one, turns are counted by a callback that schedules itself, for a few turns after each moment: by
then everything that the moment has set going is done.
"""

import asyncio
import selectors
import sys
from collections.abc import Callable
from typing import Final, Protocol, cast

ENOUGH_TURNS: Final = 16
AT_REST: Final = 1_000_000  # turns, where nobody has counted further

IterationCallback = Callable[[], None]


class IterationCounter(Protocol):
    """Whoever knows how often the loop has gone round."""

    @property
    def turns(self) -> int: ...


class _CountingSelector(selectors.DefaultSelector):
    turns = 0
    look: IterationCallback | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.look is not None:
            self.look()
        self.turns += 1
        return super().select(timeout)


class CountingLoop(asyncio.SelectorEventLoop):
    """An event loop that knows how often it has gone round."""

    def __init__(self) -> None:
        self.counter = _CountingSelector()
        super().__init__(self.counter)


def counting_loop() -> asyncio.AbstractEventLoop:
    """The loop of a session. On Windows the usual one, for pipes and consoles want it there."""
    return asyncio.new_event_loop() if sys.platform == "win32" else CountingLoop()


def counter_of(
    loop: asyncio.AbstractEventLoop, between_turns: IterationCallback, within_a_turn: IterationCallback
) -> IterationCounter:
    """To be asked at each moment, and at no other time.

    One of the two is called now and then while the loop goes round, wherever time passes meanwhile.
    """
    if isinstance(loop, CountingLoop):
        loop.counter.look = between_turns
        return loop.counter
    if isinstance(getattr(loop, "turns", None), int):  # a virtual one
        return cast("IterationCounter", loop)
    return _IterationChain(loop, within_a_turn)


def count_no_more(loop: asyncio.AbstractEventLoop) -> None:
    """Nobody is interested any more."""
    if isinstance(loop, CountingLoop):
        loop.counter.look = None


class _IterationChain:
    """Counts the turns after a moment, the first few of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, look: IterationCallback) -> None:
        self._loop = loop
        self._look = look
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
        self._look()

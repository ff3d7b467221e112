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

COUNTED_ITERATIONS: Final = 16
IDLE_ITERATIONS: Final = 1_000_000  # turns, where nobody has counted further

IterationCallback = Callable[[], None]


class IterationCounter(Protocol):
    """Whoever knows how often the loop has gone round."""

    @property
    def iterations(self) -> int: ...


class _CountingSelector(selectors.DefaultSelector):
    iterations = 0
    on_iteration: IterationCallback | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.on_iteration is not None:
            self.on_iteration()
        self.iterations += 1
        return super().select(timeout)


class CountingLoop(asyncio.SelectorEventLoop):
    """An event loop that knows how often it has gone round."""

    def __init__(self) -> None:
        self.counter = _CountingSelector()
        super().__init__(self.counter)


def new_counting_loop() -> asyncio.AbstractEventLoop:
    """The loop of a session. On Windows the usual one, for pipes and consoles want it there."""
    return asyncio.new_event_loop() if sys.platform == "win32" else CountingLoop()


def attach_counter(
    loop: asyncio.AbstractEventLoop, between_turns: IterationCallback, within_a_turn: IterationCallback
) -> IterationCounter:
    """To be asked at each moment, and at no other time.

    One of the two is called now and then while the loop goes round, wherever time passes meanwhile.
    """
    if isinstance(loop, CountingLoop):
        loop.counter.on_iteration = between_turns
        return loop.counter
    if isinstance(getattr(loop, "turns", None), int):  # a virtual one
        return cast("IterationCounter", loop)
    return _IterationChain(loop, within_a_turn)


def detach_counter(loop: asyncio.AbstractEventLoop) -> None:
    """Nobody is interested any more."""
    if isinstance(loop, CountingLoop):
        loop.counter.on_iteration = None


class _IterationChain:
    """Counts the turns after a moment, the first few of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, look: IterationCallback) -> None:
        self._loop = loop
        self._on_iteration = look
        self._iterations = 0
        self._remaining = 0

    @property
    def iterations(self) -> int:
        """The count; it goes on from here."""
        if not self._remaining:
            self._loop.call_soon(self._count_iteration)
        self._remaining = COUNTED_ITERATIONS
        return self._iterations

    def _count_iteration(self) -> None:
        self._iterations += 1
        self._remaining -= 1
        if self._remaining:
            self._loop.call_soon(self._count_iteration)
        else:
            self._iterations += IDLE_ITERATIONS
        self._on_iteration()

"""Counter of event-loop iterations, so that a replay can deliver each input in the iteration it was recorded in.

If two inputs arrive close together, the state of the daemon's tasks at the second one depends on how often the loop
has run since the first. The recorded time does not show that, but the number of iterations does.

asyncio calls `select` exactly once per iteration, so a selector that counts its calls counts iterations at no
measurable cost. A loop without our selector (Windows, another loop) is counted by a callback that reschedules itself
for a few iterations after each input; after those, all work that the input started has finished.
"""

import asyncio
import selectors
import sys
from collections.abc import Callable
from typing import Final, Protocol, cast

COUNTED_ITERATIONS: Final = 16  # after an input, by a callback
IDLE_ITERATIONS: Final = 1_000_000  # added when the callback stops: more than any number counted

IterationCallback = Callable[[], None]


class IterationCounter(Protocol):
    """The number of iterations that an event loop has run."""

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
    """An event loop that counts its iterations in `counter`."""

    def __init__(self) -> None:
        self.counter = _CountingSelector()
        super().__init__(self.counter)


def new_counting_loop() -> asyncio.AbstractEventLoop:
    """Return the event loop for a session. It counts its iterations, except on Windows.

    On Windows it is asyncio's default loop, because pipes and consoles need the proactor of that
    loop.
    """
    return asyncio.new_event_loop() if sys.platform == "win32" else CountingLoop()


def attach_counter(
    loop: asyncio.AbstractEventLoop, between_iterations: IterationCallback, inside_iteration: IterationCallback
) -> IterationCounter:
    """Return a counter for `loop`. Read it exactly once at each input, and at no other time.

    The loop decides which callback is used. `between_iterations` runs when no task is half done.
    `inside_iteration` may run while other tasks of the same iteration are still ready. A virtual
    loop uses neither, because its time does not pass while tasks run.
    """
    if isinstance(loop, CountingLoop):
        loop.counter.on_iteration = between_iterations
        return loop.counter
    if isinstance(getattr(loop, "iterations", None), int):  # the simulator's virtual loop, which counts by itself
        return cast("IterationCounter", loop)
    return _IterationChain(loop, inside_iteration)


def detach_counter(loop: asyncio.AbstractEventLoop) -> None:
    """Stop the callback that `attach_counter` has set on a `CountingLoop`."""
    if isinstance(loop, CountingLoop):
        loop.counter.on_iteration = None


class _IterationChain:
    """Counts the first iterations after each input by a callback that reschedules itself."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_iteration: IterationCallback) -> None:
        self._loop = loop
        self._on_iteration = on_iteration
        self._iterations = 0
        self._remaining = 0

    @property
    def iterations(self) -> int:
        """The count so far. After each read, the next `COUNTED_ITERATIONS` iterations are counted."""
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

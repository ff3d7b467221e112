"""Loop watch: tells a thread whether the event loop sleeps, so that the thread computes without pauses while it does.

A pause of a thread (`core.background_threads`) costs as much CPU time as the work between two pauses. It gives the
interpreter to the event loop, which mostly does not need it: there may be a hundred prices in a second, and each takes
a millisecond. Where the system has no epoll, nothing is known of the loop, and the thread always pauses.
"""

import select
import selectors
from collections.abc import Callable
from typing import Final

SleepTest = Callable[[], bool]
"""Whether the event loop sleeps, and nothing has arrived for it."""

HAS_EPOLL: Final = hasattr(select, "epoll")


def unknown() -> bool:
    """Return False, the answer where the state of the event loop is not known: the loop may be awake."""
    return False


class WatchedSelector(selectors.DefaultSelector):
    """The selector of an event loop, which remembers whether the loop waits in it."""

    def __init__(self) -> None:
        super().__init__()
        self._waits = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait as any selector does. A call with timeout 0 does not count as sleep: the loop goes on at once."""
        self._waits = timeout is None or timeout > 0
        try:
            return super().select(timeout)
        finally:
            self._waits = False

    def sleep_test(self) -> SleepTest:
        """Return a function by which one thread tests whether the event loop sleeps. It needs epoll."""
        arrivals = select.poll()
        # Something has arrived that the loop has not read yet: it may be awake and wait for the interpreter.
        arrivals.register(self.fileno(), select.POLLIN)
        return lambda: self._waits and not arrivals.poll(0)

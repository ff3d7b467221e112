"""Due timer: calls a function when the trading core's next wait ends, even if no message arrives.

The core gives a new time after each tick, mostly a later one. To save work, the running timer is then left as it is.
When it fires too early for the newest time, it does not call the function; it is set again for that time.
"""

from collections.abc import Callable
from math import inf
from typing import Final

from trailingedge.core.clock import Clock, TimerHandle

# Market time is rounded to milliseconds: a tick at the very moment might find a wait not over yet.
_JUST_AFTER_S: Final = 0.001


class DueTimer:
    """Calls `act` just after the time that the last call of `wait_until` gave."""

    def __init__(self, clock: Clock, act: Callable[[], None]) -> None:
        self._clock = clock
        self._act = act
        self._due_s = inf
        self._rings_s = inf
        self._timer: TimerHandle | None = None

    def wait_until(self, due_s: float, now_s: float) -> None:
        """Call `act` just after `due_s`, in monotonic seconds; never if it is infinite.

        This replaces the time given by an earlier call. No timer is set for a time that is not later than `now_s`: the
        caller then acts at once.
        """
        self._due_s = due_s
        if now_s < due_s < self._rings_s:
            self._ring_at(due_s, now_s)

    def _ring_at(self, due_s: float, now_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_s = due_s
        self._timer = self._clock.call_later(due_s - now_s + _JUST_AFTER_S, self._ring)

    def _ring(self) -> None:
        self._timer, self._rings_s = None, inf
        now_s = self._clock.now_s()
        if self._due_s <= now_s:
            self._act()
        elif self._due_s < inf:
            self._ring_at(self._due_s, now_s)

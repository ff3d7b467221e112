"""Clock that stands still between two inputs, so that a replay reads the recorded time to the nanosecond.

All code that runs because of one input reads the same time, and that time is in the record. Times
are whole nanoseconds and become floats by one division, so that recording and replay get the same
float.
"""

from collections.abc import Callable
from functools import partial
from operator import getitem
from typing import cast


class FrozenClock:
    """Holds the monotonic time and the wall time of the current input.

    `zero_ns` is the machine's monotonic clock at the start, `unix_ns` its wall clock. The daemon
    reads both times several times before it sends the order that follows from a price. For speed,
    `now_s` and `unix_ms` are list look-ups in C (`getitem`): `now_cell[0]` is the monotonic time in
    seconds, `wall_cell[0]` the wall time in milliseconds. `wall_cell[1]` is the wall clock minus
    the monotonic clock, in nanoseconds. The recorder writes these cells directly on its fastest
    path.
    """

    def __init__(self, zero_ns: int, unix_ns: int) -> None:
        self.zero_ns = zero_ns
        self.now_cell = [0.0]
        self.wall_cell = [0, unix_ns - zero_ns]
        self.now_s = cast("Callable[[], float]", partial(getitem, self.now_cell, 0))
        self.unix_ms = cast("Callable[[], int]", partial(getitem, self.wall_cell, 0))
        self.set_time_ns(zero_ns)

    def set_time_ns(self, now_ns: int) -> None:
        """Set both times from a reading of the monotonic clock."""
        self.now_cell[0] = now_ns / 1e9
        self.wall_cell[0] = (now_ns + self.wall_cell[1]) // 1_000_000

    def adjust_wall_ms(self, off_ms: int) -> None:
        """Move the wall clock by `off_ms`: the machine's wall clock was set, or has drifted from the monotonic one."""
        self.wall_cell[0] += off_ms
        self.wall_cell[1] += off_ms * 1_000_000

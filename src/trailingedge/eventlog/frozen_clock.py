"""A clock that stands still between two moments.

Whatever the daemon makes of a moment it makes at one and the same time, which is in the record; so the replay has
it too, to the nanosecond. Times are whole numbers and become floats by one division, alike both times.
"""

from collections.abc import Callable
from functools import partial
from operator import getitem
from typing import cast


class FrozenClock:
    """Both times of the moment. `zero_ns` and `unix_ns` are those of the beginning, by the clocks of the machine.

    They are read several times between a price and its order, and to read one is no more than to take it from
    where it lies: in the first place of `now` and of `wall`. `wall` has what the wall clock is ahead beside it.
    """

    def __init__(self, zero_ns: int, unix_ns: int) -> None:
        self.zero_ns = zero_ns
        self.now_cell = [0.0]
        self.wall_cell = [0, unix_ns - zero_ns]
        self.now_s = cast("Callable[[], float]", partial(getitem, self.now_cell, 0))
        self.unix_ms = cast("Callable[[], int]", partial(getitem, self.wall_cell, 0))
        self.set_time_ns(zero_ns)

    def set_time_ns(self, now_ns: int) -> None:
        """By the monotonic clock."""
        self.now_cell[0] = now_ns / 1e9
        self.wall_cell[0] = (now_ns + self.wall_cell[1]) // 1_000_000

    def adjust_wall_ms(self, off_ms: int) -> None:
        """The wall clock is found to be so much further than this one: it was set, or has drifted."""
        self.wall_cell[0] += off_ms
        self.wall_cell[1] += off_ms * 1_000_000

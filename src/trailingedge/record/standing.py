"""A clock that stands still between two moments.

Whatever the daemon makes of a moment it makes at one and the same time, which is in the record; so the replay has
it too, to the microsecond. Times count in whole microseconds and become floats by one division, alike both times.
"""

from abc import ABC, abstractmethod


class StandingClock(ABC):
    """Both times of the moment. `zero_us` and `unix_us` are those of the beginning, by the clocks of the machine."""

    def __init__(self, zero_us: int, unix_us: int) -> None:
        self.at_us = 0
        self.readings = 0  # since the moment began
        self.wall_us = 0  # how far the wall clock has been set, or has drifted, since the beginning
        self._zero_us = zero_us
        self._unix_us = unix_us
        self._now_s = zero_us / 1e6

    def jump(self, at_us: int) -> None:
        """It is so much later than the beginning."""
        self.at_us = at_us
        self._now_s = (self._zero_us + at_us) / 1e6

    @abstractmethod
    def now_s(self) -> float:
        """As a Clock tells it; a reading is counted, and may come too late for the time of the moment."""

    @abstractmethod
    def unix_ms(self) -> int:
        """The same."""

    @property
    def moment_ms(self) -> int:
        """The wall clock of the moment."""
        return (self._unix_us + self.at_us + self.wall_us) // 1000

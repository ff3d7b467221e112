"""Slow-tick monitor: measures each part of a tick and logs the ticks that took too long."""

import logging
from typing import Final

from trailingedge.core.clock import Clock

logger = logging.getLogger(__name__)

SLOW_S: Final = 0.05
_LOG_EVERY_S: Final = 10.0  # a machine that is slow for long would fill the log otherwise


class SlowTickMonitor:
    """Times each tick: call `begin`, then `lap` after each part, then `end`.

    Logs at most one slow tick every ten seconds.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_s = self._lap_s = 0.0
        self._laps: list[tuple[str, float]] = []
        self._logged_s = float("-inf")
        self._unlogged = 0

    def begin(self) -> None:
        """Start the measurement of a tick."""
        self._began_s = self._lap_s = self._clock.now_s()
        self._laps.clear()

    def lap(self, part: str) -> None:
        """Note that the part `part` of the tick has ended, and how long it took."""
        now_s = self._clock.now_s()
        self._laps.append((part, now_s - self._lap_s))
        self._lap_s = now_s

    def end(self) -> None:
        """Log the tick if it was slow. Slow ticks that are not logged are counted for the next log line."""
        took_s = self._lap_s - self._began_s
        if took_s < SLOW_S:
            return
        if self._lap_s - self._logged_s < _LOG_EVERY_S:
            self._unlogged += 1
            return
        parts = ", ".join(f"{part} {lap_s * 1000:.1f} ms" for part, lap_s in self._laps)
        more = f"; {self._unlogged} more slow ticks since the last such line" if self._unlogged else ""
        logger.warning("slow tick: it took %.1f ms (%s)%s", took_s * 1000, parts, more)
        self._logged_s, self._unlogged = self._lap_s, 0

"""How long a beat takes, part by part: nobody notices a slow one but by this line."""

import logging
from typing import Final

from trailingedge.core.clock import Clock

logger = logging.getLogger(__name__)

SLOW_S: Final = 0.05
_TOLD_EVERY_S: Final = 10.0


class SlowTickMonitor:
    """One beat after another: `begin`, a `lap` after each part, `end`. A slow beat is logged, not every one of many."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began_s = self._lap_s = 0.0
        self._laps: list[tuple[str, float]] = []
        self._told_s = float("-inf")
        self._untold = 0

    def begin(self) -> None:
        self._began_s = self._lap_s = self._clock.now_s()
        self._laps.clear()

    def lap(self, part: str) -> None:
        """`part` is done."""
        now_s = self._clock.now_s()
        self._laps.append((part, now_s - self._lap_s))
        self._lap_s = now_s

    def end(self) -> None:
        """The last part is done."""
        took_s = self._lap_s - self._began_s
        if took_s < SLOW_S:
            return
        if self._lap_s - self._told_s < _TOLD_EVERY_S:
            self._untold += 1
            return
        parts = " ".join(f"{part}_ms={lap_s * 1000:.1f}" for part, lap_s in self._laps)
        logger.warning("slow beat took_ms=%.1f %s slow_before=%d", took_s * 1000, parts, self._untold)
        self._told_s, self._untold = self._lap_s, 0

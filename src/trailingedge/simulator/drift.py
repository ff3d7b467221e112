"""A wall clock that is off."""

from collections.abc import Callable

from trailingedge.core.clock import Alarm, Clock


class DriftingClock:
    """The wall of an exchange that does not agree with ours: set off by some amount, and drifting on.

    Only what it stamps is off; ages and sleep are the inner clock's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_ms = 0.0
        self._ms_per_s = 0.0
        self._since_s = clock.now_s()

    @property
    def ahead_ms(self) -> float:
        """How far it is ahead of the inner clock; negative where it is behind."""
        return self._ahead_ms + self._ms_per_s * (self._clock.now_s() - self._since_s)

    def step(self, ms: float) -> None:
        """Jump ahead, or (negative) back."""
        self._ahead_ms += ms

    def drift(self, ms_per_s: float) -> None:
        """From now on run that much faster, or (negative) slower."""
        self._ahead_ms, self._since_s = self.ahead_ms, self._clock.now_s()
        self._ms_per_s = ms_per_s

    def now_s(self) -> float:
        return self._clock.now_s()

    def unix_ms(self) -> int:
        return self._clock.unix_ms() + round(self.ahead_ms)

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    def call_later(self, seconds: float, act: Callable[[], None]) -> Alarm:
        return self._clock.call_later(seconds, act)

"""A condition that is reported once when it has lasted, and once when it is over: stale market data, a lost account."""


class Staleness:
    """Reports once that the condition has lasted `report_after_s`, and once that it is over; shorter ones never."""

    def __init__(self, report_after_s: float) -> None:
        self._report_after_s = report_after_s
        self._since_s: float | None = None
        self._reported = False

    def on_missing(self, now_s: float, since_s: float = float("-inf")) -> float | None:
        """The condition holds. Returns how long it has lasted, when that is to be reported.

        `since_s` is when it began; minus infinity where that is not known, then it counts from now.
        """
        # The first call counts. Later calls may name another `since_s`, which would restart the count.
        if self._since_s is None:
            self._since_s = since_s if since_s > float("-inf") else now_s
        lasted_s = now_s - self._since_s
        if self._reported or lasted_s < self._report_after_s:
            return None
        self._reported = True
        return lasted_s

    def on_present(self, now_s: float) -> float | None:
        """The condition is over. Returns how long it lasted, if it had been reported."""
        since_s, reported = self._since_s, self._reported
        self._since_s, self._reported = None, False
        return now_s - since_s if reported and since_s is not None else None

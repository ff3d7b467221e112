"""Condition alarm: reports a lasting condition once, and its end once. Used for stale market data and for a lost
account connection.
"""

from math import inf


class Staleness:
    """Reports a condition when it has lasted `report_after_s`, and again when it ends. Ignores shorter conditions."""

    def __init__(self, report_after_s: float) -> None:
        self._report_after_s = report_after_s
        self._since_s: float | None = None
        self._reported = False

    @property
    def due_s(self) -> float:
        """The time at which the present condition must be reported if it still holds.

        It is infinity if no condition holds, or if it has been reported already.
        """
        return inf if self._since_s is None or self._reported else self._since_s + self._report_after_s

    def on_missing(self, now_s: float, since_s: float = float("-inf")) -> float | None:
        """Note that the condition holds.

        Returns for how many seconds it has lasted if this call must report it, else None. `since_s` is the time at
        which the condition began. Minus infinity means unknown: the condition then counts as begun at the first call.
        """
        # The first call counts. Later calls may name another `since_s`, which would restart the count.
        if self._since_s is None:
            self._since_s = since_s if since_s > float("-inf") else now_s
        lasted_s = now_s - self._since_s
        if now_s < self.due_s:
            return None
        self._reported = True
        return lasted_s

    def on_present(self, now_s: float) -> float | None:
        """Note that the condition is over. Returns how many seconds it lasted, or None if it was not reported."""
        since_s, reported = self._since_s, self._reported
        if since_s is None:
            return None
        self._since_s, self._reported = None, False
        return now_s - since_s if reported else None

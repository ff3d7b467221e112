"""How often the chase may move: the exchange's ORDERS limits, and a reserve we keep from them.

The first half of a window is spent freely; after that the moves that are left are spread evenly over
what is left of it. A first placement is never held back: being absent costs more than the count.
"""

from collections.abc import Iterable

from trailingedge.model.market import RateLimit


class _Window:
    """One ORDERS limit: fixed windows aligned to the exchange's clock."""

    def __init__(self, interval_s: int, limit: int) -> None:
        self.interval_ms = interval_s * 1000
        self.limit = limit
        self.count = 0
        self.index = -1
        self.last_ms = 0

    def roll(self, server_ms: int) -> None:
        index = server_ms // self.interval_ms
        if index > self.index:  # a clock set back does not open a new window
            self.index = index
            self.count = 0

    def start_ms(self) -> int:
        return self.index * self.interval_ms

    def end_ms(self) -> int:
        return (self.index + 1) * self.interval_ms


class OrderRateBudget:
    """Counts placements against the ORDERS limits. `reserve_fraction` of each is never used by moves."""

    def __init__(self, reserve_fraction: float) -> None:
        self._usable_fraction = 1.0 - reserve_fraction
        self._windows: dict[int, _Window] = {}

    def update_limits(self, limits: Iterable[RateLimit], server_ms: int) -> None:
        """The limits as `exchangeInfo` or a reply tells them; a count told replaces our own."""
        for limit in limits:
            if limit.kind != "ORDERS":
                continue
            window = self._windows.get(limit.interval_s)
            if window is None:
                window = self._windows[limit.interval_s] = _Window(limit.interval_s, limit.limit)
            window.limit = limit.limit
            window.roll(server_ms)
            if limit.count is not None:
                window.count = limit.count

    def spend(self, server_ms: int) -> None:
        """A placement or a replace was sent."""
        for window in self._windows.values():
            window.roll(server_ms)
            window.count += 1
            window.last_ms = server_ms

    def next_requote_ms(self, server_ms: int) -> int:
        """The exchange's time from which a move is within the budget: now or later."""
        return max((self._next_ms(window, server_ms) for window in self._windows.values()), default=server_ms)

    def may_requote(self, server_ms: int) -> bool:
        return self.next_requote_ms(server_ms) <= server_ms

    def is_ample(self, server_ms: int) -> bool:
        """A move is within the budget, and stays so until something more is spent or told."""
        for window in self._windows.values():
            window.roll(server_ms)
            usable = int(window.limit * self._usable_fraction)
            if (usable - window.count) * 2 <= usable:
                return False
        return True

    def _next_ms(self, window: _Window, server_ms: int) -> int:
        window.roll(server_ms)
        usable = int(window.limit * self._usable_fraction)
        left = usable - window.count
        if left <= 0:
            return window.end_ms()
        if left * 2 > usable:
            return server_ms
        since_ms = max(window.last_ms, window.start_ms())
        return max(server_ms, since_ms + (window.end_ms() - since_ms) // (left + 1))

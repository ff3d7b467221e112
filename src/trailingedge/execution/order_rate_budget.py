"""Order rate budget: counts our orders against the exchange's ORDERS rate limits, so that requotes never use up a
limit.

A part of each limit is reserved for placements. Of what is left, requotes may use the first half at any time; the
second half is spread evenly over the rest of the time window. A placement is never delayed, because having no order on
the book is worse than using one more order of the limit.
"""

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from typing import Final

from trailingedge.model.market import RateLimit

ORDERS: Final = "ORDERS"  # the kind of a limit on orders; the other kinds limit requests and connections


@dataclass(slots=True)
class OrderWindow:
    """Counts orders against one ORDERS limit, in fixed windows by the exchange's clock.

    `index` is the number of the present window since 1970, `last_ms` the time of the last order.
    """

    interval_s: int
    limit: int
    count: int = 0
    index: int = -1
    last_ms: int = 0

    @property
    def interval_ms(self) -> int:
        return self.interval_s * 1000

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
    """Counts orders against the ORDERS limits. Requotes leave `reserve_fraction` of each limit unused."""

    def __init__(self, reserve_fraction: float, windows: Iterable[OrderWindow] = ()) -> None:
        self._usable_fraction = 1.0 - reserve_fraction
        # Binance has several ORDERS limits at once, at present 100 in 10 s and 200,000 a day. The strictest one
        # decides.
        self._windows = {window.interval_s: copy(window) for window in windows}

    @property
    def windows(self) -> tuple[OrderWindow, ...]:
        """Copies of the windows with their counts. A budget made from them has the same state."""
        return tuple(map(copy, self._windows.values()))

    def update_limits(self, limits: Iterable[RateLimit], server_ms: int) -> None:
        """Use the limits in a reply, such as that to `exchangeInfo`.

        If a limit contains the exchange's count of our orders, that count replaces our own.
        """
        for limit in limits:
            if limit.kind != ORDERS:
                continue
            window = self._windows.get(limit.interval_s)
            if window is None:
                window = self._windows[limit.interval_s] = OrderWindow(limit.interval_s, limit.limit)
            window.limit = limit.limit
            window.roll(server_ms)
            # The exchange's count includes orders that other programs on this account sent.
            if limit.count is not None:
                window.count = limit.count

    def spend(self, server_ms: int) -> None:
        """Count a placement or a replace that was sent."""
        for window in self._windows.values():
            window.roll(server_ms)
            window.count += 1
            window.last_ms = server_ms

    def next_requote_ms(self, server_ms: int) -> int:
        """Return the exchange's time, in ms, from which the budget allows a requote."""
        return max((self._next_ms(window, server_ms) for window in self._windows.values()), default=server_ms)

    def may_requote(self, server_ms: int) -> bool:
        return self.next_requote_ms(server_ms) <= server_ms

    def is_short(self, server_ms: int) -> bool:
        """Whether the budget forbids a requote now.

        It reads copies of the windows and changes nothing, so a status query may call it.
        """
        return any(self._next_ms(window, server_ms) > server_ms for window in self.windows)

    def is_ample(self, server_ms: int) -> bool:
        """Whether the budget allows a requote at any time until the next order is counted."""
        for window in self._windows.values():
            window.roll(server_ms)
            usable = int(window.limit * self._usable_fraction)
            if (usable - window.count) * 2 <= usable:
                return False
        return True

    def _next_ms(self, window: OrderWindow, server_ms: int) -> int:
        window.roll(server_ms)
        usable = int(window.limit * self._usable_fraction)
        left = usable - window.count
        if left <= 0:
            return window.end_ms()
        if left * 2 > usable:
            return server_ms
        # Spread the requotes that are left evenly over the window from the last placement on, with a gap at the end.
        since_ms = max(window.last_ms, window.start_ms())
        return max(server_ms, since_ms + (window.end_ms() - since_ms) // (left + 1))

"""Rate limits of the simulated exchange: request weight, unfilled orders, new connections and bans.

Limits are fixed windows aligned to the wall clock, as on the real exchange, never sliding ones: a full count drops
to zero when the minute turns. Request weight is counted per address, and all clients of the loopback share
one address; unfilled orders are counted per account. Both use the wall clock, at every speed of the
market.
"""

from collections import deque
from typing import Final

from trailingedge.core.time_units import DAY_MS, MINUTE_MS
from trailingedge.model.market import RateLimit
from trailingedge.simulator.errors import ExchangeError
from trailingedge.simulator.exchange_spec import ExchangeSpec

TEN_SECONDS_MS: Final = 10_000

FIRST_BAN_MS: Final = 2 * MINUTE_MS
LONGEST_BAN_MS: Final = 3 * DAY_MS
MAX_REJECTIONS: Final = 100  # requests answered with 429 in one minute before the address is banned (418)


class RateWindow:
    """A count that restarts at zero when the wall clock passes a multiple of `length_ms`."""

    def __init__(self, length_ms: int, limit: int) -> None:
        self.length_ms = length_ms
        self.limit = limit
        self._start_ms = 0
        self._count = 0

    def count(self, now_ms: int) -> int:
        """The count of the window that contains `now_ms`."""
        start_ms = now_ms - now_ms % self.length_ms
        # No timer: the count is reset when it is next looked at.
        if start_ms != self._start_ms:
            self._start_ms, self._count = start_ms, 0
        return self._count

    def add(self, now_ms: int, amount: int) -> None:
        """Add `amount`, which may be negative; the count never falls below zero."""
        self._count = max(0, self.count(now_ms) + amount)

    def is_full(self, now_ms: int) -> bool:
        return self.count(now_ms) >= self.limit

    def end_ms(self, now_ms: int) -> int:
        return now_ms - now_ms % self.length_ms + self.length_ms

    def rate_limit(self, kind: str, now_ms: int) -> RateLimit:
        """Return this limit with its count, as a rate limit of `kind` ("ORDERS" or "REQUEST_WEIGHT")."""
        return RateLimit(kind, self.length_ms // 1000, self.limit, self.count(now_ms))


class OrderCounts:
    """Unfilled-order counts of one account, for ten seconds and for the day."""

    def __init__(self, spec: ExchangeSpec) -> None:
        self._ten_seconds = RateWindow(TEN_SECONDS_MS, spec.orders_per_10_s)
        self._day = RateWindow(DAY_MS, spec.orders_per_day)
        self._refunds: deque[tuple[int, int]] = deque()  # due, amount; oldest first

    def limit_error(self, now_ms: int) -> ExchangeError | None:
        """Return the error that one more order would get now, or None if both windows allow it."""
        self._apply_refunds(now_ms)
        for window, words in ((self._ten_seconds, "10 SECOND"), (self._day, "1 DAY")):
            if window.is_full(now_ms):
                text = f"Too many new orders; current limit is {window.limit} orders per {words}."
                return ExchangeError(-1015, text, status=429, data=_retry_after(now_ms, window.end_ms(now_ms)))
        return None

    def add(self, now_ms: int) -> None:
        """Count one more order."""
        self._apply_refunds(now_ms)
        if not self._day.is_full(now_ms):  # the short window stops rising once the day is used up
            self._ten_seconds.add(now_ms, 1)
        self._day.add(now_ms, 1)

    def schedule_refund(self, due_ms: int, amount: int) -> None:
        """Lower the counts by `amount` at `due_ms`, after an order's first fill.

        The counts of the time windows at `due_ms` are lowered, even if the order was counted in earlier windows.
        """
        self._refunds.append((due_ms, amount))

    def limits(self, now_ms: int) -> tuple[RateLimit, RateLimit]:
        """Return both limits with their counts."""
        self._apply_refunds(now_ms)
        return self._ten_seconds.rate_limit("ORDERS", now_ms), self._day.rate_limit("ORDERS", now_ms)

    def _apply_refunds(self, now_ms: int) -> None:
        # In order of their due times, since every refund has the same delay. They are applied on demand, as the count
        # is.
        while self._refunds and self._refunds[0][0] <= now_ms:
            _, amount = self._refunds.popleft()
            self._ten_seconds.add(now_ms, -amount)
            self._day.add(now_ms, -amount)


class RequestWeightLimiter:
    """Limits the request weight; all clients share one address.

    A client that ignores 429 is banned, each time for twice as long.
    """

    def __init__(self, spec: ExchangeSpec) -> None:
        self._window = RateWindow(MINUTE_MS, spec.weight_per_minute)
        self._rejections = RateWindow(MINUTE_MS, MAX_REJECTIONS)
        self._ban_ms = FIRST_BAN_MS
        self._banned_until_ms = 0
        self._exhausted_until_ms = 0
        self.bans = 0  # bans that the client caused by ignoring 429; those set by `ban` do not count

    def charge(self, now_ms: int, weight: int) -> None:
        """Charge the weight of a request.

        Raises ExchangeError if the limit is exceeded: 429, or 418 after too many 429 in a minute. The weight is charged
        even then.
        """
        self.check_ban(now_ms)
        self._window.add(now_ms, weight)
        if self._window.count(now_ms) <= self._window.limit:
            return
        # A request over the limit is charged, too: a client that keeps sending keeps the window full.
        self._rejections.add(now_ms, 1)
        if self._rejections.is_full(now_ms):
            self.bans += 1
            self._banned_until_ms = now_ms + self._ban_ms
            # Bans grow from two minutes to three days, as the documentation says; here by doubling.
            self._ban_ms = min(LONGEST_BAN_MS, 2 * self._ban_ms)
            raise self._ban_error(now_ms)
        raise ExchangeError(
            -1003,
            f"Too much request weight used; current limit is {self._window.limit} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API.",
            status=429,
            data=_retry_after(now_ms, self._window.end_ms(now_ms)),
        )

    def check_ban(self, now_ms: int) -> None:
        """Raise ExchangeError (418) while the address is banned."""
        if now_ms < self._banned_until_ms:
            raise self._ban_error(now_ms)

    def refund(self, now_ms: int, weight: int) -> None:
        """Return the weight of a request that is free on success."""
        self._window.add(now_ms, -weight)

    @property
    def blocked_until_ms(self) -> int:
        """The time until which a ban or a call of `exhaust` makes requests fail.

        It lies in the past if neither is in effect.
        """
        return max(self._banned_until_ms, self._exhausted_until_ms)

    def exhaust(self, now_ms: int) -> int:
        """Use up the address's request weight, as another program at the address might.

        Returns the time until which requests get 429.
        """
        self._window.add(now_ms, self._window.limit)
        self._exhausted_until_ms = self._window.end_ms(now_ms)
        return self._exhausted_until_ms

    def ban(self, until_ms: int) -> None:
        """Ban the address: requests get 418 until `until_ms`."""
        self._banned_until_ms = until_ms

    def rate_limit(self, now_ms: int) -> RateLimit:
        """Return the limit with its count."""
        return self._window.rate_limit("REQUEST_WEIGHT", now_ms)

    def _ban_error(self, now_ms: int) -> ExchangeError:
        return ExchangeError(
            -1003,
            f"Way too much request weight used; IP banned until {self._banned_until_ms}. "
            "Please use WebSocket Streams for live updates to avoid bans.",
            status=418,
            data=_retry_after(now_ms, self._banned_until_ms),
        )


class ConnectionLimiter:
    """Limits the new connections to one service of the exchange; all clients share one address."""

    def __init__(self, spec: ExchangeSpec) -> None:
        self._window = RateWindow(5 * MINUTE_MS, spec.connections_per_5_min)

    def charge(self, now_ms: int) -> None:
        """Count an attempt to connect. Raises ExchangeError (429) over the limit."""
        if self._window.is_full(now_ms):
            text = f"Too many connection attempts; current limit is {self._window.limit} per 5 MINUTE."
            raise ExchangeError(-1034, text, status=429, data=_retry_after(now_ms, self._window.end_ms(now_ms)))
        self._window.add(now_ms, 1)


def _retry_after(now_ms: int, until_ms: int) -> dict[str, object]:
    """Return the `data` of an error, which says when the next request may succeed."""
    return {"serverTime": now_ms, "retryAfter": until_ms}

"""The exchange's limits: fixed windows aligned to the wall clock, never sliding ones.

Request weight is counted per address, and everyone on the loopback shares one. Unfilled orders are
counted per account. Both follow the wall, at whatever speed the market runs.
"""

from collections import deque
from typing import Final

from trailingedge.core.time_units import DAY_MS, MINUTE_MS
from trailingedge.simulator.errors import ExchangeError
from trailingedge.simulator.exchange_spec import ExchangeSpec, limit_json

TEN_SECONDS_MS: Final = 10_000

FIRST_BAN_MS: Final = 2 * MINUTE_MS
LONGEST_BAN_MS: Final = 3 * DAY_MS
MAX_REJECTIONS: Final = 100  # refused requests in one window before the address is banned


class RateWindow:
    """A count that starts anew whenever the wall passes a multiple of `length_ms`."""

    def __init__(self, length_ms: int, limit: int) -> None:
        self.length_ms = length_ms
        self.limit = limit
        self._start_ms = 0
        self._count = 0

    def count(self, now_ms: int) -> int:
        start_ms = now_ms - now_ms % self.length_ms
        if start_ms != self._start_ms:
            self._start_ms, self._count = start_ms, 0
        return self._count

    def add(self, now_ms: int, amount: int) -> None:
        """Count `amount` more, or less where negative; never below zero."""
        self._count = max(0, self.count(now_ms) + amount)

    def is_full(self, now_ms: int) -> bool:
        return self.count(now_ms) >= self.limit

    def end_ms(self, now_ms: int) -> int:
        return now_ms - now_ms % self.length_ms + self.length_ms


class OrderCounts:
    """How many orders of one account went in and have not been filled at all."""

    def __init__(self, terms: ExchangeSpec) -> None:
        self._ten_seconds = RateWindow(TEN_SECONDS_MS, terms.orders_per_10_s)
        self._day = RateWindow(DAY_MS, terms.orders_per_day)
        self._refunds: deque[tuple[int, int]] = deque()  # due, amount; oldest first

    def limit_error(self, now_ms: int) -> ExchangeError | None:
        """The refusal of one more order, if it would be one too many."""
        self._apply_refunds(now_ms)
        for window, words in ((self._ten_seconds, "10 SECOND"), (self._day, "1 DAY")):
            if window.is_full(now_ms):
                text = f"Too many new orders; current limit is {window.limit} orders per {words}."
                return ExchangeError(-1015, text, status=429)
        return None

    def add(self, now_ms: int) -> None:
        """One order more."""
        self._apply_refunds(now_ms)
        if not self._day.is_full(now_ms):  # the short window stops rising once the day is used up
            self._ten_seconds.add(now_ms, 1)
        self._day.add(now_ms, 1)

    def schedule_refund(self, due_ms: int, amount: int) -> None:
        """An order had its first fill: the windows that are current at `due_ms` go down."""
        self._refunds.append((due_ms, amount))

    def limits_json(self, now_ms: int) -> list[dict[str, object]]:
        self._apply_refunds(now_ms)
        return [
            limit_json("ORDERS", "SECOND", 10, self._ten_seconds.limit, self._ten_seconds.count(now_ms)),
            limit_json("ORDERS", "DAY", 1, self._day.limit, self._day.count(now_ms)),
        ]

    def _apply_refunds(self, now_ms: int) -> None:
        while self._refunds and self._refunds[0][0] <= now_ms:
            _, amount = self._refunds.popleft()
            self._ten_seconds.add(now_ms, -amount)
            self._day.add(now_ms, -amount)


class RequestWeightLimiter:
    """Request weight of the one address; who will not hear a 429 is banned, longer each time."""

    def __init__(self, terms: ExchangeSpec) -> None:
        self._window = RateWindow(MINUTE_MS, terms.weight_per_minute)
        self._rejections = RateWindow(MINUTE_MS, MAX_REJECTIONS)
        self._ban_ms = FIRST_BAN_MS
        self._banned_until_ms = 0
        self._exhausted_until_ms = 0
        self.bans = 0  # earned by not hearing

    def charge(self, now_ms: int, weight: int) -> None:
        """Count a request. Raises the refusal (429, later 418) of one too many; it counts as well."""
        self.check_ban(now_ms)
        self._window.add(now_ms, weight)
        if self._window.count(now_ms) <= self._window.limit:
            return
        self._rejections.add(now_ms, 1)
        if self._rejections.is_full(now_ms):
            self.bans += 1
            self._banned_until_ms = now_ms + self._ban_ms
            self._ban_ms = min(LONGEST_BAN_MS, 2 * self._ban_ms)
            raise self._ban_error(now_ms)
        raise ExchangeError(
            -1003,
            f"Too much request weight used; current limit is {self._window.limit} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API.",
            status=429,
            data={"serverTime": now_ms, "retryAfter": self._window.end_ms(now_ms)},
        )

    def check_ban(self, now_ms: int) -> None:
        """Raise the refusal (418) of an address that must stay outside."""
        if now_ms < self._banned_until_ms:
            raise self._ban_error(now_ms)

    def refund(self, now_ms: int, weight: int) -> None:
        """The request belongs to those that are free when they succeed."""
        self._window.add(now_ms, -weight)

    @property
    def blocked_until_ms(self) -> int:
        """When the address may speak again; in the past where nothing hinders it."""
        return max(self._banned_until_ms, self._exhausted_until_ms)

    def exhaust(self, now_ms: int) -> int:
        """As if others had used up the address's weight: until the time returned, everything gets a 429."""
        self._window.add(now_ms, self._window.limit)
        self._exhausted_until_ms = self._window.end_ms(now_ms)
        return self._exhausted_until_ms

    def ban(self, until_ms: int) -> None:
        """As if the address had deserved it: until then, everything gets a 418."""
        self._banned_until_ms = until_ms

    def limit_json(self, now_ms: int) -> dict[str, object]:
        return limit_json("REQUEST_WEIGHT", "MINUTE", 1, self._window.limit, self._window.count(now_ms))

    def _ban_error(self, now_ms: int) -> ExchangeError:
        return ExchangeError(
            -1003,
            f"Way too much request weight used; IP banned until {self._banned_until_ms}. "
            "Please use WebSocket Streams for live updates to avoid bans.",
            status=418,
            data={"serverTime": now_ms, "retryAfter": self._banned_until_ms},
        )

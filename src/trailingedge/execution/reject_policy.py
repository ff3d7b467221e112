"""Reject policy: the rule for each kind of rejection: how long to wait, which data to read again, and whether a new
price ends the wait early.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trailingedge.model.market import BookTop
from trailingedge.model.order_commands import Refresh
from trailingedge.model.order_outcomes import RejectReason


@dataclass(frozen=True, slots=True)
class BackoffRule:
    """The rule for one kind of rejection: wait `pause_s`, doubled for each further rejection in a row, at most `max_s`.

    `refresh` is the data to read again. `stop_all`: the wait applies to requests of every kind, not only to placements.
    `fresh_price`: the wait ends early when the book differs from the one from which the rejected price was computed.
    """

    pause_s: float
    max_s: float
    refresh: Refresh | None = None
    stop_all: bool = False
    fresh_price: bool = False

    def wait_s(self, in_a_row: int) -> float:
        """Return the seconds to wait after `in_a_row` rejections in a row."""
        return min(self.max_s, self.pause_s * 2.0 ** min(in_a_row - 1, 16))


# The exchange does not report when the reason for a rejection is gone, and an exit should not be off the book for much
# longer than it must: eight seconds are few enough for that, and enough for any limit to pass.
_MAX_S: Final = 8.0
_UNANSWERED_S: Final = 0.25

BACKOFF_RULES: Final[Mapping[RejectReason, BackoffRule]] = {
    # The price moved between our decision and its arrival at the exchange. The next book is already the remedy.
    RejectReason.WOULD_TAKE: BackoffRule(0.1, 2.0, fresh_price=True),
    RejectReason.INSUFFICIENT_BALANCE: BackoffRule(1.0, _MAX_S, Refresh.BALANCES),
    # The order that already has this client order id is queried at once, so the first rejection needs no wait.
    RejectReason.DUPLICATE: BackoffRule(0.0, 5.0),
    RejectReason.UNKNOWN_ORDER: BackoffRule(0.5, 5.0),
    RejectReason.CANCEL_RESTRICTED: BackoffRule(0.0, 1.0),
    RejectReason.FILTER: BackoffRule(1.0, _MAX_S, Refresh.RULES),
    RejectReason.TOO_MANY_ORDERS: BackoffRule(2.0, _MAX_S),
    # After a rate limit every further request counts against us and may turn it into a ban (418).
    RejectReason.RATE_LIMITED: BackoffRule(5.0, 120.0, stop_all=True),
    # Our clock estimate is off. Requests are rejected until it is measured again.
    RejectReason.TIMESTAMP: BackoffRule(0.5, 10.0, Refresh.CLOCK),
    RejectReason.NOT_TRADING: BackoffRule(5.0, 60.0, Refresh.RULES),
    RejectReason.BUSY: BackoffRule(0.5, 5.0),
    RejectReason.UNAUTHORIZED: BackoffRule(2.0, _MAX_S),
    RejectReason.BAD_REQUEST: BackoffRule(2.0, _MAX_S, Refresh.RULES),
    RejectReason.OTHER: BackoffRule(1.0, _MAX_S),
}


class RejectBackoff:
    """Decides which requests may be sent, after rejections and after requests without an outcome.

    Times are monotonic seconds; `retry_at_ms` is a time by the exchange's clock.
    """

    def __init__(self) -> None:
        self.in_a_row = 0
        self.refreshes: list[Refresh] = []
        self._reason: RejectReason | None = None
        self._rejected_at: BookTop | None = None
        self._place_from_s = float("-inf")
        self._cancel_from_s = float("-inf")
        self._send_from_s = float("-inf")
        self._unanswered_in_a_row = 0
        self._retry_from_s = float("-inf")
        self._send_from_ms = 0

    def on_reject(
        self, reason: RejectReason, now_s: float, top: BookTop | None = None, retry_at_ms: int | None = None
    ) -> None:
        """Start the wait after a rejected placement, whose price was computed from the book `top`."""
        self.in_a_row = self.in_a_row + 1 if reason is self._reason else 1
        self._reason = reason
        rule = BACKOFF_RULES[reason]
        wait_s = rule.wait_s(self.in_a_row)
        self._place_from_s = now_s + wait_s
        self._rejected_at = top if rule.fresh_price else None
        if rule.stop_all:
            self._send_from_s = now_s + wait_s
        if retry_at_ms is not None:
            # The exchange says itself until when: `retryAfter` of a 429 or 418 reply, in its own time.
            self._send_from_ms = max(self._send_from_ms, retry_at_ms)
        if rule.refresh is not None:
            self.refreshes.append(rule.refresh)

    def on_cancel_reject(self, reason: RejectReason, now_s: float, retry_at_ms: int | None = None) -> None:
        """Start the wait after a rejected cancel. `reason` does not tell whether the order is still on the book."""
        self.on_reject(reason, now_s, None, retry_at_ms)
        self._cancel_from_s = self._place_from_s

    def on_unanswered(self, now_s: float) -> None:
        """Start the wait that follows a request without an outcome. It doubles with each such request in a row.

        An exchange in trouble may answer "unknown" at once, and an immediate retry would flood it.
        """
        if now_s < self._retry_from_s:
            return  # both halves of one cancel-replace had no outcome: count them once
        self._retry_from_s = now_s + min(_MAX_S, _UNANSWERED_S * 2.0 ** min(self._unanswered_in_a_row, 16))
        self._unanswered_in_a_row += 1

    def on_answered(self) -> None:
        """End the wait that followed requests without an outcome, because the exchange has now executed a request."""
        self._unanswered_in_a_row = 0
        self._retry_from_s = float("-inf")

    def on_accepted(self) -> None:
        """End the wait for placements and forget all past rejections, because a placement was accepted."""
        self.on_answered()
        self.in_a_row = 0
        self._reason = None
        self._rejected_at = None
        self._place_from_s = float("-inf")

    def clear(self, reason: RejectReason) -> None:
        """End the wait after a rejection for `reason`, because the cause of this rejection is known to be gone."""
        if self._reason is reason:
            self.on_accepted()
            self._cancel_from_s = float("-inf")

    def is_clear(self, now_s: float, server_ms: int) -> bool:
        """Whether placements are allowed at any price, both now and later, until the next rejection."""
        latest_s = max(self._place_from_s, self._retry_from_s, self._send_from_s)
        return now_s >= latest_s and server_ms >= self._send_from_ms

    def may_place(self, top: BookTop, now_s: float) -> bool:
        """Whether to try a placement: the wait is over, or the book that led to the rejected price has changed."""
        waited = now_s >= self._place_from_s or (self._rejected_at is not None and top != self._rejected_at)
        return waited and now_s >= self._retry_from_s

    def may_cancel(self, now_s: float) -> bool:
        """Whether a cancel may be sent now."""
        return now_s >= self._cancel_from_s and now_s >= self._retry_from_s

    def waits(self, now_s: float, server_ms: int) -> tuple[float, ...]:
        """Return the times at which the waits end; some of these times may be past."""
        sends_from_s = now_s + (self._send_from_ms - server_ms) / 1000
        return self._place_from_s, self._cancel_from_s, self._retry_from_s, self._send_from_s, sends_from_s

    def may_send(self, now_s: float, server_ms: int) -> bool:
        """Whether any request may be sent now: no rate limit or ban is in force."""
        return now_s >= self._send_from_s and server_ms >= self._send_from_ms

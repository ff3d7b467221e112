"""What each refusal teaches: how long to wait, what to read again, whether a fresh price is needed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from trailingedge.model.market import BookTop
from trailingedge.model.order_commands import Refresh
from trailingedge.model.order_outcomes import RejectReason


@dataclass(frozen=True, slots=True)
class BackoffRule:
    """After a refusal: wait `pause_s`, twice as long for each one in a row, at most `longest_s`.

    `silence`: send nothing at all meanwhile, not only no placement. `fresh_price`: the wait ends
    earlier, with the next book that differs from the one that misled us.
    """

    pause_s: float
    max_s: float
    refresh: Refresh | None = None
    stop_all: bool = False
    fresh_price: bool = False

    def wait_s(self, again: int) -> float:
        """The wait after the `again`-th refusal in a row, counted from 1."""
        return min(self.max_s, self.pause_s * 2.0 ** min(again - 1, 16))


# Nobody tells us when the reason for a refusal is gone, and an exit should not be away from the book for
# much longer than it has to: eight seconds are few enough for that, and many enough for any limit.
_MAX_S: Final = 8.0
_UNANSWERED_S: Final = 0.25

BACKOFF_RULES: Final[Mapping[RejectReason, BackoffRule]] = {
    RejectReason.WOULD_TAKE: BackoffRule(0.1, 2.0, fresh_price=True),
    RejectReason.INSUFFICIENT_BALANCE: BackoffRule(1.0, _MAX_S, Refresh.BALANCES),
    RejectReason.DUPLICATE: BackoffRule(0.0, 5.0),
    RejectReason.UNKNOWN_ORDER: BackoffRule(0.5, 5.0),
    RejectReason.CANCEL_RESTRICTED: BackoffRule(0.0, 1.0),
    RejectReason.FILTER: BackoffRule(1.0, _MAX_S, Refresh.RULES),
    RejectReason.TOO_MANY_ORDERS: BackoffRule(2.0, _MAX_S),
    RejectReason.RATE_LIMITED: BackoffRule(5.0, 120.0, stop_all=True),
    RejectReason.TIMESTAMP: BackoffRule(0.5, 10.0, Refresh.CLOCK),
    RejectReason.NOT_TRADING: BackoffRule(5.0, 60.0, Refresh.RULES),
    RejectReason.BUSY: BackoffRule(0.5, 5.0),
    RejectReason.UNAUTHORIZED: BackoffRule(2.0, _MAX_S),
    RejectReason.BAD_REQUEST: BackoffRule(2.0, _MAX_S, Refresh.RULES),
    RejectReason.OTHER: BackoffRule(1.0, _MAX_S),
}


class RejectBackoff:
    """What past refusals forbid for now. Times are monotonic seconds, but `retry_at_ms` is the exchange's."""

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
        self, refusal: RejectReason, now_s: float, top: BookTop | None = None, retry_at_ms: int | None = None
    ) -> None:
        """A placement was refused; `top` is the book it was priced by."""
        self.in_a_row = self.in_a_row + 1 if refusal is self._reason else 1
        self._reason = refusal
        lesson = BACKOFF_RULES[refusal]
        wait_s = lesson.wait_s(self.in_a_row)
        self._place_from_s = now_s + wait_s
        self._rejected_at = top if lesson.fresh_price else None
        if lesson.stop_all:
            self._send_from_s = now_s + wait_s
        if retry_at_ms is not None:
            self._send_from_ms = max(self._send_from_ms, retry_at_ms)
        if lesson.refresh is not None:
            self.refreshes.append(lesson.refresh)

    def on_cancel_reject(self, refusal: RejectReason, now_s: float, retry_at_ms: int | None = None) -> None:
        """A cancellation was refused for a reason that says nothing of the order."""
        self.on_reject(refusal, now_s, None, retry_at_ms)
        self._cancel_from_s = self._place_from_s

    def on_unanswered(self, now_s: float) -> None:
        """Nobody says what became of a request. Where that is said at once, asking again at once is a storm of ours."""
        if now_s < self._retry_from_s:
            return  # the other half of the same request
        self._retry_from_s = now_s + min(_MAX_S, _UNANSWERED_S * 2.0 ** min(self._unanswered_in_a_row, 16))
        self._unanswered_in_a_row += 1

    def on_answered(self) -> None:
        """A request was carried out: the row of silences is over."""
        self._unanswered_in_a_row = 0
        self._retry_from_s = float("-inf")

    def on_accepted(self) -> None:
        """A placement was taken: the row of refusals is over."""
        self.on_answered()
        self.in_a_row = 0
        self._reason = None
        self._rejected_at = None
        self._place_from_s = float("-inf")

    def clear(self, refusal: RejectReason) -> None:
        """The reason for this refusal is known to be gone: nothing that was learned from it holds any more."""
        if self._reason is refusal:
            self.on_accepted()
            self._cancel_from_s = float("-inf")

    def is_clear(self, now_s: float, server_ms: int) -> bool:
        """Nothing is forbidden, whatever the book says, and nothing will be until the next refusal."""
        latest_s = max(self._place_from_s, self._retry_from_s, self._send_from_s)
        return now_s >= latest_s and server_ms >= self._send_from_ms

    def may_place(self, top: BookTop, now_s: float) -> bool:
        """A placement is worth trying: the wait is over, or the book that misled us has changed."""
        waited = now_s >= self._place_from_s or (self._rejected_at is not None and top != self._rejected_at)
        return waited and now_s >= self._retry_from_s

    def may_cancel(self, now_s: float) -> bool:
        return now_s >= self._cancel_from_s and now_s >= self._retry_from_s

    def may_send(self, now_s: float, server_ms: int) -> bool:
        """Requests of any kind are welcome."""
        return now_s >= self._send_from_s and server_ms >= self._send_from_ms

"""Pending requests: keeps the requests that were sent for one exit, and matches replies to them.

Theory of operation. At most one request is open at a time: the next command is decided only after the last request was
answered or has timed out. So two requests never race each other in the exchange's gateway, and the reply to one request
is never taken for the reply to another. If prices change before the reply arrives, only the newest price is used.

Each request has a tag, counted up and never reused; the reply carries the same tag. A request stops being the open one
in one of three ways: its reply arrives, it times out, or the connection is lost. In the last two cases the reply may
still arrive. So the request is remembered together with its orders, and a late reply is applied to these orders as if
it had been in time. The beginning of the next exit clears all remembered requests.
"""

from collections import OrderedDict
from dataclasses import dataclass
from math import inf
from typing import Final

from trailingedge.execution.order import Order
from trailingedge.execution.replace_attempt import ReplaceAttempt
from trailingedge.model.market import BookTop
from trailingedge.model.order_commands import OrderCommand

# A request waits at most seconds for its reply, and an exit sends a few requests a second at most: after 64 more,
# no reply is expected.
_KEPT: Final = 64


@dataclass(slots=True)
class PendingRequest:
    """A sent order command, and the order that it concerns: for a cancel-replace, the old order.

    `attempt` is the replace attempt that the command starts or queries. `top` is the book that the price was computed
    from.
    """

    command: OrderCommand
    sent_s: float
    order: Order
    attempt: ReplaceAttempt | None = None
    top: BookTop | None = None


class PendingRequests:
    """Keeps the open request, and the last few other requests, because their replies may come late."""

    def __init__(self) -> None:
        self.open: PendingRequest | None = None
        self._tags = 0
        self._sent: OrderedDict[int, PendingRequest] = OrderedDict()

    @property
    def next_tag(self) -> int:
        """The tag of the next request, counted from 1."""
        return self._tags + 1

    def register(self, request: PendingRequest) -> OrderCommand:
        """Make `request` the open request, and return its command for the caller to send.

        After this, `next_tag` is a new tag.
        """
        self._tags = request.command.tag
        self.open = request
        self._sent[request.command.tag] = request
        while len(self._sent) > _KEPT:
            self._sent.popitem(last=False)
        return request.command

    def match_reply(self, tag: int) -> tuple[PendingRequest | None, bool]:
        """Find the request with the tag of a reply, and close it if it is open.

        Returns the request and whether it was open. The request is None if it is no longer kept.
        """
        request = self._sent.get(tag)
        in_time = request is not None and request is self.open
        if in_time:
            self.open = None
        return request, in_time

    def attempt_of(self, order: Order) -> ReplaceAttempt | None:
        """Return the attempt whose new order is `order`; None if no request of it is kept."""
        for request in reversed(self._sent.values()):  # nearly always one of the newest
            if request.attempt is not None and request.attempt.new is order:
                return request.attempt
        return None

    def times_out_s(self, timeout_s: float) -> float:
        """Return when the open request will have been open for `timeout_s`; infinity if none is open."""
        return inf if self.open is None else self.open.sent_s + timeout_s

    def expire(self, now_s: float, timeout_s: float) -> PendingRequest | None:
        """Close and return the open request if it has been open for `timeout_s`, else return None."""
        if now_s < self.times_out_s(timeout_s):
            return None
        request, self.open = self.open, None
        return request

    def abandon(self) -> None:
        """Close the open request: the connection is lost. A late reply is still matched to it."""
        self.open = None

    def clear(self) -> None:
        """Forget all sent requests; late replies to them are ignored."""
        self.open = None
        self._sent.clear()

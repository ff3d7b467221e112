"""The requests that were sent for one exit, and the matching of replies to them.

Theory of operation. At most one request is open at a time: the next command is decided only when the reply to the last
one, or its timeout, is there. So two requests never race each other in the exchange's gateway, and one reply can never
be mistaken for another's. Prices that arrive in between wait, and only the newest of them counts.

Each request has a tag, counted up and never reused; the reply carries it back. A request leaves the open place in one
of three ways: its reply arrives; it expires after a timeout; or the connection is lost. In the last two cases the
reply may still come. The request is therefore remembered with the orders that it is about, and a late reply is applied
to them as if it had been in time. Only the beginning of the next exit clears everything.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from trailingedge.execution.order import Order
from trailingedge.model.market import BookTop
from trailingedge.model.order_commands import OrderCommand

# A request waits at most seconds for its reply, and an exit sends a few requests a second at most: after 64 more,
# no reply is expected.
_KEPT: Final = 64


@dataclass(slots=True)
class PendingRequest:
    """An order command that was sent, the order it is about, the order it would add, and the book it was priced by."""

    command: OrderCommand
    sent_s: float
    order: Order
    successor: Order | None = None
    top: BookTop | None = None


class PendingRequests:
    """The open request, and the last few others that a late reply may still belong to."""

    def __init__(self) -> None:
        self.open: PendingRequest | None = None
        self._tags = 0
        self._sent: OrderedDict[int, PendingRequest] = OrderedDict()

    def new_tag(self) -> int:
        """The next tag, counted from 1."""
        self._tags += 1
        return self._tags

    def register(self, request: PendingRequest) -> OrderCommand:
        """Make `request` the open one and return its command, which the caller sends."""
        self.open = request
        self._sent[request.command.tag] = request
        while len(self._sent) > _KEPT:
            self._sent.popitem(last=False)
        return request.command

    def match_reply(self, tag: int) -> tuple[PendingRequest | None, bool]:
        """The request with this tag, None if forgotten, and whether it was the open one, which this then closes."""
        request = self._sent.get(tag)
        in_time = request is not None and request is self.open
        if in_time:
            self.open = None
        return request, in_time

    def expire(self, now_s: float, timeout_s: float) -> PendingRequest | None:
        """The open request, once it has been open for `timeout_s`; it is then no longer open."""
        if self.open is None or now_s - self.open.sent_s < timeout_s:
            return None
        request, self.open = self.open, None
        return request

    def abandon(self) -> None:
        """Close the open request without a reply: the connection is lost. A late reply still finds it."""
        self.open = None

    def clear(self) -> None:
        """Forget all sent requests; late replies to them are ignored."""
        self.open = None
        self._sent.clear()

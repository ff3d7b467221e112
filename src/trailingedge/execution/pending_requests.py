"""Which question is open, and which orders an answer is about, in time or late."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from trailingedge.execution.order import Order
from trailingedge.model.market import BookTop
from trailingedge.model.order_commands import OrderCommand

_KEPT: Final = 64  # beyond this many later requests no answer is expected any more


@dataclass(slots=True)
class PendingRequest:
    """An order command that was sent: the order it is about, the one it would add, the book it was priced by."""

    command: OrderCommand
    sent_s: float
    order: Order
    successor: Order | None = None
    top: BookTop | None = None


class PendingRequests:
    """One request is open at a time; the last few that are not are remembered for late answers."""

    def __init__(self) -> None:
        self.open: PendingRequest | None = None
        self._tags = 0
        self._sent: OrderedDict[int, PendingRequest] = OrderedDict()

    def new_tag(self) -> int:
        self._tags += 1
        return self._tags

    def register(self, request: PendingRequest) -> OrderCommand:
        """`request` is the open one now; its command is to be carried out."""
        self.open = request
        self._sent[request.command.tag] = request
        while len(self._sent) > _KEPT:
            self._sent.popitem(last=False)
        return request.command

    def match_reply(self, tag: int) -> tuple[PendingRequest | None, bool]:
        """The request of this tag, None if forgotten, and whether it was the open one, which it then ends."""
        request = self._sent.get(tag)
        in_time = request is not None and request is self.open
        if in_time:
            self.open = None
        return request, in_time

    def expire(self, now_s: float, patience_s: float) -> PendingRequest | None:
        """The open request once it has been open for `patience_s`: it is open no more."""
        if self.open is None or now_s - self.open.sent_s < patience_s:
            return None
        request, self.open = self.open, None
        return request

    def abandon(self) -> None:
        """The open request will not be answered in time any more."""
        self.open = None

    def clear(self) -> None:
        """Answers to anything sent so far are of no concern any more."""
        self.open = None
        self._sent.clear()

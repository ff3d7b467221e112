"""Outcomes of order requests, as values.

A reply says that a request, or each half of a cancel-replace, was accepted, rejected or not tried.
A request without a reply has the outcome `Unanswered`: the exchange may have carried it out, and
only an execution report or a query can show that. Execution acts on these values; on the order path
no outcome is an exception.
"""

from dataclasses import dataclass
from enum import Enum

from trailingedge.model.market import OrderRecord


class RejectReason(Enum):
    """Why the exchange rejected a request, grouped by what we do next."""

    WOULD_TAKE = "would take"  # −2010: compute a new price
    INSUFFICIENT_BALANCE = "insufficient balance"  # −2010: read the balances again
    DUPLICATE = "duplicate client order id"  # −2010: an order of this id is open: query it
    UNKNOWN_ORDER = "unknown order"  # −2011, −2013: filled, gone, or not seen yet
    CANCEL_RESTRICTED = "cancel restrictions"  # −2011: part-filled, still working
    FILTER = "filter"  # −1013, −1111: nothing changed; read the filters again
    TOO_MANY_ORDERS = "too many orders"  # −1015, −2010 MAX_NUM_ORDERS: wait for the window
    RATE_LIMITED = "rate limited"  # 429, 418, −1003: wait until `retry_at_ms`
    TIMESTAMP = "timestamp"  # −1021: measure the clock again; not executed
    NOT_TRADING = "not trading"  # market closed, trading phase, symbol status, account kept from trading
    BUSY = "busy"  # −1008, or never sent: certainly not executed, try again after a pause
    UNAUTHORIZED = "unauthorized"  # 401, −2014, −2015, −1002, −1193: the session or the key is gone
    BAD_REQUEST = "bad request"  # a mistake of ours: do not send it again unchanged
    OTHER = "other"  # a text this code does not know


@dataclass(frozen=True, slots=True)
class Accepted:
    """The exchange carried out the request. `order` is the order as the reply describes it."""

    order: OrderRecord


@dataclass(frozen=True, slots=True)
class Rejected:
    """The exchange rejected the request.

    If `retry_at_ms` is set, the request may be tried again from that time on, by the exchange's
    clock.
    """

    reason: RejectReason
    code: int
    text: str
    retry_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class NotTried:
    """The exchange did not try this half of a cancel-replace, because the other half failed first."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The outcome is unknown: time-out, lost connection, 5xx, −1000, −1006, −1007, an unreadable reply."""

    reason: str


OrderOutcome = Accepted | Rejected | NotTried | Unanswered


@dataclass(frozen=True, slots=True)
class ReplaceOutcome:
    """The outcomes of the two halves of a cancel-replace. They can differ."""

    cancel: OrderOutcome
    place: OrderOutcome

    @property
    def left_nothing(self) -> bool:
        """Whether the old order was cancelled and no new order was placed."""
        return isinstance(self.cancel, Accepted) and isinstance(self.place, Rejected)

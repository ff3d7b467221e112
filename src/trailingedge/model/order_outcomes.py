"""Outcomes of order requests, as values.

A reply says of each half of a request that it was accepted, rejected or not tried. A request without a reply has an
outcome too, `Unanswered`: it may have been carried out, and only an execution report or a query ends that doubt.
Execution acts on these values; on the order path no outcome is an exception.
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
    """The exchange carried it out; `order` as its reply describes it."""

    order: OrderRecord


@dataclass(frozen=True, slots=True)
class Rejected:
    """The exchange rejected it. `retry_at_ms` is by the exchange's clock."""

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
    """The two halves of a cancel-replace, which can go different ways."""

    cancel: OrderOutcome
    place: OrderOutcome

    @property
    def left_nothing(self) -> bool:
        """The old order is gone and no new one took its place."""
        return isinstance(self.cancel, Accepted) and isinstance(self.place, Rejected)

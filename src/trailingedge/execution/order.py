"""One order of ours: its states, the transition table, and its updates from reports and replies.

Theory of operation. We send an order and it is PENDING_NEW until the exchange reports it. It rests as WORKING. A
cancel, alone or as the first half of a cancel-replace, makes it PENDING_CANCEL; a rejected cancel makes it WORKING
again. It ends FILLED, CANCELED, EXPIRED or REJECTED. The names are FIX's (tag 39), as Binance uses them.

Three sources describe an order: the reply to a request, the execution report of the user data stream, and the
answer to a query. They arrive in any order, late, twice or never. So each is turned into an OrderTrigger and looked
up in TRANSITIONS, and no source is preferred to another:

- If no outcome came back (a timeout, a lost connection, -1006 or -1007), the order is UNKNOWN. It may rest, or it may
  have filled. Only an execution report, a reply or a query ends this state. UNKNOWN is never treated as a rejection,
  because a second order beside a working one could sell the same funds twice.
- An order in a final state ignores late and repeated triggers. Only REJECTED can be left again: if two queries did not
  find an order, we only presume it rejected, and the exchange may report it after all.
- Any other pair of state and trigger that is not in the table raises BrokenInvariant. The program
  does not guess.

The diagram is drawn from TRANSITIONS by `python -m tests.execution.order_diagram`, and a test compares the two:

    PENDING_NEW ─┬─ ACCEPTED, PARTIALLY_FILLED ──> WORKING
                 ├─ FILLED, CANCELED, EXPIRED, REJECTED ──> the final state of that name
                 └─ TIMEOUT ──> UNKNOWN
    WORKING ─┬─ ACCEPTED, PARTIALLY_FILLED, CANCEL_REJECTED ──> WORKING
             ├─ FILLED, CANCELED, EXPIRED ──> the final state of that name
             ├─ CANCEL_SENT ──> PENDING_CANCEL
             └─ TIMEOUT, NOT_FOUND ──> UNKNOWN
    PENDING_CANCEL ─┬─ ACCEPTED, PARTIALLY_FILLED ──> PENDING_CANCEL
                    ├─ FILLED, CANCELED, EXPIRED ──> the final state of that name
                    ├─ CANCEL_REJECTED ──> WORKING
                    └─ NOT_FOUND, TIMEOUT ──> UNKNOWN
    UNKNOWN ─┬─ ACCEPTED, PARTIALLY_FILLED, CANCEL_REJECTED ──> WORKING
             ├─ FILLED, CANCELED, EXPIRED, REJECTED ──> the final state of that name
             └─ NOT_FOUND, TIMEOUT ──> UNKNOWN
    FILLED is final
    CANCELED is final
    EXPIRED is final
    REJECTED ─┬─ ACCEPTED, PARTIALLY_FILLED ──> WORKING
              ├─ FILLED, CANCELED, EXPIRED ──> the final state of that name
              └─ REOPENED ──> UNKNOWN
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Final

from trailingedge.core.errors import BrokenInvariant
from trailingedge.model.market import ZERO, ExecutionReport, ExecutionType, OrderRecord, OrderStatus, Side


class OrderState(Enum):
    """The state of an order, as far as we know."""

    PENDING_NEW = "pending new"
    WORKING = "working"
    PENDING_CANCEL = "pending cancel"
    UNKNOWN = "unknown"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"

    __hash__ = object.__hash__  # as for `Side`

    @property
    def final(self) -> bool:
        """Whether the order is off the book for good."""
        return self in FINAL_STATES


class OrderTrigger(Enum):
    """An event that can change the state of an order. Replies, reports and queries all lead to the same triggers."""

    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    CANCEL_SENT = "cancel sent"
    CANCEL_REJECTED = "cancel rejected or not tried"
    NOT_FOUND = "not found among the open orders"
    TIMEOUT = "no reply"
    REOPENED = "presumed rejected, in question again"

    __hash__ = object.__hash__  # as for `Side`


FINAL_STATES: Final = frozenset({OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED, OrderState.REJECTED})

TRANSITIONS: Final[Mapping[tuple[OrderState, OrderTrigger], OrderState]] = {
    (OrderState.PENDING_NEW, OrderTrigger.ACCEPTED): OrderState.WORKING,
    (OrderState.PENDING_NEW, OrderTrigger.PARTIALLY_FILLED): OrderState.WORKING,
    (OrderState.PENDING_NEW, OrderTrigger.FILLED): OrderState.FILLED,
    (OrderState.PENDING_NEW, OrderTrigger.CANCELED): OrderState.CANCELED,
    (OrderState.PENDING_NEW, OrderTrigger.EXPIRED): OrderState.EXPIRED,
    (OrderState.PENDING_NEW, OrderTrigger.REJECTED): OrderState.REJECTED,
    (OrderState.PENDING_NEW, OrderTrigger.TIMEOUT): OrderState.UNKNOWN,
    (OrderState.WORKING, OrderTrigger.ACCEPTED): OrderState.WORKING,
    (OrderState.WORKING, OrderTrigger.PARTIALLY_FILLED): OrderState.WORKING,
    (OrderState.WORKING, OrderTrigger.FILLED): OrderState.FILLED,
    # The operator may cancel our order by hand on the exchange's page; we place it again.
    (OrderState.WORKING, OrderTrigger.CANCELED): OrderState.CANCELED,
    (OrderState.WORKING, OrderTrigger.EXPIRED): OrderState.EXPIRED,
    (OrderState.WORKING, OrderTrigger.CANCEL_SENT): OrderState.PENDING_CANCEL,
    # A cancel timed out, a query found the order working, and then the late rejection of the cancel arrives.
    (OrderState.WORKING, OrderTrigger.CANCEL_REJECTED): OrderState.WORKING,
    # The connection was lost. Reports of that time are not sent again, so the state has to be queried.
    (OrderState.WORKING, OrderTrigger.TIMEOUT): OrderState.UNKNOWN,
    (OrderState.WORKING, OrderTrigger.NOT_FOUND): OrderState.UNKNOWN,
    (OrderState.PENDING_CANCEL, OrderTrigger.ACCEPTED): OrderState.PENDING_CANCEL,
    (OrderState.PENDING_CANCEL, OrderTrigger.PARTIALLY_FILLED): OrderState.PENDING_CANCEL,
    # The matching engine may fill the order before it reads our cancel.
    (OrderState.PENDING_CANCEL, OrderTrigger.FILLED): OrderState.FILLED,
    (OrderState.PENDING_CANCEL, OrderTrigger.CANCELED): OrderState.CANCELED,
    (OrderState.PENDING_CANCEL, OrderTrigger.EXPIRED): OrderState.EXPIRED,
    (OrderState.PENDING_CANCEL, OrderTrigger.CANCEL_REJECTED): OrderState.WORKING,
    # -2011 "Unknown order sent." says that the order is no longer open, not whether it filled or was cancelled.
    (OrderState.PENDING_CANCEL, OrderTrigger.NOT_FOUND): OrderState.UNKNOWN,
    (OrderState.PENDING_CANCEL, OrderTrigger.TIMEOUT): OrderState.UNKNOWN,
    (OrderState.UNKNOWN, OrderTrigger.ACCEPTED): OrderState.WORKING,
    (OrderState.UNKNOWN, OrderTrigger.PARTIALLY_FILLED): OrderState.WORKING,
    (OrderState.UNKNOWN, OrderTrigger.FILLED): OrderState.FILLED,
    (OrderState.UNKNOWN, OrderTrigger.CANCELED): OrderState.CANCELED,
    (OrderState.UNKNOWN, OrderTrigger.EXPIRED): OrderState.EXPIRED,
    (OrderState.UNKNOWN, OrderTrigger.REJECTED): OrderState.REJECTED,
    (OrderState.UNKNOWN, OrderTrigger.CANCEL_REJECTED): OrderState.WORKING,
    (OrderState.UNKNOWN, OrderTrigger.NOT_FOUND): OrderState.UNKNOWN,
    (OrderState.UNKNOWN, OrderTrigger.TIMEOUT): OrderState.UNKNOWN,
    # We presumed it rejected because queries did not find it. The exchange says otherwise, and it is right.
    (OrderState.REJECTED, OrderTrigger.ACCEPTED): OrderState.WORKING,
    (OrderState.REJECTED, OrderTrigger.PARTIALLY_FILLED): OrderState.WORKING,
    (OrderState.REJECTED, OrderTrigger.FILLED): OrderState.FILLED,
    (OrderState.REJECTED, OrderTrigger.CANCELED): OrderState.CANCELED,
    (OrderState.REJECTED, OrderTrigger.EXPIRED): OrderState.EXPIRED,
    # The order that this one was to replace turned out to be cancelled. Perhaps their cancel-replace was executed after
    # all, and then this order exists.
    (OrderState.REJECTED, OrderTrigger.REOPENED): OrderState.UNKNOWN,
}

# Triggers that a final state ignores: they come late, twice, or from a list that lags behind the matching engine.
# A trigger that would contradict it (FILLED after CANCELED) is not among them.
_IGNORED_WHEN_FINAL: Final = frozenset(
    {
        OrderTrigger.ACCEPTED,
        OrderTrigger.PARTIALLY_FILLED,
        OrderTrigger.REJECTED,
        OrderTrigger.CANCEL_REJECTED,
        OrderTrigger.NOT_FOUND,
        OrderTrigger.TIMEOUT,
    }
)

_TRIGGER_OF_STATUS: Final[Mapping[OrderStatus, OrderTrigger]] = {
    OrderStatus.NEW: OrderTrigger.ACCEPTED,
    OrderStatus.PENDING_NEW: OrderTrigger.ACCEPTED,
    OrderStatus.PARTIALLY_FILLED: OrderTrigger.PARTIALLY_FILLED,
    OrderStatus.FILLED: OrderTrigger.FILLED,
    OrderStatus.CANCELED: OrderTrigger.CANCELED,
    OrderStatus.REJECTED: OrderTrigger.REJECTED,
    OrderStatus.EXPIRED: OrderTrigger.EXPIRED,
    OrderStatus.EXPIRED_IN_MATCH: OrderTrigger.EXPIRED,
}


def next_state(state: OrderState, trigger: OrderTrigger) -> OrderState:
    """Return the state that an order in `state` has after `trigger`.

    A final state ignores late and repeated triggers. Raises BrokenInvariant for any other pair that
    is not in TRANSITIONS.
    """
    following = TRANSITIONS.get((state, trigger))
    if following is not None:
        return following
    if state.final and (trigger in _IGNORED_WHEN_FINAL or state.name == trigger.name):
        return state
    raise BrokenInvariant(f"no transition from order state {state.name} on {trigger.name}")


class Order:
    """One order of ours. `price` is None while the exchange chooses the price (a pegged order).

    `sent_s` is the time at which the order was sent, `unknown_since_s` the time at which it last
    became UNKNOWN.
    """

    __slots__ = (
        "cancel_published",
        "cancel_restricted",
        "client_order_id",
        "filled_quantity",
        "filled_quote",
        "not_found_count",
        "order_id",
        "placed_published",
        "price",
        "quantity",
        "sent_s",
        "side",
        "state",
        "unknown_since_s",
    )

    def __init__(
        self, client_order_id: str, side: Side, price: Decimal | None, quantity: Decimal, sent_s: float
    ) -> None:
        self.client_order_id = client_order_id
        self.side = side
        self.price = price
        self.quantity = quantity
        self.sent_s = sent_s
        self.order_id: int | None = None
        self.state = OrderState.PENDING_NEW
        self.filled_quantity = ZERO
        self.filled_quote = ZERO
        # The exchange refused a cancel-replace: it knows of a fill that we have not seen.
        self.cancel_restricted = False
        self.unknown_since_s = sent_s
        self.not_found_count = 0  # how often in a row a query did not find it
        self.placed_published = False  # OrderPlaced or OrderReplaced was published
        self.cancel_published = False  # OrderCancelled was published

    def __repr__(self) -> str:
        return (
            f"<{self.client_order_id} #{self.order_id} {self.side.value} "
            f"{self.filled_quantity}/{self.quantity} at {self.price}, {self.state.value}>"
        )

    @property
    def remaining(self) -> Decimal:
        """The quantity that is not filled yet."""
        return self.quantity - self.filled_quantity

    @property
    def partially_filled(self) -> bool:
        """Whether a part of the order has filled. The exchange then refuses a cancel-replace but allows a cancel."""
        return self.filled_quantity > ZERO or self.cancel_restricted

    @property
    def alive(self) -> bool:
        """Whether the order is, or might be, on the book."""
        return self.state not in FINAL_STATES

    @property
    def without_order_id(self) -> bool:
        """Whether the exchange has not reported an order id yet."""
        return self.order_id is None

    def apply(self, trigger: OrderTrigger) -> None:
        """Change to the state that follows the present one after `trigger`.

        Raises BrokenInvariant like `next_state`.
        """
        self.state = next_state(self.state, trigger)

    def disown(self) -> None:
        """Remove the order id and the fills: they came from reports of another instance's order."""
        self.order_id = None
        self.filled_quantity = self.filled_quote = ZERO
        self.placed_published = False
        self.state = OrderState.REJECTED

    def mark_unknown(self, now_s: float) -> None:
        """Make the order UNKNOWN unless it is final: no reply came, or the connection was lost."""
        self.apply(OrderTrigger.TIMEOUT)
        self.unknown_since_s = now_s

    def apply_report(self, report: ExecutionReport) -> None:
        """Update the order from an execution report."""
        # The operator may have amended the order by hand, so the report's quantity counts.
        self.quantity = report.quantity
        self._update(report.order_id, report.price, report.filled_quantity, report.filled_quote)
        if report.execution_type is ExecutionType.REJECTED:
            self.apply(OrderTrigger.REJECTED)
        else:
            self.apply(_TRIGGER_OF_STATUS.get(report.status, OrderTrigger.TIMEOUT))

    def apply_record(self, record: OrderRecord) -> None:
        """Update the order from the answer to a request. An ACK, without status, means accepted."""
        price = record.pegged_price or record.price
        if record.quantity > ZERO:
            self.quantity = record.quantity
        self._update(record.order_id, price, record.filled_quantity, record.filled_quote)
        self.apply(
            OrderTrigger.ACCEPTED
            if record.status is None
            else _TRIGGER_OF_STATUS.get(record.status, OrderTrigger.TIMEOUT)
        )

    def _update(self, order_id: int, price: Decimal, quantity: Decimal, quote: Decimal | None) -> None:
        """Set order id, price and filled amounts. A late report with smaller filled amounts does not reduce them."""
        self.not_found_count = 0
        # A rejected order has no id; Binance then sends -1.
        if order_id >= 0:
            self.order_id = order_id
        if price > ZERO:
            self.price = price
        if quantity < self.filled_quantity:
            return  # reports and replies travel on different channels, so an older one may come second
        if quote is not None:
            self.filled_quote = quote
        elif quantity > self.filled_quantity:
            # A reply without the quote sum: it follows from the order's price, which is exactly what a maker gets.
            self.filled_quote = quantity * (self.price or price)
        self.filled_quantity = quantity

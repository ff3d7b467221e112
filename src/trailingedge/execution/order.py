"""One order, its states and its moves.

An order is asked for (IN_FLIGHT), rests (WORKING), is asked to go (CANCELLING) and ends FILLED, CANCELED,
EXPIRED or REFUSED. Whenever nobody answers it is UNKNOWN, until an execution report or the answer to
a query says otherwise; silence is never taken for a refusal. Final states forgive every late or
repeated word; any other move that is not in the table is a broken promise and never guessed at.
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Final

from trailingedge.core.errors import BrokenInvariant
from trailingedge.model.market import ZERO, ExecutionReport, ExecutionType, OrderRecord, OrderStatus, Side


class OrderState(Enum):
    """Where an order is, as far as we know."""

    PENDING_NEW = "in flight"
    WORKING = "working"
    PENDING_CANCEL = "cancelling"
    UNKNOWN = "unknown"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "refused"

    @property
    def final(self) -> bool:
        """The order is off the book for good."""
        return self in FINAL_STATES


class OrderTrigger(Enum):
    """What can happen to an order, by whichever road we hear of it."""

    ACCEPTED = "it rests"
    PARTIALLY_FILLED = "it is filled in part and rests"
    FILLED = "it is filled"
    CANCELED = "it is canceled"
    EXPIRED = "it is expired"
    REJECTED = "it was not taken"
    CANCEL_SENT = "we asked for its cancellation"
    CANCEL_REJECTED = "the cancellation was refused or not tried"
    NOT_FOUND = "the exchange does not know it as open"
    TIMEOUT = "nobody answered"
    REOPENED = "it may have been taken after all"


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
    # The operator may cancel our order by hand; we place it anew.
    (OrderState.WORKING, OrderTrigger.CANCELED): OrderState.CANCELED,
    (OrderState.WORKING, OrderTrigger.EXPIRED): OrderState.EXPIRED,
    (OrderState.WORKING, OrderTrigger.CANCEL_SENT): OrderState.PENDING_CANCEL,
    # A late "not done" of a cancellation that was given up.
    (OrderState.WORKING, OrderTrigger.CANCEL_REJECTED): OrderState.WORKING,
    # The connection was lost: what happened meanwhile was not heard.
    (OrderState.WORKING, OrderTrigger.TIMEOUT): OrderState.UNKNOWN,
    (OrderState.WORKING, OrderTrigger.NOT_FOUND): OrderState.UNKNOWN,
    (OrderState.PENDING_CANCEL, OrderTrigger.ACCEPTED): OrderState.PENDING_CANCEL,
    (OrderState.PENDING_CANCEL, OrderTrigger.PARTIALLY_FILLED): OrderState.PENDING_CANCEL,
    # The matching engine may fill us before it reads our cancel.
    (OrderState.PENDING_CANCEL, OrderTrigger.FILLED): OrderState.FILLED,
    (OrderState.PENDING_CANCEL, OrderTrigger.CANCELED): OrderState.CANCELED,
    (OrderState.PENDING_CANCEL, OrderTrigger.EXPIRED): OrderState.EXPIRED,
    (OrderState.PENDING_CANCEL, OrderTrigger.CANCEL_REJECTED): OrderState.WORKING,
    # "Unknown order" says filled or gone, not which.
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
    # We gave it up as not taken, and it was taken after all: the exchange is right.
    (OrderState.REJECTED, OrderTrigger.ACCEPTED): OrderState.WORKING,
    (OrderState.REJECTED, OrderTrigger.PARTIALLY_FILLED): OrderState.WORKING,
    (OrderState.REJECTED, OrderTrigger.FILLED): OrderState.FILLED,
    (OrderState.REJECTED, OrderTrigger.CANCELED): OrderState.CANCELED,
    (OrderState.REJECTED, OrderTrigger.EXPIRED): OrderState.EXPIRED,
    # The order whose place it wanted was canceled, and not by any later request of ours.
    (OrderState.REJECTED, OrderTrigger.REOPENED): OrderState.UNKNOWN,
}

# What a final state may hear without minding: the late, the repeated and the lagging.
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


def next_state(state: OrderState, heard: OrderTrigger) -> OrderState:
    """Where `heard` leads from `state`. Raises BrokenInvariant for a move that is not in the table."""
    moved = TRANSITIONS.get((state, heard))
    if moved is not None:
        return moved
    if state.final and (heard in _IGNORED_WHEN_FINAL or state.name == heard.name):
        return state
    raise BrokenInvariant(f"an order that is {state.value} cannot hear that {heard.value}")


class Order:
    """One order of ours. `price` is None while the exchange is to choose it (a pegged order).

    `sent_s` is when it was asked for, `doubted_s` when its state was last lost sight of.
    """

    __slots__ = (
        "not_found_count",
        "placed_published",
        "client_order_id",
        "unknown_since_s",
        "filled_quantity",
        "filled_quote",
        "replaces_order_id",
        "order_id",
        "cancel_published",
        "price",
        "quantity",
        "reopened",
        "replaces_price",
        "cancel_restricted",
        "sent_s",
        "side",
        "state",
    )

    def __init__(
        self,
        client_order_id: str,
        side: Side,
        price: Decimal | None,
        quantity: Decimal,
        sent_s: float,
        predecessor: "Order | None" = None,
    ) -> None:
        self.client_order_id = client_order_id
        self.side = side
        self.price = price
        self.quantity = quantity
        self.sent_s = sent_s
        # The order whose place it is to take, by id and price: a reference would chain the whole chase.
        self.replaces_order_id = None if predecessor is None else predecessor.order_id
        self.replaces_price = None if predecessor is None else predecessor.price
        self.order_id: int | None = None
        self.state = OrderState.PENDING_NEW
        self.filled_quantity = ZERO
        self.filled_quote = ZERO
        self.cancel_restricted = False  # the exchange knows it as part-filled, though no report said so yet
        self.unknown_since_s = sent_s
        self.not_found_count = 0  # how often in a row the exchange said that it does not exist
        self.reopened = False  # doubted once more after it had been given up
        self.placed_published = False  # people were told that it rests
        self.cancel_published = False  # … and that it left

    def __repr__(self) -> str:
        return (
            f"<{self.client_order_id} #{self.order_id} {self.side.value} "
            f"{self.filled_quantity}/{self.quantity} at {self.price}, {self.state.value}>"
        )

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled_quantity

    @property
    def partially_filled(self) -> bool:
        """Something of it traded: it can no longer be moved by a cancel-replace."""
        return self.filled_quantity > ZERO or self.cancel_restricted

    @property
    def alive(self) -> bool:
        """It is, or might be, on the book."""
        return not self.state.final

    @property
    def without_order_id(self) -> bool:
        """The exchange has told no order id of it."""
        return self.order_id is None

    def apply(self, heard: OrderTrigger) -> None:
        self.state = next_state(self.state, heard)

    def mark_unknown(self, now_s: float) -> None:
        """Nobody says where it is."""
        self.apply(OrderTrigger.TIMEOUT)
        self.unknown_since_s = now_s

    def apply_report(self, report: ExecutionReport) -> None:
        """An execution report of this order."""
        self.quantity = report.quantity
        self._update(report.order_id, report.price, report.filled_quantity, report.filled_quote)
        if report.execution_type is ExecutionType.REJECTED:
            self.apply(OrderTrigger.REJECTED)
        else:
            self.apply(_TRIGGER_OF_STATUS.get(report.status, OrderTrigger.TIMEOUT))

    def apply_record(self, record: OrderRecord) -> None:
        """An answer that describes this order; an ACK tells only that it was taken."""
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
        """Fills only ever grow: a report that comes late does not take one back."""
        self.not_found_count = 0
        if order_id >= 0:
            self.order_id = order_id
        if price > ZERO:
            self.price = price
        if quantity < self.filled_quantity:
            return
        if quote is not None:
            self.filled_quote = quote
        elif quantity > self.filled_quantity:
            # An unknown quote sum is estimated at the order's own price, which a maker gets.
            self.filled_quote = quantity * (self.price or price)
        self.filled_quantity = quantity

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

    IN_FLIGHT = "in flight"
    WORKING = "working"
    CANCELLING = "cancelling"
    UNKNOWN = "unknown"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REFUSED = "refused"

    @property
    def final(self) -> bool:
        """The order is off the book for good."""
        return self in FINAL_STATES


class OrderTrigger(Enum):
    """What can happen to an order, by whichever road we hear of it."""

    NEW = "it rests"
    PART_FILLED = "it is filled in part and rests"
    FILLED = "it is filled"
    CANCELED = "it is canceled"
    EXPIRED = "it is expired"
    REFUSED = "it was not taken"
    CANCEL_ASKED = "we asked for its cancellation"
    CANCEL_NOT_DONE = "the cancellation was refused or not tried"
    GONE = "the exchange does not know it as open"
    SILENCE = "nobody answered"
    RECALLED = "it may have been taken after all"


FINAL_STATES: Final = frozenset({OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED, OrderState.REFUSED})

TRANSITIONS: Final[Mapping[tuple[OrderState, OrderTrigger], OrderState]] = {
    (OrderState.IN_FLIGHT, OrderTrigger.NEW): OrderState.WORKING,
    (OrderState.IN_FLIGHT, OrderTrigger.PART_FILLED): OrderState.WORKING,
    (OrderState.IN_FLIGHT, OrderTrigger.FILLED): OrderState.FILLED,
    (OrderState.IN_FLIGHT, OrderTrigger.CANCELED): OrderState.CANCELED,
    (OrderState.IN_FLIGHT, OrderTrigger.EXPIRED): OrderState.EXPIRED,
    (OrderState.IN_FLIGHT, OrderTrigger.REFUSED): OrderState.REFUSED,
    (OrderState.IN_FLIGHT, OrderTrigger.SILENCE): OrderState.UNKNOWN,
    (OrderState.WORKING, OrderTrigger.NEW): OrderState.WORKING,
    (OrderState.WORKING, OrderTrigger.PART_FILLED): OrderState.WORKING,
    (OrderState.WORKING, OrderTrigger.FILLED): OrderState.FILLED,
    # The operator may cancel our order by hand; we place it anew.
    (OrderState.WORKING, OrderTrigger.CANCELED): OrderState.CANCELED,
    (OrderState.WORKING, OrderTrigger.EXPIRED): OrderState.EXPIRED,
    (OrderState.WORKING, OrderTrigger.CANCEL_ASKED): OrderState.CANCELLING,
    # A late "not done" of a cancellation that was given up.
    (OrderState.WORKING, OrderTrigger.CANCEL_NOT_DONE): OrderState.WORKING,
    # The connection was lost: what happened meanwhile was not heard.
    (OrderState.WORKING, OrderTrigger.SILENCE): OrderState.UNKNOWN,
    (OrderState.WORKING, OrderTrigger.GONE): OrderState.UNKNOWN,
    (OrderState.CANCELLING, OrderTrigger.NEW): OrderState.CANCELLING,
    (OrderState.CANCELLING, OrderTrigger.PART_FILLED): OrderState.CANCELLING,
    # The matching engine may fill us before it reads our cancel.
    (OrderState.CANCELLING, OrderTrigger.FILLED): OrderState.FILLED,
    (OrderState.CANCELLING, OrderTrigger.CANCELED): OrderState.CANCELED,
    (OrderState.CANCELLING, OrderTrigger.EXPIRED): OrderState.EXPIRED,
    (OrderState.CANCELLING, OrderTrigger.CANCEL_NOT_DONE): OrderState.WORKING,
    # "Unknown order" says filled or gone, not which.
    (OrderState.CANCELLING, OrderTrigger.GONE): OrderState.UNKNOWN,
    (OrderState.CANCELLING, OrderTrigger.SILENCE): OrderState.UNKNOWN,
    (OrderState.UNKNOWN, OrderTrigger.NEW): OrderState.WORKING,
    (OrderState.UNKNOWN, OrderTrigger.PART_FILLED): OrderState.WORKING,
    (OrderState.UNKNOWN, OrderTrigger.FILLED): OrderState.FILLED,
    (OrderState.UNKNOWN, OrderTrigger.CANCELED): OrderState.CANCELED,
    (OrderState.UNKNOWN, OrderTrigger.EXPIRED): OrderState.EXPIRED,
    (OrderState.UNKNOWN, OrderTrigger.REFUSED): OrderState.REFUSED,
    (OrderState.UNKNOWN, OrderTrigger.CANCEL_NOT_DONE): OrderState.WORKING,
    (OrderState.UNKNOWN, OrderTrigger.GONE): OrderState.UNKNOWN,
    (OrderState.UNKNOWN, OrderTrigger.SILENCE): OrderState.UNKNOWN,
    # We gave it up as not taken, and it was taken after all: the exchange is right.
    (OrderState.REFUSED, OrderTrigger.NEW): OrderState.WORKING,
    (OrderState.REFUSED, OrderTrigger.PART_FILLED): OrderState.WORKING,
    (OrderState.REFUSED, OrderTrigger.FILLED): OrderState.FILLED,
    (OrderState.REFUSED, OrderTrigger.CANCELED): OrderState.CANCELED,
    (OrderState.REFUSED, OrderTrigger.EXPIRED): OrderState.EXPIRED,
    # The order whose place it wanted was canceled, and not by any later request of ours.
    (OrderState.REFUSED, OrderTrigger.RECALLED): OrderState.UNKNOWN,
}

# What a final state may hear without minding: the late, the repeated and the lagging.
_FORGIVEN: Final = frozenset(
    {
        OrderTrigger.NEW,
        OrderTrigger.PART_FILLED,
        OrderTrigger.REFUSED,
        OrderTrigger.CANCEL_NOT_DONE,
        OrderTrigger.GONE,
        OrderTrigger.SILENCE,
    }
)

_BY_STATUS: Final[Mapping[OrderStatus, OrderTrigger]] = {
    OrderStatus.NEW: OrderTrigger.NEW,
    OrderStatus.PENDING_NEW: OrderTrigger.NEW,
    OrderStatus.PARTIALLY_FILLED: OrderTrigger.PART_FILLED,
    OrderStatus.FILLED: OrderTrigger.FILLED,
    OrderStatus.CANCELED: OrderTrigger.CANCELED,
    OrderStatus.REJECTED: OrderTrigger.REFUSED,
    OrderStatus.EXPIRED: OrderTrigger.EXPIRED,
    OrderStatus.EXPIRED_IN_MATCH: OrderTrigger.EXPIRED,
}


def next_state(state: OrderState, heard: OrderTrigger) -> OrderState:
    """Where `heard` leads from `state`. Raises BrokenInvariant for a move that is not in the table."""
    moved = TRANSITIONS.get((state, heard))
    if moved is not None:
        return moved
    if state.final and (heard in _FORGIVEN or state.name == heard.name):
        return state
    raise BrokenInvariant(f"an order that is {state.value} cannot hear that {heard.value}")


class Order:
    """One order of ours. `price` is None while the exchange is to choose it (a pegged order).

    `sent_s` is when it was asked for, `doubted_s` when its state was last lost sight of.
    """

    __slots__ = (
        "absences",
        "announced",
        "client_order_id",
        "doubted_s",
        "filled_quantity",
        "filled_quote",
        "in_place_of",
        "order_id",
        "parted",
        "price",
        "quantity",
        "recalled",
        "replaces",
        "restricted",
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
        self.in_place_of = None if predecessor is None else predecessor.order_id
        self.replaces = None if predecessor is None else predecessor.price
        self.order_id: int | None = None
        self.state = OrderState.IN_FLIGHT
        self.filled_quantity = ZERO
        self.filled_quote = ZERO
        self.restricted = False  # the exchange knows it as part-filled, though no report said so yet
        self.doubted_s = sent_s
        self.absences = 0  # how often in a row the exchange said that it does not exist
        self.recalled = False  # doubted once more after it had been given up
        self.announced = False  # people were told that it rests
        self.parted = False  # … and that it left

    def __repr__(self) -> str:
        return (
            f"<{self.client_order_id} #{self.order_id} {self.side.value} "
            f"{self.filled_quantity}/{self.quantity} at {self.price}, {self.state.value}>"
        )

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled_quantity

    @property
    def part_filled(self) -> bool:
        """Something of it traded: it can no longer be moved by a cancel-replace."""
        return self.filled_quantity > ZERO or self.restricted

    @property
    def alive(self) -> bool:
        """It is, or might be, on the book."""
        return not self.state.final

    @property
    def nameless(self) -> bool:
        """The exchange has told no order id of it."""
        return self.order_id is None

    def hear(self, heard: OrderTrigger) -> None:
        self.state = next_state(self.state, heard)

    def doubt(self, now_s: float) -> None:
        """Nobody says where it is."""
        self.hear(OrderTrigger.SILENCE)
        self.doubted_s = now_s

    def hear_report(self, report: ExecutionReport) -> None:
        """An execution report of this order."""
        self.quantity = report.quantity
        self._know(report.order_id, report.price, report.filled_quantity, report.filled_quote)
        if report.execution_type is ExecutionType.REJECTED:
            self.hear(OrderTrigger.REFUSED)
        else:
            self.hear(_BY_STATUS.get(report.status, OrderTrigger.SILENCE))

    def hear_record(self, record: OrderRecord) -> None:
        """An answer that describes this order; an ACK tells only that it was taken."""
        price = record.pegged_price or record.price
        if record.quantity > ZERO:
            self.quantity = record.quantity
        self._know(record.order_id, price, record.filled_quantity, record.filled_quote)
        self.hear(OrderTrigger.NEW if record.status is None else _BY_STATUS.get(record.status, OrderTrigger.SILENCE))

    def _know(self, order_id: int, price: Decimal, quantity: Decimal, quote: Decimal | None) -> None:
        """Fills only ever grow: a report that comes late does not take one back."""
        self.absences = 0
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

"""Order events: report each change of our orders to log, console and alerts. Each event is published once."""

from dataclasses import dataclass
from decimal import Decimal

from trailingedge.model.market import Side
from trailingedge.model.order_outcomes import RejectReason


@dataclass(frozen=True, slots=True)
class OrderPlaced:
    """An order rests on the book."""

    client_order_id: str
    order_id: int
    side: Side
    price: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class OrderReplaced:
    """The order was replaced: it has another price, quantity or order id."""

    client_order_id: str
    order_id: int
    side: Side
    old_price: Decimal
    price: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class OrderFilled:
    """The order filled, in part or in full. `quantity` and `quote` are those of this fill, not of all fills so far."""

    client_order_id: str
    order_id: int
    side: Side
    price: Decimal
    quantity: Decimal
    quote: Decimal
    remaining: Decimal


@dataclass(frozen=True, slots=True)
class OrderCancelled:
    """The order left the book and was not replaced."""

    client_order_id: str
    order_id: int
    side: Side
    price: Decimal
    filled: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class OrderRejected:
    """The exchange rejected a request. `in_a_row` counts rejections in a row for the same reason, from 1."""

    client_order_id: str
    reject_reason: RejectReason
    code: int
    text: str
    in_a_row: int


@dataclass(frozen=True, slots=True)
class OrderInDoubt:
    """A request has no reply, so the order's state is UNKNOWN and is being queried."""

    client_order_id: str
    order_id: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class UnknownOrderWithOurId:
    """An order with our exit's client order id that we did not send: another instance uses this account."""

    client_order_id: str
    order_id: int


OrderEvent = (
    OrderPlaced | OrderReplaced | OrderFilled | OrderCancelled | OrderRejected | OrderInDoubt | UnknownOrderWithOurId
)

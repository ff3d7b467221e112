"""What the chaser did and saw, for log, terminal and alert. Each is told once."""

from dataclasses import dataclass
from decimal import Decimal

from trailingedge.model.market import Side
from trailingedge.model.order_outcomes import RejectReason


@dataclass(frozen=True, slots=True)
class OrderPlaced:
    """An order came to rest on the book."""

    client_order_id: str
    order_id: int
    side: Side
    price: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class OrderReplaced:
    """The order moved to another price, quantity or id."""

    client_order_id: str
    order_id: int
    side: Side
    old_price: Decimal
    price: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class OrderFilled:
    """Some of the order traded; `remaining` zero when it is done. `quantity` and `quote` are the news."""

    client_order_id: str
    order_id: int
    side: Side
    price: Decimal
    quantity: Decimal
    quote: Decimal
    remaining: Decimal


@dataclass(frozen=True, slots=True)
class OrderCancelled:
    """The order left the book without being replaced."""

    client_order_id: str
    order_id: int
    side: Side
    price: Decimal
    filled: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class OrderRejected:
    """The exchange said no. `again` counts refusals in a row for the same reason, from 1."""

    client_order_id: str
    reject_reason: RejectReason
    code: int
    text: str
    in_a_row: int


@dataclass(frozen=True, slots=True)
class OrderInDoubt:
    """Nobody answered: whether the order rests is being asked."""

    client_order_id: str
    order_id: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class UnknownOrderWithOurId:
    """An order that bears our exit's id and answers no request of ours: somebody else runs on this account."""

    client_order_id: str
    order_id: int


OrderEvent = (
    OrderPlaced | OrderReplaced | OrderFilled | OrderCancelled | OrderRejected | OrderInDoubt | UnknownOrderWithOurId
)

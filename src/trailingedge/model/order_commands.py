"""What the chaser asks to be carried out, and what comes back.

Each order command carries a `tag` that its answer brings back, also when it comes late.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from trailingedge.model.market import ExecutionReport, OrderRecord, Side
from trailingedge.model.order_outcomes import OrderOutcome, Rejected, ReplaceOutcome, Unanswered


@dataclass(frozen=True, slots=True)
class Place:
    """A new order: post-only, or the one taker escape. `price` None: pegged to our side of the book."""

    tag: int
    client_order_id: str
    side: Side
    price: Decimal | None
    quantity: Decimal
    escape: bool = False


@dataclass(frozen=True, slots=True)
class Replace:
    """Cancel the order `order_id` if nothing of it is filled, and only then place another."""

    tag: int
    order_id: int
    client_order_id: str
    side: Side
    price: Decimal | None
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Cancel:
    """Take one order from the book."""

    tag: int
    order_id: int
    client_order_id: str


@dataclass(frozen=True, slots=True)
class QueryOrder:
    """Ask for one order: by order id, or by client order id where no order id was ever known."""

    tag: int
    order_id: int | None
    client_order_id: str


@dataclass(frozen=True, slots=True)
class QueryOrdersFrom:
    """Ask for all orders from `order_id` on; the answer is filtered by `client_order_id`."""

    tag: int
    order_id: int
    client_order_id: str


class Refresh(Enum):
    """What must be read again before trying again."""

    BALANCES = "balances"
    RULES = "rules"
    CLOCK = "clock"


OrderCommand = Place | Replace | Cancel | QueryOrder | QueryOrdersFrom
ExecutionCommand = OrderCommand | Refresh


@dataclass(frozen=True, slots=True)
class OrderReply:
    """The answer to a Place, Cancel or QueryOrder."""

    tag: int
    outcome: OrderOutcome


@dataclass(frozen=True, slots=True)
class ReplaceReply:
    """The answer to a Replace."""

    tag: int
    outcome: ReplaceOutcome


ListedOrders = tuple[OrderRecord, ...] | Rejected | Unanswered
"""Orders of our id, oldest first, or why there are none to show."""


@dataclass(frozen=True, slots=True)
class OrdersListed:
    """The answer to a QueryOrdersFrom."""

    tag: int
    orders: ListedOrders


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The account is logged on again: all open orders of the symbol, anybody's, as they were asked for then."""

    open_orders: tuple[OrderRecord, ...]


OrderInput = OrderReply | ReplaceReply | OrdersListed | Reconciled | ExecutionReport

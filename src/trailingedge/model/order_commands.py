"""Order commands of execution, and the replies to them.

Each command has a `tag`, and its reply has the same one. The tag shows when a late reply belongs to a command that
execution no longer waits for; such a reply is ignored.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from trailingedge.model.market import ExecutionReport, OrderRecord, Side
from trailingedge.model.order_outcomes import OrderOutcome, Rejected, ReplaceOutcome, Unanswered


@dataclass(frozen=True, slots=True)
class Place:
    """Place a post-only order, or a taker order if `escape` is set.

    If `price` is None, the exchange pegs the order to the best price of our side of the book.
    """

    tag: int
    client_order_id: str
    side: Side
    price: Decimal | None
    quantity: Decimal
    escape: bool = False


@dataclass(frozen=True, slots=True)
class Replace:
    """Cancel the order `order_id` if nothing of it is filled, and only then place another.

    The two halves can end differently: see `order_outcomes.ReplaceOutcome`.
    """

    tag: int
    order_id: int
    client_order_id: str
    side: Side
    price: Decimal | None
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel one order."""

    tag: int
    order_id: int
    client_order_id: str


@dataclass(frozen=True, slots=True)
class QueryOrder:
    """Query one order by its order id, or by its client order id if `order_id` is None."""

    tag: int
    order_id: int | None
    client_order_id: str


@dataclass(frozen=True, slots=True)
class QueryOrdersFrom:
    """Query all orders from `order_id` on.

    The reply is filtered: it has only the orders with `client_order_id`.
    """

    tag: int
    order_id: int
    client_order_id: str


class Refresh(Enum):
    """Data that must be read again before an order is tried again."""

    BALANCES = "balances"
    RULES = "rules"
    CLOCK = "clock"


OrderCommand = Place | Replace | Cancel | QueryOrder | QueryOrdersFrom
ExecutionCommand = OrderCommand | Refresh


@dataclass(frozen=True, slots=True)
class OrderReply:
    """The reply to a Place, Cancel or QueryOrder."""

    tag: int
    outcome: OrderOutcome


@dataclass(frozen=True, slots=True)
class ReplaceReply:
    """The reply to a Replace."""

    tag: int
    outcome: ReplaceOutcome


ListedOrders = tuple[OrderRecord, ...] | Rejected | Unanswered
"""Orders of our id, oldest first, or why the query has none."""


@dataclass(frozen=True, slots=True)
class OrdersListed:
    """The reply to a QueryOrdersFrom."""

    tag: int
    orders: ListedOrders


@dataclass(frozen=True, slots=True)
class Reconciled:
    """All open orders of the symbol, ours and others, queried after a new logon."""

    open_orders: tuple[OrderRecord, ...]


OrderInput = OrderReply | ReplaceReply | OrdersListed | Reconciled | ExecutionReport

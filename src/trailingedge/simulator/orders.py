"""What can be asked of the exchange, and what it keeps of it: orders and trades."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from trailingedge.model.market import ZERO, OrderStatus, Side


class OrderType(Enum):
    LIMIT = "LIMIT"
    LIMIT_MAKER = "LIMIT_MAKER"
    MARKET = "MARKET"


class TimeInForce(Enum):
    GTC = "GTC"  # until cancelled
    IOC = "IOC"  # what can be had at once
    FOK = "FOK"  # all at once or nothing


class CancelRestriction(Enum):
    """Which state an order must be in to be cancelled."""

    ONLY_NEW = "ONLY_NEW"
    ONLY_PARTIALLY_FILLED = "ONLY_PARTIALLY_FILLED"

    def allows(self, status: OrderStatus) -> bool:
        needed = OrderStatus.NEW if self is CancelRestriction.ONLY_NEW else OrderStatus.PARTIALLY_FILLED
        return status is needed


@dataclass(frozen=True, slots=True)
class Peg:
    """Price the order by the book at entry: the best of its own side, `levels` deeper."""

    price_type: str = "PRIMARY_PEG"
    levels: int | None = None


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A placement as asked for. `quantity` or `quote_quantity` is None (both kinds exist for MARKET only);
    `price` may be None for MARKET and pegged orders.
    """

    side: Side
    type: OrderType
    quantity: Decimal | None = None
    price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    quote_quantity: Decimal | None = None
    client_order_id: str | None = None
    peg: Peg | None = None
    strategy_id: int | None = None
    strategy_type: int | None = None


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """A cancel as asked for: one of the ids is given, or both and then both must fit."""

    order_id: int | None = None
    orig_client_order_id: str | None = None
    cancel_id: str | None = None
    restriction: CancelRestriction | None = None


@dataclass(slots=True, eq=False)
class SimOrder:
    """One order of one account, from its acceptance to its end.

    `queue_ahead` is the volume of others before it at its price, None until the others' best has stood
    there. `by_hand`: placed by the account's owner himself, not through a session.
    """

    order_id: int
    client_order_id: str
    account: str
    request: NewOrder
    price: Decimal  # where it works: as sent, or as the peg found it; zero for MARKET
    quantity: Decimal
    created_ms: int
    is_manual: bool = False
    status: OrderStatus = OrderStatus.NEW
    filled: Decimal = ZERO
    filled_quote: Decimal = ZERO
    working_ms: int = -1
    updated_ms: int = 0
    expiry_reason: str | None = None
    queue_ahead: Decimal | None = ZERO

    @property
    def side(self) -> Side:
        return self.request.side

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def locked(self) -> Decimal:
        """What the order still holds back, in the asset it sells."""
        return self.remaining * self.price if self.side is Side.BUY else self.remaining


@dataclass(frozen=True, slots=True)
class SimTrade:
    """One fill of one order, from that order's side."""

    trade_id: int
    order_id: int
    side: Side
    price: Decimal
    quantity: Decimal
    commission: Decimal
    commission_asset: str
    time_ms: int
    is_maker: bool

    @property
    def quote_volume(self) -> Decimal:
        return self.price * self.quantity

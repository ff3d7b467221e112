"""Orders and trades of the simulated exchange: the requests to place and cancel, and the records kept of them."""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Final

from trailingedge.model.market import ZERO, OrderStatus, Side


class OrderType(Enum):
    """The modelled order types."""

    LIMIT = "LIMIT"
    LIMIT_MAKER = "LIMIT_MAKER"
    MARKET = "MARKET"


class TimeInForce(Enum):
    """How long an order stays active."""

    GTC = "GTC"  # good till cancelled
    IOC = "IOC"  # immediate or cancel: the remainder expires
    FOK = "FOK"  # fill or kill: in full at once, or not at all


class SelfTradeMode(Enum):
    """`selfTradePreventionMode`: what happens in place of a trade between two orders of one account.

    The mode of the taker order applies. Live symbols list these five modes, in this order, and not NONE.
    """

    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"
    DECREMENT = "DECREMENT"  # both lose what they would have traded; the one with nothing left expires
    TRANSFER = "TRANSFER"  # DECREMENT, unless the accounts differ and belong to one trade group

    @property
    def expires_taker(self) -> bool:
        return self in {SelfTradeMode.EXPIRE_TAKER, SelfTradeMode.EXPIRE_BOTH}

    @property
    def expires_maker(self) -> bool:
        return self in {SelfTradeMode.EXPIRE_MAKER, SelfTradeMode.EXPIRE_BOTH}

    @property
    def decrements(self) -> bool:
        return self in {SelfTradeMode.DECREMENT, SelfTradeMode.TRANSFER}


DEFAULT_SELF_TRADE_MODE: Final = SelfTradeMode.EXPIRE_MAKER


class CancelRestriction(Enum):
    """`cancelRestrictions`: the state that an order must be in to be cancelled."""

    ONLY_NEW = "ONLY_NEW"
    ONLY_PARTIALLY_FILLED = "ONLY_PARTIALLY_FILLED"

    def allows(self, status: OrderStatus) -> bool:
        """Whether an order with that status may be cancelled."""
        needed = OrderStatus.NEW if self is CancelRestriction.ONLY_NEW else OrderStatus.PARTIALLY_FILLED
        return status is needed


@dataclass(frozen=True, slots=True)
class Peg:
    """Prices an order at the best price of its side when it is placed. An offset (`levels`) is rejected."""

    price_type: str = "PRIMARY_PEG"
    levels: int | None = None


@dataclass(frozen=True, slots=True)
class NewOrder:
    """The parameters of a placement.

    Exactly one of `quantity` and `quote_quantity` is given, the latter only for MARKET. `price` is None for MARKET
    and may be None for pegged orders.
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
    self_trade_mode: SelfTradeMode = DEFAULT_SELF_TRADE_MODE


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """The parameters of a cancel. The order is named by either of its two ids or by both.

    If both ids are given, both must match.
    """

    # An order id is unique for ever; a client order id only among open orders.
    order_id: int | None = None
    orig_client_order_id: str | None = None
    cancel_id: str | None = None
    restriction: CancelRestriction | None = None


@dataclass(frozen=True, slots=True)
class AmendOrder:
    """The parameters of an amendment. The order is named by either of its two ids or by both."""

    new_quantity: Decimal
    order_id: int | None = None
    orig_client_order_id: str | None = None
    new_client_order_id: str | None = None


@dataclass(frozen=True, slots=True)
class Amendment:
    """One amendment of an order: what it changed, and the id of its execution report."""

    execution_id: int
    orig_client_order_id: str
    new_client_order_id: str
    orig_quantity: Decimal
    new_quantity: Decimal
    time_ms: int


@dataclass(frozen=True, slots=True)
class PreventedMatch:
    """A trade between two orders of one account that was prevented.

    `taker_quantity` and `maker_quantity` are what each order lost by it; None for an order that lost nothing.
    """

    match_id: int
    taker_order_id: int
    maker_order_id: int
    price: Decimal
    quantity: Decimal  # that would have been traded
    taker_quantity: Decimal | None
    maker_quantity: Decimal | None
    mode: SelfTradeMode
    time_ms: int


@dataclass(slots=True, eq=False)
class SimOrder:
    """One order of one account, from its acceptance on.

    `queue_ahead` is the market's volume ahead of the order at its price. It is None (unknown) until
    the market's best price has stood at that price. `is_manual` means that the account's owner
    placed the order (`ManualTrader`), not a session. `prevented` is the quantity lost to self-trade
    prevention. `prevented_as_taker` lists the prevented trades in which this order was the taker.
    """

    order_id: int
    client_order_id: str
    account: str
    request: NewOrder
    price: Decimal  # the working price: as sent, or as the peg set it; zero for MARKET
    quantity: Decimal
    created_ms: int
    is_manual: bool = False
    status: OrderStatus = OrderStatus.NEW
    filled: Decimal = ZERO
    filled_quote: Decimal = ZERO
    working_ms: int = -1
    updated_ms: int = 0
    expiry_reason: str | None = None
    prevented: Decimal = ZERO
    prevented_match_id: int | None = None  # of the newest
    prevented_as_taker: list[PreventedMatch] = field(default_factory=list)
    # Zero until the order rests; the book sets it when it joins the queue.
    queue_ahead: Decimal | None = ZERO
    amendments: tuple[Amendment, ...] = ()  # oldest first

    @property
    def side(self) -> Side:
        return self.request.side

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled - self.prevented

    @property
    def locked(self) -> Decimal:
        """The amount still locked for the order, in the asset it sells."""
        return self.remaining * self.price if self.side is Side.BUY else self.remaining


@dataclass(frozen=True, slots=True)
class SimTrade:
    """One fill of one order. A trade between two accounts makes two fills with one trade id."""

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

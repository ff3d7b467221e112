"""Market and account values: sides, regimes, books, klines, balances, filters, reports, fills.

Prices are quote per base, quantities base, notionals quote; all of them `Decimal`, never float.
Times are milliseconds since 1970, UTC, by the exchange's clock.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import Enum
from functools import lru_cache
from typing import Final

from trailingedge.core.time_units import DAY_MS

ZERO: Final = Decimal(0)
SIZE_FILTERS: Final = ("LOT_SIZE", "NOTIONAL")  # the filters that a remainder too small to trade fails


class Side(Enum):
    """The direction of an order."""

    BUY = "BUY"
    SELL = "SELL"

    __hash__ = object.__hash__  # for code that runs at every tick: Enum's own hash costs five times as much

    @property
    def opposite(self) -> "Side":
        return Side.SELL if self is Side.BUY else Side.BUY


class Regime(Enum):
    """Which of the two assets we hold.

    `is_base` is for code that runs at every tick: on CPython 3.11 `Regime.BASE` costs ten times as much.
    """

    BASE = "BASE"
    QUOTE = "QUOTE"

    def __init__(self, asset: str) -> None:
        self.is_base = asset == "BASE"
        self.exit_side = Side.SELL if self.is_base else Side.BUY  # of an exit from this asset

    __hash__ = object.__hash__  # as for `Side`

    @property
    def other(self) -> "Regime":
        return Regime.QUOTE if self.is_base else Regime.BASE


class OrderStatus(Enum):
    """The exchange's order states; UNRECOGNIZED for a state that this code does not know."""

    NEW = "NEW"
    PENDING_NEW = "PENDING_NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    PENDING_CANCEL = "PENDING_CANCEL"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"
    UNRECOGNIZED = "UNRECOGNIZED"

    __hash__ = object.__hash__  # as for `Side`

    @property
    def final(self) -> bool:
        """Whether an order of this status cannot change any more."""
        return self in FINAL_STATUSES


FINAL_STATUSES: Final = frozenset(
    {
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.REJECTED,
        OrderStatus.EXPIRED,
        OrderStatus.EXPIRED_IN_MATCH,
    }
)


class ExecutionType(Enum):
    """Why an execution report was sent; UNRECOGNIZED for a reason this code does not know."""

    NEW = "NEW"
    CANCELED = "CANCELED"
    REPLACED = "REPLACED"
    REJECTED = "REJECTED"
    TRADE = "TRADE"
    EXPIRED = "EXPIRED"
    TRADE_PREVENTION = "TRADE_PREVENTION"
    UNRECOGNIZED = "UNRECOGNIZED"


@dataclass(slots=True, unsafe_hash=True)
class BookTop:
    """Best bid and best ask. Raises ValueError for a crossed, locked or non-positive book.

    It is never changed. It is not frozen, because each frame of the market creates one, and a frozen dataclass takes
    more than twice as long.
    """

    bid: Decimal
    ask: Decimal
    bid_quantity: Decimal = ZERO
    ask_quantity: Decimal = ZERO
    update_id: int = 0

    def __post_init__(self) -> None:
        if not (ZERO < self.bid < self.ask):
            raise ValueError(f"not a book: bid {self.bid}, ask {self.ask}")
        if not (self.bid_quantity >= ZERO and self.ask_quantity >= ZERO):
            raise ValueError(f"not a book: quantities {self.bid_quantity}, {self.ask_quantity}")

    @property
    def mid(self) -> Decimal:
        return (self.bid + self.ask) / 2

    @property
    def spread(self) -> Decimal:
        return self.ask - self.bid

    def best(self, side: Side) -> Decimal:
        """Return the best price of one side: the bid for BUY, the ask for SELL."""
        return self.bid if side is Side.BUY else self.ask


LONGEST_KLINE_MS: Final = 31 * DAY_MS  # the exchange's longest interval is a month


@dataclass(frozen=True, slots=True)
class Kline:
    """Open, high, low, close and volume of one interval. Raises ValueError when they contradict each other."""

    open_ms: int
    close_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO
    closed: bool = True

    def __post_init__(self) -> None:
        if not (ZERO < self.low <= min(self.open, self.close) <= max(self.open, self.close) <= self.high):
            raise ValueError(f"not a kline: o {self.open} h {self.high} l {self.low} c {self.close}")
        if not self.open_ms <= self.close_ms < self.open_ms + LONGEST_KLINE_MS:
            raise ValueError(f"not a kline: opens {self.open_ms}, closes {self.close_ms}")


@dataclass(frozen=True, slots=True)
class Balance:
    """The account's balance of one asset: `free` to use, `locked` in open orders."""

    asset: str
    free: Decimal
    locked: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        return self.free + self.locked


@dataclass(frozen=True, slots=True)
class SymbolRules:
    """Assets and filters of the traded symbol. A maximum that the exchange does not set is None.

    `tick_size` and `step_size` are positive. The multipliers, if set, give price limits as
    multiples of a reference price.
    """

    symbol: str
    base_asset: str
    quote_asset: str
    tick_size: Decimal
    step_size: Decimal
    min_quantity: Decimal = ZERO
    max_quantity: Decimal | None = None
    min_price: Decimal = ZERO
    max_price: Decimal | None = None
    min_notional: Decimal = ZERO
    max_notional: Decimal | None = None
    bid_multiplier_up: Decimal | None = None
    bid_multiplier_down: Decimal | None = None
    ask_multiplier_up: Decimal | None = None
    ask_multiplier_down: Decimal | None = None
    status: str = "TRADING"
    peg_allowed: bool = False

    @property
    def trading(self) -> bool:
        return self.status == "TRADING"

    def failed_filter(self, price: Decimal, quantity: Decimal) -> str | None:
        """Return the first filter that an order of this price and quantity fails, else None."""
        if price < self.min_price or (self.max_price is not None and price > self.max_price) or price % self.tick_size:
            return "PRICE_FILTER"
        if quantity < self.min_quantity or quantity <= ZERO or quantity % self.step_size:
            return "LOT_SIZE"
        if self.max_quantity is not None and quantity > self.max_quantity:
            return "LOT_SIZE"
        notional = price * quantity
        if notional < self.min_notional or (self.max_notional is not None and notional > self.max_notional):
            return "NOTIONAL"
        return None

    def percent_bounds(self, side: Side, reference: Decimal) -> tuple[Decimal, Decimal | None]:
        """Return the lowest and highest price that the percent-price filter allows.

        Without a lower bound the first is 0; without an upper bound the second is None.
        """
        if side is Side.BUY:
            down, up = self.bid_multiplier_down, self.bid_multiplier_up
        else:
            down, up = self.ask_multiplier_down, self.ask_multiplier_up
        low = ZERO if down is None else reference * down
        return low, None if up is None else reference * up


@dataclass(frozen=True, slots=True)
class ExecutionReport:
    """One change of one order, from the user data stream.

    `client_order_id` is always that of the order. The exchange's message on a cancel also has an id
    of the cancel request, which is left out. `filled_quantity` and `filled_quote` are cumulative;
    the `last_*` fields are those of this fill.
    """

    symbol: str
    side: Side
    order_type: str
    client_order_id: str
    order_id: int
    execution_type: ExecutionType
    status: OrderStatus
    price: Decimal
    quantity: Decimal
    filled_quantity: Decimal
    filled_quote: Decimal
    time_ms: int
    event_ms: int
    execution_id: int
    trade_id: int = -1
    last_price: Decimal = ZERO
    last_quantity: Decimal = ZERO
    last_quote: Decimal = ZERO
    commission: Decimal = ZERO
    commission_asset: str | None = None
    is_maker: bool = False
    reject_reason: str = "NONE"


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """One order, as described by the reply to a placement, a cancel or a query.

    `status` is None if the reply has no status (an ACK). `filled_quote` is None if the exchange
    does not know it. `time_ms` is the time of the last change. `created_ms` is None except in the
    reply to a query.
    """

    order_id: int
    client_order_id: str
    side: Side | None
    status: OrderStatus | None
    price: Decimal
    quantity: Decimal
    filled_quantity: Decimal
    filled_quote: Decimal | None
    time_ms: int
    order_type: str = ""
    pegged_price: Decimal | None = None
    created_ms: int | None = None

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled_quantity


@dataclass(frozen=True, slots=True)
class AccountTrade:
    """One fill of the account, from the trade list."""

    trade_id: int
    order_id: int
    side: Side
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    commission: Decimal
    commission_asset: str
    time_ms: int
    is_maker: bool


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One of the exchange's rate limits and, where known, how much of it is used in the current window."""

    kind: str  # "REQUEST_WEIGHT", "ORDERS", "CONNECTIONS", …
    interval_s: int
    limit: int
    count: int | None = None


def floor_to_step(quantity: Decimal, step_size: Decimal) -> Decimal:
    """Return the largest multiple of `step_size` that is not above `quantity`."""
    # Most quantities are on the grid already: this saves three Decimal operations on every order.
    if not quantity % step_size:
        return quantity
    return (quantity / step_size).to_integral_value(rounding=ROUND_FLOOR) * step_size


def round_to_passive_tick(price: Decimal, side: Side, tick_size: Decimal) -> Decimal:
    """Round `price` to a tick: down for a BUY and up for a SELL, so that it does not take."""
    if not price % tick_size:
        return price
    # Rounded towards the other side of the book, a post-only order might be rejected for taking.
    away = ROUND_FLOOR if side is Side.BUY else ROUND_CEILING
    return (price / tick_size).to_integral_value(rounding=away) * tick_size


def format_plain(number: Decimal) -> str:
    """Return `number` as text that the exchange accepts.

    The text has digits and at most one dot, no exponent and no padding.
    """
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_on_grid(number: Decimal, grid: Decimal) -> str:
    """Return `number` with the decimals of `grid`, for people: 2501.5 on 0.01 is "2501.50".

    Rounds half to even.
    """
    return f"{number:.{_decimals(grid)}f}"


@lru_cache(maxsize=64)
def _decimals(grid: Decimal) -> int:
    exponent = grid.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0

"""Builders for books, rules, reports and records, with defaults for what a test does not care about."""

from dataclasses import replace
from decimal import Decimal

from trailingedge.model.intent import ExitKind, OrderIntent
from trailingedge.model.market import (
    ZERO,
    BookTop,
    ExecutionReport,
    ExecutionType,
    OrderRecord,
    OrderStatus,
    RateLimit,
    Side,
    SymbolRules,
)
from trailingedge.model.order_outcomes import Rejected, RejectReason
from trailingedge.model.pricing_mode import Pricing

NUMBER = 1_783_000_000_000
"""The number of the exit in most tests."""

D = Decimal

RULES = SymbolRules(
    symbol="ETHFDUSD",
    base_asset="ETH",
    quote_asset="FDUSD",
    tick_size=D("0.01"),
    step_size=D("0.0001"),
    min_quantity=D("0.0001"),
    min_price=D("0.01"),
    max_price=D("1000000"),
    min_notional=D("5"),
)

TEN_SECONDS = RateLimit("ORDERS", 10, 100)


def top(bid: str, ask: str, bid_quantity: str = "5", ask_quantity: str = "5") -> BookTop:
    return BookTop(D(bid), D(ask), D(bid_quantity), D(ask_quantity))


def order_intent(
    side: Side = Side.SELL,
    funds: str | Decimal = "1",
    pricing: Pricing = Pricing.IMPROVE,
    kind: ExitKind = ExitKind.TAKE_PROFIT,
    number: int = NUMBER,
) -> OrderIntent:
    return OrderIntent(side, D(funds), pricing, kind, number)


def own(kind: ExitKind = ExitKind.TAKE_PROFIT, number: int = NUMBER) -> str:
    """The client order id that the exit `number` gives its orders of that kind."""
    digits, rest = "", number
    while rest:
        rest, digit = divmod(rest, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return f"TE-{kind.value}-{digits}"


def record(
    order_id: int,
    price: str | Decimal = "100.09",
    quantity: str | Decimal = "1",
    filled: str | Decimal = "0",
    status: OrderStatus | None = OrderStatus.NEW,
    *,
    client_order_id: str | None = None,
    side: Side = Side.SELL,
    quote: Decimal | None = None,
    time_ms: int = 1000,
    pegged_price: Decimal | None = None,
) -> OrderRecord:
    """What an answer says of one order. Its fills were made at its own price unless `quote` says otherwise."""
    return OrderRecord(
        order_id=order_id,
        client_order_id=own() if client_order_id is None else client_order_id,
        side=side,
        status=status,
        price=D(price),
        quantity=D(quantity),
        filled_quantity=D(filled),
        filled_quote=D(filled) * D(price) if quote is None else quote,
        time_ms=time_ms,
        order_type="LIMIT_MAKER",
        pegged_price=pegged_price,
    )


def acknowledged(order_id: int, client_order_id: str | None = None) -> OrderRecord:
    """An ACK: the order was taken, and not a word more."""
    bare = record(order_id, "0", "0", status=None, client_order_id=client_order_id)
    return replace(bare, side=None, filled_quote=None, order_type="")


def report(
    order_id: int,
    price: str | Decimal = "100.09",
    quantity: str | Decimal = "1",
    filled: str | Decimal = "0",
    status: OrderStatus = OrderStatus.NEW,
    *,
    client_order_id: str | None = None,
    side: Side = Side.SELL,
    quote: Decimal | None = None,
    time_ms: int = 1000,
    execution_id: int = 1,
    reason: ExecutionType | None = None,
) -> ExecutionReport:
    """One execution report. Its fills were made at its own price unless `quote` says otherwise."""
    traded = {OrderStatus.PARTIALLY_FILLED, OrderStatus.FILLED}
    usual = ExecutionType.TRADE if status in traded else ExecutionType(status.value)
    return ExecutionReport(
        symbol=RULES.symbol,
        side=side,
        order_type="LIMIT_MAKER",
        client_order_id=own() if client_order_id is None else client_order_id,
        order_id=order_id,
        execution_type=reason or usual,
        status=status,
        price=D(price),
        quantity=D(quantity),
        filled_quantity=D(filled),
        filled_quote=D(filled) * D(price) if quote is None else quote,
        time_ms=time_ms,
        event_ms=time_ms,
        execution_id=execution_id,
        is_maker=D(filled) > ZERO,
    )


def rejection(refusal: RejectReason, code: int = -2010, retry_at_ms: int | None = None) -> Rejected:
    return Rejected(refusal, code, refusal.value, retry_at_ms)

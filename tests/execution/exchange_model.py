"""A small model of an exchange, to run the maker exit against.

It knows one symbol, one account and the orders that the maker exit can send. It is written from the exchange's
documentation and shares nothing with the embedded exchange or with the code it judges: it keeps its own
ledger, and it raises the moment two orders of ours are open or more is sold than there was.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from tests.execution.order_builders import RULES

from trailingedge.model.market import (
    ZERO,
    BookTop,
    ExecutionReport,
    ExecutionType,
    OrderRecord,
    OrderStatus,
    Side,
    floor_to_step,
)
from trailingedge.model.order_commands import (
    Cancel,
    OrderCommand,
    OrderInput,
    OrderReply,
    OrdersListed,
    Place,
    QueryOrder,
    QueryOrdersFrom,
    Replace,
    ReplaceReply,
)
from trailingedge.model.order_outcomes import (
    Accepted,
    NotTried,
    OrderOutcome,
    Rejected,
    RejectReason,
    ReplaceOutcome,
    Unanswered,
)

TICK = RULES.tick_size


class Breach(Exception):
    """The maker exit did what it must never do."""


@dataclass(slots=True)
class ModelOrder:
    """An order in the exchange's own books."""

    order_id: int
    client_order_id: str
    side: Side
    price: Decimal
    quantity: Decimal
    escape: bool
    filled: Decimal = ZERO
    quote: Decimal = ZERO
    status: OrderStatus = OrderStatus.NEW
    history: list[tuple[int, OrderRecord]] = field(default_factory=list)

    @property
    def open(self) -> bool:
        return not self.status.final

    @property
    def rest(self) -> Decimal:
        return self.quantity - self.filled

    def takes(self, book: BookTop) -> bool:
        return self.price >= book.ask if self.side is Side.BUY else self.price <= book.bid

    def as_of(self, time_ms: int) -> OrderRecord | None:
        """What a reader sees who lags behind; None before the order came."""
        return next((record for changed_ms, record in reversed(self.history) if changed_ms <= time_ms), None)


@dataclass(frozen=True, slots=True)
class BalancesNow:
    """Free and locked of both assets, absolute, as of `time_ms`."""

    base_free: Decimal
    base_locked: Decimal
    quote_free: Decimal
    quote_locked: Decimal
    time_ms: int


class ModelExchange:
    """`others` is the book without us. Every change appends to `pushed`, in order."""

    def __init__(self, others: BookTop, base: Decimal, quote: Decimal, reserve: Decimal) -> None:
        self.others = others
        self.base = base
        self.quote = quote
        self.reserve = reserve
        self.now_ms = 1_783_000_000_000
        self.orders: dict[int, ModelOrder] = {}
        self.pushed: list[ExecutionReport | BalancesNow] = []
        self.most_open = 0
        self._executions = 0

    # What there is ---------------------------------------------------------------------------

    @property
    def open_orders(self) -> list[ModelOrder]:
        return [order for order in self.orders.values() if order.open]

    def top(self) -> BookTop:
        """The book with us in it."""
        bid, bid_quantity = self.others.bid, self.others.bid_quantity
        ask, ask_quantity = self.others.ask, self.others.ask_quantity
        for order in self.open_orders:
            if order.side is Side.BUY and order.price >= bid:
                bid_quantity = order.rest + (bid_quantity if order.price == bid else ZERO)
                bid = order.price
            if order.side is Side.SELL and order.price <= ask:
                ask_quantity = order.rest + (ask_quantity if order.price == ask else ZERO)
                ask = order.price
        return BookTop(bid, ask, bid_quantity, ask_quantity)

    def filled(self, suffix: str) -> tuple[Decimal, Decimal]:
        """Base and quote that all orders whose client order id ends so have traded."""
        ours = [order for order in self.orders.values() if order.client_order_id.endswith(suffix)]
        return sum((order.filled for order in ours), ZERO), sum((order.quote for order in ours), ZERO)

    def balances(self) -> BalancesNow:
        base_locked = sum((order.rest for order in self.open_orders if order.side is Side.SELL), ZERO)
        quote_locked = sum((order.rest * order.price for order in self.open_orders if order.side is Side.BUY), ZERO)
        return BalancesNow(self.base - base_locked, base_locked, self.quote - quote_locked, quote_locked, self.now_ms)

    # What the world does ---------------------------------------------------------------------

    def at(self, now_ms: int) -> None:
        self.now_ms = max(self.now_ms, now_ms)

    def market_moves(self, others: BookTop, share: Decimal) -> None:
        """The others move. Who comes through our price trades with us; who touches it takes a `share`."""
        for order in self.open_orders:
            other = others.best(order.side.opposite)
            through = other < order.price if order.side is Side.BUY else other > order.price
            if through:
                self._fill(order, order.rest)
            elif other == order.price:
                self._fill(order, max(floor_to_step(order.rest * share, RULES.step_size), RULES.step_size))
        self.others = others
        for order in self.open_orders:  # what is left of us stands in the way of the other side
            if order.takes(others):
                away = order.price - TICK if order.side is Side.SELL else order.price + TICK
                bid, ask = (away, max(others.ask, order.price)) if order.side is Side.SELL else (others.bid, away)
                self.others = BookTop(min(bid, order.price), ask, others.bid_quantity, others.ask_quantity)

    def deposit(self, base: Decimal, quote: Decimal) -> None:
        self._tick()
        self.base += base
        self.quote += quote
        self.pushed.append(self.balances())

    def cancel_by_hand(self) -> None:
        """The operator cancels everything on the exchange's own page."""
        for order in self.open_orders:
            self._end(order, OrderStatus.CANCELED)

    # What is asked of it ---------------------------------------------------------------------

    def execute(self, command: OrderCommand, lag_ms: int = 0) -> OrderInput:
        """Carry out one request and answer it. Reads see the exchange as it was `lag_ms` ago."""
        match command:
            case Place():
                return OrderReply(command.tag, self._place(command))
            case Cancel():
                return OrderReply(command.tag, self._cancel(command.order_id, only_new=False))
            case Replace():
                return ReplaceReply(command.tag, self._replace(command))
            case QueryOrder():
                return OrderReply(command.tag, self._status(command, lag_ms))
            case QueryOrdersFrom():
                return OrdersListed(command.tag, tuple(self._listed(command, lag_ms)))

    def _place(self, asked: Place | Replace) -> OrderOutcome:
        escape = isinstance(asked, Place) and asked.escape
        price = self.others.best(asked.side) if asked.price is None else asked.price
        order = ModelOrder(len(self.orders) + 500, asked.client_order_id, asked.side, price, asked.quantity, escape)
        breach = RULES.failed_filter(price, asked.quantity)
        if breach is not None:
            raise Breach(f"{asked} fails the filter {breach}")
        if any(other.client_order_id == asked.client_order_id for other in self.open_orders):
            return Rejected(RejectReason.DUPLICATE, -2010, "Duplicate order sent.")
        free = self.balances()
        needed, there = (
            (asked.quantity, free.base_free) if asked.side is Side.SELL else (asked.quantity * price, free.quote_free)
        )
        if needed > there:
            return Rejected(RejectReason.INSUFFICIENT_BALANCE, -2010, "Account has insufficient balance.")
        if not escape and order.takes(self.others):
            return Rejected(RejectReason.WOULD_TAKE, -2010, "Order would immediately match and take.")
        self.orders[order.order_id] = order
        self._tick()
        self._report(order, ExecutionType.NEW)
        self.most_open = max(self.most_open, len(self.open_orders))
        if self.most_open > 1:
            raise Breach(f"two orders are open: {self.open_orders}")
        if escape:
            if order.takes(self.others):
                order.price, limit = self.others.best(asked.side.opposite), order.price
                self._fill(order, order.rest)
                order.price = limit
            if order.open:
                self._end(order, OrderStatus.EXPIRED)
        return Accepted(order.history[-1][1])

    def _cancel(self, order_id: int, *, only_new: bool) -> OrderOutcome:
        order = self.orders.get(order_id)
        if order is None or not order.open:
            return Rejected(RejectReason.UNKNOWN_ORDER, -2011, "Unknown order sent.")
        if only_new and order.filled:
            return Rejected(RejectReason.CANCEL_RESTRICTED, -2011, "Order was not canceled due to cancel restrictions.")
        self._end(order, OrderStatus.CANCELED)
        return Accepted(order.history[-1][1])

    def _replace(self, asked: Replace) -> ReplaceOutcome:
        canceled = self._cancel(asked.order_id, only_new=True)
        if not isinstance(canceled, Accepted):
            return ReplaceOutcome(canceled, NotTried())
        return ReplaceOutcome(canceled, self._place(asked))

    def _status(self, asked: QueryOrder, lag_ms: int) -> OrderOutcome:
        for order in reversed(self.orders.values()):
            if asked.order_id in (None, order.order_id) and order.client_order_id == asked.client_order_id:
                seen = order.as_of(self.now_ms - lag_ms)
                if seen is not None:
                    return Accepted(seen)
        return Rejected(RejectReason.UNKNOWN_ORDER, -2013, "Order does not exist.")

    def _listed(self, asked: QueryOrdersFrom, lag_ms: int) -> Iterator[OrderRecord]:
        for order_id, order in self.orders.items():
            if order_id >= asked.order_id and order.client_order_id == asked.client_order_id:
                seen = order.as_of(self.now_ms - lag_ms)
                if seen is not None:
                    yield seen

    # Its books -------------------------------------------------------------------------------

    def _fill(self, order: ModelOrder, quantity: Decimal) -> None:
        self._tick()
        quote = quantity * order.price
        order.filled += quantity
        order.quote += quote
        order.status = OrderStatus.PARTIALLY_FILLED if order.rest else OrderStatus.FILLED
        self.base += quantity if order.side is Side.BUY else -quantity
        self.quote += quote if order.side is Side.SELL else -quote
        sold = self.base if order.side is Side.SELL else self.quote
        if sold < self.reserve:
            raise Breach(f"{order} sold what was to be kept: {sold} left of {self.reserve}")
        self._report(order, ExecutionType.TRADE)

    def _end(self, order: ModelOrder, status: OrderStatus) -> None:
        self._tick()
        order.status = status
        self._report(order, ExecutionType(status.value))

    def _tick(self) -> None:
        """No two changes bear the same time."""
        self.now_ms += 1

    def _report(self, order: ModelOrder, reason: ExecutionType) -> None:
        self._executions += 1
        order.history.append((self.now_ms, self._record(order)))
        self.pushed.append(
            ExecutionReport(
                symbol=RULES.symbol,
                side=order.side,
                order_type="LIMIT" if order.escape else "LIMIT_MAKER",
                client_order_id=order.client_order_id,
                order_id=order.order_id,
                execution_type=reason,
                status=order.status,
                price=order.price,
                quantity=order.quantity,
                filled_quantity=order.filled,
                filled_quote=order.quote,
                time_ms=self.now_ms,
                event_ms=self.now_ms,
                execution_id=self._executions,
            )
        )
        self.pushed.append(self.balances())

    def _record(self, order: ModelOrder) -> OrderRecord:
        return OrderRecord(
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            side=order.side,
            status=order.status,
            price=order.price,
            quantity=order.quantity,
            filled_quantity=order.filled,
            filled_quote=order.quote,
            time_ms=self.now_ms,
            order_type="LIMIT" if order.escape else "LIMIT_MAKER",
        )


def no_reply(command: OrderCommand, reason: str) -> OrderInput:
    """The answer that says nothing."""
    nothing = Unanswered(reason)
    match command:
        case Replace():
            return ReplaceReply(command.tag, ReplaceOutcome(nothing, nothing))
        case QueryOrdersFrom():
            return OrdersListed(command.tag, nothing)
        case _:
            return OrderReply(command.tag, nothing)


def rejection_of(command: OrderCommand, refused: Rejected) -> OrderInput:
    """The exchange turns the whole request away."""
    match command:
        case Replace():
            return ReplaceReply(command.tag, ReplaceOutcome(NotTried(), refused))
        case QueryOrdersFrom():
            return OrdersListed(command.tag, refused)
        case _:
            return OrderReply(command.tag, refused)

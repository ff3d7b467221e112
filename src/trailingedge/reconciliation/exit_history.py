"""What has been, as nouns: an exit of ours in the exchange's books, a note, and the whole history they make.

A client order id tells whose an order was and why; an order id tells which came first. All times are
market time.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from trailingedge.model.client_order_ids import own_id
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import (
    SIZE_FILTERS,
    ZERO,
    AccountTrade,
    ExecutionReport,
    OrderRecord,
    OrderStatus,
    Regime,
    Side,
    SymbolRules,
)
from trailingedge.reconciliation.exit_ledger import exit_id


@dataclass(frozen=True, slots=True)
class HistoricalExit:
    """The orders and fills of one exit, oldest first. It has at least one order."""

    number: int
    side: Side
    orders: tuple[OrderRecord, ...]
    fills: tuple[AccountTrade, ...] = ()

    @property
    def kind(self) -> ExitKind:
        """Why it is under way: what its newest order says, but once a flush, always a flush; an escape says nothing."""
        kinds = [own.kind for order in self.orders if (own := own_id(order.client_order_id)) is not None]
        if ExitKind.FLUSH in kinds:
            return ExitKind.FLUSH
        return next((kind for kind in reversed(kinds) if kind is not ExitKind.ESCAPE), ExitKind.MANUAL)

    @property
    def sold_regime(self) -> Regime:
        """The side that it sells."""
        return Regime.BASE if self.side is Side.SELL else Regime.QUOTE

    @property
    def base(self) -> Decimal:
        return sum((order.filled_quantity for order in self.orders), ZERO)

    @property
    def quote(self) -> Decimal:
        return sum((order.filled_quote or ZERO for order in self.orders), ZERO)

    @property
    def average_price(self) -> float:
        """Quote per base over the whole chase; only where something was filled."""
        return float(self.quote / self.base)

    @property
    def first_order_id(self) -> int:
        return self.orders[0].order_id

    @property
    def last_order_id(self) -> int:
        return self.orders[-1].order_id

    @property
    def began_ms(self) -> int:
        """When its first order was placed, as far as the books tell."""
        first = self.orders[0]
        return first.time_ms if first.created_ms is None else first.created_ms

    @property
    def ended_ms(self) -> int:
        """The last change of its last order."""
        return max(order.time_ms for order in self.orders)

    @property
    def last_fill_ms(self) -> int:
        """When it was last filled; where no trade is known of it yet, when a filled order last changed."""
        known = [fill.time_ms for fill in self.fills]
        return max(known or [order.time_ms for order in self.orders if order.filled_quantity] or [self.ended_ms])

    @property
    def open_order(self) -> OrderRecord | None:
        """The newest that is on the book."""
        return next((order for order in reversed(self.orders) if is_open(order)), None)

    def is_finished(self, rules: SymbolRules) -> bool:
        """It sold all that it could: its last order is filled, or what is left of that is too small to place."""
        last = self.orders[-1]
        if self.open_order is not None or not self.base:
            return False
        if last.status is OrderStatus.FILLED:
            return not _at_exchange_maximum(last, rules)
        return rules.failed_filter(last.price, last.remaining) in SIZE_FILTERS


@dataclass(frozen=True, slots=True)
class AnchorMarker:
    """An anchor that we wrote down. The side of the order is the one that would leave `regime`."""

    number: int
    order_id: int
    regime: Regime
    price: Decimal
    time_ms: int


@dataclass(frozen=True, slots=True)
class ExitHistory:
    """What the books tell, oldest first: back to the newest finished exit of ours, or as far as they were read.

    `foreign` are the fills of others' orders since. `problems` say in words what could not be learned.
    `blank`: the books show nothing of ours, and there is nothing that they do not show.
    """

    exits: tuple[HistoricalExit, ...] = ()
    markers: tuple[AnchorMarker, ...] = ()
    foreign_fills: tuple[AccountTrade, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.exits and not self.markers and not self.problems

    @property
    def newest_number(self) -> int:
        """The highest number that we gave to anything here, 0 if there is none."""
        numbers = [exit_.number for exit_ in self.exits] + [note.number for note in self.markers]
        return max(numbers, default=0)

    @property
    def fills(self) -> tuple[tuple[int, AccountTrade], ...]:
        """Our own fills, each with the number of its exit."""
        return tuple((exit_.number, fill) for exit_ in self.exits for fill in exit_.fills)


def is_open(order: OrderRecord) -> bool:
    return order.status is None or not order.status.final


def group_into_exits(orders: Iterable[OrderRecord], fills: Sequence[AccountTrade]) -> tuple[HistoricalExit, ...]:
    """The exits behind these orders, in the order in which their last orders came; others' orders are left out.

    What an order's fills brought is taken from the trades where the order itself does not tell.
    """
    by_order: dict[int, list[AccountTrade]] = {}
    for fill in fills:
        by_order.setdefault(fill.order_id, []).append(fill)
    by_number: dict[int, list[OrderRecord]] = {}
    for order in sorted(orders, key=lambda order: order.order_id):
        own = exit_id(order.client_order_id)
        if own is not None and order.side is not None:
            by_number.setdefault(own.number, []).append(_with_quote(order, by_order))
    exits = [_historical_exit(number, chase, by_order) for number, chase in by_number.items()]
    return tuple(sorted(exits, key=lambda exit_: exit_.last_order_id))


def exit_of_order(told: ExecutionReport | OrderRecord) -> HistoricalExit:
    """The exit behind one order of ours, of which no other is known. Raises ValueError for anything else."""
    own = exit_id(told.client_order_id)
    if own is None or told.side is None:
        raise ValueError(f"not an exit order of ours: {told.client_order_id}")
    if isinstance(told, OrderRecord):
        return HistoricalExit(own.number, told.side, (told,))
    record = OrderRecord(
        order_id=told.order_id,
        client_order_id=told.client_order_id,
        side=told.side,
        status=told.status,
        price=told.price,
        quantity=told.quantity,
        filled_quantity=told.filled_quantity,
        filled_quote=told.filled_quote,
        time_ms=told.time_ms,
        order_type=told.order_type,
    )
    return HistoricalExit(own.number, told.side, (record,))


def find_markers(orders: Iterable[OrderRecord], tick_size: Decimal) -> tuple[AnchorMarker, ...]:
    """The notes among these orders, in the order in which they were written; one that nobody can read is left out."""
    notes = []
    for order in sorted(orders, key=lambda order: order.order_id):
        own = own_id(order.client_order_id)
        if own is None or not own.ticks or order.side is None:
            continue
        regime = Regime.BASE if order.side is Side.SELL else Regime.QUOTE
        written_ms = order.time_ms if order.created_ms is None else order.created_ms
        notes.append(AnchorMarker(own.number, order.order_id, regime, own.ticks * tick_size, written_ms))
    return tuple(notes)


def newest_finished(exits: Sequence[HistoricalExit], rules: SymbolRules) -> HistoricalExit | None:
    """The last exit of which more is not needed: it sold everything, or another one left the side it had brought."""
    later: HistoricalExit | None = None
    for exit_ in reversed(exits):
        if exit_.is_finished(rules) or changed_side(exit_, later):
            return exit_
        later = exit_
    return None


def changed_side(exit_: HistoricalExit, later: HistoricalExit | None) -> bool:
    """It ended half-way and left us on the other side, for the next exit of ours left that."""
    return bool(exit_.base) and later is not None and later.side is not exit_.side


def _historical_exit(number: int, orders: list[OrderRecord], fills: Mapping[int, list[AccountTrade]]) -> HistoricalExit:
    its_fills = sorted((fill for order in orders for fill in fills.get(order.order_id, ())), key=_by_trade_id)
    return HistoricalExit(number, orders[-1].side or Side.SELL, tuple(orders), tuple(its_fills))


def _by_trade_id(trade: AccountTrade) -> int:
    return trade.trade_id


def _with_quote(order: OrderRecord, fills: Mapping[int, list[AccountTrade]]) -> OrderRecord:
    """An order whose quote sum is known: by itself, by its trades, or as a maker's, at its own price."""
    if order.filled_quote is not None:
        return order
    its_fills = fills.get(order.order_id, ())
    traded = sum((fill.quantity for fill in its_fills), ZERO)
    if traded >= order.filled_quantity:
        return replace(order, filled_quote=sum((fill.quote_quantity for fill in its_fills), ZERO))
    return replace(order, filled_quote=order.filled_quantity * order.price)


def _at_exchange_maximum(order: OrderRecord, rules: SymbolRules) -> bool:
    """It was as large as the exchange allows: there may have been more to sell."""
    larger = order.quantity + rules.step_size
    too_many = rules.max_quantity is not None and larger > rules.max_quantity
    return too_many or (rules.max_notional is not None and larger * order.price > rules.max_notional)

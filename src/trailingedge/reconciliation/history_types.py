"""The values of the account's past: exits, anchor markers, and the history that they make.

A client order id names the exit of an order and why it was placed; order ids give the order in which things
happened. All times are market time.
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
        """The kind of its newest order, ignoring taker escapes; but a hard stop if any of its orders was one."""
        kinds = [own.kind for order in self.orders if (own := own_id(order.client_order_id)) is not None]
        # An order on the book keeps the id that it was placed with until it is replaced, so a later order of another
        # kind does not undo a hard stop.
        if ExitKind.FLUSH in kinds:
            return ExitKind.FLUSH
        return next((kind for kind in reversed(kinds) if kind is not ExitKind.ESCAPE), ExitKind.MANUAL)

    @property
    def sold_regime(self) -> Regime:
        """The side that it sells."""
        return Regime.BASE if self.side is Side.SELL else Regime.QUOTE

    @property
    def base(self) -> Decimal:
        """Base filled in all its orders."""
        return sum((order.filled_quantity for order in self.orders), ZERO)

    @property
    def quote(self) -> Decimal:
        """Quote filled in all its orders."""
        return sum((order.filled_quote or ZERO for order in self.orders), ZERO)

    @property
    def average_price(self) -> float:
        """Quote per base over all its fills; only where something was filled."""
        return float(self.quote / self.base)

    @property
    def first_order_id(self) -> int:
        return self.orders[0].order_id

    @property
    def last_order_id(self) -> int:
        return self.orders[-1].order_id

    @property
    def began_ms(self) -> int:
        """When its first order was placed, as far as the exchange shows it."""
        first = self.orders[0]
        return first.time_ms if first.created_ms is None else first.created_ms

    @property
    def ended_ms(self) -> int:
        """The last change of its last order."""
        return max(order.time_ms for order in self.orders)

    @property
    def last_fill_ms(self) -> int:
        """The time of its last fill; where its trades are not known, the last change of a filled order."""
        known = [fill.time_ms for fill in self.fills]
        return max(known or [order.time_ms for order in self.orders if order.filled_quantity] or [self.ended_ms])

    @property
    def open_order(self) -> OrderRecord | None:
        """Its newest order on the book."""
        return next((order for order in reversed(self.orders) if is_open(order)), None)

    def is_finished(self, rules: SymbolRules) -> bool:
        """Whether it sold all that it could: its last order filled, or what is left of that is too small to place."""
        last = self.orders[-1]
        if self.open_order is not None or not self.base:
            return False
        # If a filled order had the largest allowed size, there may have been more to sell.
        if last.status is OrderStatus.FILLED:
            return not _at_exchange_maximum(last, rules)
        return rules.failed_filter(last.price, last.remaining) in SIZE_FILTERS


@dataclass(frozen=True, slots=True)
class AnchorMarker:
    """An anchor that a marker order recorded. The marker order's side is the side of an exit from `regime`."""

    number: int
    order_id: int
    regime: Regime
    price: Decimal
    time_ms: int


@dataclass(frozen=True, slots=True)
class ExitHistory:
    """The account's past as shown by the exchange, oldest first, back to our newest finished exit or as far as read.

    `foreign_fills` are the fills of foreign orders since then. `problems` are sentences about data that could not be
    read. `is_empty` tells that the exchange shows no exit and no marker of ours, and that reading had no problem.
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
        """The highest number of any exit or marker here, 0 if there is none."""
        numbers = [exit_.number for exit_ in self.exits] + [marker.number for marker in self.markers]
        return max(numbers, default=0)

    @property
    def fills(self) -> tuple[tuple[int, AccountTrade], ...]:
        """Our own fills, each with the number of its exit."""
        return tuple((exit_.number, fill) for exit_ in self.exits for fill in exit_.fills)


def is_open(order: OrderRecord) -> bool:
    """Whether the order is on the book, as far as is known."""
    return order.status is None or not order.status.final


def group_into_exits(orders: Iterable[OrderRecord], fills: Sequence[AccountTrade]) -> tuple[HistoricalExit, ...]:
    """The exits behind these orders, sorted by their last order id; foreign orders are left out.

    The quote sum of an order is taken from its trades where the order itself does not have it.
    """
    by_order: dict[int, list[AccountTrade]] = {}
    for fill in fills:
        by_order.setdefault(fill.order_id, []).append(fill)
    by_number: dict[int, list[OrderRecord]] = {}
    for order in sorted(orders, key=lambda order: order.order_id):
        own = exit_id(order.client_order_id)
        if own is not None and order.side is not None:
            by_number.setdefault(own.number, []).append(_with_quote(order, by_order))
    exits = [_historical_exit(number, its_orders, by_order) for number, its_orders in by_number.items()]
    return tuple(sorted(exits, key=lambda exit_: exit_.last_order_id))


def exit_of_order(source: ExecutionReport | OrderRecord) -> HistoricalExit:
    """The exit behind one order of ours, where no other is known. Raises ValueError for any other order."""
    own = exit_id(source.client_order_id)
    if own is None or source.side is None:
        raise ValueError(f"not an exit order of ours: {source.client_order_id}")
    if isinstance(source, OrderRecord):
        return HistoricalExit(own.number, source.side, (source,))
    record = OrderRecord(
        order_id=source.order_id,
        client_order_id=source.client_order_id,
        side=source.side,
        status=source.status,
        price=source.price,
        quantity=source.quantity,
        filled_quantity=source.filled_quantity,
        filled_quote=source.filled_quote,
        time_ms=source.time_ms,
        order_type=source.order_type,
    )
    return HistoricalExit(own.number, source.side, (record,))


def find_markers(orders: Iterable[OrderRecord], tick_size: Decimal) -> tuple[AnchorMarker, ...]:
    """The markers among these orders, in the order in which they were written; unreadable ones are left out."""
    markers = []
    for order in sorted(orders, key=lambda order: order.order_id):
        own = own_id(order.client_order_id)
        if own is None or not own.ticks or order.side is None:
            continue
        regime = Regime.BASE if order.side is Side.SELL else Regime.QUOTE
        # The creation time, because the cancel of the marker changes the update time.
        written_ms = order.time_ms if order.created_ms is None else order.created_ms
        markers.append(AnchorMarker(own.number, order.order_id, regime, own.ticks * tick_size, written_ms))
    return tuple(markers)


def newest_finished(exits: Sequence[HistoricalExit], rules: SymbolRules) -> HistoricalExit | None:
    """Find the newest exit that sold everything, or that changed our side as the next exit shows; None without one."""
    later: HistoricalExit | None = None
    for exit_ in reversed(exits):
        # Either way the fills of this exit give the anchor of the next one, so nothing older is needed.
        if exit_.is_finished(rules) or changed_side(exit_, later):
            return exit_
        later = exit_
    return None


def changed_side(exit_: HistoricalExit, later: HistoricalExit | None) -> bool:
    """Whether `exit_` has changed our side, even if it sold only a part: then the next exit sells the other side."""
    return bool(exit_.base) and later is not None and later.side is not exit_.side


def _historical_exit(number: int, orders: list[OrderRecord], fills: Mapping[int, list[AccountTrade]]) -> HistoricalExit:
    its_fills = sorted((fill for order in orders for fill in fills.get(order.order_id, ())), key=_by_trade_id)
    return HistoricalExit(number, orders[-1].side or Side.SELL, tuple(orders), tuple(its_fills))


def _by_trade_id(trade: AccountTrade) -> int:
    return trade.trade_id


def _with_quote(order: OrderRecord, fills: Mapping[int, list[AccountTrade]]) -> OrderRecord:
    """The order with its quote sum: its own, that of its trades, or as a maker's at its own price."""
    if order.filled_quote is not None:
        return order
    its_fills = fills.get(order.order_id, ())
    traded = sum((fill.quantity for fill in its_fills), ZERO)
    # Only if all its trades were read, else their sum is too small.
    if traded >= order.filled_quantity:
        return replace(order, filled_quote=sum((fill.quote_quantity for fill in its_fills), ZERO))
    return replace(order, filled_quote=order.filled_quantity * order.price)


def _at_exchange_maximum(order: OrderRecord, rules: SymbolRules) -> bool:
    """Whether the order was as large as the exchange allows, so that there may have been more to sell."""
    larger = order.quantity + rules.step_size
    too_many = rules.max_quantity is not None and larger > rules.max_quantity
    return too_many or (rules.max_notional is not None and larger * order.price > rules.max_notional)

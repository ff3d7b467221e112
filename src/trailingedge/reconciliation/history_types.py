"""Value types of the account's past: exits, anchor markers, and the history that contains them.

The client order id of an order tells to which exit the order belongs and why it was placed. The
exchange's order ids ascend, so they sort orders by time. All times are market time.
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
from trailingedge.reconciliation.exit_ledger import ExitTotals, exit_id, exit_totals


@dataclass(frozen=True, slots=True)
class HistoricalExit:
    """The orders and fills of one exit, oldest first. It has at least one order."""

    number: int
    side: Side
    orders: tuple[OrderRecord, ...]
    fills: tuple[AccountTrade, ...] = ()

    @property
    def kind(self) -> ExitKind:
        """The kind of the exit: hard stop if any of its orders was a hard stop, else the kind of the newest order.

        Taker escapes are ignored.
        """
        kinds = [own.kind for order in self.orders if (own := own_id(order.client_order_id)) is not None]
        # An order on the book keeps the id that it was placed with until it is replaced, so a later order of another
        # kind does not undo a hard stop.
        if ExitKind.FLUSH in kinds:
            return ExitKind.FLUSH
        return next((kind for kind in reversed(kinds) if kind is not ExitKind.ESCAPE), ExitKind.MANUAL)

    @property
    def sold_regime(self) -> Regime:
        """The regime that the exit leaves: BASE for a SELL, QUOTE for a BUY."""
        return Regime.BASE if self.side is Side.SELL else Regime.QUOTE

    @property
    def base(self) -> Decimal:
        """The filled base quantity, summed over all orders of the exit."""
        return sum((order.filled_quantity for order in self.orders), ZERO)

    @property
    def quote(self) -> Decimal:
        """The filled quote amount, summed over all orders of the exit."""
        return sum((order.filled_quote or ZERO for order in self.orders), ZERO)

    @property
    def average_price(self) -> float:
        """The average fill price in quote per base. Valid only if something was filled."""
        return float(self.quote / self.base)

    @property
    def first_order_id(self) -> int:
        return self.orders[0].order_id

    @property
    def last_order_id(self) -> int:
        return self.orders[-1].order_id

    @property
    def began_ms(self) -> int:
        """The creation time of the first order, or its update time if no creation time is known."""
        first = self.orders[0]
        return first.time_ms if first.created_ms is None else first.created_ms

    @property
    def ended_ms(self) -> int:
        """The time of the newest change to any order of the exit."""
        return max(order.time_ms for order in self.orders)

    @property
    def last_fill_ms(self) -> int:
        """The time of the last fill.

        If no trades of the exit are known, the time of the last change to an order with fills.
        """
        known = [fill.time_ms for fill in self.fills]
        return max(known or [order.time_ms for order in self.orders if order.filled_quantity] or [self.ended_ms])

    @property
    def open_order(self) -> OrderRecord | None:
        """The newest order of the exit that is still on the book, or None."""
        return next((order for order in reversed(self.orders) if is_open(order)), None)

    def is_finished(self, rules: SymbolRules) -> bool:
        """Whether the exit sold all that it could.

        This is the case if its last order is filled, or if the unfilled rest of that order is too
        small to place.
        """
        last = self.orders[-1]
        if self.open_order is not None or not self.base:
            return False
        # If a filled order had the largest allowed size, there may have been more to sell.
        if last.status is OrderStatus.FILLED:
            return not _at_exchange_maximum(last, rules)
        return rules.failed_filter(last.price, last.remaining) in SIZE_FILTERS


@dataclass(frozen=True, slots=True)
class AnchorMarker:
    """An anchor that a marker order recorded at the exchange.

    A marker order to SELL records regime BASE, and one to BUY records regime QUOTE.
    """

    number: int
    order_id: int
    regime: Regime
    price: Decimal
    time_ms: int


@dataclass(frozen=True, slots=True)
class ExitHistory:
    """The account's past as the exchange shows it, oldest first.

    It reaches back to our newest finished exit, or as far as could be read. `foreign_fills` are the
    fills of foreign orders since that exit. `problems` are sentences about data that could not be
    read. `is_empty` is True if the exchange shows no exit and no marker of ours, and reading had no
    problem.
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

    def ended_exits(self, active_exit: HistoricalExit | None) -> list[tuple[ExitTotals, ExitKind]]:
        """Return the totals and the kind of each exit that traded and has ended, oldest first.

        `active_exit` is the exit that continues, if any.
        """
        number = None if active_exit is None else active_exit.number
        kinds = {exit_.number: exit_.kind for exit_ in self.exits}
        return [(each, kinds[each.number]) for each in exit_totals(fill for fill in self.fills if fill[0] != number)]


def is_open(order: OrderRecord) -> bool:
    """Whether the order counts as open: its status is unknown or not final."""
    return order.status is None or not order.status.final


def group_into_exits(orders: Iterable[OrderRecord], fills: Sequence[AccountTrade]) -> tuple[HistoricalExit, ...]:
    """Group `orders` and `fills` into exits, sorted by the exits' last order ids.

    Foreign orders are left out. If an order does not have its quote sum, the sum is computed from
    its trades.
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
    """Return an exit that consists of this one order.

    Raises ValueError if it is not an exit order of ours.
    """
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
    """Return the markers among `orders`, oldest first. Unreadable markers are left out."""
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
    """Return the newest exit that sold everything or changed the asset we hold; None if there is none.

    An exit changed the asset if it has fills and the next exit has the opposite side.
    """
    later: HistoricalExit | None = None
    for exit_ in reversed(exits):
        # Either way the fills of this exit give the anchor of the next one, so nothing older is needed.
        if exit_.is_finished(rules) or changed_side(exit_, later):
            return exit_
        later = exit_
    return None


def changed_side(exit_: HistoricalExit, later: HistoricalExit | None) -> bool:
    """Whether `exit_` changed the asset we hold: it has fills, and the next exit has the opposite side.

    The exit may have sold only a part.
    """
    return bool(exit_.base) and later is not None and later.side is not exit_.side


def _historical_exit(number: int, orders: list[OrderRecord], fills: Mapping[int, list[AccountTrade]]) -> HistoricalExit:
    its_fills = sorted((fill for order in orders for fill in fills.get(order.order_id, ())), key=_by_trade_id)
    return HistoricalExit(number, orders[-1].side or Side.SELL, tuple(orders), tuple(its_fills))


def _by_trade_id(trade: AccountTrade) -> int:
    return trade.trade_id


def _with_quote(order: OrderRecord, fills: Mapping[int, list[AccountTrade]]) -> OrderRecord:
    """Return the order with its quote sum.

    If the order does not have the sum, it is added up from the order's trades. If not all trades
    are known, it is the filled quantity times the order's price.
    """
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

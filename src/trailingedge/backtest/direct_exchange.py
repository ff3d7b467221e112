"""Exchange of a backtest: the simulated exchange's order entry and engine, called directly instead of over sockets.

Orders, filters, matching and balances are the simulator's. This module translates: commands of the trading core to the
simulator's requests, and its results and events to the values that the daemon reads from JSON. They reach the core in
the same order as over a connection: the reply, then the execution reports, then the balances.

Two things differ from the exchange that the daemon meets in a simulation:
- PERCENT_PRICE_BY_SIDE limits the distance from the last price, not from the average price of five minutes, because the
  average would need the market ticks that were skipped. Our orders are too close to the market for the difference to
  matter.
- Requests have no weight: only the daemon's own rate budget limits them.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import count, islice
from typing import Final

from trailingedge.model.market import ZERO, Balance, BookTop, ExecutionReport, OrderRecord, RateLimit, Side
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
from trailingedge.model.order_outcomes import Accepted, NotTried, OrderOutcome, ReplaceOutcome
from trailingedge.simulator.book import MakerFill
from trailingedge.simulator.engine import Engine
from trailingedge.simulator.engine_events import BalancesChanged, EngineEvent, OrderReport
from trailingedge.simulator.errors import ExchangeError
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.feeds.ticks import Tick
from trailingedge.simulator.lagged_view import find_order
from trailingedge.simulator.order_entry import CancelReplaceRequest, ReplaceMode, SimOrderEntry
from trailingedge.simulator.orders import (
    CancelOrder,
    CancelRestriction,
    NewOrder,
    OrderType,
    Peg,
    SimOrder,
    SimTrade,
    TimeInForce,
)
from trailingedge.websocket.error_codes import classify_error
from trailingedge.websocket.event_parser import Reply

_OWNER: Final = "owner"
_NO_TRADE: Final = SimTrade(-1, -1, Side.BUY, ZERO, ZERO, ZERO, "", -1, is_maker=False)


class DirectExchange:
    """An exchange with one symbol and one account. Replies and reports go to `on_order_input`.

    Orders and fills have the time of the last market tick, `market_ms`. With `orders_between_ticks`, an order has the
    time of its arrival, which may be later than the last tick. Order counts use the clock `now_ms`, which also advances
    between market ticks. `balance_updates` counts the balance messages.
    """

    def __init__(
        self,
        spec: ExchangeSpec,
        balances: Mapping[str, Decimal],
        on_order_input: Callable[[OrderInput], None],
        *,
        orders_between_ticks: bool = False,
    ) -> None:
        self.spec = spec
        self.now_ms = 0
        self.balances: Mapping[str, Balance] = {}
        self.balances_ms = 0
        self.balance_updates = 0
        self._on_order_input = on_order_input
        self._engine = Engine(spec, _LastPrice(), self._on_event, lambda: self.now_ms)
        if orders_between_ticks:
            self._engine.market_now = lambda: self.now_ms
        self._order_entry = SimOrderEntry(self._engine, self._on_event, lambda: self.now_ms)
        self._account = self._engine.accounts.open_account(_OWNER, balances)
        self._reports: list[ExecutionReport] = []
        self._balances_changed = False

    # Market ----------------------------------------------------------------------------------

    @property
    def market_ms(self) -> int:
        return self._engine.market_ms

    def open(self, market_ms: int) -> None:
        """Publish the balances at the time of the first market tick."""
        self.now_ms = market_ms
        self._engine.advance_time(market_ms)
        self.publish_balances()

    def play_tick(self, tick: Tick) -> None:
        """Apply a market tick."""
        self.now_ms = tick.time_ms
        self._engine.on_tick(tick)
        if self._reports:
            self._publish()

    def pass_time(self, now_ms: int) -> None:
        """Move the clock forward; the book does not change."""
        self.now_ms = now_ms

    def top(self) -> BookTop:
        """Return the published best prices, which include both our orders and the market's."""
        return self._engine.book.published_top()

    def totals(self) -> tuple[Decimal, Decimal]:
        """Return the account's total base and total quote, free and locked."""
        account = self._account
        return account.balance(self.spec.base_asset).total, account.balance(self.spec.quote_asset).total

    def publish_balances(self) -> None:
        """Publish the present balances, as the reply to a balance query does."""
        self._balances_changed = True
        self._publish()

    # Orders ----------------------------------------------------------------------------------

    def execute(self, command: OrderCommand) -> None:
        """Execute a command: send the reply, then the execution reports and the balances."""
        entry, account = self._order_entry, self._account
        match command:
            case Place():
                outcome = _outcome_of(lambda: entry.place(account, _new_order(command))[0])
                self._on_order_input(OrderReply(command.tag, outcome))
            case Replace():
                self._on_order_input(ReplaceReply(command.tag, self._replace(command)))
            case Cancel(tag, order_id):
                outcome = _outcome_of(lambda: entry.cancel(account, CancelOrder(order_id))[0])
                self._on_order_input(OrderReply(tag, outcome))
            case QueryOrder(tag, order_id, client_order_id):
                name = client_order_id if order_id is None else None  # the daemon sends one of the two ids
                outcome = _outcome_of(lambda: find_order(account, order_id, name), queried=True)
                self._on_order_input(OrderReply(tag, outcome))
            case QueryOrdersFrom(tag, order_id, client_order_id):
                orders = (order for order in account.orders.values() if order.client_order_id == client_order_id)
                found = (_order_record(order, queried=True) for order in orders if order.order_id >= order_id)
                self._on_order_input(OrdersListed(tag, tuple(found)))
        self._publish()

    def limits(self) -> tuple[RateLimit, ...]:
        """Return the order limits with their present counts."""
        return self._account.order_counts.limits(self.now_ms)

    def _replace(self, command: Replace) -> ReplaceOutcome:
        target = CancelOrder(command.order_id, restriction=CancelRestriction.ONLY_NEW)
        request = CancelReplaceRequest(target, _new_order(command), ReplaceMode.STOP_ON_FAILURE)
        try:
            result = self._order_entry.replace(self._account, request)
        except ExchangeError as error:  # of the whole request: the old order stays as it was
            return ReplaceOutcome(NotTried(), _rejection(error))
        return ReplaceOutcome(_half(result.cancel), _half(result.place))

    # Events ----------------------------------------------------------------------------------

    def _on_event(self, event: EngineEvent) -> None:
        match event:
            case OrderReport():
                self._reports.append(_execution_report(event, self.spec.symbol))
            case BalancesChanged():
                self._balances_changed = True

    def _publish(self) -> None:
        """Send the reports of an action, then the balances that result, in the order of the account stream."""
        for report in self._reports:
            self._on_order_input(report)
        self._reports.clear()
        if self._balances_changed:
            self._balances_changed = False
            self.balance_updates += 1
            self.balances_ms = self.market_ms
            self.balances = {balance.asset: balance for balance in self._account.balances()}


class _LastPrice:
    """The market history that the matching engine needs, reduced to the last price.

    The last price replaces the average price.
    """

    def __init__(self) -> None:
        self._last_price = ZERO
        self._trade_ids = count(1)

    def record_tick(self, tick: Tick, fills: Sequence[MakerFill]) -> list[int]:
        """Return the trade id of each fill."""
        self._last_price = tick.last_price
        return list(islice(self._trade_ids, len(fills))) if fills else []

    def record_taken(self, _: int, __: Decimal, ___: Side, quantities: Sequence[Decimal]) -> list[int]:
        """Return the trade id of each quantity taken."""
        return list(islice(self._trade_ids, len(quantities)))

    def average_price(self) -> Decimal:
        """Return the last price."""
        return self._last_price


def _new_order(command: Place | Replace) -> NewOrder:
    escape = isinstance(command, Place) and command.escape
    return NewOrder(
        side=command.side,
        type=OrderType.LIMIT if escape else OrderType.LIMIT_MAKER,
        quantity=command.quantity,
        price=command.price,
        time_in_force=TimeInForce.IOC if escape else TimeInForce.GTC,
        client_order_id=command.client_order_id,
        peg=Peg() if command.price is None else None,
    )


def _outcome_of(request: Callable[[], SimOrder], *, queried: bool = False) -> OrderOutcome:
    """Carry out a request. Returns the outcome that the daemon would read from the reply."""
    try:
        return Accepted(_order_record(request(), queried=queried))
    except ExchangeError as error:
        return _rejection(error)


def _half(result: tuple[SimOrder, object] | ExchangeError | None) -> OrderOutcome:
    """Return the outcome of one half of a cancel-replace."""
    if result is None:
        return NotTried()
    return _rejection(result) if isinstance(result, ExchangeError) else Accepted(_order_record(result[0]))


def _rejection(error: ExchangeError) -> OrderOutcome:
    """Return the outcome that the daemon would read from this error reply of the exchange."""
    return classify_error(Reply(error.status, code=error.code, text=error.text, data=error.data))


def _order_record(order: SimOrder, *, queried: bool = False) -> OrderRecord:
    """Convert an order to the record that a reply contains; only the reply to a query has its time of creation."""
    new_order = order.request
    return OrderRecord(
        order_id=order.order_id,
        client_order_id=order.client_order_id,
        side=order.side,
        status=order.status,
        price=new_order.price or ZERO,
        quantity=order.quantity,
        filled_quantity=order.filled,
        filled_quote=order.filled_quote,
        time_ms=order.updated_ms,
        order_type=new_order.type.value,
        pegged_price=order.price if new_order.peg is not None else None,
        created_ms=order.created_ms if queried else None,
    )


def _execution_report(report: OrderReport, symbol: str) -> ExecutionReport:
    """Convert a report to the one that the daemon would read from the account stream."""
    order, trade = report.order, report.trade or _NO_TRADE
    return ExecutionReport(
        symbol=symbol,
        side=order.side,
        order_type=order.request.type.value,
        client_order_id=order.client_order_id,
        order_id=order.order_id,
        execution_type=report.execution,
        status=order.status,
        price=order.price if order.request.peg is not None else order.request.price or ZERO,
        quantity=order.quantity,
        filled_quantity=order.filled,
        filled_quote=order.filled_quote,
        time_ms=order.updated_ms,
        event_ms=report.event_ms,
        execution_id=report.execution_id,
        trade_id=trade.trade_id,
        last_price=trade.price,
        last_quantity=trade.quantity,
        last_quote=trade.quote_volume,
        commission=trade.commission,
        commission_asset=trade.commission_asset or None,
        is_maker=trade.is_maker,
        reject_reason=report.reject_reason,
    )

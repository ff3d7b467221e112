"""Exchange of a backtest: the simulator's order book and accounts, called directly instead of over sockets.

It is `simulator.engine` and `simulator.order_entry` cut down to one account in a market that always trades. Book,
accounts, filters and order counts are the simulator's own classes. What the simulator sends as JSON is passed here as
the values that the JSON would have become, in the same order: the reply, then the execution reports, then balances.

Three things are left out on purpose:
- PERCENT_PRICE_BY_SIDE measures from the last price, not from the mean of five minutes, because the mean would need
  the market ticks that were skipped. Our orders are too close to the market for the difference to matter.
- Requests have no weight: only the daemon's own rate budget counts.
- There is no self-trade prevention: the trading core has one order at a time.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from itertools import count
from typing import Final

from trailingedge.model.market import (
    ZERO,
    Balance,
    BookTop,
    ExecutionReport,
    ExecutionType,
    OrderRecord,
    OrderStatus,
    RateLimit,
    Side,
    SymbolRules,
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
from trailingedge.model.order_outcomes import Accepted, NotTried, OrderOutcome, ReplaceOutcome
from trailingedge.simulator.accounts import AccountRegistry
from trailingedge.simulator.book import Book
from trailingedge.simulator.errors import (
    CANCEL_RESTRICTED,
    DUPLICATE_ORDER,
    UNKNOWN_ORDER,
    WOULD_TAKE,
    ExchangeError,
    cancel_rejected,
    order_rejected,
)
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.feeds.ticks import Tick
from trailingedge.simulator.filters import check_filters
from trailingedge.simulator.orders import NewOrder, OrderType, Peg, SimOrder, TimeInForce
from trailingedge.websocket.error_codes import classify_error
from trailingedge.websocket.event_parser import Reply

_OWNER: Final = "owner"


def symbol_rules_of(spec: ExchangeSpec) -> SymbolRules:
    """The symbol rules that an exchange with this specification publishes."""
    bid_down, bid_up = spec.price_multipliers(Side.BUY)
    ask_down, ask_up = spec.price_multipliers(Side.SELL)
    return SymbolRules(
        symbol=spec.symbol,
        base_asset=spec.base_asset,
        quote_asset=spec.quote_asset,
        tick_size=spec.tick_size,
        step_size=spec.step_size,
        min_quantity=spec.min_quantity,
        max_quantity=spec.max_quantity,
        min_price=spec.min_price,
        max_price=spec.max_price,
        min_notional=spec.min_notional,
        max_notional=spec.max_notional,
        bid_multiplier_up=bid_up,
        bid_multiplier_down=bid_down,
        ask_multiplier_up=ask_up,
        ask_multiplier_down=ask_down,
        peg_allowed=spec.pegs_allowed,
    )


class BacktestExchange:
    """An exchange with one symbol and one account. Replies and reports go to `on_order_input`.

    Orders and fills have the time of the last market tick, `market_ms`, as at the real exchange.
    Order counts use the clock, `now_ms`, which moves on between market ticks. `balance_updates`
    counts the balance messages.
    """

    def __init__(
        self, spec: ExchangeSpec, balances: Mapping[str, Decimal], on_order_input: Callable[[OrderInput], None]
    ) -> None:
        self.spec = spec
        self.market_ms = 0
        self.now_ms = 0
        self.balances: Mapping[str, Balance] = {}
        self.balances_ms = 0
        self.balance_updates = 0
        self._on_order_input = on_order_input
        self._book = Book(spec.tick_size)
        self._registry = AccountRegistry(spec)
        owned = {spec.base_asset: ZERO, spec.quote_asset: ZERO} | dict(balances)
        self._account = self._registry.open_account(_OWNER, owned)
        self._reports: list[ExecutionReport] = []
        self._balances_changed = False
        self._order_ids, self._trade_ids, self._execution_ids = count(1001), count(1), count(1)

    # Market ----------------------------------------------------------------------------------

    def play_tick(self, tick: Tick) -> bool:
        """Apply a market tick. Returns whether it filled anything."""
        self.market_ms = self.now_ms = tick.time_ms
        hits = self._book.apply_tick(tick)
        for hit in hits:
            self._fill(hit.order, hit.order.price, hit.quantity, maker=True)
        self._publish()
        return bool(hits)

    def pass_time(self, now_ms: int) -> None:
        """Move the clock while the book stands still."""
        self.now_ms = now_ms

    def top(self) -> BookTop:
        """Return the published best prices, from our orders and the market's together."""
        return self._book.published_top()

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
        match command:
            case Place():
                self._on_order_input(OrderReply(command.tag, self._place(command)))
            case Replace():
                self._on_order_input(ReplaceReply(command.tag, self._replace(command)))
            case Cancel():
                self._on_order_input(OrderReply(command.tag, self._cancel(command.order_id)))
            case QueryOrder():
                self._on_order_input(OrderReply(command.tag, self._query(command)))
            case QueryOrdersFrom():
                self._on_order_input(OrdersListed(command.tag, self._orders_from(command)))
        self._publish()

    def limits(self) -> tuple[RateLimit, ...]:
        """Return the order limits with their present counts, in the form of the exchange's replies."""
        seconds = {"SECOND": 1, "MINUTE": 60, "DAY": 86_400}
        limits = []
        for limit in self._account.order_counts.limits_json(self.now_ms):
            interval_s = seconds[str(limit["interval"])] * int(str(limit["intervalNum"]))
            limits.append(
                RateLimit(str(limit["rateLimitType"]), interval_s, int(str(limit["limit"])), int(str(limit["count"])))
            )
        return tuple(limits)

    # Matching --------------------------------------------------------------------------------

    def _place(self, command: Place) -> OrderOutcome:
        try:
            new_order = self._new_order(command)
            self._check_filters(new_order)
            self._count_order()
            return Accepted(_order_record(self._accept(new_order)))
        except ExchangeError as error:
            return _rejection(error)

    def _replace(self, command: Replace) -> ReplaceOutcome:
        """Execute `order.cancelReplace` with STOP_ON_FAILURE and ONLY_NEW.

        Filters and rate limits are checked before the cancel: if they reject, the old order stays as it is. The
        matching engine checks after the cancel: if the new order would take, it is rejected and the old order is gone.
        """
        try:
            new_order = self._new_order(command)
            self._check_filters(new_order)
            self._count_order()
        except ExchangeError as error:
            return ReplaceOutcome(NotTried(), _rejection(error))
        cancelled = self._cancel(command.order_id, only_new=True)
        if not isinstance(cancelled, Accepted):
            return ReplaceOutcome(cancelled, NotTried())
        # Past this point the old order is gone, whatever becomes of the new one.
        try:
            return ReplaceOutcome(cancelled, Accepted(_order_record(self._accept(new_order))))
        except ExchangeError as error:
            self._add_rejected_report(new_order)
            return ReplaceOutcome(cancelled, _rejection(error))

    def _cancel(self, order_id: int, *, only_new: bool = False) -> OrderOutcome:
        order = self._account.orders.get(order_id)
        if order is None or order.status.final:
            return _rejection(cancel_rejected(UNKNOWN_ORDER))
        if only_new and order.status is not OrderStatus.NEW:
            return _rejection(cancel_rejected(CANCEL_RESTRICTED))
        self._end_order(order, OrderStatus.CANCELED)
        self._add_report(order, ExecutionType.CANCELED)
        return Accepted(_order_record(order))

    def _query(self, command: QueryOrder) -> OrderOutcome:
        account = self._account
        if command.order_id is None:
            order = account.find_newest_order(command.client_order_id)
        else:
            order = account.orders.get(command.order_id)
        return (
            _rejection(ExchangeError(-2013, "Order does not exist."))
            if order is None
            else Accepted(_order_record(order))
        )

    def _orders_from(self, command: QueryOrdersFrom) -> tuple[OrderRecord, ...]:
        return tuple(
            _order_record(order)
            for order in self._account.orders.values()
            if order.order_id >= command.order_id and order.client_order_id == command.client_order_id
        )

    @staticmethod
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

    def _price(self, new_order: NewOrder) -> Decimal:
        return self._book.published_top().best(new_order.side) if new_order.price is None else new_order.price

    def _check_filters(self, new_order: NewOrder) -> None:
        price = self._price(new_order)
        check_filters(self.spec, new_order, price, new_order.quantity or ZERO, self._book.tick.last_price)

    def _count_order(self) -> None:
        exceeded = self._account.order_counts.limit_error(self.now_ms)
        if exceeded is not None:
            raise exceeded
        self._account.order_counts.add(self.now_ms)

    def _accept(self, new_order: NewOrder) -> SimOrder:
        """Accept an order: rest it or fill it. Raises ExchangeError if the matching engine rejects it."""
        account, name = self._account, new_order.client_order_id or ""
        # The exchange refuses a client order id only while an order with it is open.
        if account.find_open_order(name) is not None:
            raise order_rejected(DUPLICATE_ORDER)
        order = SimOrder(
            order_id=next(self._order_ids),
            client_order_id=name,
            account=_OWNER,
            request=new_order,
            price=self._price(new_order),
            quantity=new_order.quantity or ZERO,
            created_ms=self.market_ms,
            working_ms=self.market_ms,
            updated_ms=self.market_ms,
        )
        if new_order.type is OrderType.LIMIT_MAKER and self._book.would_match(order.side, order.price):
            raise order_rejected(WOULD_TAKE)
        account.lock_funds(self._sold_asset(order.side), order.locked)
        account.add_order(order)
        self._add_report(order, ExecutionType.NEW)
        if new_order.type is OrderType.LIMIT_MAKER:
            self._book.add(order)
            return order
        for take in self._book.match_taker(order.side, order.price, order.remaining):
            self._fill(order, take.price, take.quantity, maker=False)
            self._book.consume_best(order.side, take.quantity)
        if order.remaining:
            self._end_order(order, OrderStatus.EXPIRED)
            self._add_report(order, ExecutionType.EXPIRED)
        return order

    def _fill(self, order: SimOrder, price: Decimal, quantity: Decimal, *, maker: bool) -> None:
        spec = self.spec
        commission, asset = self._registry.settle_fill(
            order, price, quantity, spec.maker_fee if maker else spec.taker_fee
        )
        if not order.filled:  # the first fill of an order lowers the exchange's unfilled-order counts
            refund = spec.maker_refund if maker else spec.taker_refund
            self._account.order_counts.schedule_refund(self.now_ms + spec.refund_delay_ms, refund)
        order.filled += quantity
        order.filled_quote += price * quantity
        order.updated_ms = self.market_ms
        order.status = OrderStatus.PARTIALLY_FILLED if order.remaining else OrderStatus.FILLED
        if order.status.final:
            self._book.remove(order)
            self._account.close_order(order)
        self._balances_changed = True
        self._reports.append(
            _execution_report(
                order,
                self.spec.symbol,
                ExecutionType.TRADE,
                next(self._execution_ids),
                self.market_ms,
                trade_id=next(self._trade_ids),
                last_price=price,
                last_quantity=quantity,
                commission=commission,
                commission_asset=asset,
                is_maker=maker,
            )
        )

    def _end_order(self, order: SimOrder, status: OrderStatus) -> None:
        self._account.release_locked(self._sold_asset(order.side), order.locked)
        self._book.remove(order)
        self._account.close_order(order)
        order.status = status
        order.updated_ms = self.market_ms
        self._balances_changed = True

    def _sold_asset(self, side: Side) -> str:
        return self.spec.quote_asset if side is Side.BUY else self.spec.base_asset

    def _add_report(self, order: SimOrder, execution: ExecutionType) -> None:
        self._balances_changed = True
        self._reports.append(
            _execution_report(order, self.spec.symbol, execution, next(self._execution_ids), self.market_ms)
        )

    def _add_rejected_report(self, new_order: NewOrder) -> None:
        """Report the rejected new order of a cancel-replace; the exchange sends an execution report for it, too."""
        order = SimOrder(
            order_id=-1,
            client_order_id=new_order.client_order_id or "",
            account="",
            request=new_order,
            price=new_order.price or ZERO,
            quantity=new_order.quantity or ZERO,
            created_ms=-1,
            status=OrderStatus.REJECTED,
            updated_ms=self.market_ms,
        )
        self._reports.append(_execution_report(order, self.spec.symbol, ExecutionType.REJECTED, -1, self.market_ms))

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


def _order_record(order: SimOrder) -> OrderRecord:
    """Convert an order to the record that a reply contains."""
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
        created_ms=order.created_ms,
    )


def _execution_report(
    order: SimOrder,
    symbol: str,
    execution: ExecutionType,
    execution_id: int,
    market_ms: int,
    *,
    trade_id: int = -1,
    last_price: Decimal = ZERO,
    last_quantity: Decimal = ZERO,
    commission: Decimal = ZERO,
    commission_asset: str | None = None,
    is_maker: bool = False,
) -> ExecutionReport:
    """The execution report that the account stream would send about an order."""
    return ExecutionReport(
        symbol=symbol,
        side=order.side,
        order_type=order.request.type.value,
        client_order_id=order.client_order_id,
        order_id=order.order_id,
        execution_type=execution,
        status=order.status,
        price=order.price if order.request.peg is not None else order.request.price or ZERO,
        quantity=order.quantity,
        filled_quantity=order.filled,
        filled_quote=order.filled_quote,
        time_ms=order.updated_ms,
        event_ms=market_ms,
        execution_id=execution_id,
        trade_id=trade_id,
        last_price=last_price,
        last_quantity=last_quantity,
        last_quote=last_price * last_quantity,
        commission=commission,
        commission_asset=commission_asset,
        is_maker=is_maker,
    )


def _rejection(error: ExchangeError) -> OrderOutcome:
    """Return the outcome that the daemon would read from this error reply of the exchange."""
    return classify_error(Reply(error.status, code=error.code, text=error.text, data=error.data))

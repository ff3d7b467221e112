"""Matching engine of the simulated exchange: orders and ticks go in; fills, balances and events come out.

Theory of operation. Each tick carries the market's best bid and ask with their quantities and, sometimes, a trade
("the market" is everybody but the simulated accounts). The engine never knows deeper levels.
A resting SELL at price P fills as follows, and a BUY mirrors it:

1. In full, once the market bids above P or trades above P: the price has gone through the order.
2. By a trade at exactly P whose aggressor buys: the trade first takes the volume ahead in the
   queue. The rest of the trade fills the order, wholly or in part.
3. Never by touch: a market that bids exactly P does not fill the order.
4. Never by a trade from before the order was accepted, which a live market may report late.

The queue ahead is what the market offered at P when the order joined; it is empty if the order improved the
best price. The queue of an order behind the best price becomes known when the market's best price
first stands at P.
A taker matches the market's best level and the accounts' orders, the market first at equal prices; an order always
fills at the resting price. Two orders of one account never trade with each other; see `self_trade`.

Harsher than the real exchange:
- a market bid at P does not fill an order at P, though on a real book the two would have matched;
- the queue ahead shrinks by trades only, never because someone ahead cancels;
- in the tick in which an order's queue becomes known, a trade at P counts as taken from the queue;
- a taker finds one market level, refilled by the next tick;
- a post-only order is judged by the market's true best price, even while the published top hides that price behind
  an account's order.
Kinder than the real exchange:
- a price that goes through P fills any quantity;
- the market never reacts to the accounts' orders and never steps in front of them;
- there is no latency inside the engine (the transports add it).

The engine waits for nothing and sends nothing. It collects events until `take_events` is called. Each action adds its
execution reports, then one account position per changed account, then the book's top if it has changed.
The engine uses two clocks: orders, fills and events carry market time, which the ticks bring; the unfilled-order
counts and the audit log use the wall clock, since market time may run faster.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import count, takewhile
from typing import Final

from trailingedge.core.clock import Clock
from trailingedge.model.market import ZERO, BookTop, Kline, OrderStatus, Side, floor_to_step
from trailingedge.simulator.accounts import AccountRegistry, SimAccount
from trailingedge.simulator.audit_log import AuditLog
from trailingedge.simulator.bars import bar_of_kline
from trailingedge.simulator.book import Book, MakerFill, TakerMatch
from trailingedge.simulator.errors import (
    CANCEL_RESTRICTED,
    DUPLICATE_ORDER,
    INSUFFICIENT_BALANCE,
    MARKET_CLOSED,
    PEG_LIQUIDITY,
    REJECTED_CODE,
    UNKNOWN_ORDER,
    WOULD_TAKE,
    WRONG_PHASE,
    amend_rejected,
    cancel_rejected,
    filter_failure,
    order_rejected,
)
from trailingedge.simulator.exchange_spec import ExchangeSpec, format_amount
from trailingedge.simulator.feeds.ticks import Tick
from trailingedge.simulator.filters import check_new_quantity
from trailingedge.simulator.klines import Interval, kline_event_json
from trailingedge.simulator.market_data import MarketData
from trailingedge.simulator.market_streams import MarketStreams
from trailingedge.simulator.order_amendment import check_amendment, find_order_to_amend
from trailingedge.simulator.orders import (
    Amendment,
    AmendOrder,
    CancelOrder,
    NewOrder,
    OrderType,
    SimOrder,
    SimTrade,
    TimeInForce,
)
from trailingedge.simulator.payloads import (
    ExchangeEvent,
    Json,
    MarketEvent,
    UserEvent,
    account_position,
    execution_report,
    fill_report,
    prevention_fields,
    rejection_report,
)
from trailingedge.simulator.self_trade import is_self_trade, prevent, without_self_trades

TRADING: Final = "TRADING"
HALT: Final = "HALT"
BREAK: Final = "BREAK"
CANCEL_ONLY: Final = "CANCEL_ONLY"
EXPIRY_REASONS: Final = {
    TimeInForce.IOC: "UNFILLED_IOC_QUANTITY_EXPIRED",
    TimeInForce.FOK: "UNFILLED_FOK_ORDER_EXPIRED",
    TimeInForce.GTC: "INSUFFICIENT_LIQUIDITY",  # MARKET orders are GTC here; a GTC limit order rests instead
}


class Engine:
    """The market of one symbol: its orders, its klines and the accounts that trade it.

    `symbol_status` may be set from outside. Orders are accepted and fill only while it is TRADING; they can be
    cancelled under every status. A BREAK stops all market data, CANCEL_ONLY stops the klines.
    `prices_known` is for a live market that may become stale: while it returns False, requests for prices
    are answered with an error instead of the prices seen last. `market_now` tells the time of a live market between
    two of its ticks, so that an order carries the time at which it was accepted.
    """

    def __init__(self, spec: ExchangeSpec, clock: Clock, audit_log: AuditLog, history: Iterable[Kline] = ()) -> None:
        self.spec = spec
        self.clock = clock
        self.audit_log = audit_log
        self.symbol_status = TRADING
        self.market_ms = 0
        self.accounts = AccountRegistry(spec)
        self.book = Book(spec.tick_size)
        self.market = MarketData(spec, history)
        self.streams = MarketStreams(spec, self.market, self._emit)
        self._events: list[ExchangeEvent] = []
        self._changed_accounts: dict[str, SimAccount] = {}
        self.prices_known: Callable[[], bool] = lambda: True
        self.market_now: Callable[[], int] = lambda: self.market_ms
        # Order ids start far from trade and execution ids, so that a client that mixes them up soon fails.
        self._order_ids = count(1001)
        self._execution_ids = count(1)
        self._prevented_match_ids = count(1)

    # The market

    def on_tick(self, tick: Tick) -> None:
        """Apply the market's next tick: close klines, fill orders and collect events.

        Raises ValueError for a tick older than the last.
        """
        if tick.time_ms < self.market_ms:
            raise ValueError(f"market time goes back from {self.market_ms} to {tick.time_ms}")
        if self.symbol_status != TRADING and self.book.is_open:
            # While the symbol does not trade, the source's trades did not happen here.
            tick = replace(tick, last_price=self.book.tick.last_price, traded=ZERO, aggressor=None)
        self.streams.close_klines(tick.time_ms)
        self.market_ms = tick.time_ms
        fills: list[MakerFill] = []
        if self.symbol_status == TRADING:
            fills = self.book.apply_tick(tick)
        else:
            self.book.set_tick(tick)
        for fill, trade_id in zip(fills, self.market.record_tick(tick, fills), strict=True):
            self._fill(fill.order, fill.order.price, fill.quantity, trade_id, maker=True)
        self.publish_changes()

    def partial_fill(self, order: SimOrder, quantity: Decimal) -> None:
        """Fill a part of a resting order at its price, as if a market participant took it.

        Used by the fault `partial_fill` and by tests.
        """
        (trade_id,) = self.market.record_taken(self.market_ms, order.price, order.side.opposite, [quantity])
        self._fill(order, order.price, quantity, trade_id, maker=True)
        self.publish_changes()

    def relay_kline(self, kline: Kline, interval: Interval, event_ms: int) -> None:
        """Store and publish a kline that another exchange published at `event_ms` (see `Klines.relay_interval`)."""
        self.market_ms = max(self.market_ms, event_ms)
        self.market.klines.add_relayed(interval, kline)
        payload = kline_event_json(bar_of_kline(kline), interval, self.spec.symbol, event_ms, closed=kline.closed)
        self._emit(MarketEvent(f"{self.spec.stream_prefix}@kline_{interval.name}", payload))

    def top(self) -> BookTop:
        """The published top of the book, with its update id. Raises ValueError before the first tick."""
        self._publish_market()
        return self.market.book.top

    def take_events(self) -> list[ExchangeEvent]:
        """Return and remove the events collected since the last call, in order."""
        events, self._events = self._events, []
        return events

    # Orders

    def place_order(
        self, account: SimAccount, request: NewOrder, manual: bool = False
    ) -> tuple[SimOrder, list[SimTrade]]:
        """Accept an order, fill what it matches, then rest or expire the remainder. Raises ExchangeError.

        All checks run before any order or balance changes, so the error is the only effect of a rejected order.
        """
        self._advance_time()
        self.check_accepts(account, request)
        order = self._new_order(account, request, manual)
        # Post-only is checked before the balance. If an order fails both checks, its error says that it would match.
        if request.type is OrderType.LIMIT_MAKER and self.book.would_match(order.side, order.price):
            raise order_rejected(WOULD_TAKE)
        self._lock_funds(account, order)
        account.add_order(order)
        # The placement is recorded before any fill, so that the log shows both in the order in which they happened.
        self.audit_log.record_placement(self.clock.unix_ms(), self.market_ms, order, _open_by_session(account))
        self._publish_report(order, "NEW")
        trades = self._match_taker(order)
        if order.remaining and self._may_rest(order):
            self.book.add(order)
        elif order.remaining:
            order.expiry_reason = EXPIRY_REASONS[request.time_in_force]
            self._end_order(account, order, OrderStatus.EXPIRED, manual=manual)
            self._publish_report(order, "EXPIRED")
        return order, trades

    def check_accepts(self, account: SimAccount, request: NewOrder) -> None:
        """Raise ExchangeError if the symbol's status, a duplicate id or the open-order limit forbids the order."""
        if not self.book.is_open or self.symbol_status not in {TRADING, CANCEL_ONLY}:
            raise order_rejected(MARKET_CLOSED)
        if self.symbol_status == CANCEL_ONLY:
            raise order_rejected(WRONG_PHASE)
        if request.client_order_id is not None and account.find_open_order(request.client_order_id) is not None:
            raise order_rejected(DUPLICATE_ORDER)
        self.check_open_order_limit(account)

    def check_open_order_limit(self, account: SimAccount) -> None:
        """Raise ExchangeError if the account already has the maximum number of open orders."""
        if len(account.open_orders()) >= self.spec.max_open_orders:
            raise filter_failure("MAX_NUM_ORDERS", code=REJECTED_CODE)

    def cancel_order(self, account: SimAccount, target: CancelOrder, manual: bool = False) -> tuple[SimOrder, str]:
        """Cancel an open order. Returns the order and the cancel's client order id. Raises ExchangeError."""
        self._advance_time()
        order = self._find_open_order(account, target)
        if target.restriction is not None and not target.restriction.allows(order.status):
            raise cancel_rejected(CANCEL_RESTRICTED)
        cancel_id = target.cancel_id or account.generate_client_order_id()
        self._end_order(account, order, OrderStatus.CANCELED, manual=manual)
        self._publish_report(order, "CANCELED", cancel_id=cancel_id)
        return order, cancel_id

    def amend_order(self, account: SimAccount, request: AmendOrder) -> tuple[SimOrder, Amendment]:
        """Reduce an open order's quantity. The order keeps its place in the queue. Raises ExchangeError.

        The order expires if its fills already reach the new quantity.
        """
        self._advance_time()
        if not self.book.is_open or self.symbol_status not in {TRADING, CANCEL_ONLY}:
            raise amend_rejected(MARKET_CLOSED)
        order = find_order_to_amend(account, request)
        check_new_quantity(self.spec, order.price, request.new_quantity)
        check_amendment(self.spec, account, order, request)
        before_id, before, locked = order.client_order_id, order.quantity, order.locked
        order.client_order_id = request.new_client_order_id or account.generate_client_order_id()
        order.quantity = max(request.new_quantity, order.filled + order.prevented)
        order.updated_ms = self.market_ms
        account.release_locked(self._sold_asset(order.side), locked - order.locked)
        self.audit_log.record_amendment(self.clock.unix_ms(), self.market_ms, order, before)
        execution_id = self._publish_report(order, "REPLACED", previous_id=before_id)
        amendment = Amendment(execution_id, before_id, order.client_order_id, before, order.quantity, self.market_ms)
        order.amendments = (*order.amendments, amendment)
        if not order.remaining:
            self._end_order(account, order, OrderStatus.EXPIRED, manual=order.is_manual)
            self._publish_report(order, "EXPIRED")
        return order, amendment

    def publish_rejection(self, account: SimAccount, request: NewOrder, text: str) -> None:
        """Publish the REJECTED execution report of a cancel-replace whose new order was rejected.

        A rejected single placement has no such report: its error reply is all the client gets.
        """
        client_order_id = request.client_order_id or account.generate_client_order_id()
        report = rejection_report(request, client_order_id, self.spec.symbol, text, self.market_ms)
        self._events.append(UserEvent(account.name, report))

    def publish_changes(self) -> None:
        """End an action: publish the balances of the accounts it touched, and what changed in the market."""
        self._publish_positions()
        self._publish_market()

    def transfer(self, account: SimAccount, asset: str, amount: Decimal) -> None:
        """Book and publish a deposit or, with a negative `amount`, a withdrawal.

        Raises ExchangeError if less than the withdrawn amount is free.
        """
        account.credit(asset, amount)
        account.updated_ms = self.market_ms
        account.save_version(self.clock.unix_ms())
        self.audit_log.record_transfer(self.clock.unix_ms(), self.market_ms, account.name, asset, amount)
        update: Json = {
            "e": "balanceUpdate",
            "E": self.market_ms,
            "a": asset,
            "d": format_amount(amount),
            "T": self.market_ms,
        }
        self._events.append(UserEvent(account.name, update))
        position = account_position([account.balance(asset)], account.updated_ms, self.market_ms)
        self._events.append(UserEvent(account.name, position))

    def working_price(self, request: NewOrder) -> Decimal:
        """Return the price that an order would have in the book if it entered now.

        This is the price as sent or the price that the peg gives; for MARKET it is the average
        price. Raises ExchangeError for a peg with an offset, because the book knows only the best
        level.
        """
        if request.type is OrderType.MARKET:
            return self.market.average_price()
        if request.peg is not None:
            if request.peg.levels is not None:
                raise order_rejected(PEG_LIQUIDITY)
            return self.book.published_top().best(request.side)
        return request.price or ZERO

    def base_quantity(self, request: NewOrder, price: Decimal) -> Decimal:
        """Return the order's quantity in base. An amount in quote (MARKET only) is converted at `price`."""
        if request.quantity is not None:
            return request.quantity
        return floor_to_step((request.quote_quantity or ZERO) / price, self.spec.step_size)

    # Matching

    def _advance_time(self) -> None:
        self.market_ms = max(self.market_ms, self.market_now())

    def _new_order(self, account: SimAccount, request: NewOrder, manual: bool) -> SimOrder:
        market = request.type is OrderType.MARKET
        return SimOrder(
            order_id=next(self._order_ids),
            client_order_id=request.client_order_id or account.generate_client_order_id(),
            account=account.name,
            request=request,
            price=ZERO if market else self.working_price(request),
            quantity=self.base_quantity(request, self.book.published_top().best(request.side.opposite)),
            created_ms=self.market_ms,
            is_manual=manual,
            working_ms=self.market_ms,
            updated_ms=self.market_ms,
        )

    def _lock_funds(self, account: SimAccount, order: SimOrder) -> None:
        """Lock the asset that the order sells. A MARKET BUY locks nothing, but the free balance must cover its cost."""
        if order.request.type is OrderType.MARKET and order.side is Side.BUY:
            # It has no price of its own to lock; its fills are paid within the same call.
            cost = sum((take.price * take.quantity for take in self._trades_with_others(order)), ZERO)
            if cost > account.balance(self.spec.quote_asset).free:
                raise order_rejected(INSUFFICIENT_BALANCE)
            return
        account.lock_funds(self._sold_asset(order.side), order.locked)

    def _match_taker(self, order: SimOrder) -> list[SimTrade]:
        """Fill a new order from the book, but never with an order of its own account; see `self_trade`."""
        if order.request.time_in_force is TimeInForce.FOK and self._tradable(order) < order.quantity:
            return []
        trades = []
        # Level by level: what a prevented self-trade leaves of the two orders decides what the taker meets next.
        while takes := self._taker_matches(order):
            best = takes[0]
            if best.resting_order is not None and is_self_trade(best, order):
                self._prevent_self_trade(order, best.resting_order)
                continue
            level = takewhile(lambda take: take.price == best.price and not is_self_trade(take, order), takes)  # noqa: B023 - used up here
            trades.extend(self._take_level(order, list(level)))
        return trades

    def _take_level(self, order: SimOrder, level: Sequence[TakerMatch]) -> list[SimTrade]:
        """Fill the order with what it matches at one price."""
        price, trades = level[0].price, []
        quantities = [take.quantity for take in level]
        # Both sides of a trade between two accounts share its id.
        trade_ids = self.market.record_taken(self.market_ms, price, order.side, quantities)
        for take, trade_id in zip(level, trade_ids, strict=True):
            trades.append(self._fill(order, price, take.quantity, trade_id, maker=False))
            if take.resting_order is None:
                self.book.consume_best(order.side, take.quantity)
            else:
                self._fill(take.resting_order, price, take.quantity, trade_id, maker=True)
        return trades

    def _taker_matches(self, order: SimOrder, beyond: Decimal = ZERO) -> list[TakerMatch]:
        """Return what the order matches on the book, up to its remaining quantity plus `beyond`."""
        limit = None if order.request.type is OrderType.MARKET else order.price
        return self.book.match_taker(order.side, limit, order.remaining + beyond)

    def _trades_with_others(self, order: SimOrder) -> list[TakerMatch]:
        """Return what the order would trade now, leaving out orders of its own account."""
        own = sum((each.remaining for each in self.accounts.get(order.account).open_orders()), ZERO)
        return without_self_trades(self._taker_matches(order, beyond=own), order)

    def _tradable(self, order: SimOrder) -> Decimal:
        return sum((take.quantity for take in self._trades_with_others(order)), ZERO)

    def _prevent_self_trade(self, taker: SimOrder, maker: SimOrder) -> None:
        """Reduce or expire taker, maker or both instead of a self-trade, and publish a report for each."""
        match = prevent(next(self._prevented_match_ids), taker, maker, self.market_ms)
        taker.prevented_as_taker.append(match)
        for order, quantity in ((maker, match.maker_quantity), (taker, match.taker_quantity)):
            if quantity is None:
                continue
            account = self.accounts.get(order.account)
            # Part of an order may be prevented, so the lock is lowered by that part alone.
            locked = order.locked
            order.prevented += quantity
            account.release_locked(self._sold_asset(order.side), locked - order.locked)
            order.prevented_match_id = match.match_id
            order.updated_ms = self.market_ms
            if not order.remaining:
                self._close_order(account, order, OrderStatus.EXPIRED_IN_MATCH, manual=taker.is_manual)
            self._publish_report(order, "TRADE_PREVENTION", extra=prevention_fields(match, order, self.spec.symbol))

    def _fill(self, order: SimOrder, price: Decimal, quantity: Decimal, trade_id: int, maker: bool) -> SimTrade:
        """Apply one fill to balances, order, account and audit log, and publish its report."""
        account = self.accounts.get(order.account)
        fee = self.spec.maker_fee if maker else self.spec.taker_fee
        commission, asset = self.accounts.settle_fill(order, price, quantity, fee)
        if not order.filled:
            # Binance's unfilled-order-count rules: an order's first fill lowers the counts, for a maker by more than
            # for a taker, and not at once.
            refund = self.spec.maker_refund if maker else self.spec.taker_refund
            account.order_counts.schedule_refund(self.clock.unix_ms() + self.spec.refund_delay_ms, refund)
        order.filled += quantity
        order.filled_quote += price * quantity
        order.updated_ms = self.market_ms
        order.status = OrderStatus.PARTIALLY_FILLED if order.remaining else OrderStatus.FILLED
        # The order leaves the book with its last fill, before the report of that fill is made.
        if order.status.final:
            self.book.remove(order)
            account.close_order(order)
        trade = SimTrade(
            trade_id, order.order_id, order.side, price, quantity, commission, asset, self.market_ms, is_maker=maker
        )
        account.trades.append(trade)
        self._mark_changed(account)
        self.audit_log.record_fill(self.clock.unix_ms(), self.market_ms, order, trade)
        report = fill_report(order, trade, self.spec.symbol, next(self._execution_ids), self.market_ms)
        self._events.append(UserEvent(account.name, report))
        return trade

    def _end_order(self, account: SimAccount, order: SimOrder, status: OrderStatus, manual: bool) -> None:
        """End an order as cancelled or expired, and unlock its funds."""
        account.release_locked(self._sold_asset(order.side), order.locked)
        self._close_order(account, order, status, manual)

    def _close_order(self, account: SimAccount, order: SimOrder, status: OrderStatus, manual: bool) -> None:
        """Remove from the book an order whose funds are unlocked already, and set its final status."""
        self.book.remove(order)
        account.close_order(order)
        order.status = status
        order.updated_ms = self.market_ms
        self._mark_changed(account)
        self.audit_log.record_end(self.clock.unix_ms(), self.market_ms, order, manual=manual)

    def _find_open_order(self, account: SimAccount, target: CancelOrder) -> SimOrder:
        # A client order id alone finds only open orders, because finished orders may have had the same id.
        if target.order_id is None:
            named = account.find_open_order(target.orig_client_order_id or "")
            if named is None:
                raise cancel_rejected(UNKNOWN_ORDER)
            return named
        order = account.orders.get(target.order_id)
        if order is None or order.status.final:
            raise cancel_rejected(UNKNOWN_ORDER)
        if target.orig_client_order_id not in {None, order.client_order_id}:
            raise cancel_rejected("Cancel order is invalid. Check origClOrdId and orderId.")
        return order

    def _sold_asset(self, side: Side) -> str:
        return self.spec.quote_asset if side is Side.BUY else self.spec.base_asset

    def _may_rest(self, order: SimOrder) -> bool:
        return order.request.type is not OrderType.MARKET and order.request.time_in_force is TimeInForce.GTC

    # Publishing

    def _mark_changed(self, account: SimAccount) -> None:
        account.updated_ms = self.market_ms
        self._changed_accounts[account.name] = account

    def _publish_report(
        self,
        order: SimOrder,
        execution: str,
        cancel_id: str | None = None,
        previous_id: str = "",
        extra: Json | None = None,
    ) -> int:
        """Publish an execution report without a fill. Returns its execution id."""
        self._mark_changed(self.accounts.get(order.account))
        execution_id = next(self._execution_ids)
        report = execution_report(
            order,
            self.spec.symbol,
            execution,
            execution_id,
            self.market_ms,
            cancel_id=cancel_id,
            previous_id=previous_id,
        )
        self._events.append(UserEvent(order.account, report | (extra or {})))
        return execution_id

    def _publish_positions(self) -> None:
        assets = (self.spec.base_asset, self.spec.quote_asset)
        # One position per account and action, however many fills the action had.
        for account in self._changed_accounts.values():
            balances = [account.balance(asset) for asset in assets]
            position = account_position(balances, account.updated_ms, self.market_ms)
            self._events.append(UserEvent(account.name, position))
            account.save_version(self.clock.unix_ms())
        self._changed_accounts = {}

    def _publish_market(self) -> None:
        """Publish the book if it has changed, and the streams that are due. Symbol status BREAK stops both.

        The first book is an exception: it is stored even in a BREAK, so that `top` can return it.
        """
        published = self.market.book
        if self.book.is_open and not (self.symbol_status == BREAK and published.is_open):
            self.streams.publish(self.market_ms, top_changed=published.update(self.book.published_levels()))

    def _emit(self, event: MarketEvent) -> None:
        """Collect a market event. Symbol status BREAK drops all market events, CANCEL_ONLY those of klines."""
        if self.symbol_status != BREAK and (self.symbol_status != CANCEL_ONLY or "@kline_" not in event.stream):
            self._events.append(event)


def _open_by_session(account: SimAccount) -> int:
    return sum(not order.is_manual for order in account.open_orders())

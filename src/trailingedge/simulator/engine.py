"""The matching engine: orders and ticks go in, fills, balances and events come out.

It waits for nothing and sends nothing. What there is to tell collects until `take_events`; per action
that is every execution report, then one account position each, then the book's top if it has changed.
Two clocks meet here: orders, fills and events bear market time, which the ticks carry; the unfilled-order
counts follow the wall.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import count
from typing import Final

from trailingedge.core.clock import Clock
from trailingedge.core.time_units import MINUTE_MS
from trailingedge.model.market import ZERO, BookTop, Kline, OrderStatus, Side, floor_to_step
from trailingedge.simulator.accounts import AccountRegistry, SimAccount
from trailingedge.simulator.audit_log import AuditLog
from trailingedge.simulator.book import Book, TakerMatch
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
    cancel_rejected,
    filter_failure,
    order_rejected,
)
from trailingedge.simulator.exchange_spec import ExchangeSpec, format_amount
from trailingedge.simulator.feeds.ticks import Tick
from trailingedge.simulator.klines import Interval, KlineFeed, Klines, bar_of_kline, kline_event_json
from trailingedge.simulator.orders import CancelOrder, NewOrder, OrderType, SimOrder, SimTrade, TimeInForce
from trailingedge.simulator.payloads import (
    ExchangeEvent,
    Json,
    MarketEvent,
    UserEvent,
    account_position,
    agg_trade_json,
    book_ticker_json,
    execution_report,
    fill_report,
    prevention_fields,
    rejection_report,
)

TRADING: Final = "TRADING"
HALT: Final = "HALT"
BREAK: Final = "BREAK"
CANCEL_ONLY: Final = "CANCEL_ONLY"
EXPIRY_REASONS: Final = {
    TimeInForce.IOC: "UNFILLED_IOC_QUANTITY_EXPIRED",
    TimeInForce.FOK: "UNFILLED_FOK_ORDER_EXPIRED",
    TimeInForce.GTC: "INSUFFICIENT_LIQUIDITY",  # of GTC orders only MARKET ones expire
}


class Engine:
    """One symbol's market. `status` is the symbol's, for whoever likes to set it.

    Only while it is TRADING do orders fill and is anything placed; they can be cancelled always. In a BREAK
    there is no market data, under CANCEL_ONLY there are no klines. `in_sight` is for whoever plays a market
    that may be lost from sight: while it says no, nobody is answered with the prices seen last.
    """

    def __init__(self, terms: ExchangeSpec, clock: Clock, journal: AuditLog, history: Iterable[Kline] = ()) -> None:
        self.spec = terms
        self.clock = clock
        self.audit_log = journal
        self.symbol_status = TRADING
        self.market_ms = 0
        self.accounts = AccountRegistry(terms)
        self.book = Book(terms.tick_size)
        self.klines = Klines(history)
        self._kline_feeds: dict[str, KlineFeed] = {}  # by stream name
        self._recent_trades: deque[tuple[int, Decimal, Decimal]] = deque()  # trades: time, quote, base
        self._recent_quote_volume = self._recent_base_volume = ZERO  # their sums
        self._events: list[ExchangeEvent] = []
        self._changed_accounts: dict[str, SimAccount] = {}
        self._published_top: BookTop | None = None
        self._publishes_trades = False
        self.prices_known: Callable[[], bool] = lambda: True
        self._order_ids = count(1001)
        self._trade_ids = count(1)
        self._execution_ids = count(1)
        self._agg_trade_ids = count(1)

    # The market

    def on_tick(self, tick: Tick) -> None:
        """The outside world moves on. Raises ValueError for a tick older than the last."""
        if tick.time_ms < self.market_ms:
            raise ValueError(f"the tape goes back from {self.market_ms} to {tick.time_ms}")
        if self.symbol_status != TRADING and self.book.is_open:
            tick = replace(tick, last_price=self.book.tick.last_price, traded=ZERO, aggressor=None)
        for stream, feed in self._kline_feeds.items():
            for bar in feed.closed_until(tick.time_ms):
                self._publish_kline(
                    stream, kline_event_json(bar, feed.interval, self.spec.symbol, tick.time_ms, closed=True)
                )
        self.market_ms = tick.time_ms
        self.klines.on_tick(tick)
        self._update_average(tick)
        if self._publishes_trades and tick.traded:
            stream = f"{self.spec.stream_prefix}@aggTrade"
            self._events.append(MarketEvent(stream, agg_trade_json(tick, self.spec.symbol, next(self._agg_trade_ids))))
        if self.symbol_status == TRADING:
            self._apply_to_book(tick)
        else:
            self.book.set_tick(tick)
        self._publish_positions()
        for stream, feed in self._kline_feeds.items():
            forming = feed.forming()
            if forming is not None:
                event = kline_event_json(forming, feed.interval, self.spec.symbol, self.market_ms, closed=False)
                self._publish_kline(stream, event)
        self._publish_top()

    def partial_fill(self, order: SimOrder, quantity: Decimal) -> None:
        """A stranger takes some of an order that rests, at its price."""
        self._fill(order, order.price, quantity, next(self._trade_ids), maker=True)
        self.publish_changes()

    def publish_klines(self, stream: str, interval: Interval) -> None:
        """From now on, tell the klines of `interval` to those who listen to `stream`."""
        if stream not in self._kline_feeds and not self.klines.is_relayed(interval):
            self._kline_feeds[stream] = KlineFeed(interval, self.klines)

    def publish_trades(self) -> None:
        """From now on, tell what the world outside trades."""
        self._publishes_trades = True

    def relay_kline(self, kline: Kline, interval: Interval, event_ms: int) -> None:
        """A kline of an interval that is told (see `Klines.expect`), as it was told at `event_ms`."""
        self.market_ms = max(self.market_ms, event_ms)
        self.klines.add_relayed(interval, kline)
        payload = kline_event_json(bar_of_kline(kline), interval, self.spec.symbol, event_ms, closed=kline.closed)
        self._publish_kline(f"{self.spec.stream_prefix}@kline_{interval.name}", payload)

    def average_price(self) -> Decimal:
        """Of the trades of the last minutes, weighted by volume; the last price where there were none."""
        return (
            self._recent_quote_volume / self._recent_base_volume if self._recent_trades else self.book.tick.last_price
        )

    def top(self) -> BookTop:
        """The published top of the book, with the number of its last change."""
        self._publish_top()
        if self._published_top is None:
            raise ValueError("the market has not opened")
        return self._published_top

    def take_events(self) -> list[ExchangeEvent]:
        """What there is to tell since the last call, in order."""
        events, self._events = self._events, []
        return events

    # Orders

    def place_order(
        self, account: SimAccount, wanted: NewOrder, by_hand: bool = False
    ) -> tuple[SimOrder, list[SimTrade]]:
        """Take an order in, fill what it takes, rest or expire the rest. Raises the engine's refusals."""
        self.check_accepts(account, wanted)
        order = self._new_order(account, wanted, by_hand)
        if wanted.type is OrderType.LIMIT_MAKER and self.book.would_match(order.side, order.price):
            raise order_rejected(WOULD_TAKE)
        self._lock_funds(account, order)
        account.add_order(order)
        self.audit_log.record_placement(self.clock.unix_ms(), self.market_ms, order, _open_by_session(account))
        self._publish_report(order, "NEW")
        trades = self._match_taker(account, order)
        if order.remaining and self._may_rest(order):
            self.book.add(order)
        elif order.remaining:
            order.expiry_reason = EXPIRY_REASONS[wanted.time_in_force]
            self._end_order(account, order, OrderStatus.EXPIRED, by_hand=by_hand)
            self._publish_report(order, "EXPIRED")
        return order, trades

    def check_accepts(self, account: SimAccount, wanted: NewOrder) -> None:
        """Raise the refusal of an order that the engine would not even look at."""
        if not self.book.is_open or self.symbol_status not in {TRADING, CANCEL_ONLY}:
            raise order_rejected(MARKET_CLOSED)
        if self.symbol_status == CANCEL_ONLY:
            raise order_rejected(WRONG_PHASE)
        if wanted.client_order_id is not None and account.find_open_order(wanted.client_order_id) is not None:
            raise order_rejected(DUPLICATE_ORDER)
        self.check_open_order_limit(account)

    def check_open_order_limit(self, account: SimAccount) -> None:
        """Raise the refusal of an account with as many open orders as it may have."""
        if len(account.open_orders()) >= self.spec.max_open_orders:
            raise filter_failure("MAX_NUM_ORDERS", code=REJECTED_CODE)

    def cancel_order(self, account: SimAccount, target: CancelOrder, by_hand: bool = False) -> tuple[SimOrder, str]:
        """Take an order out; it and the cancel's id. Raises the engine's refusals."""
        order = self._find_open_order(account, target)
        if target.restriction is not None and not target.restriction.allows(order.status):
            raise cancel_rejected(CANCEL_RESTRICTED)
        cancel_id = target.cancel_id or account.generate_client_order_id()
        self._end_order(account, order, OrderStatus.CANCELED, by_hand=by_hand)
        self._publish_report(order, "CANCELED", cancel_id=cancel_id)
        return order, cancel_id

    def publish_rejection(self, account: SimAccount, wanted: NewOrder, text: str) -> None:
        """The refused half of a cancel-replace is told as an event, too."""
        client_order_id = wanted.client_order_id or account.generate_client_order_id()
        report = rejection_report(wanted, client_order_id, self.spec.symbol, text, self.market_ms)
        self._events.append(UserEvent(account.name, report))

    def publish_changes(self) -> None:
        """The action is over: tell the balances that may have changed, and the top if it did."""
        self._publish_positions()
        self._publish_top()

    def transfer(self, account: SimAccount, asset: str, amount: Decimal) -> None:
        """A deposit, or (negative) a withdrawal. Raises the refusal if there is less."""
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

    def working_price(self, wanted: NewOrder) -> Decimal:
        """Where the order would work now: as sent, as its peg finds it, or (MARKET) about the average.

        Raises the refusal of a peg deeper than the book is known.
        """
        if wanted.type is OrderType.MARKET:
            return self.average_price()
        if wanted.peg is not None:
            if wanted.peg.levels is not None:
                raise order_rejected(PEG_LIQUIDITY)
            return self.book.published_top().best(wanted.side)
        return wanted.price or ZERO

    def base_quantity(self, wanted: NewOrder, price: Decimal) -> Decimal:
        """In base; of a MARKET order by quote, what that buys or sells at `price`."""
        if wanted.quantity is not None:
            return wanted.quantity
        return floor_to_step((wanted.quote_quantity or ZERO) / price, self.spec.step_size)

    # Inside

    def _apply_to_book(self, tick: Tick) -> None:
        for hit in self.book.apply_tick(tick):
            self._fill(hit.order, hit.order.price, hit.quantity, next(self._trade_ids), maker=True)

    def _new_order(self, account: SimAccount, wanted: NewOrder, by_hand: bool) -> SimOrder:
        market = wanted.type is OrderType.MARKET
        return SimOrder(
            order_id=next(self._order_ids),
            client_order_id=wanted.client_order_id or account.generate_client_order_id(),
            account=account.name,
            request=wanted,
            price=ZERO if market else self.working_price(wanted),
            quantity=self.base_quantity(wanted, self.book.published_top().best(wanted.side.opposite)),
            created_ms=self.market_ms,
            is_manual=by_hand,
            working_ms=self.market_ms,
            updated_ms=self.market_ms,
        )

    def _lock_funds(self, account: SimAccount, order: SimOrder) -> None:
        """Set aside what the order sells; a MARKET BUY pays as it goes, but must be able to."""
        if order.request.type is OrderType.MARKET and order.side is Side.BUY:
            cost = sum((take.price * take.quantity for take in self._taker_matches(order)), ZERO)
            if cost > account.balance(self.spec.quote_asset).free:
                raise order_rejected(INSUFFICIENT_BALANCE)
            return
        account.lock_funds(self._sold_asset(order.side), order.locked)

    def _match_taker(self, account: SimAccount, order: SimOrder) -> list[SimTrade]:
        """Fill what the order finds; first, its owner's own orders in its way expire (EXPIRE_MAKER)."""
        while (own := _own_in(self._taker_matches(order), account)) is not None:
            prevented = own.remaining
            self._end_order(account, own, OrderStatus.EXPIRED_IN_MATCH, by_hand=order.is_manual)
            self._publish_report(
                own, "TRADE_PREVENTION", extra=prevention_fields(order, own, prevented, self.spec.symbol)
            )
        takes = self._taker_matches(order)
        found = sum((take.quantity for take in takes), ZERO)
        if order.request.time_in_force is TimeInForce.FOK and found < order.quantity:
            return []
        trades = []
        for take in takes:
            trade_id = next(self._trade_ids)
            trades.append(self._fill(order, take.price, take.quantity, trade_id, maker=False))
            if take.resting_order is None:
                self.book.consume_best(order.side, take.quantity)
            else:
                self._fill(take.resting_order, take.price, take.quantity, trade_id, maker=True)
        return trades

    def _taker_matches(self, order: SimOrder) -> list[TakerMatch]:
        limit = None if order.request.type is OrderType.MARKET else order.price
        return self.book.match_taker(order.side, limit, order.remaining)

    def _fill(self, order: SimOrder, price: Decimal, quantity: Decimal, trade_id: int, maker: bool) -> SimTrade:
        """Book one fill and tell it."""
        account = self.accounts.get(order.account)
        fee = self.spec.maker_fee if maker else self.spec.taker_fee
        commission, asset = self.accounts.settle_fill(order, price, quantity, fee)
        if not order.filled:
            refund = self.spec.maker_refund if maker else self.spec.taker_refund
            account.order_counts.schedule_refund(self.clock.unix_ms() + self.spec.refund_delay_ms, refund)
        order.filled += quantity
        order.filled_quote += price * quantity
        order.updated_ms = self.market_ms
        order.status = OrderStatus.PARTIALLY_FILLED if order.remaining else OrderStatus.FILLED
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

    def _end_order(self, account: SimAccount, order: SimOrder, status: OrderStatus, by_hand: bool) -> None:
        """The order leaves the book with something unfilled."""
        account.release_locked(self._sold_asset(order.side), order.locked)
        self.book.remove(order)
        account.close_order(order)
        order.status = status
        order.updated_ms = self.market_ms
        self._mark_changed(account)
        self.audit_log.record_end(self.clock.unix_ms(), self.market_ms, order, by_hand=by_hand)

    def _find_open_order(self, account: SimAccount, target: CancelOrder) -> SimOrder:
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

    def _update_average(self, tick: Tick) -> None:
        if tick.traded:
            quote = tick.last_price * tick.traded
            self._recent_trades.append((tick.time_ms, quote, tick.traded))
            self._recent_quote_volume += quote
            self._recent_base_volume += tick.traded
        while self._recent_trades and self._recent_trades[0][0] <= tick.time_ms - self.spec.average_minutes * MINUTE_MS:
            _, quote, base = self._recent_trades.popleft()
            self._recent_quote_volume -= quote
            self._recent_base_volume -= base

    # Telling

    def _mark_changed(self, account: SimAccount) -> None:
        account.updated_ms = self.market_ms
        self._changed_accounts[account.name] = account

    def _publish_report(
        self, order: SimOrder, execution: str, cancel_id: str | None = None, extra: Json | None = None
    ) -> None:
        self._mark_changed(self.accounts.get(order.account))
        report = execution_report(
            order, self.spec.symbol, execution, next(self._execution_ids), self.market_ms, cancel_id=cancel_id
        )
        self._events.append(UserEvent(order.account, report | (extra or {})))

    def _publish_positions(self) -> None:
        assets = (self.spec.base_asset, self.spec.quote_asset)
        for account in self._changed_accounts.values():
            balances = [account.balance(asset) for asset in assets]
            position = account_position(balances, account.updated_ms, self.market_ms)
            self._events.append(UserEvent(account.name, position))
            account.save_version(self.clock.unix_ms())
        self._changed_accounts = {}

    def _publish_top(self) -> None:
        """Only when a price or a quantity has changed, and not in a BREAK, which the market data takes as well."""
        if not self.book.is_open or (self.symbol_status == BREAK and self._published_top is not None):
            return
        told, number = self._published_top, self._published_top.update_id if self._published_top else 0
        top = self.book.published_top(number)
        if top != told:
            self._published_top = self.book.published_top(number + 1)
            stream = f"{self.spec.stream_prefix}@bookTicker"
            self._events.append(MarketEvent(stream, book_ticker_json(self._published_top, self.spec.symbol)))

    def _publish_kline(self, stream: str, payload: Json) -> None:
        if self.symbol_status in {BREAK, CANCEL_ONLY}:
            return
        self._events.append(MarketEvent(stream, payload))


def _open_by_session(account: SimAccount) -> int:
    return sum(not order.is_manual for order in account.open_orders())


def _own_in(takes: Sequence[TakerMatch], account: SimAccount) -> SimOrder | None:
    """The first resting order among `takes` that belongs to the taker himself."""
    return next(
        (each.resting_order for each in takes if each.resting_order and each.resting_order.account == account.name),
        None,
    )

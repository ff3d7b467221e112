"""Matching engine of the simulated exchange: orders and ticks go in; fills, balances and events come out.

Theory of operation. Each tick carries the market's best bid and ask with their quantities and, sometimes, a trade ("the
market" means all participants except the simulated accounts). The engine never knows deeper levels. A resting SELL at
price P fills as follows, and a BUY mirrors it:

1. In full, once the market bids above P or trades above P: the price has gone through the order. 2. By a trade at
exactly P whose aggressor buys: the trade first takes the volume ahead in the queue. The rest of the trade fills the
order, wholly or in part. 3. Not when the market bids exactly P: that alone does not fill the order. 4. Not by a trade
that was made before the order was accepted. A live market may report such a trade late.

The queue ahead is what the market offered at P when the order joined; it is empty if the order improved the best price.
If the order joined at a price worse than the best price, its queue becomes known when the market's best price is first
at P. A taker matches the market's best level and the accounts' orders, the market first at equal prices. The price of a
fill is always that of the resting order. Two orders of one account never trade with each other; see `self_trade`.

Harsher than the real exchange:
- a market bid at P does not fill an order at P, though on a real book the two would have matched;
- the queue ahead shrinks by trades only, never because someone ahead cancels;
- in the tick in which an order's queue becomes known, a trade at P counts as taken from the queue;
- a taker finds one market level, refilled by the next tick;
- a post-only order is judged by the market's true best price, even while the published top hides that price behind an
  account's order. Kinder than the real exchange:
- a price that goes through P fills any quantity;
- the market never reacts to the accounts' orders and never offers a better price because of them;
- there is no latency inside the engine (the transports add it).

The engine waits for nothing and knows no JSON. It passes typed events (`engine_events`) to its sink. Each action adds
its execution reports, then one event per changed account, then the end of the action. The engine uses two clocks:
orders, fills and events carry market time, which the ticks bring; the unfilled-order counts use the wall clock, since
market time may run faster.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import count, takewhile
from typing import Final, Protocol

from trailingedge.model.market import ZERO, ExecutionType, OrderStatus, Side, floor_to_step
from trailingedge.simulator.accounts import AccountRegistry, SimAccount
from trailingedge.simulator.book import Book, MakerFill, TakerMatch
from trailingedge.simulator.engine_events import (
    ActionEnded,
    BalancesChanged,
    EventSink,
    FundsTransferred,
    OrderReport,
)
from trailingedge.simulator.errors import (
    CANCEL_RESTRICTED,
    DUPLICATE_ORDER,
    INSUFFICIENT_BALANCE,
    MARKET_CLOSED,
    PEG_LIQUIDITY,
    REJECT_REASONS,
    REJECTED_CODE,
    UNKNOWN_ORDER,
    WOULD_TAKE,
    WRONG_PHASE,
    ExchangeError,
    amend_rejected,
    cancel_rejected,
    filter_failure,
    order_rejected,
)
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.feeds.ticks import Tick
from trailingedge.simulator.filters import check_new_quantity
from trailingedge.simulator.order_amendment import check_amendment, find_order_to_amend
from trailingedge.simulator.orders import (
    Amendment,
    AmendOrder,
    CancelOrder,
    NewOrder,
    OrderType,
    PreventedMatch,
    SimOrder,
    SimTrade,
    TimeInForce,
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

_ACTION_ENDED: Final = ActionEnded()


class MarketRecord(Protocol):
    """The parts of the market's history that the engine needs: ids for trades, and the average price."""

    def record_tick(self, tick: Tick, fills: Sequence[MakerFill]) -> list[int]:
        """Record a tick and the fills that it caused. Returns the trade id of each fill."""
        ...

    def record_taken(self, time_ms: int, price: Decimal, aggressor: Side, quantities: Sequence[Decimal]) -> list[int]:
        """Record trades of an account's taker order at one price; no tick contains them. Returns their ids."""
        ...

    def average_price(self) -> Decimal:
        """The price from which PERCENT_PRICE_BY_SIDE measures the distance of an order.

        A MARKET order is checked at this price.
        """
        ...


class Engine:
    """The order book and the accounts of one symbol. Events go to `sink` as they happen.

    `symbol_status` may be set from outside. Orders are accepted and fill only while it is TRADING; they can be
    cancelled under every status. `market_now` returns the time of a live market between two of its ticks, so that an
    order has the time at which it was accepted. `wall_ms` returns the wall clock's time.
    """

    def __init__(self, spec: ExchangeSpec, market: MarketRecord, sink: EventSink, wall_ms: Callable[[], int]) -> None:
        self.spec = spec
        self.symbol_status = TRADING
        self.market_ms = 0
        self.accounts = AccountRegistry(spec)
        self.book = Book(spec.tick_size)
        self.market_now: Callable[[], int] = lambda: self.market_ms
        self._market = market
        self._sink = sink
        self._wall_ms = wall_ms
        self._changed_accounts: dict[str, SimAccount] = {}
        # Order ids start far from trade and execution ids, so that a client that mixes them up soon fails.
        self._order_ids = count(1001)
        self._execution_ids = count(1)
        self._prevented_match_ids = count(1)

    # The market

    def on_tick(self, tick: Tick) -> None:
        """Apply the market's next tick and fill orders. Raises ValueError for a tick older than the last."""
        if tick.time_ms < self.market_ms:
            raise ValueError(f"market time goes back from {self.market_ms} to {tick.time_ms}")
        self.market_ms = tick.time_ms
        if self.symbol_status == TRADING:
            fills = self.book.apply_tick(tick)
        else:
            if self.book.is_open:  # while the symbol does not trade, the source's trades did not happen here
                tick = tick._replace(last_price=self.book.tick.last_price, traded=ZERO, aggressor=None)
            self.book.set_tick(tick)
            fills = []
        trade_ids = self._market.record_tick(tick, fills)
        for fill, trade_id in zip(fills, trade_ids, strict=True) if fills else ():
            self._fill(fill.order, fill.order.price, fill.quantity, trade_id, maker=True)
        self.end_action()

    def partial_fill(self, order: SimOrder, quantity: Decimal) -> None:
        """Fill a part of a resting order at its price, as if a market participant took it.

        Used by the fault `partial_fill` and by tests.
        """
        (trade_id,) = self._market.record_taken(self.market_ms, order.price, order.side.opposite, [quantity])
        self._fill(order, order.price, quantity, trade_id, maker=True)
        self.end_action()

    def advance_time(self, market_ms: int) -> None:
        """Move market time forward to `market_ms`; an earlier time changes nothing."""
        self.market_ms = max(self.market_ms, market_ms)

    # Orders

    def place_order(
        self, account: SimAccount, request: NewOrder, manual: bool = False
    ) -> tuple[SimOrder, list[SimTrade]]:
        """Accept an order, fill what it matches, then let the remainder rest or expire. Raises ExchangeError.

        All checks run before any order or balance changes, so the error is the only effect of a rejected order.
        """
        self.advance_time(self.market_now())
        self.check_accepts(account, request)
        order = self._new_order(account, request, manual)
        # Post-only is checked before the balance. If an order fails both checks, its error says that it would match.
        if request.type is OrderType.LIMIT_MAKER and self.book.would_match(order.side, order.price):
            raise order_rejected(WOULD_TAKE)
        self._lock_funds(account, order)
        account.add_order(order)
        self._report(order, ExecutionType.NEW, by_hand=manual)
        trades = [] if request.type is OrderType.LIMIT_MAKER else self._match_taker(order)
        if order.remaining and self._may_rest(order):
            self.book.add(order)
        elif order.remaining:
            order.expiry_reason = EXPIRY_REASONS[request.time_in_force]
            self._end_order(account, order, OrderStatus.EXPIRED)
            self._report(order, ExecutionType.EXPIRED, by_hand=manual)
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
        self.advance_time(self.market_now())
        order = self._find_open_order(account, target)
        if target.restriction is not None and not target.restriction.allows(order.status):
            raise cancel_rejected(CANCEL_RESTRICTED)
        cancel_id = target.cancel_id or account.generate_client_order_id()
        self._end_order(account, order, OrderStatus.CANCELED)
        self._report(order, ExecutionType.CANCELED, cancel_id=cancel_id, by_hand=manual)
        return order, cancel_id

    def amend_order(self, account: SimAccount, request: AmendOrder) -> tuple[SimOrder, Amendment]:
        """Reduce an open order's quantity. The order keeps its place in the queue. Raises ExchangeError.

        The order expires if its fills already reach the new quantity.
        """
        self.advance_time(self.market_now())
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
        execution_id = next(self._execution_ids)
        amendment = Amendment(execution_id, before_id, order.client_order_id, before, order.quantity, self.market_ms)
        order.amendments = (*order.amendments, amendment)
        self._report(order, ExecutionType.REPLACED, execution_id=execution_id, previous_id=before_id)
        if not order.remaining:
            self._end_order(account, order, OrderStatus.EXPIRED)
            self._report(order, ExecutionType.EXPIRED, by_hand=order.is_manual)
        return order, amendment

    def report_rejection(self, account: SimAccount, request: NewOrder, error: ExchangeError) -> None:
        """Report that the new order of a cancel-replace was rejected.

        A rejected single placement has no such report: its error reply is all the client gets.
        """
        order = SimOrder(
            order_id=-1,
            client_order_id=request.client_order_id or account.generate_client_order_id(),
            account=account.name,
            request=request,
            price=request.price or ZERO,
            quantity=request.quantity or ZERO,
            created_ms=-1,
            status=OrderStatus.REJECTED,
            updated_ms=self.market_ms,
        )
        reason = REJECT_REASONS.get(error.text, "NONE")
        self._sink(OrderReport(account, order, ExecutionType.REJECTED, -1, self.market_ms, reject_reason=reason))

    def end_action(self) -> None:
        """End an action: report which accounts it changed, then that it has ended."""
        # One event per account and action, however many fills the action had.
        if self._changed_accounts:
            changed, self._changed_accounts = self._changed_accounts, {}
            for account in changed.values():
                self._sink(BalancesChanged(account, self.market_ms))
        self._sink(_ACTION_ENDED)

    def transfer(self, account: SimAccount, asset: str, amount: Decimal) -> None:
        """Book a deposit or, with a negative `amount`, a withdrawal.

        Raises ExchangeError if less than the withdrawn amount is free.
        """
        account.credit(asset, amount)
        account.updated_ms = self.market_ms
        self._sink(FundsTransferred(account, asset, amount, self.market_ms))

    def average_price(self) -> Decimal:
        """Return the price from which PERCENT_PRICE_BY_SIDE measures the distance of an order."""
        return self._market.average_price()

    def working_price(self, request: NewOrder) -> Decimal:
        """Return the price that an order would have in the book if it entered now.

        This is the price as sent or the price that the peg gives; for MARKET it is the average
        price. Raises ExchangeError for a peg with an offset, because the book knows only the best
        level.
        """
        if request.type is OrderType.MARKET:
            return self._market.average_price()
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

    def _new_order(self, account: SimAccount, request: NewOrder, manual: bool) -> SimOrder:
        market = request.type is OrderType.MARKET
        return SimOrder(
            order_id=next(self._order_ids),
            client_order_id=request.client_order_id or account.generate_client_order_id(),
            account=account.name,
            request=request,
            price=ZERO if market else self.working_price(request),
            quantity=request.quantity or self.base_quantity(request, self._best_opposite_price(request)),
            created_ms=self.market_ms,
            is_manual=manual,
            working_ms=self.market_ms,
            updated_ms=self.market_ms,
        )

    def _best_opposite_price(self, request: NewOrder) -> Decimal:
        return self.book.published_top().best(request.side.opposite)

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
        """Fill the order with the quantities that it matches at one price."""
        price, trades = level[0].price, []
        quantities = [take.quantity for take in level]
        # Both sides of a trade between two accounts share its id.
        trade_ids = self._market.record_taken(self.market_ms, price, order.side, quantities)
        for take, trade_id in zip(level, trade_ids, strict=True):
            trades.append(self._fill(order, price, take.quantity, trade_id, maker=False))
            if take.resting_order is None:
                self.book.consume_best(order.side, take.quantity)
            else:
                self._fill(take.resting_order, price, take.quantity, trade_id, maker=True)
        return trades

    def _taker_matches(self, order: SimOrder, beyond: Decimal = ZERO) -> list[TakerMatch]:
        """Return the matches of the order on the book, up to a quantity of its remaining quantity plus `beyond`."""
        limit = None if order.request.type is OrderType.MARKET else order.price
        return self.book.match_taker(order.side, limit, order.remaining + beyond)

    def _trades_with_others(self, order: SimOrder) -> list[TakerMatch]:
        """Return the matches of the order now, leaving out orders of its own account."""
        own = sum((each.remaining for each in self.accounts.get(order.account).open_orders()), ZERO)
        return without_self_trades(self._taker_matches(order, beyond=own), order)

    def _tradable(self, order: SimOrder) -> Decimal:
        return sum((take.quantity for take in self._trades_with_others(order)), ZERO)

    def _prevent_self_trade(self, taker: SimOrder, maker: SimOrder) -> None:
        """Reduce or expire taker, maker or both instead of a self-trade, with a report for each."""
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
                self._close_order(account, order, OrderStatus.EXPIRED_IN_MATCH)
            self._report(order, ExecutionType.TRADE_PREVENTION, prevented=match, by_hand=taker.is_manual)

    def _fill(self, order: SimOrder, price: Decimal, quantity: Decimal, trade_id: int, maker: bool) -> SimTrade:
        """Apply one fill to balances, order and account, with a report."""
        account = self.accounts.get(order.account)
        fee = self.spec.maker_fee if maker else self.spec.taker_fee
        commission, asset = self.accounts.settle_fill(order, price, quantity, fee)
        if not order.filled:
            # Binance's unfilled-order-count rules: an order's first fill lowers the counts, for a maker by more than
            # for a taker, and not at once.
            refund = self.spec.maker_refund if maker else self.spec.taker_refund
            account.order_counts.schedule_refund(self._wall_ms() + self.spec.refund_delay_ms, refund)
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
        self._report(order, ExecutionType.TRADE, trade=trade, by_hand=order.is_manual)
        return trade

    def _end_order(self, account: SimAccount, order: SimOrder, status: OrderStatus) -> None:
        """End an order as cancelled or expired, and unlock its funds."""
        account.release_locked(self._sold_asset(order.side), order.locked)
        self._close_order(account, order, status)

    def _close_order(self, account: SimAccount, order: SimOrder, status: OrderStatus) -> None:
        """Set the final status of an order and remove it from the book. Its funds must be unlocked already."""
        self.book.remove(order)
        account.close_order(order)
        order.status = status
        order.updated_ms = self.market_ms

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

    def _report(
        self,
        order: SimOrder,
        execution: ExecutionType,
        *,
        execution_id: int | None = None,
        trade: SimTrade | None = None,
        prevented: PreventedMatch | None = None,
        cancel_id: str | None = None,
        previous_id: str = "",
        by_hand: bool = False,
    ) -> None:
        """Report an event of an order, and note that this action changed the order's account."""
        account = self.accounts.get(order.account)
        account.updated_ms = self.market_ms
        self._changed_accounts[account.name] = account
        self._sink(
            OrderReport(
                account,
                order,
                execution,
                next(self._execution_ids) if execution_id is None else execution_id,
                self.market_ms,
                trade,
                prevented,
                cancel_id,
                previous_id,
                by_hand=by_hand,
            )
        )

"""The maker exit: keeps one post-only order at the best price until all funds of the exit are traded.

Theory of operation. The strategy names an intent (side, funds, pricing); it never names a request. In each tick
`commands_for` compares the intent with the order on the book and returns the one command that closes the gap:

- no order on the book: place one, as soon as the balances account for the last fill;
- the best price moved: cancel-replace, or a plain cancel once the order is partially filled, because the exchange
  refuses to replace such an order; the next tick then places the rest;
- no intent, or a BUY without trusted market data: cancel;
- an UNKNOWN order: query it, and send nothing else until its state is known;
- the remaining funds are too small for an order: the exit is over.

One request is open at a time. The price may move ten times before its reply arrives; the next command then uses only
the newest price. A rejection does not end the exit: RejectBackoff decides how long to wait and which data to read
again. This module sends nothing and reads no clock, so the same code runs live and in a backtest.

A change of the price alone is answered without a tick, see `trading_plan`. `plan_requote` prepares the cancel-replace,
and `on_replace_sent` records it once it is on its way.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trailingedge.core.errors import BrokenInvariant
from trailingedge.execution.order import Order, OrderState, OrderTrigger
from trailingedge.execution.order_events import OrderEvent, OrderRejected
from trailingedge.execution.order_rate_budget import OrderRateBudget
from trailingedge.execution.order_updates import OrderUpdateHandler
from trailingedge.execution.pending_requests import PendingRequest, PendingRequests
from trailingedge.execution.quote_prices import RestingOrder, escape_price, resting_price
from trailingedge.execution.replace_attempt import ReplaceAttempt
from trailingedge.execution.trading_plan import RequotePlan
from trailingedge.model.client_order_ids import ClientOrderId, own_id
from trailingedge.model.intent import ExitEndReason, ExitKind, ExitProgress, OrderIntent
from trailingedge.model.market import SIZE_FILTERS, ZERO, BookTop, RateLimit, Side, SymbolRules
from trailingedge.model.order_commands import Cancel, ExecutionCommand, OrderCommand, OrderInput, Place, Replace
from trailingedge.model.order_outcomes import RejectReason
from trailingedge.model.order_size import order_quantity
from trailingedge.model.pricing_mode import Pricing
from trailingedge.reconciliation.history_types import HistoricalExit

# The quantity wanted and the quantity on the book differ briefly after every fill, until the balances follow.
# Only a difference that lasts this long is a deposit, a withdrawal or a trade by hand.
_RESIZE_AFTER_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class MakerExitParams:
    """The settings of the maker exit.

    `timeout_s`: a request without a reply for this long has timed out. `request_expires_s`: a
    request older than this can no longer be executed, because its recvWindow is over. Two answers
    "does not exist" prove that such a request led to no order; for a younger request they prove
    nothing. `escape_after_s`: the age at which the exit sends one taker order; 0 = off.
    """

    timeout_s: float = 3.0
    request_expires_s: float = 6.0
    escape_after_s: float = 0.0
    escape_slippage_frac: Decimal = ZERO


class MakerExit:
    """Manages the order of one exit at a time. `events` collects order events for log, console and alerts.

    `changes` grows with each event that may have changed its orders or requests. While it stays the same, `idle`,
    `progress` and `max_locked` stay the same too; they are needed at every tick.
    """

    def __init__(self, rules: SymbolRules, budget: OrderRateBudget, params: MakerExitParams | None = None) -> None:
        self.rules = rules
        self.events: list[OrderEvent] = []
        self.changes = 0
        self._progress_at = self._idle_at = -1  # the number of changes when the values below were found
        self._progress: ExitProgress | None = None
        self._idle = False
        self._budget = budget
        self._params = params or MakerExitParams()
        self._requests = PendingRequests()
        self._balances_current = True
        self._start_exit(0, funds_changed_ms=0)

    def _start_exit(self, number: int, funds_changed_ms: int) -> None:
        """Reset the state for exit `number`. `funds_changed_ms`, from the last exit, stays in force."""
        params = self._params
        # A late reply to a request of the last exit would otherwise bring that exit's order into this one's state.
        self._requests.clear()
        self._updates = OrderUpdateHandler(
            number, self._requests, self.events, params.timeout_s, params.request_expires_s, funds_changed_ms
        )
        self._end_reason: ExitEndReason | None = None
        self._differs_since_s: float | None = None
        self._escaped = False
        self._own_ids: dict[ExitKind, str] = {}

    def update_rules(self, rules: SymbolRules) -> None:
        """Use symbol rules that were read again. If the symbol trades again, placements need not wait any longer."""
        self.rules = rules
        if rules.trading:
            self._updates.backoff.clear(RejectReason.NOT_TRADING)

    def update_limits(self, limits: tuple[RateLimit, ...], server_ms: int) -> None:
        """Use the exchange's limits on the number of orders, with its counts of our orders so far."""
        self._budget.update_limits(limits, server_ms)

    @property
    def number(self) -> int:
        """The number of the current exit, 0 before the first."""
        return self._updates.orders.number

    @property
    def order(self) -> Order | None:
        """The current order: the order on the book, or else the last order that was on it."""
        return self._updates.orders.order

    @property
    def idle(self) -> bool:
        """Whether no order of ours is on the book, pending or UNKNOWN, and no request is open."""
        if self._idle_at != self.changes:
            self._idle, self._idle_at = self._updates.idle, self.changes
        return self._idle

    @property
    def alive(self) -> list[Order]:
        """The orders that are, or might be, on the book.

        There is more than one only during a cancel-replace or while one is UNKNOWN.
        """
        return self._updates.orders.alive_orders()

    @property
    def funds_changed_ms(self) -> int:
        """The exchange's time at which one of our orders last moved or freed funds."""
        return self._updates.funds_changed_ms

    def may_send(self, now_s: float, server_ms: int) -> bool:
        """Whether the exchange accepts requests at all now: no ban or rate limit makes us wait."""
        return self._updates.backoff.may_send(now_s, server_ms)

    def max_locked(self, side: Side) -> Decimal | None:
        """Return the largest amount that our `side` orders can have locked; None if that is unknown."""
        orders = self._updates.orders
        order = orders.order
        if order is None or order.side is not side:
            return ZERO
        return orders.max_locked(in_quote=side is Side.BUY)

    def owns(self, order_id: int) -> bool:
        """Whether a request of the current exit led to this order."""
        return self._updates.orders.by_order_id(order_id) is not None

    def progress(self) -> ExitProgress | None:
        """Return fills and state of the current exit; None before the first exit."""
        if self._progress_at != self.changes:
            self._progress, self._progress_at = self._find_progress(), self.changes
        return self._progress

    def _find_progress(self) -> ExitProgress | None:
        if not self.number:
            return None
        base, quote = self._updates.orders.filled()
        return ExitProgress(
            number=self.number,
            filled_base=base,
            filled_quote=quote,
            idle=self.idle and self._balances_current,
            complete=self._end_reason,
            rested=self._updates.orders.rested,
            may_fill=self._updates.orders.may_fill,
        )

    def adopt(self, exit_: HistoricalExit, now_s: float) -> None:
        """Continue an exit of an earlier session, whether an order of it is on the book or not."""
        self.changes += 1
        self._start_exit(exit_.number, funds_changed_ms=max(self.funds_changed_ms, exit_.ended_ms))
        self._updates.orders.adopt(exit_, now_s)
        self._updates.foreign.inherits_until_s = now_s + self._params.request_expires_s

    def handle(self, event: OrderInput, now_s: float) -> None:
        """Apply a reply (even a late one) or an execution report. Replies and reports for other exits are ignored."""
        self.changes += 1
        self._updates.handle(event, now_s)

    def on_disconnect(self, now_s: float) -> None:
        """Make every order on the book UNKNOWN, because the account connection was lost."""
        self.changes += 1
        self._updates.on_disconnect(now_s)

    def commands_for(
        self,
        intent: OrderIntent | None,
        top: BookTop | None,
        now_s: float,
        *,
        server_ms: int = 0,
        age_s: float = 0.0,
        balances_current: bool = True,
    ) -> list[ExecutionCommand]:
        """Return the commands that bring the book closer to `intent`.

        While a request is open, only refreshes are returned. `top` is None while market data is not
        trusted. `balances_current` tells whether the balances, and so `intent.funds`, include every
        change up to `funds_changed_ms`. `age_s` is the age of the exit. Raises BrokenInvariant if
        `intent` belongs to a new exit while an order of the last exit may be on the book.
        """
        if balances_current is not self._balances_current:
            self._balances_current = balances_current
            self.changes += 1
        if intent is None and self.idle:
            return self._take_refreshes()  # as at nearly all ticks
        if intent is not None and intent.number != self.number:
            self._begin_exit(intent)
        if now_s >= self._requests.times_out_s(self._params.timeout_s):
            self._updates.expire_requests(now_s)
            self.changes += 1
        # Refreshes do not concern the order, so they go out while a request is open.
        if self._requests.open is not None or not self.may_send(now_s, server_ms):
            return self._take_refreshes()
        command = self._next_command(intent, top, now_s, server_ms, age_s)
        self.changes += command is not None
        return self._take_refreshes() if command is None else [*self._take_refreshes(), command]

    def ignores_prices(self, intent: OrderIntent | None) -> bool:
        """Whether no price can lead to a command: a request is open, or no order is wanted and none is left."""
        return self._requests.open is not None or (intent is None and self.idle)

    def waits(self, top: BookTop | None, now_s: float, server_ms: int, age_s: float) -> tuple[float, ...]:
        """Return the times, in monotonic seconds, until which a command is held back. Some of them may be past.

        `top` is the book, `age_s` the age of the exit.
        """
        waits = self._updates.waits(now_s, server_ms)
        if self._requests.open is not None:
            return waits
        if self._differs_since_s is not None:
            waits = *waits, self._differs_since_s + _RESIZE_AFTER_S
        if self._params.escape_after_s and not self._escaped:
            waits = *waits, now_s + self._params.escape_after_s - age_s
        order = self.order
        if order is not None and top is not None:
            until_s = self._updates.left_orders.explain_until(order.side, top, now_s)
            waits = waits if until_s is None else (*waits, until_s)
        return *waits, now_s + (self._budget.next_requote_ms(server_ms) - server_ms) / 1000

    def plan_requote(self, intent: OrderIntent, now_s: float, server_ms: int, age_s: float) -> RequotePlan | None:
        """Return a plan that gives the cancel-replace for each new price.

        It is valid until the first of the times in `waits`. Returns None if anything besides the price may prevent or
        change a requote.
        """
        updates, orders, order = self._updates, self._updates.orders, self._updates.orders.order
        if (
            order is None
            or order.state is not OrderState.WORKING
            or order.order_id is None
            or order.price is None
            # No price change alone can end any of these conditions. If one holds, the next requote needs a full tick.
            or order.side is not intent.side
            or intent.number != self.number
            or order.client_order_id != self._own_id(intent.kind)
            or self._requests.open is not None
            or orders.duplicate is not None
            or orders.unknown_order is not None
            or self._differs_since_s is not None
            or self._escape_is_due(age_s)
            or self._pegged(intent)
            or not self.rules.trading
            or not updates.backoff.is_clear(now_s, server_ms)
            or not self._budget.is_ample(server_ms)
        ):
            return None
        replace_like = None
        if not order.partially_filled:
            tag, own = self._requests.next_tag, order.client_order_id
            replace_like = Replace(tag, order.order_id, own, intent.side, order.price, order.quantity)
        return RequotePlan(
            intent,
            order.order_id,
            replace_like,
            RestingOrder(order.price, order.quantity),
            updates.left_orders,
            self.rules,
            quantity=self._quantity(intent, order.price) if self._quantity_is_fixed(intent) else None,
        )

    def on_replace_sent(self, command: Replace, top: BookTop, now_s: float, server_ms: int) -> None:
        """Record a cancel-replace that was sent for the book `top`.

        Raises BrokenInvariant if the order that it replaces is not our current order, or is not WORKING.
        """
        order = self._updates.orders.order
        if order is None or order.order_id != command.order_id or order.state is not OrderState.WORKING:
            raise BrokenInvariant(f"{command} was sent, but the current order is {order!r}")
        attempt = ReplaceAttempt(
            Order(command.client_order_id, command.side, command.price, command.quantity, now_s), order
        )
        self.changes += 1
        order.apply(OrderTrigger.CANCEL_SENT)
        self._updates.orders.begin(attempt)
        self._budget.spend(server_ms)
        self._requests.register(PendingRequest(command, now_s, order, attempt, top))

    def _begin_exit(self, intent: OrderIntent) -> None:
        # Two exits at once would sell the same balance twice. The strategy never asks for it, so this is a mistake of
        # ours.
        if not self.idle:
            raise BrokenInvariant(f"exit {intent.number} begins while {self.order!r} may be on the book")
        self.changes += 1
        self._start_exit(intent.number, self.funds_changed_ms)

    def _next_command(
        self, intent: OrderIntent | None, top: BookTop | None, now_s: float, server_ms: int, age_s: float
    ) -> OrderCommand | None:
        orders = self._updates.orders
        # Two orders on the book can sell the same funds twice, so the cancel comes first, even before a query.
        if orders.duplicate is not None:
            return self._cancel(orders.duplicate, now_s)
        if orders.unknown_order is not None:
            return self._query(orders.unknown_order, now_s)
        order = orders.order
        if order is None or not order.alive:
            return self._place(intent, top, now_s, server_ms, age_s)
        # Without trusted market data a SELL stays: it protects us, and a fill is at a price that we accepted. A BUY is
        # cancelled: it would be filled first when the market falls, which is when we do not want it.
        if intent is None or order.side is not intent.side or (top is None and order.side is Side.BUY):
            return self._cancel(order, now_s)
        if top is None:
            return None
        if self._escape_is_due(age_s):
            return self._cancel(order, now_s)
        return self._requote(order, intent, top, now_s, server_ms)

    def _query(self, order: Order, now_s: float) -> OrderCommand | None:
        command = self._updates.query_for(order, now_s)
        if command is None:
            return None
        return self._requests.register(PendingRequest(command, now_s, order, self._updates.orders.attempt_of(order)))

    def _place(
        self, intent: OrderIntent | None, top: BookTop | None, now_s: float, server_ms: int, age_s: float
    ) -> OrderCommand | None:
        """Place an order if none is on the book. Ends the exit if the funds are too small."""
        if intent is None or top is None or not self._balances_current or self._end_reason is not None:
            return None
        if not self._updates.backoff.may_place(top, now_s):
            return None
        escape = self._escape_is_due(age_s)
        if escape:
            price = escape_price(intent.side, top, self.rules.tick_size, self._params.escape_slippage_frac)
        else:
            price = self._best_price(intent, top, None, now_s)
        quantity = self._quantity(intent, price)
        breach = self.rules.failed_filter(price, quantity)
        if breach in SIZE_FILTERS:
            self._end_reason = self._reason_of_end()
            self.changes += 1
            return None
        if self._reject_locally(intent, breach, now_s):
            return None
        # Once per exit: if the taker order fills only partly, the rest goes on as maker.
        self._escaped = self._escaped or escape
        own = self._own_id(ExitKind.ESCAPE if escape else intent.kind)
        order = Order(own, intent.side, None if self._pegged(intent) and not escape else price, quantity, now_s)
        attempt = ReplaceAttempt(order)
        self._updates.orders.begin(attempt)
        self._budget.spend(server_ms)
        tag = self._requests.next_tag
        command = Place(tag, order.client_order_id, order.side, order.price, quantity, escape)
        return self._requests.register(PendingRequest(command, now_s, order, attempt, top))

    def _reject_locally(self, intent: OrderIntent, breach: str | None, now_s: float) -> bool:
        """Back off without sending anything if the exchange would reject the order. Returns True in that case."""
        if breach is None and self.rules.trading:
            return False
        reason = RejectReason.FILTER if self.rules.trading else RejectReason.NOT_TRADING
        text = f"filter {breach}" if self.rules.trading else f"symbol status {self.rules.status}"
        backoff = self._updates.backoff
        backoff.on_reject(reason, now_s)
        self.events.append(OrderRejected(self._own_id(intent.kind), reason, 0, text, backoff.in_a_row))
        return True

    def _requote(
        self, order: Order, intent: OrderIntent, top: BookTop, now_s: float, server_ms: int
    ) -> OrderCommand | None:
        """Follow the best price: by cancel-replace, or by cancel alone once part of the order is filled."""
        if order.state is not OrderState.WORKING or order.order_id is None or order.price is None:
            return None
        target = self._best_price(intent, top, order, now_s)
        quantity = self._quantity(intent, target)
        current = own_id(order.client_order_id)
        # A hard stop that takes over from a take-profit replaces the order at once, even at the same price. A restart
        # recognises a hard stop by the client order id of its order.
        urgent = intent.kind is ExitKind.FLUSH and (current is None or current.kind is not ExitKind.FLUSH)
        resize = self._quantity_differs(order, quantity, now_s) and not order.partially_filled
        if target == order.price and not urgent and not resize:
            return None
        if not self._updates.backoff.may_place(top, now_s):
            return None
        # The budget delays requotes that only improve a price. A hard stop that takes over may use its reserve.
        if not urgent and not self._budget.may_requote(server_ms):
            return None
        breach = self.rules.failed_filter(target, quantity)
        if breach in SIZE_FILTERS:
            # At the same price, keep a remainder below the minimum size, even for a hard stop: a cancel would lose its
            # place in the queue, and the exchange would not accept an order of this size again.
            return None if target == order.price else self._cancel(order, now_s)
        if self._reject_locally(intent, breach, now_s):
            return None
        if order.partially_filled:
            return self._cancel(order, now_s)
        # A pegged order follows the best price inside the exchange, without our requests.
        price = None if self._pegged(intent) else target
        own = self._own_id(intent.kind)
        command = Replace(self._requests.next_tag, order.order_id, own, intent.side, price, quantity)
        self.on_replace_sent(command, top, now_s, server_ms)
        return command

    def _cancel(self, order: Order, now_s: float) -> OrderCommand | None:
        if (
            order.state is not OrderState.WORKING
            or order.order_id is None
            or not self._updates.backoff.may_cancel(now_s)
        ):
            return None
        order.apply(OrderTrigger.CANCEL_SENT)
        command = Cancel(self._requests.next_tag, order.order_id, order.client_order_id)
        return self._requests.register(PendingRequest(command, now_s, order))

    def _best_price(self, intent: OrderIntent, top: BookTop, order: Order | None, now_s: float) -> Decimal:
        own = None
        if order is not None and order.price is not None:
            own = RestingOrder(order.price, order.quantity)
        left = self._updates.left_orders.at(top.best(intent.side), now_s)
        return resting_price(intent.pricing, intent.side, top, self.rules.tick_size, own, left)

    def _own_id(self, kind: ExitKind) -> str:
        """Return the client order id of an order of the current exit. Each id is composed once and then kept."""
        found = self._own_ids.get(kind)
        if found is None:
            found = self._own_ids[kind] = str(ClientOrderId(kind, self.number))
        return found

    def _pegged(self, intent: OrderIntent) -> bool:
        return intent.pricing is Pricing.PEG and self.rules.peg_allowed

    def _quantity(self, intent: OrderIntent, price: Decimal) -> Decimal:
        """Return the largest quantity at `price` that the funds and the rules allow."""
        return order_quantity(self.rules, intent.side, intent.funds, price)

    def _quantity_is_fixed(self, intent: OrderIntent) -> bool:
        return intent.side is Side.SELL and self.rules.max_notional is None

    def _quantity_differs(self, order: Order, quantity: Decimal, now_s: float) -> bool:
        # While the balances lag, a difference is the fill that is on its way, not a change of the holdings.
        if quantity == order.remaining or not self._balances_current:
            self._differs_since_s = None
            return False
        if self._differs_since_s is None:
            self._differs_since_s = now_s
        return now_s >= self._differs_since_s + _RESIZE_AFTER_S

    def _escape_is_due(self, age_s: float) -> bool:
        return not self._escaped and 0.0 < self._params.escape_after_s <= age_s

    def _reason_of_end(self) -> ExitEndReason:
        base, _ = self._updates.orders.filled()
        if base == ZERO:
            return ExitEndReason.FUNDS_GONE
        return (
            ExitEndReason.FILLED
            if self.order is not None and self.order.state is OrderState.FILLED
            else ExitEndReason.DUST
        )

    def _take_refreshes(self) -> list[ExecutionCommand]:
        refreshes: list[ExecutionCommand] = list(self._updates.backoff.refreshes)
        if refreshes:
            self._updates.backoff.refreshes.clear()
        return refreshes

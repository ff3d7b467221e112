"""Keeps one post-only order at the best price until everything is sold.

The strategy says what it wants; this machine compares want and book and closes the gap: place, replace,
withdraw, ask. It sends nothing itself: `toward` returns the next command, `hear` takes what came back.
One request is in flight at a time, newer prices wait behind it and only the newest counts. An order
that might exist is never sent twice: silence leads to a question, by order id wherever one is known.
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
from trailingedge.execution.quoting import RequotePlan, RestingOrder, TargetQuote, escape_price, resting_price
from trailingedge.model.client_order_ids import ClientOrderId, own_id
from trailingedge.model.intent import ExitEndReason, ExitKind, ExitProgress, OrderIntent
from trailingedge.model.market import SIZE_FILTERS, ZERO, BookTop, Regime, Side, SymbolRules
from trailingedge.model.order_commands import Cancel, ExecutionCommand, OrderCommand, OrderInput, Place, Replace
from trailingedge.model.order_outcomes import RejectReason
from trailingedge.model.pricing import Pricing
from trailingedge.reconciliation.exit_history import HistoricalExit
from trailingedge.strategy.decide import Decision

_RESIZE_AFTER_S: Final = 1.0  # a quantity that differs for less is a report on its way


@dataclass(frozen=True, slots=True)
class MakerExitParams:
    """How the chaser behaves.

    `patience_s`: unanswered for so long is silence. `request_expires_s`: a request older than this can no
    longer be executed (the exchange refuses it once its recvWindow is over), so only then "does not
    exist", said twice, is believed. `escape_after_s` 0: never take.
    """

    timeout_s: float = 3.0
    request_expires_s: float = 6.0
    escape_after_s: float = 0.0
    escape_slippage_frac: Decimal = ZERO


class MakerExit:
    """The chase of one exit after another, pure: time comes in as an argument.

    `happened` collects what people should be told.
    """

    def __init__(self, rules: SymbolRules, budget: OrderRateBudget, params: MakerExitParams | None = None) -> None:
        self.rules = rules
        self.events: list[OrderEvent] = []
        self._budget = budget
        self._params = params or MakerExitParams()
        self._requests = PendingRequests()
        self._balances_current = True
        self._start_exit(0, touched_ms=0)

    def _start_exit(self, number: int, touched_ms: int) -> None:
        """Begin with another exit: nothing of the last one is carried over but the time it touched the funds."""
        params = self._params
        self._requests.clear()
        self._updates = OrderUpdateHandler(
            number, self._requests, self.events, params.timeout_s, params.request_expires_s, touched_ms
        )
        self._end_reason: ExitEndReason | None = None
        self._differs_since_s: float | None = None
        self._escaped = False

    def update_rules(self, rules: SymbolRules) -> None:
        """The rules were read again: a symbol that trades now need not be waited for any longer."""
        self.rules = rules
        if rules.trading:
            self._updates.backoff.clear(RejectReason.NOT_TRADING)

    # What others ask -------------------------------------------------------------------------

    @property
    def number(self) -> int:
        """The number of the exit in hand, 0 before the first."""
        return self._updates.orders.number

    @property
    def order(self) -> Order | None:
        """The order that is on the book, or was last."""
        return self._updates.orders.order

    @property
    def idle(self) -> bool:
        """Nothing of ours is on the book, in flight or in doubt."""
        return self._updates.idle

    @property
    def alive(self) -> list[Order]:
        """Orders that are, or might be, on the book: more than one only while in doubt."""
        return self._updates.orders.alive_orders()

    @property
    def funds_changed_ms(self) -> int:
        """The exchange's time of the last change of ours that moved or freed funds."""
        return self._updates.funds_changed_ms

    def may_send(self, now_s: float, server_ms: int) -> bool:
        """The exchange has not asked to be left alone."""
        return self._updates.backoff.may_send(now_s, server_ms)

    def max_locked(self, side: Side) -> Decimal | None:
        """The most our orders can have locked of the asset a `side` order sells; None: not known."""
        orders = self._updates.orders
        order = orders.order or orders.successor
        if order is None or order.side is not side:
            return ZERO
        return orders.max_locked(in_quote=side is Side.BUY)

    def progress(self) -> ExitProgress | None:
        """How the exit in hand stands; None before the first."""
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
        )

    # Coming back -----------------------------------------------------------------------------

    def adopt(self, past: HistoricalExit, now_s: float) -> None:
        """Go on with an exit of an earlier session, whether an order of it is on the book or not."""
        self._start_exit(past.number, touched_ms=max(self.funds_changed_ms, past.ended_ms))
        self._updates.orders.adopt(past, now_s)
        self._updates.inherits_until_s = now_s + self._params.request_expires_s

    # What came back --------------------------------------------------------------------------

    def handle(self, event: OrderInput, now_s: float) -> None:
        """An answer, in time or late, or an execution report. What is not of the exit in hand is ignored."""
        self._updates.handle(event, now_s)

    def on_disconnect(self, now_s: float) -> None:
        """The account connection was lost: whatever was on the book is in doubt until asked for."""
        self._updates.on_disconnect(now_s)

    # What to do next -------------------------------------------------------------------------

    def commands_for(
        self,
        want: OrderIntent | None,
        top: BookTop | None,
        now_s: float,
        *,
        server_ms: int = 0,
        age_s: float = 0.0,
        settled: bool = True,
    ) -> list[ExecutionCommand]:
        """The commands that bring us closer to `want`; none while one is being answered.

        `top` is None while market data is not to be trusted. `settled`: the balances, and so
        `want.funds`, account for every change up to `touched_ms`. `age_s` is the exit's.
        Raises BrokenInvariant when another exit is wanted while an order of the last one lives.
        """
        self._balances_current = settled
        if want is not None and want.number != self.number:
            self._begin_exit(want)
        self._updates.expire_requests(now_s)
        if self._requests.open is not None or not self.may_send(now_s, server_ms):
            return self._take_refreshes()
        command = self._next_command(want, top, now_s, server_ms, age_s)
        return self._take_refreshes() if command is None else [*self._take_refreshes(), command]

    def plan_requote(self, want: OrderIntent, decision: Decision, now_s: float, server_ms: int) -> RequotePlan | None:
        """What to do at another price, where nothing else could stand in its way; None where something might."""
        books, orders, order = self._updates, self._updates.orders, self._updates.orders.order
        if (
            order is None
            or order.state is not OrderState.WORKING
            or order.order_id is None
            or order.price is None
            or order.partially_filled
            or order.side is not want.side
            or order.client_order_id != str(ClientOrderId(want.kind, want.number))
            or self._requests.open is not None
            or orders.duplicate is not None
            or orders.unknown_order is not None
            or self._differs_since_s is not None
            or self._params.escape_after_s
            or self._pegged(want)
            or not self.rules.trading
            or not books.backoff.is_clear(now_s, server_ms)
            or not self._budget.is_ample(server_ms)
        ):
            return None
        memory = decision.state
        return RequotePlan(
            want,
            decision,
            order.order_id,
            order.client_order_id,
            RestingOrder(order.price, order.quantity),
            books.left_prices_until(now_s),
            self.rules,
            watches_stop=memory.regime is Regime.BASE and want.kind is not ExitKind.FLUSH,
            quantity=self._quantity(want, order.price) if self._quantity_is_fixed(want) else None,
        )

    def record_requote(
        self, poise: RequotePlan, answer: TargetQuote, top: BookTop, now_s: float, server_ms: int
    ) -> Replace:
        """Enter into the books what was sent to move an order. Raises BrokenInvariant where they have no such order."""
        order = self._updates.orders.order
        if order is None or order.order_id != poise.order_id or order.state is not OrderState.WORKING:
            raise BrokenInvariant(f"{answer} was sent to replace order {poise.order_id}, the books have {order!r}")
        price, quantity = answer
        return self._replace(order, poise.order_id, poise.intent, price, quantity, top, now_s, server_ms)

    def expected_requote(self, want: OrderIntent, top: BookTop, now_s: float) -> TargetQuote | None:
        """Where `toward` would move the order now, if nothing stood in its way; None without one."""
        order = self._updates.orders.order
        if order is None:
            return None
        price = self._best_price(want, top, order, now_s)
        quantity = self._quantity(want, price)
        fits = self.rules.trading and self.rules.failed_filter(price, quantity) is None
        return (price, quantity) if fits and price != order.price else None

    def _begin_exit(self, want: OrderIntent) -> None:
        if not self.idle:
            raise BrokenInvariant(f"exit {want.number} is wanted while {self.order!r} is not over")
        self._start_exit(want.number, self.funds_changed_ms)

    def _next_command(
        self, want: OrderIntent | None, top: BookTop | None, now_s: float, server_ms: int, age_s: float
    ) -> OrderCommand | None:
        orders = self._updates.orders
        if orders.duplicate is not None:
            return self._cancel(orders.duplicate, now_s)
        if orders.unknown_order is not None:
            return self._query(orders.unknown_order, now_s)
        order = orders.order
        if order is None or not order.alive:
            return self._place(want, top, now_s, server_ms, age_s)
        # Without a book to judge by, a SELL protects and stays; a BUY could be a trap and goes.
        if want is None or order.side is not want.side or (top is None and order.side is Side.BUY):
            return self._cancel(order, now_s)
        if top is None:
            return None
        if self._escape_is_due(age_s):
            return self._cancel(order, now_s)
        return self._requote(order, want, top, now_s, server_ms)

    def _query(self, doubtful: Order, now_s: float) -> OrderCommand | None:
        command = self._updates.query_for(doubtful, now_s)
        return None if command is None else self._requests.register(PendingRequest(command, now_s, doubtful))

    def _place(
        self, want: OrderIntent | None, top: BookTop | None, now_s: float, server_ms: int, age_s: float
    ) -> OrderCommand | None:
        """A first order, or the next one where the last is gone. Ends the exit where nothing is left to sell."""
        if want is None or top is None or not self._balances_current or self._end_reason is not None:
            return None
        if not self._updates.backoff.may_place(top, now_s):
            return None
        escape = self._escape_is_due(age_s)
        if escape:
            price = escape_price(want.side, top, self.rules.tick_size, self._params.escape_slippage_frac)
        else:
            price = self._best_price(want, top, None, now_s)
        quantity = self._quantity(want, price)
        breach = self.rules.failed_filter(price, quantity)
        if breach in SIZE_FILTERS:
            self._end_reason = self._reason_of_end()
            return None
        if self._reject_locally(want, breach, now_s):
            return None
        self._escaped = self._escaped or escape
        own = ClientOrderId(ExitKind.ESCAPE if escape else want.kind, want.number)
        order = Order(str(own), want.side, None if self._pegged(want) and not escape else price, quantity, now_s)
        self._updates.orders.set_current(order)
        self._budget.spend(server_ms)
        tag = self._requests.new_tag()
        command = Place(tag, order.client_order_id, order.side, order.price, quantity, escape)
        return self._requests.register(PendingRequest(command, now_s, order, top=top))

    def _reject_locally(self, want: OrderIntent, breach: str | None, now_s: float) -> bool:
        """What the exchange would refuse is not sent, but told and learned from as if it had been."""
        if breach is None and self.rules.trading:
            return False
        refusal = RejectReason.FILTER if self.rules.trading else RejectReason.NOT_TRADING
        text = f"filter {breach}" if self.rules.trading else f"symbol status {self.rules.status}"
        restraint = self._updates.backoff
        restraint.on_reject(refusal, now_s)
        self.events.append(
            OrderRejected(str(ClientOrderId(want.kind, want.number)), refusal, 0, text, restraint.in_a_row)
        )
        return True

    def _requote(
        self, order: Order, want: OrderIntent, top: BookTop, now_s: float, server_ms: int
    ) -> OrderCommand | None:
        """Follow the best price: by cancel-replace, or by cancel alone once part of the order is filled."""
        if order.state is not OrderState.WORKING or order.order_id is None or order.price is None:
            return None
        target = self._best_price(want, top, order, now_s)
        quantity = self._quantity(want, target)
        current = own_id(order.client_order_id)
        urgent = want.kind is ExitKind.FLUSH and (current is None or current.kind is not ExitKind.FLUSH)
        resize = self._quantity_differs(order, quantity, now_s) and not order.partially_filled
        if target == order.price and not urgent and not resize:
            return None
        if not self._updates.backoff.may_place(top, now_s):
            return None
        if not urgent and not self._budget.may_requote(server_ms):
            return None
        breach = self.rules.failed_filter(target, quantity)
        if breach in SIZE_FILTERS:
            # Urgency gives a rest too small to place again no better id, only a lost place in the queue.
            return None if target == order.price else self._cancel(order, now_s)
        if self._reject_locally(want, breach, now_s):
            return None
        if order.partially_filled:
            return self._cancel(order, now_s)
        price = None if self._pegged(want) else target
        return self._replace(order, order.order_id, want, price, quantity, top, now_s, server_ms)

    def _replace(
        self,
        order: Order,
        order_id: int,
        want: OrderIntent,
        price: Decimal | None,
        quantity: Decimal,
        top: BookTop,
        now_s: float,
        server_ms: int,
    ) -> Replace:
        """Enter into the books that `order` is to be replaced."""
        successor = Order(
            str(ClientOrderId(want.kind, want.number)), want.side, price, quantity, now_s, predecessor=order
        )
        order.apply(OrderTrigger.CANCEL_SENT)
        self._updates.orders.successor = successor
        self._budget.spend(server_ms)
        tag = self._requests.new_tag()
        command = Replace(tag, order_id, successor.client_order_id, want.side, price, quantity)
        self._requests.register(PendingRequest(command, now_s, order, successor, top))
        return command

    def _cancel(self, order: Order, now_s: float) -> OrderCommand | None:
        if (
            order.state is not OrderState.WORKING
            or order.order_id is None
            or not self._updates.backoff.may_cancel(now_s)
        ):
            return None
        order.apply(OrderTrigger.CANCEL_SENT)
        command = Cancel(self._requests.new_tag(), order.order_id, order.client_order_id)
        return self._requests.register(PendingRequest(command, now_s, order))

    # What it takes to decide -----------------------------------------------------------------

    def _best_price(self, want: OrderIntent, top: BookTop, order: Order | None, now_s: float) -> Decimal:
        own = None
        if order is not None and order.price is not None:
            own = RestingOrder(order.price, order.quantity)
        return resting_price(want.pricing, want.side, top, self.rules.tick_size, own, self._updates.left_prices(now_s))

    def _pegged(self, want: OrderIntent) -> bool:
        return want.pricing is Pricing.PEG and self.rules.peg_allowed

    def _quantity(self, want: OrderIntent, price: Decimal) -> Decimal:
        """All of it, floored to the step; and no more than the largest notional allows."""
        return self.rules.affordable_quantity(want.side, want.funds, price)

    def _quantity_is_fixed(self, want: OrderIntent) -> bool:
        return want.side is Side.SELL and self.rules.max_notional is None

    def _quantity_differs(self, order: Order, quantity: Decimal, now_s: float) -> bool:
        if quantity == order.remaining or not self._balances_current:
            self._differs_since_s = None
            return False
        if self._differs_since_s is None:
            self._differs_since_s = now_s
        return now_s - self._differs_since_s >= _RESIZE_AFTER_S

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
        restraint = self._updates.backoff
        remedies: list[ExecutionCommand] = list(restraint.refreshes)
        restraint.refreshes.clear()
        return remedies

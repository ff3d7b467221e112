"""Pre-trade checks: verify every command once more before it is sent.

The checks trust neither the strategy nor the maker exit, and keep their own ledger of open orders. They compare each
command with the newest market and account data. A command that breaks a rule is not sent and raises BrokenInvariant.
The error cancels our order, halts trading and alerts the operator. Only a prepared replace is sent first and checked
at once afterwards.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence, Set
from decimal import Decimal
from typing import Final

from trailingedge.core.errors import BrokenInvariant
from trailingedge.model.market import (
    BookTop,
    ExecutionReport,
    OrderRecord,
    OrderStatus,
    Regime,
    Side,
    SymbolRules,
    format_plain,
)
from trailingedge.model.market_state import StateView
from trailingedge.model.order_commands import (
    Cancel,
    ExecutionCommand,
    OrderCommand,
    OrderInput,
    OrderReply,
    OrdersListed,
    Place,
    QueryOrder,
    QueryOrdersFrom,
    Reconciled,
    Refresh,
    Replace,
    ReplaceReply,
)
from trailingedge.model.order_outcomes import Accepted, OrderOutcome, Rejected, RejectReason, Unanswered
from trailingedge.reconciliation.exit_ledger import exit_id
from trailingedge.strategy.decide import Decision
from trailingedge.strategy.state import StrategyState
from trailingedge.strategy.unit_value import unit_value

_REQUESTS_KEPT: Final = 64
_ORDERS_KEPT: Final = 1000
_NOT_FOUND_LIMIT: Final = 2  # "does not exist" may be lag of the exchange's database: believed when repeated


class OpenOrderLedger:
    """The open orders of our exits as the exchange reports them.

    A placement without a reply counts as expired after `request_expires_s` seconds.
    """

    def __init__(self, request_expires_s: float) -> None:
        self._request_expires_s = request_expires_s
        self._open: dict[int, int] = {}  # by order id: how often in a row a query did not find it
        self._ours: OrderedDict[int, bool] = (
            OrderedDict()
        )  # every order id that is known, and whether the order is final
        self._sent: OrderedDict[int, OrderCommand] = OrderedDict()
        self._unanswered: tuple[int, float] | None = None  # tag and time of a placement without an outcome

    @property
    def open(self) -> Set[int]:
        """The ids of our orders on the book, as far as they are known. The set changes with the ledger."""
        return self._open.keys()

    def knows(self, order_id: int) -> bool:
        """Whether the order belongs to an exit of ours. It may be open or final."""
        return order_id in self._ours

    def placement_unanswered(self, now_s: float) -> bool:
        """Whether a placement has no outcome yet and may still be executed."""
        return self._unanswered is not None and now_s - self._unanswered[1] < self._request_expires_s

    def on_sent(self, command: OrderCommand, now_s: float) -> None:
        """Note that `command` is being sent."""
        self._sent[command.tag] = command
        if len(self._sent) > _REQUESTS_KEPT:
            self._sent.popitem(last=False)
        if isinstance(command, Place):
            self._unanswered = (command.tag, now_s)  # an earlier one has an outcome, or has expired

    def on_order_input(self, event: OrderInput) -> None:
        """Update the open orders by a reply or a report about orders."""
        match event:
            case ExecutionReport():
                if exit_id(event.client_order_id) is not None:
                    self._add(event.order_id, event.status)
            case OrderReply(tag, outcome):
                self._on_reply(tag, outcome)
            case ReplaceReply(tag, outcome):
                self._on_cancel_outcome(self._sent.get(tag), outcome.cancel)
                self._on_place_outcome(tag, outcome.place)
            case OrdersListed(_, found):
                self._add_records(found if isinstance(found, tuple) else ())
            case Reconciled(open_orders):
                self.reconcile(open_orders)

    def reconcile(self, open_orders: Iterable[OrderRecord]) -> None:
        """Replace the ledger's open orders by `open_orders`, the symbol's complete list."""
        # A complete list from the exchange replaces what was derived from single messages.
        self._open.clear()
        self._add_records(open_orders)

    def _on_reply(self, tag: int, outcome: OrderOutcome) -> None:
        command = self._sent.get(tag)
        match command:
            case Place():
                self._on_place_outcome(tag, outcome)
            case Cancel():
                self._on_cancel_outcome(command, outcome)
            case QueryOrder():
                self._on_query_outcome(command, outcome)
            case _:
                pass

    def _on_place_outcome(self, tag: int, outcome: OrderOutcome) -> None:
        if self._unanswered is not None and self._unanswered[0] == tag and not isinstance(outcome, Unanswered):
            self._unanswered = None
        if isinstance(outcome, Accepted):
            self._add(outcome.order.order_id, outcome.order.status)

    def _on_cancel_outcome(self, command: OrderCommand | None, outcome: OrderOutcome) -> None:
        """If a cancel was accepted, note that its order is cancelled."""
        if isinstance(outcome, Accepted) and command is not None and not isinstance(command, Place | QueryOrder):
            self._add(command.order_id, OrderStatus.CANCELED)

    def _on_query_outcome(self, command: QueryOrder, outcome: OrderOutcome) -> None:
        if isinstance(outcome, Accepted):
            self._add_records([outcome.order])
        elif isinstance(outcome, Rejected) and outcome.reason is RejectReason.UNKNOWN_ORDER:
            order_id = command.order_id
            if order_id is not None and order_id in self._open:
                self._open[order_id] += 1
                if self._open[order_id] >= _NOT_FOUND_LIMIT:
                    del self._open[order_id]

    def _add_records(self, records: Iterable[OrderRecord]) -> None:
        for record in records:
            if exit_id(record.client_order_id) is not None:
                self._add(record.order_id, record.status)

    def _add(self, order_id: int, status: OrderStatus | None) -> None:
        """Note that an order of ours exists.

        A final order stays final, even if an older message about it arrives later.
        """
        if order_id < 0:
            return
        if order_id not in self._ours:
            self._unanswered = None  # a new order id is what that placement led to
        final = self._ours.get(order_id, False) or (status is not None and status.final)
        self._ours[order_id] = final
        if final:
            self._open.pop(order_id, None)
        else:
            self._open[order_id] = 0
        while len(self._ours) > _ORDERS_KEPT:
            self._ours.popitem(last=False)


class PreTradeChecks:
    """Runs the checks and keeps the state that they need.

    A book older than `stale_after_s` does not count. A request older than `request_expires_s` cannot be executed.
    `escape` tells whether the settings allow one taker order per exit. With `closes_alone` the high follows the closes
    of candles, and not every price.
    """

    def __init__(
        self, stale_after_s: float, request_expires_s: float, *, escape: bool = False, closes_alone: bool = False
    ) -> None:
        self.orders = OpenOrderLedger(request_expires_s)
        self._stale_after_s = stale_after_s
        self._escape = escape
        self._closes_alone = closes_alone
        self._high = HighWaterCheck()

    def on_order_input(self, event: OrderInput) -> None:
        """Update the ledger of open orders by a reply or a report about orders."""
        self.orders.on_order_input(event)

    def reset_high(self) -> None:
        """Forget the best unit value seen so far, because the operator resumes trading."""
        self._high = HighWaterCheck()

    def approve(
        self, commands: Sequence[ExecutionCommand], view: StateView, decision: Decision | None, rules: SymbolRules
    ) -> None:
        """Approve all `commands`. Raises BrokenInvariant if one breaks a rule; then none of them may be sent.

        `decision` is the decision of this tick; None during a shutdown, when no decisions are made.
        """
        # If the high fell by mistake, the trail would loosen and cost money, and no other check would notice.
        if decision is not None and not decision.halted:
            self._high.check(decision.state, self._price_of_the_high(decision, view), view.market_ms)
        if not commands:
            return
        orders = [command for command in commands if not isinstance(command, Refresh)]
        # Two requests of one tick would race each other at the exchange.
        if len(orders) > 1:
            raise BrokenInvariant(f"{len(orders)} requests at once: {orders}")
        for command in orders:
            # Without execution reports nothing says what became of the order.
            if not view.account_proven:
                raise BrokenInvariant(f"{_describe(command)} without an account connection")
            top = self._fresh_top(view)
            if top is None and isinstance(command, Place | Replace):
                raise BrokenInvariant(f"{_describe(command)} while bid and ask are {view.top_age_s:.1f} s old")
            self.approve_order(command, top, view.now_s, decision, rules)

    def approve_order(
        self, command: OrderCommand, top: BookTop | None, now_s: float, decision: Decision | None, rules: SymbolRules
    ) -> None:
        """Approve one request, which the best prices `top` led to. Raises BrokenInvariant if it breaks a rule."""
        self._check_target(command)
        if top is not None and isinstance(command, Place | Replace):
            self._check_placement(command, top, now_s, decision, rules)
        self.orders.on_sent(command, now_s)

    def _check_target(self, command: OrderCommand) -> None:
        """Check that the command touches or queries only an order of ours."""
        if exit_id(command.client_order_id) is None:
            raise BrokenInvariant(f"{_describe(command)}: not a client order id of our exits")
        target = _target(command)
        if target is not None and not self.orders.knows(target):
            raise BrokenInvariant(f"{_describe(command)} is about order {target}, which is not known to be ours")

    def _check_placement(
        self, command: Place | Replace, top: BookTop, now_s: float, decision: Decision | None, rules: SymbolRules
    ) -> None:
        if decision is None or decision.halted:
            raise BrokenInvariant(f"{_describe(command)} without a decision, or while trading is halted")
        self._check_alone(command, now_s)
        price = (
            top.best(command.side) if command.price is None else command.price
        )  # a pegged order rests at our own side's best
        # The exchange would reject a post-only order that takes. But an order meant to rest that crosses the book shows
        # a mistake of ours, and the next such mistake might be a taker order.
        self._check_maker(command, price, top, rules)
        check_spending(command, price, decision, rules)

    def _check_alone(self, command: Place | Replace, now_s: float) -> None:
        """Check that no other exit order of ours is open. The order that `command` replaces does not count."""
        others = self.orders.open - ({command.order_id} if isinstance(command, Replace) else set())
        if others:
            raise BrokenInvariant(f"{_describe(command)} while order {min(others)} of ours is open")
        # A cancel-replace is safe even while a placement has no outcome: it adds an order only after removing one.
        if isinstance(command, Place) and self.orders.placement_unanswered(now_s):
            raise BrokenInvariant(f"{_describe(command)} while an earlier placement may still be executed")

    def _check_maker(self, command: Place | Replace, price: Decimal, top: BookTop, rules: SymbolRules) -> None:
        breach = rules.failed_filter(price, command.quantity) if rules.trading else f"symbol status {rules.status}"
        if breach is not None:
            raise BrokenInvariant(
                f"{_describe(command)} of {format_plain(command.quantity)} at {format_plain(price)}: {breach}"
            )
        if isinstance(command, Place) and command.escape:
            if not self._escape:
                raise BrokenInvariant(f"{_describe(command)} may execute as taker, which the settings do not allow")
        elif (price >= top.ask) if command.side is Side.BUY else (price <= top.bid):
            raise BrokenInvariant(
                f"{_describe(command)} at {format_plain(price)} would take liquidity: "
                f"bid and ask are {format_plain(top.bid)}/{format_plain(top.ask)}"
            )

    def _price_of_the_high(self, decision: Decision, view: StateView) -> float | None:
        """Return the price whose unit value the high must not be below; None if this tick has no such price."""
        if self._closes_alone:
            return decision.judged_close
        top, regime = self._fresh_top(view), decision.regime
        return None if top is None or regime is None else float(top.bid if regime.is_base else top.ask)

    def _fresh_top(self, view: StateView) -> BookTop | None:
        fresh = view.account_proven and view.top_age_s < self._stale_after_s
        return view.top if fresh else None


def check_spending(command: Place | Replace, price: Decimal, decision: Decision, rules: SymbolRules) -> None:
    """Check that the order spends no more than `decision.holdings`.

    Raises BrokenInvariant if the order spends more, or if the holdings are unknown.
    """
    # Without known balances the quantity would be a guess.
    if decision.holdings is None:
        raise BrokenInvariant(f"{_describe(command)} before the balances are known")
    if command.side is Side.SELL:
        spent, held, asset = command.quantity, decision.holdings.amount_in(Regime.BASE), rules.base_asset
    else:
        spent, held, asset = command.quantity * price, decision.holdings.amount_in(Regime.QUOTE), rules.quote_asset
    if spent > held:
        raise BrokenInvariant(
            f"{_describe(command)} would spend {format_plain(spent)} {asset}, more than the {format_plain(held)} "
            "that may be traded"
        )


class HighWaterCheck:
    """Computes the best unit value since the anchor, and checks that the strategy's high is not lower."""

    def __init__(self) -> None:
        self._since: tuple[Regime | None, float, int] = (None, 0.0, 0)
        self._best = 0.0

    def check(self, state: StrategyState, price: float | None, market_ms: int) -> None:
        """Check the high against a price of this tick.

        Raises BrokenInvariant if the high is below a unit value since the anchor.
        """
        # A new anchor begins a new high. Within one anchor the strategy's high may only rise.
        since, regime = (state.regime, state.anchor, state.anchor_ms), state.regime
        if (
            since != self._since or state.anchor_ms == market_ms
        ):  # two ticks of one millisecond may set the same anchor twice
            self._since, self._best = since, 0.0
        if regime is None or not state.funded:
            return
        if price is not None:
            value = unit_value(regime, price)
            if value > self._best:
                self._best = value
        if state.high < self._best:
            raise BrokenInvariant(
                f"the high is {state.high!r}, but a unit value since the anchor was higher: {self._best!r}"
            )


def _target(command: OrderCommand) -> int | None:
    match command:
        case Replace() | Cancel() | QueryOrder() | QueryOrdersFrom():
            return command.order_id
        case Place():
            return None


def _describe(command: OrderCommand) -> str:
    """The request in words, for the alert."""
    side = f" {command.side.value}" if isinstance(command, Place | Replace) else ""
    return f"{type(command).__name__}{side} {command.client_order_id}"

"""Trading core: combines strategy, risk engine and maker exit, and turns one view of the market into the next commands.

It keeps all trading state of the daemon, and outlives every reconnect. `tick` is pure computation: it never waits,
opens no connection and reads no clock. The live daemon calls `tick` after each change. Backtest and session replay call
`tick` of the same class, without any socket.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from math import inf
from typing import Final

from trailingedge.execution.balance_freshness import BalanceReadMark, BalanceSync
from trailingedge.execution.condition_alarm import Staleness
from trailingedge.execution.maker_exit import MakerExit
from trailingedge.execution.order_events import UnknownOrderWithOurId
from trailingedge.execution.trader_events import (
    AccountBack,
    AccountLost,
    ExitAged,
    LateOrder,
    MarketFresh,
    MarketStale,
    TraderEvent,
)
from trailingedge.execution.trading_plan import TradingPlan
from trailingedge.indicators.donchian import MovingChannel
from trailingedge.model.client_order_ids import is_own
from trailingedge.model.intent import ExitKind, ExitProgress, OrderIntent
from trailingedge.model.market import (
    ZERO,
    Balance,
    BookTop,
    ExecutionReport,
    ExecutionType,
    Kline,
    RateLimit,
    Side,
    SymbolRules,
)
from trailingedge.model.market_state import StateView
from trailingedge.model.order_commands import ExecutionCommand, OrderInput, Refresh, Replace
from trailingedge.model.order_size import size_limits_of
from trailingedge.reconciliation.history_types import ExitHistory, HistoricalExit, is_open
from trailingedge.risk.duplicate_instance import OrphanOrders, late_exits_of
from trailingedge.risk.risk_engine import RiskEngine
from trailingedge.strategy.decide import Decision, decide
from trailingedge.strategy.exit_completion import exit_cut_off
from trailingedge.strategy.inputs import ClosedKline, Holdings, Inputs, StrategyCommand, StrategyParams
from trailingedge.strategy.plan import price_limits
from trailingedge.strategy.state import ActiveExit, StrategyState
from trailingedge.strategy.unit_value import is_tradable

_BALANCES_LATE_S: Final = 1.0  # the balances usually follow a fill at once; after this time they are queried
_FOREIGN_FILL_MS: Final = 10_000  # a foreign fill older than this did not cause a change seen now
_ACCOUNT_AWAY_S: Final = 2.0  # a reconnect takes a second; report what takes longer


@dataclass(frozen=True, slots=True)
class TradingParams:
    """The settings of the trading core itself. Strategy and maker exit have parameters of their own."""

    stale_after_s: float = 10.0
    manual_exit_ttl_s: float = 30.0
    exit_age_alert_s: float = 60.0
    reserve_base: Decimal = ZERO
    reserve_quote: Decimal = ZERO


class TradingCore:
    """Decides in each tick which commands to send. `events` collects changes for log, console and alerts.

    `inbox` holds replies and reports for the next tick, `operator_commands` the operator's commands. `plan` says what
    must be done at the next best prices. It is None if only a tick can find that out, and it becomes None as soon as
    any other input changes. `due_s` is the time, in monotonic seconds, at which a tick is due even without any input,
    because a wait ends: a time-out, a backoff or the confirmation of a stop. Before that time, a tick without new input
    changes nothing.
    """

    def __init__(
        self,
        strategy: StrategyParams,
        params: TradingParams,
        maker_exit: MakerExit,
        channel: MovingChannel,
        risk: RiskEngine,
        base_asset: str,
        quote_asset: str,
        paused: bool = False,
    ) -> None:
        self.state = StrategyState()
        self.decision: Decision | None = None
        self.maker_exit = maker_exit
        self.risk = risk
        self._paused = paused
        self._halt_reason: str | None = None
        self.events: list[TraderEvent] = []
        self.inbox: deque[OrderInput] = deque()
        self.operator_commands: deque[StrategyCommand] = deque()
        self.balance_sync = BalanceSync()
        self.plan: TradingPlan | None = None
        self.due_s = float("-inf")  # the first tick
        self._unsettled = False  # the last tick has changed something that its decision did not know
        self._progress: ExitProgress | None = None  # at the last decision
        self._orphans = OrphanOrders()
        self._balances_locked_until_s = float("-inf")  # an anchor marker has some of the funds locked
        self._strategy = strategy
        self._params = params
        self._channel = channel
        self._base_asset = base_asset
        self._quote_asset = quote_asset
        self._intent: OrderIntent | None = None
        self._pending_closes: list[ClosedKline] = []  # for the next decision
        self._market_staleness = Staleness(params.stale_after_s)
        self._market_seen_s = float("-inf")
        self._trust_lost = False  # at the last tick
        self._account_staleness = Staleness(_ACCOUNT_AWAY_S)
        self._balances_late_since_s: float | None = None
        self._foreign_fill: tuple[int, Decimal] | None = None
        self._command_seen: tuple[int, float] = (0, 0.0)  # number of a manual exit, and when we first saw it
        self._aged_exit_number = 0
        self._holdings = Holdings(ZERO, ZERO)
        # The view of an earlier tick, and the changes of orders before it: its balances were complete and explained.
        self._settled: tuple[StateView, int] | None = None

    @property
    def intent(self) -> OrderIntent | None:
        """The order that the strategy wanted at the last tick (its intent); None if it wanted no order."""
        return self._intent

    @property
    def rules(self) -> SymbolRules:
        """The symbol rules in force."""
        return self.maker_exit.rules

    @property
    def strategy_params(self) -> StrategyParams:
        """The strategy's settings, with the fee and the size limits in force."""
        return self._strategy

    @property
    def paused(self) -> bool:
        """Whether the operator has paused trading."""
        return self._paused

    @property
    def halted(self) -> bool:
        """Whether trading is halted after a bug of ours, until the operator resumes."""
        return self._halt_reason is not None

    @property
    def halt_reason(self) -> str | None:
        """Why trading is halted; None while it is not."""
        return self._halt_reason

    @property
    def trading_paused(self) -> bool:
        """Whether the operator or a breaker pauses trading: no buys, no take-profit. The hard stop stays active."""
        return self._paused or self.risk.breakers.trading_paused

    @property
    def needs_another_tick(self) -> bool:
        """Whether another tick should follow at once, because it may act although no new input has come.

        That is so if an operator command is waiting, if the last tick changed something, or if it ended the exit's last
        order.
        """
        has_ended = self.state.exit is not None and self._exit_has_ended()
        return bool(self._unsettled or self.operator_commands or has_ended)

    @property
    def is_idle(self) -> bool:
        """Whether the asset held is known, market data is trusted, no exit is open or due, and trading not halted."""
        decision = self.decision
        judged = decision is not None and decision.unit_value is not None and bool(self.state.funded)
        return (
            judged
            and not self.halted
            and self.state.exit is None
            and self.maker_exit.idle
            and not self.operator_commands
        )

    def restore(
        self,
        state: StrategyState,
        active_exit: HistoricalExit | None,
        now_s: float,
        history: ExitHistory | None = None,
        market_ms: int = 0,
    ) -> None:
        """Continue an earlier session. Call this before the first tick.

        `active_exit` is the exit that was in progress, if any. `history` holds the exits found in
        the account's history, `market_ms` is the exchange's time.
        """
        if state.last_close_ms < 0:  # no close is known but those of the channel's history
            state = replace(state, broken_out=self.state.broken_out)
        self.state = state
        if history is not None:
            self.risk.restore(history, active_exit, market_ms)
        if active_exit is not None:
            self._adopt_exit(active_exit, now_s)
            self.risk.checks.orders.reconcile(active_exit.orders)

    def can_spare(self, side: Side, quantity: Decimal, price: Decimal, top: BookTop) -> bool:
        """Whether the holdings suffice to trade while an order of this size and price locks a part of them."""
        holdings, regime = self.state.holdings, self.state.regime
        if holdings is None or regime is None:
            return False
        base = holdings.base - quantity if side is Side.SELL else holdings.base
        quote = holdings.quote - quantity * price if side is Side.BUY else holdings.quote
        return is_tradable(regime, Holdings(base, quote), top, self._strategy)

    def on_report(self, report: ExecutionReport, pushes: int) -> None:
        """Queue an execution report. `pushes` is how often the stream had pushed balances before it came."""
        self.balance_sync.on_report(report, pushes)
        self.inbox.append(report)

    def deliver(self, received: OrderInput) -> None:
        """Queue a reply to one of our requests, or the list of open orders."""
        self.inbox.append(received)

    def submit(self, command: StrategyCommand) -> None:
        """Queue a command of the operator for the strategy; each tick takes one."""
        self.operator_commands.append(command)

    def on_disconnect(self, now_s: float) -> None:
        """Mark our open orders as UNKNOWN, because the connection is lost.

        So each of them is queried before any other request is sent.
        """
        self.maker_exit.on_disconnect(now_s)

    def on_balances_read(self, mark: BalanceReadMark, pushes: int) -> None:
        """Note the reply to a balance request. `mark` is what `BalanceSync.mark` returned when the request was sent."""
        self.balance_sync.on_balances_read(mark, pushes)

    def on_transfer(self, asset: str, delta: Decimal) -> None:
        """Let the balance audit expect a deposit, withdrawal or transfer."""
        self._settled = None
        self.risk.audit.on_transfer(asset, delta)

    def accept_change(self, asset: str) -> None:
        """Let the balance audit accept the next balance of `asset`: another product of the exchange changed it."""
        self._settled = None
        self.risk.audit.accept_change(asset)

    def update_limits(self, limits: tuple[RateLimit, ...], server_ms: int) -> None:
        """Use the exchange's limits on the number of orders, with its counts of our orders so far."""
        self.invalidate_plan()
        self.maker_exit.update_limits(limits, server_ms)

    def update_rules(self, rules: SymbolRules) -> None:
        """Use symbol rules that were read again: minimum sizes and filters may have changed."""
        self.invalidate_plan()
        self.maker_exit.update_rules(rules)
        self._strategy = replace(self._strategy, **size_limits_of(rules))

    def tick(self, view: StateView, server_ms: int) -> list[ExecutionCommand]:
        """Handle all new input, decide, and return the commands to send.

        Raises BrokenInvariant after a bug of ours; the next tick then handles the remaining input.
        """
        self.plan, self._unsettled = None, False
        # A view shows each closed kline once. Take them first: if anything below raises, the next tick has them.
        if view.closed_klines:
            self._pending_closes += (self._closed_kline(kline) for kline in view.closed_klines)
        # What most ticks do not have is tested before a function is called: a call costs as much as ten tests.
        risk, maker_exit, state = self.risk, self.maker_exit, self.state
        risk.instance_check.tick(server_ms)
        # Replies and reports first: the decision below has to see every fill that is known by now.
        if self.inbox:
            self.take_in(view.now_s)
        # Events are told in the order of things: an order is cancelled, and then its exit ends.
        if maker_exit.events or risk.breakers.events:
            self._collect_events()
        if risk.late_orders:
            self._handle_late_orders(view.now_s)
            state = self.state
        top = self._trusted_top(view)
        settled = self._is_settled(view)
        balances_current, commands = (True, []) if settled else self._check_balances(view)
        progress = self._progress = maker_exit.progress()
        risk.breakers.tick(view.market_ms)
        # Without the names of the fields, because a call with names takes three times as long.
        inputs = Inputs(
            view.market_ms,
            server_ms,
            top,
            # While the balances lag behind a fill, the strategy keeps the ones it knew and subtracts what the exit has
            # filled since.
            self._holdings if settled else self.holdings(view) if balances_current else None,
            self._channel.current,
            tuple(self._pending_closes) if self._pending_closes else (),
            self.operator_commands.popleft() if self.operator_commands else None,
            self._paused or risk.breakers.trading_paused,
            self._halt_reason is not None,
            progress,
            state.exit is not None and self._manual_exit_expired(progress, view.now_s),
            None if self._foreign_fill is None else self._outside_price(view.market_ms),
            None if top is None else view.highest_bid,
            None if top is None else view.lowest_ask,
        )
        state, intent, self.decision, signals = decide(inputs, state, self._strategy)
        if self._pending_closes:
            self._pending_closes.clear()
        # Beside another instance on the account our exit only cancels; the node stops after this tick.
        intent = intent if risk.duplicate_instance is None else None
        self.state, self._intent, age_s = state, intent, 0.0
        if signals or state.exit is not None:
            self.events += signals
            # A rule that acted leaves those below it to the next tick, and a breaker may trip with the exit's end.
            self._unsettled = bool(signals)
            risk.on_decision(state, signals)
            age_s = self.exit_age_s(view.market_ms)
            self._check_exit_age(age_s, top, progress)
        if not settled:
            commands += self._audit_balances(view, balances_current=balances_current)
        # An orphan order beside ours could sell the same balance twice, so it is cancelled before anything else is
        # sent.
        if view.account_proven and not (self._orphans and self._orphans.any_open(risk.checks.orders.open)):
            commands += maker_exit.commands_for(
                intent,
                top,
                view.now_s,
                server_ms=server_ms,
                age_s=age_s,
                balances_current=balances_current,
            )
        elif view.account_proven and maker_exit.may_send(view.now_s, server_ms):
            command = self._orphans.next_command(view.now_s)
            commands += [] if command is None else [command]
        if maker_exit.events or risk.breakers.events:
            self._collect_events()
        risk.checks.approve(commands, view, self.decision, maker_exit.rules)
        return commands

    def plan_ahead(self, view: StateView, server_ms: int) -> None:
        """Look ahead after the tick on `view`, whose commands may be sent already.

        Finds when something is due by time alone, and makes the plan for the next best prices until then.
        """
        self.find_due(view, server_ms)
        self.plan, decision, intent = None, self.decision, self._intent
        # What is due at once, or a reply that waits: another tick follows.
        if decision is None or not view.account_proven or self.inbox or self.due_s <= view.now_s:
            return
        limits = price_limits(decision, self._strategy)
        if limits is None:
            return
        if self.maker_exit.ignores_prices(intent):
            self.plan = TradingPlan(limits, self.due_s)
            return
        age_s = self.exit_age_s(view.market_ms)
        requote = None if intent is None else self.maker_exit.plan_requote(intent, view.now_s, server_ms, age_s)
        # If another order is open, it must be cancelled first.
        if requote is not None and self.risk.checks.orders.open <= {requote.order_id}:
            self.plan = TradingPlan(limits, self.due_s, requote)

    def find_due(self, view: StateView, server_ms: int) -> None:
        """Set `due_s` to the end of the next wait after the tick on `view`; infinity if nothing waits for time to pass.

        Every time that a tick compares with the clock must be listed here or in `_exit_waits`. Past times do not count,
        because the tick on `view` has handled them. A superfluous time costs one needless tick. A missing time delays
        what is due at it.
        """
        now_s, risk = view.now_s, self.risk
        if self.needs_another_tick:
            self.due_s = now_s
            return
        waits = [now_s + self._params.stale_after_s - view.top_age_s, self._balances_locked_until_s, risk.audit.due_s]
        if self._trust_lost:
            waits += self._market_staleness.due_s, self._account_staleness.due_s
        if self._balances_late_since_s is not None and view.account_proven:
            waits.append(self._balances_late_since_s + _BALANCES_LATE_S)
        # These are timed by the market's clock.
        state, decision = self.state, self.decision
        if state.stop_breach_since_ms is not None and decision is not None:
            stop_s = decision.stop_confirms_in_s(self._strategy)
            waits += [] if stop_s is None else [now_s + stop_s]
        if risk.breakers.trading_paused:
            waits.append(now_s + (risk.breakers.ends_ms - view.market_ms) / 1000)
        if state.exit is not None or self._orphans or not self.maker_exit.idle:
            waits += self._exit_waits(view, server_ms)
        due_s = inf
        for wait_s in waits:
            if now_s < wait_s < due_s:
                due_s = wait_s
        self.due_s = due_s

    def _exit_waits(self, view: StateView, server_ms: int) -> list[float]:
        """Return the times, in monotonic seconds, at which the waits of an exit or of its orders end."""
        exit_, age_s, waits = self.state.exit, self.exit_age_s(view.market_ms), [self._orphans.due_s]
        if exit_ is not None and exit_.number != self._aged_exit_number:
            waits.append(view.now_s + self._params.exit_age_alert_s - age_s)
        if exit_ is not None and exit_.kind is ExitKind.MANUAL and self._command_seen[0] == exit_.number:
            waits.append(self._command_seen[1] + self._params.manual_exit_ttl_s)
        # Without the account connection nothing is sent.
        if not view.account_proven:
            return waits
        return [*waits, *self.maker_exit.waits(view.top, view.now_s, server_ms, age_s)]

    def _exit_has_ended(self) -> bool:
        """Whether the exit in progress has ended since the last decision.

        It has if its orders are complete, or if its cancel is done.
        """
        exit_, progress, known = self.state.exit, self.maker_exit.progress(), self._progress
        if exit_ is None or progress is None or progress.number != exit_.number:
            return False
        # Of an exit that is being cancelled, the end may have to wait for a price; it had its turn if it was idle.
        cancelled = exit_.ending is not None and progress.idle and not (known is not None and known.idle)
        return progress.complete is not None or cancelled

    def invalidate_plan(self) -> None:
        """Drop the plan: something other than a price has changed, or is about to."""
        self.plan = None

    def on_replace_sent(self, command: Replace, top: BookTop, now_s: float, server_ms: int) -> None:
        """Record a cancel-replace of the plan that was sent for the best prices `top`.

        Raises BrokenInvariant if the order that it replaces is not working, or if a check of the risk engine fails.
        """
        self.maker_exit.on_replace_sent(command, top, now_s, server_ms)
        self.due_s = min(self.due_s, *self.maker_exit.waits(top, now_s, server_ms, 0.0))
        self.risk.checks.approve_order(command, top, now_s, self.decision, self.rules)

    def shutdown_tick(self, view: StateView, server_ms: int) -> list[ExecutionCommand]:
        """Run one tick of a shutdown: decide nothing, and cancel what is on the book.

        Once no order is left, end the exit in progress.
        """
        self.plan = None
        self.risk.instance_check.tick(server_ms)
        self.take_in(view.now_s)
        commands = (
            self.maker_exit.commands_for(None, None, view.now_s, server_ms=server_ms) if view.account_proven else []
        )
        self._collect_events()
        self.risk.checks.approve(commands, view, None, self.rules)
        if self.maker_exit.idle:
            self._cut_off_exit()
        return commands

    def _cut_off_exit(self) -> None:
        """End the exit in progress because the session ends, so that the exit is among the results."""
        ended = exit_cut_off(self.state, self.maker_exit.progress())
        if ended is not None:
            self.state = replace(self.state, exit=None)
            self.events.append(ended)

    def take_in(self, now_s: float) -> None:
        """Apply all replies and reports of the inbox, without deciding anything."""
        while self.inbox:
            self._handle(self.inbox.popleft(), now_s)
        self._note_duplicate()

    def pause(self) -> None:
        """Pause trading: until `resume`, only the hard stop may start an exit."""
        self._paused = True

    def halt(self, reason: str) -> bool:
        """Halt trading until `resume`: start no exit, and cancel the exit in progress. Returns False if already
        halted.
        """
        is_new = self._halt_reason is None
        self._halt_reason = reason
        return is_new

    def resume(self) -> None:
        """Resume after a pause, a breaker or a halt, by the operator's command."""
        self._paused = False
        self._halt_reason = None
        self.risk.resume()

    def lock_balances_until(self, until_s: float) -> None:
        """Treat the balances as incomplete until `until_s`: an anchor marker order may have locked a part of them."""
        self._balances_locked_until_s = until_s

    def holdings(self, view: StateView) -> Holdings:
        """Return the free balances, plus what our own orders have locked, minus the reserves."""
        base, quote = view.balances.get(self._base_asset), view.balances.get(self._quote_asset)
        locked_base, locked_quote = self.maker_exit.max_locked(Side.SELL), self.maker_exit.max_locked(Side.BUY)
        found = Holdings(
            base=_usable(base, locked_base, self._params.reserve_base),
            quote=_usable(quote, locked_quote, self._params.reserve_quote),
        )
        if found != self._holdings:
            self._holdings = found
        return self._holdings

    def exit_age_s(self, market_ms: int) -> float:
        """Return the age of the current exit in seconds, by the exchange's time.

        Returns 0 if no exit is in progress, or if the exchange's time was not known when it began.
        """
        exit_ = self.state.exit
        return max(0.0, (market_ms - exit_.started_ms) / 1000) if exit_ is not None and exit_.started_ms else 0.0

    def _adopt_exit(self, exit_: HistoricalExit, now_s: float) -> None:
        self.maker_exit.adopt(exit_, now_s)
        self.risk.instance_check.add_own(exit_.number)

    def _handle_late_orders(self, now_s: float) -> None:
        """Adopt or cancel orders of an earlier session that reached the book only now."""
        sightings, self.risk.late_orders = self.risk.late_orders, []
        for exit_ in late_exits_of(sightings, self.risk.checks.orders.open) if sightings else ():
            if exit_.number == self.maker_exit.number or any(order.order_id in self._orphans for order in exit_.orders):
                continue  # it has just been adopted, or is being cancelled
            resting = [order for order in exit_.orders if is_open(order)]
            if not resting and not exit_.base:
                continue  # it neither rests nor filled
            adopted = len(resting) < 2 and self._try_adopt(exit_, now_s)
            if not adopted:
                for order in resting:
                    self._orphans.add(order.order_id, order.client_order_id)
            if resting or adopted:
                self.events.append(LateOrder(exit_, adopted))

    def _try_adopt(self, old_exit: HistoricalExit, now_s: float) -> bool:
        """Continue an exit of an earlier session. Returns whether that was possible.

        It is not possible if an exit is in progress, or if we do not hold the asset that the old
        exit sells.
        """
        if self.state.exit is not None or self.state.regime is not old_exit.sold_regime or not self.maker_exit.idle:
            return False
        exit_ = ActiveExit(old_exit.kind, old_exit.side, old_exit.number, old_exit.began_ms)
        self.state = replace(self.state, exit=exit_, last_number=max(self.state.last_number, old_exit.number))
        self._adopt_exit(old_exit, now_s)
        return True

    def _note_duplicate(self) -> None:
        """Tell the risk engine of an order that has our client order id although no request of ours led to it."""
        for event in self.maker_exit.events:
            if isinstance(event, UnknownOrderWithOurId):
                self.risk.report_duplicate(event.client_order_id, event.order_id)

    def _collect_events(self) -> None:
        for found in (self.maker_exit.events, self.risk.breakers.events):
            if found:
                self.events += found
                found.clear()

    def _handle(self, received: OrderInput, now_s: float) -> None:
        for event in self.risk.instance_check.drop_implausible(received):
            self.risk.on_order_input(event, busy=self.state.exit is not None)
            if (
                isinstance(event, ExecutionReport)
                and event.execution_type is ExecutionType.TRADE
                and not is_own(event.client_order_id)
            ):
                self._foreign_fill = (event.time_ms, event.last_price)
            self.maker_exit.handle(event, now_s)

    def _trusted_top(self, view: StateView) -> BookTop | None:
        """Return the book; None if it is too old or the account connection is lost.

        Publishes an event when market data or the account connection is lost, and one when it is
        back.
        """
        now_s, age_s = view.now_s, view.top_age_s
        if now_s - age_s > self._market_seen_s:
            self._market_seen_s = now_s - age_s
        fresh = view.top is not None and age_s < self._params.stale_after_s
        if fresh and view.account_proven and not self._trust_lost:
            return view.top
        self._trust_lost = not (fresh and view.account_proven)
        if fresh:
            self._publish(MarketFresh, self._market_staleness.on_present(view.now_s))
        else:
            self._publish(MarketStale, self._market_staleness.on_missing(view.now_s, self._market_seen_s))
        if view.account_proven:
            self._publish(AccountBack, self._account_staleness.on_present(view.now_s))
        else:
            self._publish(AccountLost, self._account_staleness.on_missing(view.now_s))
        return view.top if fresh and view.account_proven else None

    def _publish(self, event_type: Callable[[float], TraderEvent], lasted_s: float | None) -> None:
        if lasted_s is not None:
            self.events.append(event_type(lasted_s))

    def _is_settled(self, view: StateView) -> bool:
        """Whether balances and orders are the same as at an earlier tick that found the balances complete and
        explained.

        If so, the balances need no new check. That is the case at nearly all ticks, because usually only prices and
        time have changed.
        """
        if self._settled is None or view.now_s < self._balances_locked_until_s or view.balances_in_doubt:
            return False
        before, changes = self._settled
        return (
            view.balances is before.balances
            and view.balances_ms == before.balances_ms
            and view.balance_updates == before.balance_updates
            and changes == self.maker_exit.changes
            and view.account_proven
        )

    def _audit_balances(self, view: StateView, *, balances_current: bool) -> list[ExecutionCommand]:
        """Publish balance changes that neither fills nor transfers explain.

        If there are such changes, return the command to read the balances again.
        """
        unexplained, audit = self.risk.audit_balances(view, balances_current=balances_current), self.risk.audit
        self.events += unexplained
        is_settled = balances_current and view.account_proven and not unexplained and audit.due_s == inf
        self._settled = (view, self.maker_exit.changes) if is_settled else None
        # The difference may be a push that was lost. Reading the balances settles that.
        return [Refresh.BALANCES] if unexplained else []

    def _check_balances(self, view: StateView) -> tuple[bool, list[ExecutionCommand]]:
        """Return whether the balances include all changes by our orders, and the command (if due) to read them."""
        if view.now_s < self._balances_locked_until_s:
            return False, []
        # The stream pushed balances that are older than those before them. Neither can be trusted: read them again.
        if view.balances_in_doubt:
            return False, self._refresh_balances(view)
        if self.balance_sync.is_current(view, self.maker_exit.funds_changed_ms, self.maker_exit.order):
            self._balances_late_since_s = None
            return True, []
        if self._balances_late_since_s is None:
            self._balances_late_since_s = view.now_s
        return False, self._refresh_balances(view)

    def _refresh_balances(self, view: StateView) -> list[ExecutionCommand]:
        """Return the command to read the balances, or an empty list if it is too early.

        The first command is returned one second after the balances became overdue, further ones at intervals of one
        second.
        """
        if self._balances_late_since_s is None:
            self._balances_late_since_s = view.now_s
        # Without a logon there is no one to ask, and the logon reads the balances anyway.
        if not view.account_proven or view.now_s < self._balances_late_since_s + _BALANCES_LATE_S:
            return []
        self._balances_late_since_s = view.now_s
        return [Refresh.BALANCES]

    def _closed_kline(self, kline: Kline) -> ClosedKline:
        return ClosedKline(kline, self._channel.push(kline))

    def _manual_exit_expired(self, progress: ExitProgress | None, now_s: float) -> bool:
        """Whether the first order of an operator's exit did not rest on the book in time."""
        exit_ = self.state.exit
        if exit_ is None or exit_.kind is not ExitKind.MANUAL:
            return False
        if self._command_seen[0] != exit_.number:
            # The time to live counts from when we saw the exit, also where a take-profit became the operator's exit.
            self._command_seen = (exit_.number, now_s)
        if progress is not None and progress.number == exit_.number and progress.rested:
            return False
        return now_s >= self._command_seen[1] + self._params.manual_exit_ttl_s

    def _outside_price(self, market_ms: int) -> Decimal | None:
        if self._foreign_fill is None or market_ms - self._foreign_fill[0] > _FOREIGN_FILL_MS:
            return None
        return self._foreign_fill[1]

    def _check_exit_age(self, age_s: float, top: BookTop | None, progress: ExitProgress | None) -> None:
        """Publish `ExitAged` once if the exit is older than `exit_age_alert_s`."""
        exit_ = self.state.exit
        if exit_ is None or exit_.number == self._aged_exit_number or age_s < self._params.exit_age_alert_s:
            return
        if progress is not None and progress.number == exit_.number and progress.complete is not None:
            return  # it ends now
        self._aged_exit_number = exit_.number
        filled = progress.filled_base if progress is not None and progress.number == exit_.number else ZERO
        slippage = slippage_frac(exit_.side, exit_.mid_price, top.best(exit_.side) if top is not None else None)
        self.events.append(ExitAged(exit_.kind, exit_.side, age_s, slippage, filled))


def _usable(balance: Balance | None, max_locked: Decimal | None, reserve: Decimal) -> Decimal:
    """Return the amount of an asset that we may trade.

    `max_locked` is the most that our own orders lock; None if that is unknown.
    """
    if balance is None:
        return ZERO
    # The locked amount may include orders placed by hand, which are not ours to sell. Count at most what our own
    # can have locked.
    own_locked = balance.locked if max_locked is None else min(balance.locked, max_locked)
    return max(ZERO, balance.free + own_locked - reserve)


def slippage_frac(side: Side, mid_price: Decimal | None, price: Decimal | None) -> float | None:
    """Return the fraction by which `price` is worse than the mid price at the exit's trigger.

    The fraction is negative if `price` is better. It is None if one of the two prices is unknown.
    """
    if not mid_price or price is None:
        return None
    worse = mid_price - price if side is Side.SELL else price - mid_price
    return float(worse / mid_price)

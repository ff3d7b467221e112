"""Strategy and chaser joined: from one view to the next commands, still without waiting for anything.

Everything the daemon knows of its trade lives here and outlives every reconnect. A daemon gives a beat
whenever something changed; a replay can do the same without any socket.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from trailingedge.core.errors import BrokenInvariant
from trailingedge.execution.balance_sync import BalanceSync
from trailingedge.execution.maker_exit import MakerExit
from trailingedge.execution.order_events import UnknownOrderWithOurId
from trailingedge.execution.quoting import RequotePlan, SentRequote, TargetQuote
from trailingedge.execution.staleness import Staleness
from trailingedge.execution.trader_events import (
    AccountBack,
    AccountLost,
    ExitAged,
    LateOrder,
    MarketFresh,
    MarketStale,
    TraderEvent,
)
from trailingedge.indicators.donchian import DonchianChannel
from trailingedge.model.client_order_ids import is_own
from trailingedge.model.intent import ExitEndReason, ExitKind, ExitProgress, OrderIntent
from trailingedge.model.market import ZERO, Balance, BookTop, ExecutionReport, ExecutionType, Kline, Side, SymbolRules
from trailingedge.model.market_state import StateView
from trailingedge.model.order_commands import ExecutionCommand, OrderInput, Refresh
from trailingedge.reconciliation.exit_history import ExitHistory, HistoricalExit, is_open
from trailingedge.risk.duplicate_instance import OrphanOrders, late_exits_of
from trailingedge.risk.risk_engine import RiskEngine
from trailingedge.strategy.decide import Decision, decide
from trailingedge.strategy.inputs import ClosedKline, Holdings, Inputs, StrategyCommand, StrategyParams
from trailingedge.strategy.regime import is_tradable
from trailingedge.strategy.state import ActiveExit, StrategyState

_BALANCES_LATE_S: Final = 1.0  # the balances follow a fill at once; later than this they are asked for
_FOREIGN_FILL_MS: Final = 10_000  # a foreign fill older than this did not make the change just seen
_ACCOUNT_AWAY_S: Final = 2.0  # a reconnect takes a second; what takes longer is worth telling
_FUTILE_S: Final = 60.0  # how long a buy that came to nothing is not tried again


@dataclass(frozen=True, slots=True)
class TradingParams:
    """What the trader itself needs to know; the strategy and the chaser have their own."""

    stale_after_s: float = 10.0
    manual_exit_ttl_s: float = 30.0
    exit_age_alert_s: float = 60.0
    reserve_base: Decimal = ZERO
    reserve_quote: Decimal = ZERO


class TradingCore:
    """One beat after another. `news` collects what changed, for whoever tells people."""

    def __init__(
        self,
        strategy: StrategyParams,
        params: TradingParams,
        chase: MakerExit,
        channel: DonchianChannel,
        guards: RiskEngine,
        base_asset: str,
        quote_asset: str,
        paused: bool = False,
    ) -> None:
        self.state = StrategyState()
        self.decision: Decision | None = None
        self.maker_exit = chase
        self.risk = guards
        self.paused = paused
        self.halted = False
        self.events: list[TraderEvent] = []
        self.inbox: deque[OrderInput] = deque()
        self.operator_commands: deque[StrategyCommand] = deque()
        self.balance_sync = BalanceSync()
        self.requote_plan: RequotePlan | None = None  # while nothing but a price has changed since the last beat
        self._orphans = OrphanOrders()
        self.marker_locks_funds: Callable[[float], bool] = lambda _: (
            False
        )  # whether a note has some of the funds locked
        self._strategy = strategy
        self._params = params
        self._channel = channel
        self._base_asset = base_asset
        self._quote_asset = quote_asset
        self._intent: OrderIntent | None = None
        self._pending_closes: list[ClosedKline] = []  # not decided upon yet
        self._market_staleness = Staleness(params.stale_after_s)
        self._market_seen_s = float("-inf")
        self._account_staleness = Staleness(_ACCOUNT_AWAY_S)
        self._balances_late_since_s: float | None = None
        self._foreign_fill: tuple[int, Decimal] | None = None
        self._command_seen: tuple[int, float] = (0, 0.0)  # number of a manual exit, and when we first saw it
        self._futile_buy: tuple[Decimal, float] = (ZERO, float("-inf"))  # funds too small to buy with, and until when
        self._aged_exit_number = 0

    @property
    def intent(self) -> OrderIntent | None:
        """What the strategy asked for in the last beat."""
        return self._intent

    @property
    def rules(self) -> SymbolRules:
        """Those in force."""
        return self.maker_exit.rules

    @property
    def trading_paused(self) -> bool:
        """Pause or breaker: nothing is bought, and no profit taken."""
        return self.paused or self.risk.breakers.trading_paused

    @property
    def needs_another_tick(self) -> bool:
        """There is more to think about than one beat could take in: another should follow at once."""
        held, progress = self.state.exit, self.maker_exit.progress()
        over = held is not None and progress is not None and progress.number == held.number and progress.complete
        return bool(self.operator_commands or over)

    @property
    def is_idle(self) -> bool:
        """The side held is known, the book is trusted, and no exit of ours is on it or about to be."""
        decision = self.decision
        judged = decision is not None and decision.unit_value is not None and bool(self.state.funded)
        return (
            judged
            and not self.halted
            and self.state.exit is None
            and self.maker_exit.idle
            and not self.needs_another_tick
        )

    def restore(
        self, memory: StrategyState, in_hand: HistoricalExit | None, now_s: float, history: ExitHistory | None = None
    ) -> None:
        """Go on where an earlier session was, of which `history` tells; before the first beat."""
        self.state = memory
        if history is not None:
            self.risk.instance_check.add_counted(order.order_id for exit_ in history.exits for order in exit_.orders)
        if in_hand is not None:
            self._adopt_exit(in_hand, now_s)
            self.risk.checks.orders.reconcile(in_hand.orders)

    def can_spare(self, side: Side, quantity: Decimal, price: Decimal, top: BookTop) -> bool:
        """Whether what is held stays enough to trade while an order like that has locked its part."""
        held, regime = self.state.holdings, self.state.regime
        if held is None or regime is None:
            return False
        base = held.base - quantity if side is Side.SELL else held.base
        quote = held.quote - quantity * price if side is Side.BUY else held.quote
        return is_tradable(regime, Holdings(base, quote), top, self._strategy)

    def on_report(self, report: ExecutionReport, pushes: int) -> None:
        """An execution report, ours or another's, which came after the stream had told balances `pushes` times."""
        self.balance_sync.on_report(report, pushes)
        self.inbox.append(report)

    def update_rules(self, rules: SymbolRules) -> None:
        """The rules were read again: what is enough to trade, and what an order must be, may have changed."""
        self.invalidate_plan()
        self.maker_exit.update_rules(rules)
        self._strategy = replace(
            self._strategy,
            min_quantity=rules.min_quantity,
            min_notional=rules.min_notional,
            step_size=rules.step_size,
        )

    def tick(self, view: StateView, server_ms: int) -> list[ExecutionCommand]:
        """Hear what came in, decide, and return what must be sent.

        Raises BrokenInvariant; what was not heard or decided upon then waits for the next beat.
        """
        self.requote_plan = None
        # A view hands its klines over: before anything can go wrong they are ours.
        self._pending_closes += (self._closed_kline(kline) for kline in view.closed_klines)
        self.risk.instance_check.tick(server_ms)
        while self.inbox:
            self._handle(self.inbox.popleft(), view.now_s)
        self._handle_late_orders(view.now_s)
        top = self._trusted_top(view)
        settled, commands = self._check_balances(view)
        progress = self.maker_exit.progress()
        self._remember_futile_buy(progress, view)
        self.risk.breakers.tick(view.market_ms)
        inputs = Inputs(
            market_ms=view.market_ms,
            server_ms=server_ms,
            top=top,
            holdings=self.holdings(view) if settled else None,
            closed_klines=tuple(self._pending_closes),
            channel=self._channel.current,
            command=self.operator_commands.popleft() if self.operator_commands else None,
            trading_paused=self.trading_paused or self._buy_is_futile(view),
            halted=self.halted,
            progress=progress,
            command_expired=self._manual_exit_expired(progress, view.now_s),
            outside_price=self._outside_price(view.market_ms),
        )
        step = decide(inputs, self.state, self._strategy)
        self._pending_closes.clear()
        self.state, self._intent, self.decision = step.state, step.intent, step.decision
        self.events += step.events
        self.risk.on_decision(step.state, step.events)
        self._check_exit_age(view, top, progress)
        moved = self.risk.audit_balances(view, settled=settled)
        if moved:
            self.events += moved
            commands.append(Refresh.BALANCES)
        if view.account_proven and not self._orphans.any_open(self.risk.checks.orders.open):
            commands += self.maker_exit.commands_for(
                step.intent,
                top,
                view.now_s,
                server_ms=server_ms,
                age_s=self.exit_age_s(view.market_ms),
                settled=settled,
            )
        elif view.account_proven and self.maker_exit.may_send(view.now_s, server_ms):
            away = self._orphans.next_command(view.now_s)
            commands += [] if away is None else [away]
        self._collect_events()
        self.risk.checks.approve(commands, view, self.decision, self.rules)
        if not commands and step.intent is not None and top is not None and view.account_proven:
            poise = self.maker_exit.plan_requote(step.intent, step.decision, view.now_s, server_ms)
            if poise is not None and self.risk.checks.orders.open <= {poise.order_id}:  # else another must go
                self.requote_plan = poise
        return commands

    def invalidate_plan(self) -> None:
        """Something other than a price has changed, or is about to: only a beat can tell what follows."""
        self.requote_plan = None

    def record_requote(self, answer: TargetQuote, top: BookTop, now_s: float, server_ms: int) -> SentRequote:
        """Enter into the books that `poise` has answered `top`, whatever they think of it: it has been sent.

        The poise is gone with that. Raises BrokenInvariant where the books cannot hold it.
        """
        poise, self.requote_plan = self.requote_plan, None
        if poise is None:
            raise BrokenInvariant(f"an answer without a poise: {answer}")
        expected = self.maker_exit.expected_requote(poise.intent, top, now_s)
        command = self.maker_exit.record_requote(poise, answer, top, now_s, server_ms)
        return SentRequote(command, poise.decision, answer, expected)

    def verify_requote(self, entered: SentRequote, top: BookTop, now_s: float) -> None:
        """A beat would have sent the same. It has to follow all the same, for there is more to think.

        Raises BrokenInvariant where the books come to another answer, or a rule is broken.
        """
        if entered.sent != entered.expected:
            raise BrokenInvariant(f"a reaction sent {entered.sent}, the books say {entered.expected}")
        self.risk.checks.approve_requote(entered.command, top, now_s, entered.decision, self.rules)

    def shutdown_tick(self, view: StateView, server_ms: int) -> list[ExecutionCommand]:
        """Instead of a beat, at the end: decide nothing any more, only withdraw what is on the book."""
        self.requote_plan = None
        self.risk.instance_check.tick(server_ms)
        while self.inbox:
            self._handle(self.inbox.popleft(), view.now_s)
        commands = (
            self.maker_exit.commands_for(None, None, view.now_s, server_ms=server_ms) if view.account_proven else []
        )
        self._collect_events()
        self.risk.checks.approve(commands, view, None, self.rules)
        return commands

    def resume(self) -> None:
        """The operator goes on, after a pause, a breaker or a halt."""
        self.paused = self.halted = False
        self.risk.resume()

    def holdings(self, view: StateView) -> Holdings:
        """What may be traded: free, and locked by our own orders, less the reserve."""
        return Holdings(
            base=self._usable(view, self._base_asset, Side.SELL, self._params.reserve_base),
            quote=self._usable(view, self._quote_asset, Side.BUY, self._params.reserve_quote),
        )

    def exit_age_s(self, market_ms: int) -> float:
        """Age of the exit in hand by the exchange's time; 0 without one, or while that time was not known."""
        held = self.state.exit
        return max(0.0, (market_ms - held.started_ms) / 1000) if held is not None and held.started_ms else 0.0

    def stop_confirms_in_s(self) -> float | None:
        """How long until the hard stop is confirmed if nothing changes; None while there is nothing to confirm."""
        breach_ms = None if self.decision is None else self.decision.stop_breach_ms
        return None if breach_ms is None else max(0.0, self._strategy.hard_stop_confirm_sec - breach_ms / 1000)

    # -----------------------------------------------------------------------------------------

    def _adopt_exit(self, past: HistoricalExit, now_s: float) -> None:
        self.maker_exit.adopt(past, now_s)
        self.risk.instance_check.add_own(past.number)

    def _handle_late_orders(self, now_s: float) -> None:
        """Requests of our predecessor's that came to something only now, and may be over already."""
        late, self.risk.late_orders = self.risk.late_orders, []
        for past in late_exits_of(late, self.risk.checks.orders.open) if late else ():
            if past.number == self.maker_exit.number or any(order.order_id in self._orphans for order in past.orders):
                continue  # it has just been adopted, or is being taken away
            resting = [order for order in past.orders if is_open(order)]
            if not resting and not past.base:
                continue  # nothing came of it
            adopted = len(resting) < 2 and self._try_adopt(past, now_s)
            if not adopted:
                for order in resting:
                    self._orphans.add(order.order_id, order.client_order_id)
            if resting or adopted:
                self.events.append(LateOrder(past, adopted))

    def _try_adopt(self, late: HistoricalExit, now_s: float) -> bool:
        """Go on with an exit of an earlier session; False where it does not fit."""
        if self.state.exit is not None or self.state.regime is not late.sold_regime or not self.maker_exit.idle:
            return False
        held = ActiveExit(late.kind, late.side, late.number, late.began_ms)
        self.state = replace(self.state, exit=held, last_number=max(self.state.last_number, late.number))
        self._adopt_exit(late, now_s)
        return True

    def _collect_events(self) -> None:
        for happening in self.maker_exit.events:
            if isinstance(happening, UnknownOrderWithOurId):
                self.risk.report_duplicate(happening.client_order_id, happening.order_id)
        self.events += self.maker_exit.events
        self.maker_exit.events.clear()
        self.events += self.risk.breakers.events
        self.risk.breakers.events.clear()

    def _handle(self, told: OrderInput, now_s: float) -> None:
        for event in self.risk.instance_check.drop_implausible(told):
            self.risk.on_order_input(event, busy=self.state.exit is not None)
            if (
                isinstance(event, ExecutionReport)
                and event.execution_type is ExecutionType.TRADE
                and not is_own(event.client_order_id)
            ):
                self._foreign_fill = (event.time_ms, event.last_price)
            self.maker_exit.handle(event, now_s)

    def _trusted_top(self, view: StateView) -> BookTop | None:
        """The book, unless it is too old or the account is unproven. Tells once of each loss and return."""
        self._market_seen_s = max(self._market_seen_s, view.now_s - view.top_age_s)
        fresh = view.top is not None and view.top_age_s < self._params.stale_after_s
        if fresh:
            self._publish(MarketFresh, self._market_staleness.on_present(view.now_s))
        else:
            self._publish(MarketStale, self._market_staleness.on_missing(view.now_s, self._market_seen_s))
        if view.account_proven:
            self._publish(AccountBack, self._account_staleness.on_present(view.now_s))
        else:
            self._publish(AccountLost, self._account_staleness.on_missing(view.now_s))
        return view.top if fresh and view.account_proven else None

    def _publish(self, news: Callable[[float], TraderEvent], lasted_s: float | None) -> None:
        if lasted_s is not None:
            self.events.append(news(lasted_s))

    def _check_balances(self, view: StateView) -> tuple[bool, list[ExecutionCommand]]:
        """Whether the balances account for every change of ours, and a request for them when they are late."""
        if self.marker_locks_funds(view.now_s):
            return False, []
        if view.balances_in_doubt:
            return False, self._refresh_balances(view)
        if self.balance_sync.is_current(view, self.maker_exit.funds_changed_ms, self.maker_exit.order):
            self._balances_late_since_s = None
            return True, []
        if self._balances_late_since_s is None:
            self._balances_late_since_s = view.now_s
        return False, self._refresh_balances(view)

    def _refresh_balances(self, view: StateView) -> list[ExecutionCommand]:
        """Once a second, and the first time a second after they were missed."""
        if self._balances_late_since_s is None:
            self._balances_late_since_s = view.now_s
        # Unproven, nobody could be asked; the balances are read anyway before the account is proven again.
        if not view.account_proven or view.now_s - self._balances_late_since_s < _BALANCES_LATE_S:
            return []
        self._balances_late_since_s = view.now_s
        return [Refresh.BALANCES]

    def _usable(self, view: StateView, asset: str, side: Side, reserve: Decimal) -> Decimal:
        balance = view.balances.get(asset) or Balance(asset, ZERO)
        most = self.maker_exit.max_locked(side)
        own_locked = balance.locked if most is None else min(balance.locked, most)
        return max(ZERO, balance.free + own_locked - reserve)

    def _closed_kline(self, kline: Kline) -> ClosedKline:
        return ClosedKline(kline, self._channel.push(kline))

    def _manual_exit_expired(self, progress: ExitProgress | None, now_s: float) -> bool:
        """A command of the operator's whose first order could not rest in time."""
        held = self.state.exit
        if held is None or held.kind is not ExitKind.MANUAL:
            return False
        if self._command_seen[0] != held.number:
            self._command_seen = (held.number, now_s)
        if progress is not None and progress.number == held.number and progress.rested:
            return False
        return now_s - self._command_seen[1] >= self._params.manual_exit_ttl_s

    def _remember_futile_buy(self, progress: ExitProgress | None, view: StateView) -> None:
        """Funds at the edge of the least notional are too little one tick below the ask: not every beat anew."""
        held = self.state.exit
        if held is None or held.side is Side.SELL or progress is None or progress.number != held.number:
            return
        if progress.complete is ExitEndReason.FUNDS_GONE:
            self._futile_buy = (self.holdings(view).quote, view.now_s + _FUTILE_S)

    def _buy_is_futile(self, view: StateView) -> bool:
        funds, until_s = self._futile_buy
        return view.now_s < until_s and self.holdings(view).quote == funds

    def _outside_price(self, market_ms: int) -> Decimal | None:
        if self._foreign_fill is None or market_ms - self._foreign_fill[0] > _FOREIGN_FILL_MS:
            return None
        return self._foreign_fill[1]

    def _check_exit_age(self, view: StateView, top: BookTop | None, progress: ExitProgress | None) -> None:
        """Tell once of an exit that takes long."""
        held = self.state.exit
        if held is None or held.number == self._aged_exit_number:
            return
        age_s = self.exit_age_s(view.market_ms)
        if age_s < self._params.exit_age_alert_s:
            return
        self._aged_exit_number = held.number
        filled = progress.filled_base if progress is not None and progress.number == held.number else ZERO
        slippage = slippage_frac(held.side, held.mid_price, top.best(held.side) if top is not None else None)
        self.events.append(ExitAged(held.kind, held.side, age_s, slippage, filled))


def slippage_frac(side: Side, mid_price: Decimal | None, price: Decimal | None) -> float | None:
    """How much worse `price` is than the mid price at the trigger, a fraction; negative when better."""
    if not mid_price or price is None:
        return None
    worse = mid_price - price if side is Side.SELL else price - mid_price
    return float(worse / mid_price)

"""The desk: who decides, who words it and who counts, once the exchange's rules are known."""

import logging
from collections.abc import Callable, Sequence
from decimal import Decimal

from trailingedge.accounting.statistics import DailyResults, RunStatistics
from trailingedge.accounting.summary_json import day_json
from trailingedge.config import Settings
from trailingedge.core.clock import Clock
from trailingedge.execution.anchor_marker import MarkerContext
from trailingedge.execution.maker_exit import MakerExit
from trailingedge.execution.order_rate_budget import OrderRateBudget
from trailingedge.execution.trading_core import TradingCore
from trailingedge.indicators.donchian import Breakout
from trailingedge.live import factory
from trailingedge.model.market import ZERO, ExecutionReport, SymbolRules
from trailingedge.model.market_state import MarketState
from trailingedge.model.operator_commands import CommandResult
from trailingedge.notifications import messages, query_answers, risk_messages
from trailingedge.notifications.alerts import Alerts
from trailingedge.notifications.announcer import Announcer
from trailingedge.notifications.build_status import build_status
from trailingedge.notifications.explain import why
from trailingedge.notifications.status import StatusView, as_data, status
from trailingedge.reconciliation.exit_ledger import exit_totals
from trailingedge.reconciliation.recovery import RecoveredState
from trailingedge.strategy.regime import price_at

logger = logging.getLogger(__name__)


class NodeServices:
    """One trade's minds, told of nothing but snapshots. `fee` is the maker fee in force.

    `server_ms` is the exchange's clock, known since the logon.
    """

    def __init__(
        self,
        settings: Settings,
        rules: SymbolRules,
        fee: Decimal,
        snapshots: MarketState,
        budget: OrderRateBudget,
        alerts: Alerts,
        clock: Clock,
        *,
        server_ms: Callable[[], int],
        paused: bool,
    ) -> None:
        channel = factory.donchian_channel(settings)
        for kline in snapshots.klines:
            channel.push(kline)
        self.fee = fee
        self.statistics = RunStatistics(rules.base_asset, rules.quote_asset)
        self.core = TradingCore(
            factory.strategy_params(settings, rules, float(fee)),
            factory.trading_params(settings),
            MakerExit(rules, budget, factory.maker_exit_params(settings)),
            channel,
            factory.risk_engine(settings, rules, server_ms()),
            rules.base_asset,
            rules.quote_asset,
            paused=paused,
        )
        self._calendar = DailyResults(self.statistics)
        self._announcer = Announcer(
            rules,
            self.statistics,
            alerts,
            self.market_ms,
            reserve_base=settings.reserve_base,
            reserve_quote=settings.reserve_quote,
            view=lambda: self.status(0),
            followed=_followed(settings),
            flip_timeout_s=settings.manual_exit_ttl_sec,
        )
        self._settings = settings
        self._budget = budget
        self._server_ms = server_ms
        self._halt_reason: str | None = None
        self._mode = settings.trading_mode.value
        self._snapshots = snapshots
        self._alerts = alerts
        self._clock = clock

    @property
    def rules(self) -> SymbolRules:
        """Those in force."""
        return self.core.rules

    @property
    def flip_patience_s(self) -> float:
        """How long a flip waits for its first order to rest."""
        return self._settings.manual_exit_ttl_sec

    def refusal_reason(self, reason: str) -> str:
        """Why the strategy refused a command; where a hold is the reason, which one."""
        trips = self.core.risk.breakers.state.trips
        return risk_messages.refusal_reason(reason, trips, paused=self.core.paused)

    def update_rules(self, rules: SymbolRules) -> None:
        """The exchange's rules were read again."""
        before = self.rules
        if rules == before:
            return
        logger.info("rules changed from=%s to=%s", before, rules)
        self.core.update_rules(rules)
        self._announcer.rules = rules
        if rules.trading and not before.trading:
            self._alerts.send(messages.trading_again(rules.symbol))
        elif before.trading and not rules.trading:
            self._alerts.send(messages.not_trading(rules.symbol, rules.status), logging.WARNING)

    def restore(self, recovered: RecoveredState) -> None:
        """Go on where an earlier session was; before the first beat."""
        memory, in_hand = recovered.state, recovered.active_exit
        self.core.restore(memory, in_hand, self._clock.now_s(), recovered.history)
        if memory.regime is not None:
            self.statistics.resume_anchor(price_at(memory.regime, memory.anchor))
        number = None if in_hand is None else in_hand.number
        fills = recovered.history.fills
        breakers = self.core.risk.breakers
        breakers.restore(exit_totals(fill for fill in fills if fill[0] != number), self.market_ms())
        if in_hand is not None:
            breakers.continue_exit(in_hand.side, (fill for fill in fills if fill[0] == number))

    def marker_context(self, server_ms: int) -> MarkerContext | None:
        """What a note would say now; None while it has to wait."""
        trader, top = self.core, self._snapshots.top
        memory = trader.state
        if memory.regime is None or top is None or not (trader.is_idle and self.rules.trading):
            return None
        return MarkerContext(
            regime=memory.regime,
            anchor_price=price_at(memory.regime, memory.anchor),
            top=top,
            rules=self.rules,
            number=server_ms,
            can_spare=lambda order: trader.can_spare(order.side, order.quantity, order.price, top),
        )

    def market_ms(self) -> int:
        """The exchange's time."""
        return self._snapshots.market_ms(self._clock.now_s())

    def on_report(self, report: ExecutionReport) -> None:
        """An execution report, ours or another's."""
        self.statistics.on_report(report)
        self.core.on_report(report, self._snapshots.balance_updates)

    def publish_events(self) -> None:
        """Say what has changed since the last time."""
        for news in self.core.events:
            self._announcer.announce(news)
        self.core.events.clear()

    def halt(self, reason: str) -> bool:
        """We were wrong about something: arm nothing, take the order off, wait for a person. False if halted before."""
        news = not self.core.halted
        self.core.halted = True
        self._halt_reason = reason
        if news:
            self._alerts.send(messages.halted(reason), logging.ERROR)
        else:
            logger.warning("still halted: %s", reason)
        self.requery_orders()
        self.publish_events()
        return news

    def requery_orders(self) -> None:
        """Whatever of ours is on the book is to be asked for before anything else."""
        self.core.maker_exit.on_disconnect(self._clock.now_s())

    def record_sample(self) -> None:
        """Note where account and market stand, for the summaries; that of a day is told in its last minute."""
        if self._snapshots.top is None:
            return
        market_ms = self.market_ms()
        self.statistics.mark_to_market(market_ms, self._snapshots.top.bid, *self._totals())
        day = self._calendar.day_result_due(market_ms)
        if day is not None:
            self._alerts.send(query_answers.daily_summary(self.rules, self._mode, day, self.core.state.regime))

    def status(self, reconnects: int) -> StatusView:
        """How things stand."""
        settings, active = self._settings, self.core.state.exit
        return build_status(
            self.core,
            self._snapshots,
            self._clock.now_s(),
            mode=self._mode,
            reconnects=reconnects,
            stale_after_s=settings.stale_after_sec,
            stop_confirm_s=settings.hard_stop_confirm_sec,
            kline_interval=settings.kline_interval,
            reserve_base=settings.reserve_base,
            reserve_quote=settings.reserve_quote,
            budget_short=not self._budget.may_requote(self._server_ms()),
            reject_text=self._announcer.reject_text,
            replaces=0 if active is None else self.statistics.replaces_of(active.number),
            halt_reason=self._halt_reason,
        )

    # What is asked ---------------------------------------------------------------------------

    def standing(self, reconnects: int) -> CommandResult:
        """How things stand, in one line."""
        view = self.status(reconnects)
        return CommandResult(status(view), data=as_data(view))

    def why(self, reconnects: int) -> CommandResult:
        """Why it trades or does not."""
        view = self.status(reconnects)
        text = why(view, self.core.decision)
        return CommandResult(text, data={**as_data(view), "why": text})

    def balance(self) -> CommandResult:
        """What the account holds."""
        view = self.status(0)
        return CommandResult(query_answers.balance(view), data=as_data(view))

    def today(self) -> CommandResult:
        """What the day has brought so far."""
        self.record_sample()
        day = self._calendar.today()
        if day is None:
            return CommandResult("nothing is known of today yet", done=False)
        return CommandResult(
            query_answers.today(self.rules, self._mode, day, self.core.state.regime),
            data=day_json(self.rules, day),
        )

    def summary(self, gaps: Sequence[str]) -> str:
        """What the whole session came to; several lines. `gaps` is what its market lacked, in words."""
        tally = self.statistics
        run = messages.RunSummary(
            seconds=(tally.to_ms - tally.from_ms) / 1000,
            exits=len(tally.exits),
            fills=tally.fills,
            replaces=tally.replaces,
            fees=dict(tally.fees),
            rejected={str(code): count for code, count in sorted(tally.rejected.items())},
            value=tally.last_value,
            result_frac=tally.result_frac,
            hold_base_frac=tally.hold_base_frac,
            hold_quote_frac=0.0,
            gaps=gaps,
        )
        return messages.summary(self.rules, run, self._mode)

    def _totals(self) -> tuple[Decimal, Decimal]:
        """All of base and quote that the account holds, whoever has locked it."""
        balances = self._snapshots.balances
        base, quote = (balances.get(asset) for asset in (self.rules.base_asset, self.rules.quote_asset))
        return ZERO if base is None else base.total, ZERO if quote is None else quote.total


def _followed(settings: Settings) -> frozenset[Breakout]:
    """The breakouts that the settings make an exit of."""
    told = {Breakout.UP: settings.breakout_entry, Breakout.DOWN: settings.breakout_exit}
    return frozenset(direction for direction, followed in told.items() if followed)

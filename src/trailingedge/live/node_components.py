"""Node services: trading core, announcer, statistics and the writer of anchor markers of one run.

`live.node_builder` builds them during the start, once the exchange's rules are known. This module has the actions that
concern several of them: process an execution report, halt, apply new rules, restore the last session, sample the
account's value.
"""

import logging
from collections.abc import Callable
from decimal import Decimal

from trailingedge.accounting.statistics import DailyResults, RunStatistics
from trailingedge.core.clock import Clock
from trailingedge.execution.anchor_marker import AnchorMarkerWriter, MarkerContext
from trailingedge.execution.trader_events import TraderEvent
from trailingedge.execution.trading_core import TradingCore
from trailingedge.live.operator_queries import OperatorQueries
from trailingedge.model.market import ZERO, ExecutionReport, SymbolRules
from trailingedge.model.market_state import MarketState
from trailingedge.notifications import event_messages, query_answers
from trailingedge.notifications.alert_sinks import Alerts
from trailingedge.notifications.announcer import Announcer
from trailingedge.reconciliation.history_types import ExitHistory, HistoricalExit
from trailingedge.reconciliation.recovery import RecoveredState
from trailingedge.strategy.state import StrategyState
from trailingedge.strategy.unit_value import price_at
from trailingedge.websocket.account import AccountSession

logger = logging.getLogger(__name__)

EventObserver = Callable[[TraderEvent, int], None]
"""Takes an event of the trading core and the market's time in milliseconds. It must be fast: a tick calls it."""


async def query_balances(account: AccountSession, market_state: MarketState, settled_ms: int) -> None:
    """Query the account's balances and store them in `market_state`.

    `settled_ms` is the exchange's time at which an order of ours last changed the balances. The reply
    includes that change.
    """
    pushes = market_state.balance_updates
    answer = await account.balances()
    # Events that arrived during the request may be newer than its answer; the market state compares them.
    market_state.on_queried_balances(answer.balances, answer.account_ms, pushes, settled_ms)


def marker_context(core: TradingCore, market_state: MarketState, server_ms: int) -> MarkerContext | None:
    """Return the data for a marker order, which stores the anchor on the exchange.

    Returns None while none may be placed: during an exit, or while the symbol does not trade.
    """
    state, top = core.state, market_state.top
    if state.regime is None or top is None or not (core.is_idle and core.rules.trading):
        return None
    return MarkerContext(
        regime=state.regime,
        anchor_price=price_at(state.regime, state.anchor),
        top=top,
        rules=core.rules,
        number=server_ms,
        can_spare=lambda order: core.can_spare(order.side, order.quantity, order.price, top),
    )


def resume_statistics(
    statistics: RunStatistics,
    state: StrategyState,
    active_exit: HistoricalExit | None,
    history: ExitHistory | None = None,
) -> None:
    """Give `statistics` the anchor and the exits of an earlier session, with which the next exits are matched."""
    statistics.resume(
        None if state.regime is None else price_at(state.regime, state.anchor),
        () if history is None else history.ended_exits(active_exit),
        () if active_exit is None else ((active_exit.number, fill) for fill in active_exit.fills),
    )


class NodeServices:
    """The services of one run. `fee` is the maker fee in force, `on_event` is called for each event of the core."""

    def __init__(
        self,
        core: TradingCore,
        announcer: Announcer,
        statistics: RunStatistics,
        daily_results: DailyResults,
        queries: OperatorQueries,
        anchor_markers: AnchorMarkerWriter,
        market_state: MarketState,
        alerts: Alerts,
        clock: Clock,
        *,
        mode: str,
        fee: Decimal,
        on_event: EventObserver = lambda _event, _market_ms: None,
    ) -> None:
        self.core = core
        self.statistics = statistics
        self.queries = queries
        self.anchor_markers = anchor_markers
        self.fee = fee
        self._announcer = announcer
        self._daily_results = daily_results
        self._market_state = market_state
        self._alerts = alerts
        self._clock = clock
        self._mode = mode
        self._on_event = on_event

    @property
    def rules(self) -> SymbolRules:
        """The exchange's rules in force, with our stricter limits applied."""
        return self.core.rules

    @property
    def market_ms(self) -> int:
        """The exchange's time now, in milliseconds."""
        return self._market_state.market_ms(self._clock.now_s())

    def restore(self, recovered: RecoveredState) -> None:
        """Continue where an earlier session ended. Called before the first tick."""
        state = recovered.state
        self.core.restore(state, recovered.active_exit, self._clock.now_s(), recovered.history, self.market_ms)
        resume_statistics(self.statistics, state, recovered.active_exit, recovered.history)

    # Events ----------------------------------------------------------------------------------

    def on_report(self, report: ExecutionReport) -> None:
        """Process an execution report, for an order of ours or of another client."""
        self.statistics.on_report(report)
        self.core.on_report(report, self._market_state.balance_updates)

    def on_transfer(self, asset: str, delta: Decimal) -> None:
        """Note a deposit, or a withdrawal if `delta` is negative.

        The audit then expects it, and no result contains it.
        """
        self.core.on_transfer(asset, delta)
        self.statistics.on_asset_transfer(asset, delta, self.market_ms)

    def publish_events(self) -> None:
        """Announce the events that the core has reported since the last call."""
        for event in self.core.events:
            self._announcer.announce(event)
            self._on_event(event, self.market_ms)
        self.core.events.clear()

    def halt(self, reason: str) -> bool:
        """Halt trading after a bug of ours: no exit starts, and the order is cancelled, until the operator resumes.

        Returns False if trading was halted already.
        """
        is_new = self.core.halt(reason)
        if is_new:
            self._alerts.send(event_messages.halted(reason), logging.ERROR)
        else:
            logger.warning("another safety rule broken while trading is halted reason=%s", reason)
        # Our records of our own orders may be wrong, so query the exchange before cancelling.
        self.requery_orders()
        # The tick that failed has not published its events.
        self.publish_events()
        return is_new

    def requery_orders(self) -> None:
        """Mark our open orders as UNKNOWN, so that each is queried before any other request is sent."""
        self.core.on_disconnect(self._clock.now_s())

    def update_rules(self, rules: SymbolRules) -> None:
        """Apply the exchange's rules, which were read again. Alerts if the symbol stops or resumes trading."""
        before = self.rules
        if rules == before:
            return
        logger.info("the exchange's rules for the pair changed from=%s to=%s", before, rules)
        self.core.update_rules(rules)
        self._announcer.rules = rules
        if rules.trading and not before.trading:
            self._alerts.send(event_messages.trading_again(rules.symbol))
        elif before.trading and not rules.trading:
            self._alerts.send(event_messages.not_trading(rules.symbol, rules.status), logging.WARNING)

    async def read_balances(self, account: AccountSession) -> None:
        """Read the balances, and tell the core which fills they include."""
        # Fills and pushed balances may arrive during the request. The mark shows which of them came before it.
        mark = self.core.balance_sync.mark(self._market_state.balance_updates)
        await query_balances(account, self._market_state, self.core.maker_exit.funds_changed_ms)
        self.core.on_balances_read(mark, self._market_state.balance_updates)

    # Records ---------------------------------------------------------------------------------

    def record_sample(self) -> None:
        """Add the account's value to the statistics.

        The last sample of a day also causes the daily summary to be sent.
        """
        top = self._market_state.top
        if top is None:
            return
        market_ms = self.market_ms
        self.statistics.mark_to_market(market_ms, top.bid, *self._totals())
        day = self._daily_results.day_result_due(market_ms)
        self.queries.record_sample()
        if day is not None:
            course = self._daily_results.curve()
            self._alerts.send(query_answers.daily_summary(self.rules, self._mode, day, self.core.state.regime, course))

    def _totals(self) -> tuple[Decimal, Decimal]:
        """Return the account's total base and quote: free amounts, and those locked by any orders."""
        balances = self._market_state.balances
        base, quote = (balances.get(asset) for asset in (self.rules.base_asset, self.rules.quote_asset))
        return ZERO if base is None else base.total, ZERO if quote is None else quote.total

"""Node builder: builds a trading node from its parts, in an order in which each part needs only parts built before it.

The order is: order budget, event router and stop request; then the market state and the exchange client, which report
to the router; then gateway and requoter, which send over the client; last the parts that use all of these. Trading
core, announcer and statistics cannot be built yet, because they need the exchange's rules. `ServicesBuilder` builds
them during the start, and the node then gives them to the event router and the command handler.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from trailingedge.accounting.statistics import DailyResults, RunStatistics
from trailingedge.console.plain_ui import OperatorUi
from trailingedge.execution.anchor_marker import AnchorMarkerWriter, MarkerContext
from trailingedge.execution.gateway import Gateway, RefreshCall
from trailingedge.execution.order_rate_budget import OrderRateBudget
from trailingedge.execution.trading_core import TradingCore
from trailingedge.live.cancel_on_shutdown import Shutdown
from trailingedge.live.command_handler import CommandHandler
from trailingedge.live.core_factory import CoreStart
from trailingedge.live.event_router import EventRouter
from trailingedge.live.exchange_client import ExchangeClient
from trailingedge.live.frame_dump import FrameDump
from trailingedge.live.node_components import EventObserver, NodeServices, marker_context
from trailingedge.live.node_dependencies import KeyCheck, Runtime
from trailingedge.live.node_params import NodeParams, ServicesParams
from trailingedge.live.operator_queries import OperatorQueries, StatusSource
from trailingedge.live.rules_refresh import RulesRefresh
from trailingedge.live.slow_tick_monitor import SlowTickMonitor
from trailingedge.live.start_progress import StartProgress
from trailingedge.live.startup import Startup, TradingTerms
from trailingedge.live.stop_request import StopRequest
from trailingedge.live.trading_node import TradingNode
from trailingedge.model.market_state import MarketState
from trailingedge.model.order_commands import Refresh
from trailingedge.notifications import recovery_messages
from trailingedge.notifications.alert_sinks import Alerts
from trailingedge.notifications.announcer import Announcer
from trailingedge.websocket.account import ServerClock
from trailingedge.websocket.recent_frames import FrameBuffer


class ServicesBuilder:
    """Builds the services of a run once the terms of trading are known and the kline history is loaded."""

    def __init__(
        self,
        params: ServicesParams,
        client: ExchangeClient,
        budget: OrderRateBudget,
        router: EventRouter,
        stop: StopRequest,
        runtime: Runtime,
        alerts: Alerts,
        on_event: EventObserver,
    ) -> None:
        self._on_event = on_event
        self._params = params
        self._client = client
        self._budget = budget
        self._router = router
        self._stop = stop
        self._clock = runtime.clock
        self._build_core = runtime.build_core
        self._alerts = alerts

    def build(self, terms: TradingTerms) -> NodeServices:
        """Build the services for the rules and the fee in `terms`."""
        params, market_state, server_clock = self._params, self._client.market_state, self._client.server_clock
        statistics = RunStatistics(terms.rules.base_asset, terms.rules.quote_asset)
        daily_results = DailyResults(statistics)
        start = CoreStart(
            terms.listed,
            terms.rules,
            terms.fee,
            server_clock.now_ms(),
            tuple((float(kline.high), float(kline.low), float(kline.close)) for kline in market_state.klines),
            self._budget.windows,
        )
        core = self._build_core(params, start, self._budget)
        status_source = StatusSource(
            params,
            core,
            statistics,
            market_state,
            self._budget,
            self._clock.now_s,
            server_clock.now_ms,
            daily_results,
        )
        announcer = build_announcer(
            params, core, statistics, status_source, self._alerts, lambda: market_state.market_ms(self._clock.now_s())
        )
        return NodeServices(
            core,
            announcer,
            statistics,
            daily_results,
            OperatorQueries(status_source, core, announcer, statistics, daily_results, params.mode),
            self._anchor_markers(core),
            market_state,
            self._alerts,
            self._clock,
            mode=params.mode,
            fee=terms.fee,
            on_event=self._on_event,
        )

    def _anchor_markers(self, core: TradingCore) -> AnchorMarkerWriter:
        market_state, server_clock = self._client.market_state, self._client.server_clock

        def context() -> MarkerContext | None:
            """Return the data for an order that stores the anchor; None while no such order may be placed."""
            if self._stop.reason is not None or not market_state.account_proven:
                return None
            return marker_context(core, market_state, server_clock.now_ms())

        return AnchorMarkerWriter(
            self._client.account,
            self._clock,
            context,
            on_rejected=lambda reason: self._alerts.send(recovery_messages.anchor_not_stored(reason), logging.WARNING),
            on_done=self._router.request_tick,
            request_expires_s=self._params.request_expires_s,
            lock_balances=core.lock_balances_until,
        )


def build_announcer(
    params: ServicesParams,
    core: TradingCore,
    statistics: RunStatistics,
    source: StatusSource,
    alerts: Alerts,
    market_ms: Callable[[], int],
) -> Announcer:
    """Build the announcer of the core's events, for a node and for the replay of its session.

    Announcer and operator queries take their figures from the same `source`. Only the reason of the last rejection
    comes from the announcer: the queries ask the announcer for it, so that the source need not know the announcer.
    """
    return Announcer(
        core.rules,
        statistics,
        alerts,
        market_ms,
        reserve_base=params.trading.reserve_base,
        reserve_quote=params.trading.reserve_quote,
        view=source.view,
        followed=params.followed_breakouts,
        flip_timeout_s=params.trading.manual_exit_ttl_s,
    )


def build_node(
    params: NodeParams,
    runtime: Runtime,
    ui: OperatorUi,
    alerts: Alerts,
    *,
    before_ready: Callable[[], None] = lambda: None,
    on_ready: Callable[[str], None] = lambda _: None,
    on_stop: Callable[[str], None] = lambda _: None,
    verify_key: KeyCheck | None = None,
    progress: StartProgress | None = None,
    on_event: EventObserver = lambda _event, _market_ms: None,
) -> TradingNode:
    """Build a node that trades on `runtime.endpoints`. Its `run` may be called only once.

    `before_ready` is called just before trading begins, and may take long. `on_ready` is called once, when recovery is
    done and trading begins. `on_stop` receives the reason of a stop. `verify_key` checks the key's permissions after
    the logon. `on_event` is called for each event of the trading core.
    """
    clock = runtime.clock
    # The bottom: parts that need no other. The router must exist before the parts that report to it.
    wake = asyncio.Event()
    frames = FrameBuffer(clock.unix_ms)
    frame_dump = FrameDump(frames, runtime.save_frames, alerts)
    budget = OrderRateBudget(params.order_budget_reserve)
    server_clock = ServerClock(clock)
    router = EventRouter(wake, budget, server_clock, frame_dump)
    stop = StopRequest(on_stop, router.request_tick)
    # The exchange's side: market state and router receive its reports, the client sends our requests.
    market_state = MarketState(params.klines_maxlen, router.request_tick, router.on_book)
    progress = progress or StartProgress()
    client = ExchangeClient(
        params.client, runtime, market_state, server_clock, router, frames.add, progress.on_attempt_failed
    )
    rules_refresh = RulesRefresh(params.start, client, router)
    refreshes: dict[Refresh, RefreshCall] = {
        Refresh.BALANCES: partial(router.read_balances, client.account),
        Refresh.RULES: rules_refresh.read,
        Refresh.CLOCK: client.measure_clock,
    }
    # The sending side.
    gateway = Gateway(client.orders, router.deliver, refreshes, clock)
    builder = ServicesBuilder(params.services, client, budget, router, stop, runtime, alerts, on_event)
    startup = Startup(params.start, client, clock, ui, alerts, progress)
    return TradingNode(
        clock=clock,
        ui=ui,
        alerts=alerts,
        wake=wake,
        stop=stop,
        frame_dump=frame_dump,
        router=router,
        client=client,
        gateway=gateway,
        commands=CommandHandler(
            alerts,
            paused=params.services.start_paused,
            flip_timeout_s=params.services.trading.manual_exit_ttl_s,
            stop=stop.request,
            read_balances=partial(gateway.refresh, Refresh.BALANCES),
            reconnects=lambda: client.reconnects,
            progress=progress,
        ),
        startup=startup,
        services_builder=builder.build,
        shutdown=Shutdown(
            client,
            gateway,
            startup,
            clock,
            alerts,
            wake,
            leave=params.leave_orders,
            request_expires_s=params.start.request_expires_s,
        ),
        monitor=SlowTickMonitor(clock),
        verify_key=verify_key,
        before_ready=before_ready,
        on_ready=on_ready,
        mode=params.services.mode,
        ws_api_url=runtime.endpoints.ws_api_url,
        wake_every_s=params.wake_every_s,
    )

"""Trading node: the daemon for one pair on one account, with its tasks, its main loop and its shutdown.

Theory of operation. Each task writes what it receives into the market state or the core's inbox and then wakes the main
loop (`live.event_router`). The main loop makes a tick: it takes an immutable view, lets the core decide and sends the
resulting commands. Only after that it publishes events, answers the operator and updates the statistics, so that these
do not delay an order. A tick never awaits anything; work that must be awaited runs in a separate task.

New best prices do not wait for the main loop. They are looked up in the plan that the last tick has made
(`execution.trading_plan`), from within the callback of their frame: in most cases nothing has to be done; otherwise a
prepared cancel-replace is sent, or a tick is made at once.

Time-outs do not wait for the main loop either: after each tick a timer is set for the time at which the core has
something to do without any message (`TradingCore.due_s`). A tick every LOOP_SLEEP_SEC seconds keeps the ages of the
data current in the status and in the session record.

`live.node_builder` builds a node and explains the order in which its parts depend on each other.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from trailingedge.console.plain_ui import OperatorUi
from trailingedge.core.clock import Clock, TimerHandle, within
from trailingedge.core.errors import BrokenInvariant, ExitCode, most_severe
from trailingedge.core.time_units import MINUTE_MS
from trailingedge.execution.gateway import Gateway
from trailingedge.execution.trading_plan import NextStep, TradingPlan
from trailingedge.live.cancel_on_shutdown import Shutdown
from trailingedge.live.command_handler import CommandHandler
from trailingedge.live.due_timer import DueTimer
from trailingedge.live.event_router import EventRouter
from trailingedge.live.exchange_client import ExchangeClient
from trailingedge.live.frame_dump import FrameDump
from trailingedge.live.node_components import NodeServices
from trailingedge.live.node_dependencies import KeyCheck
from trailingedge.live.slow_tick_monitor import SlowTickMonitor
from trailingedge.live.startup import Startup, TradingTerms
from trailingedge.live.stop_request import StopRequest
from trailingedge.live.wake_up import wait_for_wake
from trailingedge.model.market import BookTop
from trailingedge.model.market_state import MarketState
from trailingedge.model.operator_commands import CommandResult, OperatorCommand
from trailingedge.model.order_commands import Refresh, Replace
from trailingedge.notifications import event_messages, risk_messages
from trailingedge.notifications.alert_sinks import Alerts
from trailingedge.notifications.status import StatusView
from trailingedge.risk.risk_engine import DuplicateInstance

logger = logging.getLogger(__name__)

_LOGOUT_WITHIN_S: Final = 0.4
_SAMPLE_EVERY_MS: Final = MINUTE_MS
_CLOCK_GOOD_FOR_S: Final = 1800.0
_FOLLOW_UPS_AT_ONCE: Final = 20
_SLOW_FOLLOW_UP_S: Final = 0.1
_RULES_GOOD_FOR_S: Final = 60.0  # while the symbol does not trade


class TradingNode:
    """One pair on one account, from connect to shutdown. `run` is called once.

    `services` is None until the exchange's rules are known. `ticks` counts the ticks of the main
    loop.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        ui: OperatorUi,
        alerts: Alerts,
        wake: asyncio.Event,
        stop: StopRequest,
        frame_dump: FrameDump,
        router: EventRouter,
        client: ExchangeClient,
        gateway: Gateway,
        commands: CommandHandler,
        startup: Startup,
        services_builder: Callable[[TradingTerms], NodeServices],
        shutdown: Shutdown,
        monitor: SlowTickMonitor,
        verify_key: KeyCheck | None,
        before_ready: Callable[[], None],
        on_ready: Callable[[str], None],
        mode: str,
        ws_api_url: str,
        wake_every_s: float,
    ) -> None:
        self.services: NodeServices | None = None
        self.client = client
        self.ticks = 0
        self._clock = clock
        self._ui = ui
        self._alerts = alerts
        self._wake = wake
        self._stop = stop
        self._frame_dump = frame_dump
        self._router = router
        self._gateway = gateway
        self._commands = commands
        self._startup = startup
        self._build_services = services_builder
        self._shutdown = shutdown
        self._monitor = monitor
        self._verify_key = verify_key
        self._before_ready = before_ready
        self._on_ready = on_ready
        self._mode = mode
        self._ws_api_url = ws_api_url
        self._wake_every_s = wake_every_s
        self._sampled_ms = 0
        self._follow_ups = 0  # ticks in a row that asked for another one
        self._slow_follow_up: TimerHandle | None = None
        self._due_timer = DueTimer(clock, router.request_tick)
        self._failure: Exception | None = None  # of a tick outside of the main loop

    @property
    def market_state(self) -> MarketState:
        """The newest data that the market and account streams have reported."""
        return self.client.market_state

    @property
    def trading(self) -> bool:
        """Whether the start is over."""
        return self._commands.trading

    @property
    def anchor_marker_pending(self) -> bool:
        """Whether an order that stores the anchor waits to be placed, or may be on the book."""
        return self.services is not None and self.services.anchor_markers.pending

    def status(self) -> StatusView | None:
        """Return the present status; None until trading begins."""
        if self.services is None or not self._commands.trading:
            return None
        return self.services.queries.view(self.client.reconnects)

    # Inputs ----------------------------------------------------------------------------------

    def submit(self, command: OperatorCommand, argument: str = "") -> asyncio.Future[CommandResult]:
        """Queue an operator command for the next tick. The future receives the result."""
        reply: asyncio.Future[CommandResult] = asyncio.get_running_loop().create_future()
        self._commands.submit(command, reply, argument)
        self._router.request_tick()
        return reply

    def wake(self) -> None:
        """Request a tick."""
        self._wake.set()

    def stop(self, reason: str, code: ExitCode = ExitCode.OK) -> None:
        """Cancel our order, log out and end with `code`. Later requests to stop are ignored."""
        self._stop.request(reason, code)

    # The run ---------------------------------------------------------------------------------

    async def run(self) -> ExitCode:
        """Trade until stopped. If several tasks fail, raises only the most severe failure."""
        try:
            return await self._run()
        except BaseExceptionGroup as group:
            failure = most_severe(group)
            # Without the group: callers map one failure to one exit code.
            raise failure from failure.__cause__

    async def _run(self) -> ExitCode:
        async with asyncio.TaskGroup() as tasks:
            background: list[asyncio.Task[None]] = []

            def start(job: Coroutine[Any, Any, None]) -> None:
                background.append(tasks.create_task(job))

            start(self.client.market.run())  # first, because its prices are needed as soon as the account is known
            start(self.client.api.run())
            start(self._gateway.run())
            start(self._run_periodic_work())
            start(self._frame_dump.run())
            try:
                if await self._stop.interrupts(lambda: self._start(start)):
                    await self._trade()
                return await self._shut_down()
            except Exception:  # unforeseen: leave no order behind before the failure ends the node
                self._router.follow_prices(None)
                await self._shutdown.cancel_orders(self.services)
                raise
            except asyncio.CancelledError:
                # The connections are cancelled with us, so no order can be cancelled any more.
                self._shutdown.name_orders(self.services, logging.ERROR)
                raise
            finally:
                for task in background:
                    task.cancel()

    async def _start(self, start_task: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        startup, market_state = self._startup, self.market_state
        await startup.connect()
        # A key that may withdraw ends the start before the first request about trading.
        if self._verify_key is not None:
            await startup.check_key(self._verify_key)
        terms = await startup.agree_on_terms()
        self._router.on_limits(terms.limits)
        await startup.load_klines()
        # The services receive events from here on. Recovery and balances will supply the effect of earlier events.
        services = self.services = self._build_services(terms)
        market_state.release_history()  # the channel has taken the history in
        self._router.attach(services)
        self._commands.attach(services)
        top = await startup.first_book(terms.rules)
        recovered = await startup.recover(terms, top)
        services.restore(recovered)
        if recovered.marker_needed:
            services.anchor_markers.request()
        await startup.fill_balances(terms.rules, top, recovered)
        # The connection may have been lost and replaced since the balances were read; then it catches up first.
        await self.client.api.wait_ready()
        start_task(services.anchor_markers.run())
        market_state.set_account_proven(proven=True)
        # Run ticks until trading begins: without the balances the core cannot judge the account and sends no orders.
        while not self._commands.trading:
            await wait_for_wake(self._wake)
            self._tick(services)
            self._announce_ready(services)

    def _announce_ready(self, services: NodeServices) -> None:
        """Announce once that trading begins, after the first tick that knew the balances."""
        decision = services.core.decision
        if self._commands.trading or decision is None or decision.state.funded is None:
            return
        # What is slow only once is done now, because from here on each tick may have to send an order.
        services.queries.warm_up()
        self._before_ready()
        self._commands.start_trading()
        self._router.follow_prices(self._on_prices)
        text = event_messages.ready(
            services.rules, self._mode, decision.regime, decision.anchor_price, services.fee, self._ws_api_url
        )
        self._alerts.send(text)
        self._on_ready(text)
        if services.core.paused:
            self._alerts.send(event_messages.paused(services.rules))

    # The main loop ---------------------------------------------------------------------------

    async def _trade(self) -> None:
        while self._stop.reason is None and self.services is not None:
            await wait_for_wake(self._wake)
            if self._failure is not None:
                raise self._failure
            if self._stop.reason is None:
                self._tick(self.services)

    def _on_prices(self, top: BookTop, now_s: float) -> None:
        """React to new best prices. This is called from within the callback of their frame."""
        services = self.services
        if services is None or self._stop.reason is not None or self._failure is not None:
            return
        core, plan = services.core, services.core.plan
        step = NextStep.TICK if plan is None else plan.next_step(top, now_s)
        if step is NextStep.NOTHING:
            return
        if plan is None or not isinstance(step, Replace):
            self._tick_at_once(services)
            return
        # Until the reply only the strategy's limits count. Set before sending: a lost connection makes them void.
        core.plan = TradingPlan(plan.limits, plan.due_s)
        try:
            self._gateway.send(step)
            # The request is on its way. Record it even if it contradicts our records, so that its reply is expected.
            core.on_replace_sent(step, top, now_s, self.client.server_clock.now_ms())
            self._due_timer.wait_until(core.due_s, now_s)
        except BrokenInvariant as broken:
            self._router.halt(broken)
        except Exception as failure:  # noqa: BLE001 - see `_fail`
            self._fail(failure)

    def _tick_at_once(self, services: NodeServices) -> None:
        """Make a tick at once, without waiting for the main loop."""
        try:
            self._tick(services)
        except Exception as failure:  # noqa: BLE001 - see `_fail`
            self._fail(failure)

    def _fail(self, failure: Exception) -> None:
        """Make the main loop raise `failure`, which is unexpected.

        If it were raised here, the stream would log it as a problem of the frame and continue.
        """
        self._failure = failure
        self._wake.set()

    def _tick(self, services: NodeServices) -> None:
        """Execute operator commands, decide and send orders. Only then publish events and statistics."""
        core = services.core
        self._wake.clear()  # everything so far is taken in here, also in a tick outside of the main loop
        self.ticks += 1
        self._monitor.begin()
        if self._commands.execute_queued():
            self._router.request_tick()
        # The view is immutable and holds the age of each part, so the whole decision is made from data of one time.
        view, server_ms = self.market_state.view(self._clock.now_s()), self.client.server_clock.now_ms()
        try:
            order_commands = core.tick(view, server_ms)
        except BrokenInvariant as broken:
            self._router.halt(broken)
            return
        self._monitor.lap("decide")
        for command in order_commands:
            self._gateway.send(command)
        # After the commands are written, and before anything slower.
        core.plan_ahead(view, server_ms)
        self._monitor.lap("send")
        for event in core.events:
            services.anchor_markers.on_event(event)
            self._commands.on_event(event)
        self._commands.end_tick()
        services.publish_events()
        self._stop_for(core.risk.duplicate_instance)
        # If the core has more to decide, such as a second command, make another tick at once instead of a longer one.
        self._follow_up(needed=core.needs_another_tick)
        self._due_timer.wait_until(core.due_s, view.now_s)
        if view.market_ms - self._sampled_ms >= _SAMPLE_EVERY_MS:
            self._sampled_ms = view.market_ms
            services.record_sample()
        self._monitor.lap("publish")
        # The first tick runs code for the first time and is always slow; it belongs to the start.
        if self._commands.trading:
            self._monitor.end()

    def _follow_up(self, *, needed: bool) -> None:
        """Request another tick if `needed`: at once, but after many in a row only at intervals.

        If every tick needs another one, this program has a bug. The ticks then must not use all of the processor's time
        or fill log and memory.
        """
        self._follow_ups = self._follow_ups + 1 if needed else 0
        if not needed:
            return
        if self._follow_ups <= _FOLLOW_UPS_AT_ONCE:
            self._router.request_tick()
            return
        if self._follow_ups == _FOLLOW_UPS_AT_ONCE + 1:
            logger.warning(
                "main loop slowed down: each of %d ticks in a row requested another; the next ones are %.1f s apart",
                self._follow_ups,
                _SLOW_FOLLOW_UP_S,
            )
        # One timer at a time: ticks for other reasons must not each begin a row of their own.
        if self._slow_follow_up is None:
            self._slow_follow_up = self._clock.call_later(_SLOW_FOLLOW_UP_S, self._follow_up_slowly)

    def _follow_up_slowly(self) -> None:
        self._slow_follow_up = None
        self._router.request_tick()

    def _stop_for(self, duplicate: DuplicateInstance | None) -> None:
        """Stop the node if another instance uses our client order ids.

        Two instances would cancel each other's orders.
        """
        if duplicate is None or self._stop.reason is not None:
            return
        text = risk_messages.second_instance(duplicate.client_order_id, duplicate.order_id)
        self._alerts.send(text, logging.ERROR)
        self._stop.request("another instance sends orders on this account", ExitCode.HALTED)

    async def _run_periodic_work(self) -> None:
        """Do at intervals what no event causes.

        Wake the main loop (data gets older without events), show the status, measure the clock and read the rules
        again.
        """
        clock_due_s = self._clock.now_s() + _CLOCK_GOOD_FOR_S
        rules_due_s = 0.0
        while True:
            await self._clock.sleep(self._wake_every_s)
            self._wake.set()
            now_s = self._clock.now_s()
            services = self.services if self._commands.trading else None
            if services is not None:
                self._ui.show_status(partial(services.queries.view, self.client.reconnects), now_s)
            if now_s >= clock_due_s:
                clock_due_s = now_s + _CLOCK_GOOD_FOR_S
                self._gateway.refresh(Refresh.CLOCK)
            if services is not None and not services.rules.trading and now_s >= rules_due_s:
                rules_due_s = now_s + _RULES_GOOD_FOR_S
                self._gateway.refresh(Refresh.RULES)

    # The end ---------------------------------------------------------------------------------

    async def _shut_down(self) -> ExitCode:
        """Cancel our order, or report that it stays on the book, and log out."""
        self._router.follow_prices(None)
        cancelled = await self._shutdown.cancel_orders(self.services, stopped=True)
        if self.services is not None:
            self.services.record_sample()
        self._alerts.send(self._farewell())
        # A connection that ends from now on has ended for good: no new logon while we log out.
        self.client.stop_reconnecting()
        if not cancelled:  # keep the code HALTED, because a restart would not help then
            return self._stop.code if self._stop.code is ExitCode.HALTED else ExitCode.UNREACHABLE
        with contextlib.suppress(TimeoutError):
            async with within(self._clock, _LOGOUT_WITHIN_S):
                await self.client.log_out()
        return self._stop.code

    def _farewell(self) -> str:
        """Return the last alert: why the session ends, and which protection is not active until the next start.

        While base is held, that is the hard stop. While quote is held, it is the buy-back.
        """
        reason = self._stop.reason or "unexpected"
        if self.services is None or not self.services.core.state.funded:
            return event_messages.shutdown(reason)
        return event_messages.shutdown(reason, self.services.rules, self.services.core.state.regime)

"""The daemon: its tasks, its main loop and its end.

Streams write snapshots and set one wake-up; the loop takes a view, lets the trader think, carries the
commands out and only then tells people. What thinks stands at the desk; here things are waited for.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Final

from trailingedge.config import OnExit, Settings
from trailingedge.config_validator import effective_rules, problems_with_exchange
from trailingedge.console.plain_ui import OperatorUi
from trailingedge.core.clock import TimerHandle, within
from trailingedge.core.errors import BrokenInvariant, ConfigError, ExitCode, most_severe
from trailingedge.core.time_units import MINUTE_MS
from trailingedge.execution.anchor_marker import AnchorMarkerWriter, MarkerContext
from trailingedge.execution.gateway import Gateway
from trailingedge.execution.order_rate_budget import OrderRateBudget
from trailingedge.live import factory
from trailingedge.live.command_handler import CommandHandler
from trailingedge.live.exchange_client import ExchangeClient
from trailingedge.live.fast_requote import FastRequoter
from trailingedge.live.loop_monitor import SlowTickMonitor
from trailingedge.live.node_services import NodeServices
from trailingedge.live.shutdown import Shutdown
from trailingedge.live.startup import Startup
from trailingedge.model.market import ZERO, BookTop, ExecutionReport, OrderRecord, RateLimit
from trailingedge.model.market_state import MarketState
from trailingedge.model.operator_commands import CommandResult, OperatorCommand
from trailingedge.model.order_commands import OrderInput, Reconciled, Refresh
from trailingedge.notifications import messages, recovery_messages, risk_messages
from trailingedge.notifications.alerts import Alerts
from trailingedge.risk.risk_engine import DuplicateInstance
from trailingedge.websocket import market_fetch
from trailingedge.websocket.account import AccountSession
from trailingedge.websocket.account_stream import OutsideChange
from trailingedge.websocket.event_parser import BalanceUpdate
from trailingedge.websocket.frame_buffer import FrameBuffer

logger = logging.getLogger(__name__)

_LOGGED_OUT_WITHIN_S: Final = 0.4
_MARK_EVERY_MS: Final = MINUTE_MS
_CLOCK_GOOD_FOR_S: Final = 1800.0
_JUST_AFTER_S: Final = 0.001
_RULES_GOOD_FOR_S: Final = 60.0  # while the symbol does not trade

StartTask = Callable[[Coroutine[Any, Any, None]], None]


class TradingNode:
    """One pair on one account, from connect to shutdown. `run` is called once.

    `on_ready` is told, once, that everything is reconciled and trading begins; `on_stop` why it is to end.
    `verify_key`, given the exchange's clock once logged on, raises ConfigError for a key that must not be used.
    `beats` counts those of the main loop.
    """

    def __init__(
        self,
        settings: Settings,
        surroundings: factory.Runtime,
        face: OperatorUi,
        alerts: Alerts,
        *,
        on_ready: Callable[[str], None] = lambda _: None,
        on_stop: Callable[[str], None] = lambda _: None,
        verify_key: factory.KeyCheck | None = None,
    ) -> None:
        self.settings = settings
        self.services: NodeServices | None = None
        self.ticks = 0
        self._on_ready = on_ready
        self._on_stop = on_stop
        self._verify_key = verify_key
        self._clock = surroundings.clock
        self._endpoints = surroundings.endpoints
        self._face = face
        self._alerts = alerts
        self._wake = asyncio.Event()
        self._stop_reason: str | None = None
        self._steps: Startup | None = None
        self._starting: asyncio.Timeout | None = None
        self._marked_ms = 0
        self._code = ExitCode.OK
        self._start_task: StartTask = lambda job: job.close()  # nothing runs before `run`
        self._pace = SlowTickMonitor(surroundings.stopwatch or surroundings.clock)
        self._enter = surroundings.input_gate
        self._witness = surroundings.observer
        self._confirming: TimerHandle | None = None
        self.market_state = MarketState(settings.rolling_klines_maxlen, self._stir, self._on_book)
        self._budget = OrderRateBudget(settings.order_budget_reserve)
        self._frames = FrameBuffer(surroundings.clock.unix_ms)
        self._keep_frames = surroundings.save_frames
        self._helm = CommandHandler(
            alerts,
            paused=settings.start_paused,
            stop=self._stop,
            resync=lambda: self._gateway.refresh(Refresh.BALANCES),
            reconnects=lambda: self.client.reconnects,
        )
        self.client = ExchangeClient(
            settings,
            surroundings,
            self.market_state,
            on_report=self._hear_report,
            on_limits=self._hear_limits,
            reopened=self._reopened,
            account_down=self._account_down,
            market_down=self._market_down,
            exit_open=lambda: self.services is not None and self.services.core.state.exit is not None,
            read_balances=self._read_balances,
            on_outside_change=self._hear_outside,
            note=self._frames.add,
        )
        remedies = {
            Refresh.BALANCES: self._read_balances,
            Refresh.RULES: self._read_rules,
            Refresh.CLOCK: self.client.measure_clock,
        }
        self._gateway = Gateway(self.client.orders, self._deliver, remedies, surroundings.clock)
        self._reflex = FastRequoter(self.client.orders, self._gateway.expect, self.client.server_clock.now_ms)
        self._notes = AnchorMarkerWriter(
            self.client.account,
            surroundings.clock,
            self._scene,
            on_rejected=lambda reason: alerts.send(recovery_messages.anchor_not_stored(reason), logging.WARNING),
            on_done=self._stir,
            request_expires_s=factory.request_expires_s(settings),
        )
        leave = settings.on_exit is OnExit.LEAVE
        self._parting = Shutdown(
            self.client,
            self._gateway,
            self._notes,
            surroundings.clock,
            alerts,
            self._wake,
            leave=leave,
            request_expires_s=factory.request_expires_s(settings),
        )

    # From outside ----------------------------------------------------------------------------

    def submit(
        self, instruction: OperatorCommand, tell: Callable[[CommandResult], None] = lambda _: None, *, who: str = ""
    ) -> None:
        """Carry out `instruction`: in the next beat, or at once while there is none yet. `tell` hears once of it.

        `who` asks, for the record.
        """

        def obey() -> None:
            self._helm.obey(instruction, tell)
            self._stir()

        self._enter(("obey", instruction.value, who), submit)

    def wake(self) -> None:
        """Let the main loop make a beat."""
        self._enter(("stir",), self._wake.set)

    def stop(self, reason: str, code: ExitCode = ExitCode.OK) -> None:
        """End in good order: withdraw, log out, return `code`. Only the first reason counts."""
        self._enter(("stop", reason, int(code)), lambda: self._stop(reason, code))

    def _stop(self, reason: str, code: ExitCode = ExitCode.OK) -> None:
        if self._stop_reason is not None:
            return
        self._stop_reason, self._code = reason, code
        self._on_stop(reason)
        if self._starting is not None:
            self._starting.reschedule(0.0)
        self._stir()

    async def run(self) -> ExitCode:
        """Until stopped. Raises what ends it earlier, bare; of several failures the gravest."""
        try:
            return await self._run()
        except BaseExceptionGroup as group:
            failure = most_severe(group)
            raise failure from failure.__cause__

    async def _run(self) -> ExitCode:
        async with asyncio.TaskGroup() as tasks:
            lasting: list[asyncio.Task[None]] = []

            def start(job: Coroutine[Any, Any, None]) -> None:
                lasting.append(tasks.create_task(job))

            self._start_task = start
            start(self.client.market.run())  # first: what it tells is wanted as soon as the account is known
            start(self.client.api.run())
            start(self._gateway.run())
            start(self._keep_house())
            try:
                if await self._started():
                    await self._trade()
                return await self._shut_down()
            except Exception:  # whatever it was that we did not foresee: leave nothing behind
                self._invalidate_plan()
                await self._parting.withdraw(self.services, self._steps)
                raise
            except asyncio.CancelledError:
                self._parting.name_orders(self.services, self._steps, logging.ERROR)  # our connections are gone
                raise
            finally:
                for task in lasting:
                    task.cancel()

    # Start -----------------------------------------------------------------------------------

    async def _started(self) -> bool:
        """Go through the start; False when a stop was asked for meanwhile."""
        try:
            async with asyncio.timeout(None) as self._starting:
                if self._stop_reason is None:
                    await self._start()
        except TimeoutError:
            if self._stop_reason is None:
                raise
        self._starting = None
        return self._stop_reason is None

    async def _start(self) -> None:
        steps = self._steps = Startup(self.settings, self.client, self._clock, self._face, self._alerts)
        await steps.connect()
        if self._verify_key is not None:
            await self._verify_key(self.client.server_clock.now_ms())
        terms = await steps.agree()
        self._budget.update_limits(terms.limits, self.client.server_clock.now_ms())
        await steps.fetch_klines()
        desk = self.services = NodeServices(
            self.settings,
            terms.rules,
            terms.fee,
            self.market_state,
            self._budget,
            self._alerts,
            self._clock,
            server_ms=self.client.server_clock.now_ms,
            paused=self._helm.paused,
        )
        self.market_state.release_history()
        self._helm.desk = desk
        top = await steps.first_book(terms.rules)
        recovered = await steps.recover(terms, top)
        desk.restore(recovered)
        desk.core.marker_locks_funds = self._notes.locks_funds
        if recovered.marker_needed:
            self._notes.request()
        await steps.fill_balances(terms.rules, top, recovered)
        await self.client.api.wait_ready()
        self._start_task(self._notes.run())
        self.market_state.set_account_proven(proven=True)
        while not self._helm.ready:
            await self._next_wake()
            await self._tick(desk)

    def _tell_ready(self, desk: NodeServices) -> None:
        """Said once, by the first beat that has taken the account's measure."""
        decision = desk.core.decision
        if self._helm.ready or decision is None or decision.state.funded is None:
            return
        self._helm.ready = True
        mode, url = self.settings.trading_mode.value, self._endpoints.ws_api_url
        text = messages.ready(desk.rules, mode, decision.regime, decision.anchor_price, desk.fee, url)
        self._alerts.send(text)
        self._on_ready(text)
        if desk.core.paused:
            self._alerts.send(messages.paused(desk.rules))

    # The loop --------------------------------------------------------------------------------

    async def _trade(self) -> None:
        while self._stop_reason is None and self.services is not None:
            await self._next_wake()
            if self._stop_reason is None:
                await self._tick(self.services)

    def _stir(self) -> None:
        """Something other than the book's prices has changed: let the main loop make a beat."""
        self._invalidate_plan()
        self._wake.set()

    def _invalidate_plan(self) -> None:
        self._reflex.invalidate()
        if self.services is not None:
            self.services.core.invalidate_plan()

    def _on_book(self, top: BookTop, now_s: float) -> None:
        """A newer book: the order follows it before anything else is done, and a beat comes after that."""
        if self.services is not None:
            try:
                self._reflex.on_book(self.services.core, top, now_s)
            except BrokenInvariant as broken:
                self._halt(self.services, broken)
        self._wake.set()

    def _halt(self, desk: NodeServices, broken: BrokenInvariant) -> None:
        if desk.halt(str(broken)):
            self._stir()
            self._start_task(self._save_frames(self._frames.lines()))

    async def _next_wake(self) -> None:
        await self._wake.wait()
        self._wake.clear()

    async def _tick(self, desk: NodeServices) -> None:
        """Hear, decide, act; only then tell."""
        self.ticks += 1
        self._pace.begin()
        if self._helm.carry_out():
            self._stir()
        view = self.market_state.view(self._clock.now_s())
        try:
            commands = desk.core.tick(view, self.client.server_clock.now_ms())
        except BrokenInvariant as broken:
            self._halt(desk, broken)
            return
        self._pace.lap("think")
        for command in commands:
            self._gateway.send(command)
        self._reflex.prepare(desk.core)
        self._pace.lap("act")
        if self._witness is not None:
            self._witness.on_tick(desk.core, view)
        for news in desk.core.events:
            self._notes.on_event(news)
            self._helm.hear(news)
        self._helm.end_of_beat()
        desk.publish_events()
        self._yield_to(desk.core.risk.duplicate_instance)
        self._tell_ready(desk)
        if desk.core.needs_another_tick:
            self._stir()
        self._wake_to_confirm(desk.core.stop_confirms_in_s())
        if view.market_ms - self._marked_ms >= _MARK_EVERY_MS:
            self._marked_ms = view.market_ms
            desk.record_sample()
        self._pace.lap("tell")
        self._pace.end()

    def _wake_to_confirm(self, in_s: float | None) -> None:
        """A stop must not wait for the next frame to be confirmed: a market may fall and then say nothing."""
        if self._confirming is not None:
            self._confirming.cancel()
            self._confirming = None
        if in_s is not None:
            self._confirming = self._clock.call_later(in_s + _JUST_AFTER_S, self._stir)

    async def _save_frames(self, frames: list[str]) -> None:
        """What was said on the wire before a halt, for whoever looks into it."""
        if self._keep_frames is None:
            return
        try:
            path = await self._keep_frames(frames)
        except OSError as trouble:
            self._alerts.send(risk_messages.frames_lost(str(trouble)), logging.WARNING)
        else:
            self._alerts.send(risk_messages.frames_saved(path))

    def _yield_to(self, usurper: DuplicateInstance | None) -> None:
        """Two that trade one account under one name cannot both be right: we go."""
        if usurper is None or self._stop_reason is not None:
            return
        self._alerts.send(risk_messages.second_instance(usurper.client_order_id, usurper.order_id), logging.ERROR)
        self._stop("another instance trades under our name", ExitCode.HALTED)

    async def _keep_house(self) -> None:
        """Wake the loop now and then, for ages grow without anybody telling, and show how things stand."""
        measure_at_s = self._clock.now_s() + _CLOCK_GOOD_FOR_S
        rules_at_s = 0.0
        while True:
            await self._clock.sleep(self.settings.loop_sleep_sec)
            self._wake.set()
            now_s = self._clock.now_s()
            if self.services is not None and self._helm.ready:
                self._face.show_status(self.services.status(self.client.reconnects), now_s)
            if now_s >= measure_at_s:
                measure_at_s = now_s + _CLOCK_GOOD_FOR_S
                self._gateway.refresh(Refresh.CLOCK)
            if (
                self._helm.ready
                and self.services is not None
                and not self.services.rules.trading
                and now_s >= rules_at_s
            ):
                rules_at_s = now_s + _RULES_GOOD_FOR_S
                self._gateway.refresh(Refresh.RULES)

    # What the wire tells ---------------------------------------------------------------------

    def _deliver(self, incoming: OrderInput) -> None:
        if self.services is not None:
            self.services.core.inbox.append(incoming)
            self._stir()

    def _hear_report(self, report: ExecutionReport) -> None:
        if self.services is not None:
            if self._witness is not None:
                self._witness.on_report(report)
            self.services.on_report(report)
            self._stir()

    def _hear_outside(self, change: OutsideChange) -> None:
        """Deposits, withdrawals and locks are legitimate: the audit is told of them."""
        if self.services is None:
            return
        audit = self.services.core.risk.audit
        if isinstance(change, BalanceUpdate):
            audit.on_transfer(change.asset, change.delta)
        else:
            audit.accept_change(change.asset)

    def _hear_limits(self, limits: tuple[RateLimit, ...]) -> None:
        self._invalidate_plan()
        self._budget.update_limits(limits, self.client.server_clock.now_ms())

    def _reopened(self, open_orders: tuple[OrderRecord, ...]) -> None:
        """Logged on again after a loss."""
        if self.services is not None:
            self.services.requery_orders()
            self._deliver(Reconciled(open_orders))

    def _account_down(self, _: str) -> None:
        if self.services is not None:
            self.services.requery_orders()

    def _market_down(self, _: str) -> None:
        self.market_state.invalidate_top()

    @property
    def anchor_marker_pending(self) -> bool:
        """An anchor is still to be written down, or just being."""
        return self._notes.pending

    def _scene(self) -> MarkerContext | None:
        """What a note would be written from; None while it must wait."""
        if self.services is None or self._stop_reason is not None or not self.market_state.account_proven:
            return None
        return self.services.marker_context(self.client.server_clock.now_ms())

    async def _read_balances(self, account: AccountSession | None = None) -> None:
        if self.services is None:
            return
        trader = self.services.core
        mark = trader.balance_sync.mark(self.market_state.balance_updates)
        await self.client.read_balances(trader.maker_exit.funds_changed_ms, account)
        trader.balance_sync.on_balances_read(mark, self.market_state.balance_updates)

    async def _read_rules(self) -> None:
        """Filters and status may have changed; what is configured more strictly stays."""
        if self.services is None:
            return
        try:
            told, limits = await market_fetch.exchange_info(self.client.api, self.settings.symbol)
        except ConfigError:  # listed when we started: an order of it would be refused, so wait as for any halt
            self.services.update_rules(replace(self.services.rules, status="not listed any more"))
            return
        self._budget.update_limits(limits, self.client.server_clock.now_ms())
        for problem in problems_with_exchange(self.settings, told, ZERO):
            logger.warning("the exchange has changed its rules: %s", problem)
        self.services.update_rules(effective_rules(self.settings, told))

    # The end ---------------------------------------------------------------------------------

    async def _shut_down(self) -> ExitCode:
        """Withdraw our order or say that it is left, log out. OK unless an order's fate is not known."""
        self._invalidate_plan()  # from now on no price is answered
        withdrawn = await self._parting.withdraw(self.services, self._steps, stopped=True)
        if self.services is not None:
            self.services.record_sample()
        self._alerts.send(self._last_words())
        self.client.stop_reconnecting()
        if not withdrawn:  # a restart would not mend what a rule has halted
            return self._code if self._code is ExitCode.HALTED else ExitCode.UNREACHABLE
        with contextlib.suppress(TimeoutError):
            async with within(self._clock, _LOGGED_OUT_WITHIN_S):
                await self.client.log_out()
        return self._code

    def _last_words(self) -> str:
        """Why it ends, and what is left alone with it."""
        reason = self._stop_reason or "unexpected"
        if self.services is None or not self.services.core.state.funded:
            return messages.shutdown(reason)
        return messages.shutdown(reason, self.services.rules, self.services.core.state.regime)

"""The daemon: its tasks, its main loop and its end.

Streams write snapshots and set one wake-up; the loop takes a view, lets the trader think, carries the
commands out and only then tells people. What thinks lives in `execution/trader`; here things are waited for.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from enum import Enum
from math import nan
from typing import Any, Final

from trailingedge import wiring
from trailingedge.config import OnExit, Settings
from trailingedge.config_validator import effective_rules
from trailingedge.console.hotkeys import HELP
from trailingedge.console.lines import Face
from trailingedge.errors import BrokenInvariant, ExitCode, OutcomeUnknown, RequestRefused, SessionLost
from trailingedge.execution.budget import OrderBudget
from trailingedge.execution.commands import Incoming, Remedy
from trailingedge.execution.gateway import Gateway
from trailingedge.execution.ids import is_own
from trailingedge.execution.maker_exit import MakerExit
from trailingedge.execution.recovery import withdraw_leftovers
from trailingedge.execution.trader import Trader
from trailingedge.market import ZERO, Balance, ExecutionReport, RateLimit, SymbolRules
from trailingedge.notifications import texts
from trailingedge.notifications.alerts import Alerts
from trailingedge.notifications.announcer import Announcer
from trailingedge.notifications.status import StatusView, status
from trailingedge.snapshots import Snapshots
from trailingedge.startup import Startup, Terms
from trailingedge.strategy.inputs import Command as StrategyCommand
from trailingedge.tally import Tally
from trailingedge.websocket import market_fetch
from trailingedge.wire import Wire

logger = logging.getLogger(__name__)

_WITHDRAWN_WITHIN_S: Final = 3.5
_MARK_EVERY_MS: Final = 60_000


StartTask = Callable[[Coroutine[Any, Any, None]], None]


class Instruction(Enum):
    """What the operator can ask for, by whichever face: values on one queue."""

    FLIP = "flip"
    WITHDRAW = "withdraw"
    PAUSE = "pause"
    RESUME = "resume"
    STATUS = "status"
    HELP = "help"
    QUIT = "quit"


class Desk:
    """What can only be made once the exchange's rules are known: who decides, who words it, who counts."""

    def __init__(
        self, settings: Settings, terms: Terms, snapshots: Snapshots, budget: OrderBudget, announcer: Announcer
    ) -> None:
        rules = terms.rules
        channel = wiring.channel(settings)
        for kline in snapshots.klines:
            channel.close(kline)
        self.terms = terms
        self.announcer = announcer
        self.trader = Trader(
            wiring.strategy_params(settings, rules, float(terms.fee)),
            wiring.trader_params(settings),
            MakerExit(rules, budget, wiring.chase_params(settings)),
            channel,
            rules.base_asset,
            rules.quote_asset,
            paused=settings.start_paused,
        )

    @property
    def rules(self) -> SymbolRules:
        return self.trader.chase.rules


class Daemon:
    """One pair on one account, from connect to shutdown. `run` is called once."""

    def __init__(self, settings: Settings, surroundings: wiring.Surroundings, face: Face, alerts: Alerts) -> None:
        self.settings = settings
        self.desk: Desk | None = None
        self.tally: Tally | None = None
        self._clock = surroundings.clock
        self._endpoints = surroundings.endpoints
        self._face = face
        self._alerts = alerts
        self._wake = asyncio.Event()
        self._instructions: deque[Instruction] = deque()
        self._stop_reason: str | None = None
        self._starting: asyncio.Task[None] | None = None
        self._marked_ms = 0
        self._account_lost_s = 0.0
        self.snapshots = Snapshots(settings.rolling_klines_maxlen, self._wake.set)
        self._budget = OrderBudget(settings.order_budget_reserve)
        self.wire = Wire(
            settings,
            surroundings,
            self.snapshots,
            on_report=self._hear_report,
            on_limits=self._hear_limits,
            reopened=self._reopened,
            account_down=self._account_down,
            market_down=self._market_down,
        )
        remedies = {
            Remedy.BALANCES: self._read_balances,
            Remedy.RULES: self._read_rules,
            Remedy.CLOCK: self.wire.measure_clock,
        }
        self._gateway = Gateway(self.wire.orders, self._deliver, remedies, surroundings.clock)

    # From outside ----------------------------------------------------------------------------

    def obey(self, instruction: Instruction) -> None:
        """Carry out `instruction` in the next beat."""
        self._instructions.append(instruction)
        self._wake.set()

    def stop(self, reason: str) -> None:
        """End in good order: withdraw, log out, return. Only the first reason counts."""
        if self._stop_reason is not None:
            return
        self._stop_reason = reason
        if self._starting is not None:
            self._starting.cancel()
        self._wake.set()

    async def run(self) -> ExitCode:
        """Until stopped. What ends it earlier comes out as an exception group of our own errors."""
        async with asyncio.TaskGroup() as tasks:
            lasting: list[asyncio.Task[None]] = []

            def start(job: Coroutine[Any, Any, None]) -> None:
                lasting.append(tasks.create_task(job))

            start(self.wire.api.run())
            start(self._gateway.run())
            start(self._keep_house())
            try:
                if await self._started(tasks, start):
                    await self._trade()
                return await self._shut_down()
            finally:
                for task in lasting:
                    task.cancel()

    # Start -----------------------------------------------------------------------------------

    async def _started(self, tasks: asyncio.TaskGroup, start: StartTask) -> bool:
        """Go through the start; False when a stop was asked for meanwhile."""
        self._starting = tasks.create_task(self._start(start))
        if self._stop_reason is not None:
            self._starting.cancel()
        try:
            await self._starting
        except asyncio.CancelledError:
            if self._stop_reason is None:
                raise
        self._starting = None
        return self._stop_reason is None

    async def _start(self, start: StartTask) -> None:
        steps = Startup(self.settings, self.wire, self._clock, self._face, self._alerts)
        await steps.connect()
        terms = await steps.agree()
        self._budget.learn(terms.limits, self.wire.server_clock.now_ms())
        await steps.fetch_klines()
        self.tally = Tally(terms.rules.base_asset, terms.rules.quote_asset)
        announcer = Announcer(terms.rules, self.tally, self._alerts, self._market_ms)
        self.desk = Desk(self.settings, terms, self.snapshots, self._budget, announcer)
        start(self.wire.market.run())
        top = await steps.first_book(terms.rules)
        await steps.clear_account(terms.rules, top)
        self.snapshots.prove_account(proven=self.wire.api.is_ready)
        # The first beat takes the account's measure: only then is there something to say about it.
        await self._beat(self.desk)
        decision = self.desk.trader.decision
        anchor = decision.anchor_price if decision is not None else None
        regime = self.desk.trader.memory.regime
        mode, url = self.settings.trading_mode.value, self._endpoints.ws_api_url
        self._alerts.send(texts.ready(terms.rules, mode, regime, nan if anchor is None else anchor, terms.fee, url))

    # The loop --------------------------------------------------------------------------------

    async def _trade(self) -> None:
        while self._stop_reason is None and self.desk is not None:
            await self._wake.wait()
            self._wake.clear()
            await self._beat(self.desk)

    async def _beat(self, desk: Desk) -> None:
        """Hear, decide, act; only then tell."""
        self._carry_out_instructions(desk)
        view = self.snapshots.view(self._clock.now_s())
        try:
            commands = desk.trader.beat(view, self.wire.server_clock.now_ms())
        except BrokenInvariant as broken:
            self._halt(desk, str(broken))
            return
        for command in commands:
            await self._gateway.send(command)
        self._tell(desk)
        if view.market_ms - self._marked_ms >= _MARK_EVERY_MS:
            self._marked_ms = view.market_ms
            self._mark()

    def _tell(self, desk: Desk) -> None:
        for news in desk.trader.news:
            desk.announcer.tell(news)
        desk.trader.news.clear()

    def _halt(self, desk: Desk, reason: str) -> None:
        """We were wrong about something: arm nothing, take the order off, and wait for a person."""
        if not desk.trader.halted:
            desk.trader.halted = True
            self._alerts.send(texts.halted(reason), logging.ERROR)
        desk.trader.chase.lose_touch(self._clock.now_s())
        self._tell(desk)

    async def _keep_house(self) -> None:
        """Wake the loop now and then, for ages grow without anybody telling, and show how things stand."""
        while True:
            await self._clock.sleep(self.settings.loop_sleep_sec)
            self._wake.set()
            if self.desk is not None and self.desk.trader.decision is not None:
                self._face.show(self._status(self.desk), self._clock.now_s())

    # The operator ----------------------------------------------------------------------------

    def _carry_out_instructions(self, desk: Desk) -> None:
        while self._instructions:
            self._carry_out(desk, self._instructions.popleft())

    def _carry_out(self, desk: Desk, instruction: Instruction) -> None:
        trader = desk.trader
        match instruction:
            case Instruction.FLIP:
                trader.instructions.append(StrategyCommand.FLIP)
            case Instruction.WITHDRAW:
                trader.instructions.append(StrategyCommand.WITHDRAW)
            case Instruction.PAUSE:
                trader.paused = True
                self._alerts.send(texts.paused())
            case Instruction.RESUME:
                if trader.halted:
                    trader.chase.lose_touch(self._clock.now_s())
                trader.paused = trader.halted = False
                self._alerts.send(texts.resumed())
            case Instruction.STATUS:
                self._face.line(status(self._status(desk)))
            case Instruction.HELP:
                self._face.line(HELP)
            case Instruction.QUIT:
                self.stop("quit")

    def _status(self, desk: Desk) -> StatusView:
        now_s = self._clock.now_s()
        trader, decision = desk.trader, desk.trader.decision
        view = StatusView(mode=self.settings.trading_mode.value, rules=desk.rules, phase=trader.memory.phase.value)
        if decision is None:
            return view
        top, channel, order = self.snapshots.top, decision.channel, trader.chase.order
        gain_frac = decision.u / decision.anchor - 1.0 if decision.u and decision.anchor else None
        exit_text = None
        if trader.memory.exit is not None and order is not None and order.alive and order.price is not None:
            amount, price = texts.quantity(desk.rules, order.remaining), texts.price(desk.rules, order.price)
            exit_text = f"{order.side.value} {amount} at {price}"
        base, quote = (self._balance(asset).total for asset in (desk.rules.base_asset, desk.rules.quote_asset))
        return StatusView(
            mode=view.mode,
            rules=view.rules,
            phase=view.phase,
            regime=decision.regime,
            top=top,
            anchor=decision.anchor_price,
            value=base * top.bid + quote if top is not None else None,
            gain_frac=gain_frac,
            take_profit=decision.trigger_price,
            stop=decision.stop_price,
            lower=channel.lower if channel is not None else None,
            mid=channel.mid if channel is not None else None,
            upper=channel.upper if channel is not None else None,
            gate_open=None if decision.gate is None else False,
            exit=exit_text,
            data_age_s=now_s - self.snapshots.top_proven_s,
            reconnects=self.wire.reconnects,
            held=trader.paused,
        )

    # What the wire tells ---------------------------------------------------------------------

    def _deliver(self, incoming: Incoming) -> None:
        if self.desk is not None:
            self.desk.trader.inbox.append(incoming)
            self._wake.set()

    def _hear_report(self, report: ExecutionReport) -> None:
        if self.tally is not None and is_own(report.client_order_id):
            self.tally.hear_report(report)
        self._deliver(report)

    def _hear_limits(self, limits: tuple[RateLimit, ...]) -> None:
        self._budget.learn(limits, self.wire.server_clock.now_ms())

    async def _reopened(self) -> None:
        """Logged on again: what was missed is asked for before anything is ordered."""
        if self.desk is None:
            return
        self.desk.trader.chase.lose_touch(self._clock.now_s())
        await self._read_balances()
        self.snapshots.prove_account(proven=True)
        away_s = self._clock.now_s() - self._account_lost_s
        self._alerts.send(texts.connection_back("account", away_s))

    def _account_down(self, reason: str) -> None:
        self.snapshots.prove_account(proven=False)
        self._account_lost_s = self._clock.now_s()
        if self.desk is not None:
            self.desk.trader.chase.lose_touch(self._clock.now_s())
            if self._stop_reason is None:
                self._alerts.send(texts.connection_lost("account", reason), logging.WARNING)

    def _market_down(self, reason: str) -> None:
        logger.warning("market connection lost reason=%s", reason)
        self.snapshots.forget_top()

    async def _read_balances(self) -> None:
        touched_ms = self.desk.trader.chase.touched_ms if self.desk is not None else 0
        await self.wire.read_balances(settled_ms=touched_ms)

    async def _read_rules(self) -> None:
        """Filters and status may have changed; what is configured more strictly stays."""
        if self.desk is None:
            return
        told, limits = await market_fetch.exchange_info(self.wire.api, self.settings.symbol)
        self._budget.learn(limits, self.wire.server_clock.now_ms())
        self.desk.trader.chase.rules = effective_rules(self.settings, told)

    # The books -------------------------------------------------------------------------------

    def _market_ms(self) -> int:
        return self.snapshots.market_ms(self._clock.now_s())

    def _balance(self, asset: str) -> Balance:
        return self.snapshots.balances.get(asset) or Balance(asset, ZERO)

    def _mark(self) -> None:
        """Note where account and market stand, for the summary."""
        top = self.snapshots.top
        if self.tally is None or self.desk is None or top is None:
            return
        base, quote = (self._balance(a).total for a in (self.desk.rules.base_asset, self.desk.rules.quote_asset))
        self.tally.mark(self._market_ms(), top.bid, base, quote)

    # The end ---------------------------------------------------------------------------------

    async def _shut_down(self) -> ExitCode:
        """Withdraw our order or say that it is left, log out. OK unless the order's fate is not known."""
        code = ExitCode.OK
        if self.desk is not None:
            if self.settings.on_exit is OnExit.CANCEL:
                code = await self._withdraw(self.desk)
            else:
                self._name_order(self.desk, logging.INFO)
            self._mark()
        self._alerts.send(texts.shutdown(self._stop_reason or "unexpected"))
        await self.wire.log_out()
        return code

    async def _withdraw(self, desk: Desk) -> ExitCode:
        chase = desk.trader.chase
        try:
            async with asyncio.timeout(_WITHDRAWN_WITHIN_S):
                if desk.trader.decision is None:  # stopped before the first beat: a jumpstart may have been open
                    await withdraw_leftovers(self.wire.account, self._clock)
                while not chase.idle:
                    view = self.snapshots.view(self._clock.now_s())
                    for command in desk.trader.wind_down(view, self.wire.server_clock.now_ms()):
                        await self._gateway.send(command)
                    self._tell(desk)
                    if not chase.idle:
                        await self._wake.wait()
                        self._wake.clear()
        except (TimeoutError, SessionLost, OutcomeUnknown, RequestRefused, BrokenInvariant) as trouble:
            logger.warning("withdrawal not confirmed: %s", trouble or "time is over")
            self._name_order(desk, logging.ERROR)
            return ExitCode.UNREACHABLE
        return ExitCode.OK

    def _name_order(self, desk: Desk, level: int) -> None:
        order = desk.trader.chase.order
        if order is not None and order.alive:
            text = texts.order_left(desk.rules, order.side, order.remaining, order.price or ZERO, order.client_order_id)
            self._alerts.send(text, level)

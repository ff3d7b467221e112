"""Command handler: queues operator commands from any interface (terminal, Telegram, socket) and executes them.

One queue holds all commands, each with a future for its reply. The main loop executes a few commands per tick. A
command for the strategy (flip, cancel) is answered when the strategy reports the result, which may happen some
ticks later. During the start, a command is executed as soon as it is submitted.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from trailingedge.console.hotkeys import HELP
from trailingedge.execution.trader_events import TraderEvent
from trailingedge.live.node_components import NodeServices
from trailingedge.live.start_progress import StartProgress
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.operator_commands import CommandResult, OperatorCommand
from trailingedge.notifications import event_messages, risk_messages
from trailingedge.notifications.alert_sinks import Alerts
from trailingedge.strategy.inputs import StrategyCommand
from trailingedge.strategy.strategy_events import CommandRefused, ExitEnding, ExitRelabelled, ExitStarted

Reply = asyncio.Future[CommandResult]

_QUEUE_LIMIT: Final = 100
_PER_TICK: Final = 4  # a flood of commands must not delay the orders
_STRATEGY_COMMANDS: Final = {
    OperatorCommand.FLIP: StrategyCommand.FLIP,
    OperatorCommand.CANCEL: StrategyCommand.CANCEL,
}


def _answer(reply: Reply, result: CommandResult) -> None:
    if not reply.done():  # cancelled by a client that waits no longer
        reply.set_result(result)


class CommandHandler:
    """Executes operator commands.

    `stop` ends the session, `read_balances` requests the balances after a halt, `reconnects` returns how many
    connections were opened again, `progress` answers questions during the start.
    """

    def __init__(
        self,
        alerts: Alerts,
        *,
        paused: bool,
        flip_timeout_s: float,
        stop: Callable[[str], None],
        read_balances: Callable[[], None],
        reconnects: Callable[[], int],
        progress: StartProgress,
    ) -> None:
        self._paused = paused
        self._flip_timeout_s = flip_timeout_s
        self._services: NodeServices | None = None
        self._trading = False
        self._alerts = alerts
        self._stop = stop
        self._read_balances = read_balances
        self._reconnects = reconnects
        self._progress = progress
        self._queue: deque[tuple[OperatorCommand, str, Reply]] = deque()
        self._sent_to_strategy: deque[tuple[StrategyCommand, Reply]] = deque()  # without an answer yet

    @property
    def trading(self) -> bool:
        """Whether the start is over and commands are executed by the main loop."""
        return self._trading

    def attach(self, services: NodeServices) -> None:
        """Use `services` from now on. If trading is paused already, pause the core of `services`."""
        self._services = services
        if self._paused:
            services.core.pause()

    def start_trading(self) -> None:
        """Leave the execution of commands to the main loop from now on. Called when the start is over."""
        self._progress.finish()
        self._trading = True

    def submit(self, command: OperatorCommand, reply: Reply, argument: str = "") -> None:
        """Queue `command`, or execute it at once during the start. `reply` receives the result."""
        # A client in a loop must not fill the memory: the newest command is refused, those queued are executed.
        if len(self._queue) >= _QUEUE_LIMIT:
            _answer(reply, CommandResult("too many commands are waiting; try again", done=False))
            return
        self._queue.append((command, argument, reply))
        if not self._trading:
            self.execute_queued()

    def execute_queued(self) -> bool:
        """Execute the oldest commands, a few per tick. Returns whether more are waiting."""
        for _ in range(min(_PER_TICK, len(self._queue))):
            command, argument, reply = self._queue.popleft()
            result = self._execute(command, argument, reply)
            if result is not None:
                _answer(reply, result)
        return bool(self._queue)

    def on_event(self, event: TraderEvent) -> None:
        """If `event` of the strategy is the result of a command, answer that command."""
        match event:
            case ExitStarted(kind=ExitKind.MANUAL) if self._services is not None:
                text = event_messages.manual_flip(self._services.rules, event.side, event.price, self._flip_timeout_s)
                self._answer_strategy_command(StrategyCommand.FLIP, CommandResult(text, data={"exit": event.number}))
            case ExitRelabelled():
                text = event_messages.exit_taken_over(event.previous)
                self._answer_strategy_command(StrategyCommand.FLIP, CommandResult(text, data={"exit": event.number}))
            case ExitEnding(cause=ExitEndReason.CANCELLED):
                text = event_messages.exit_ending(event.kind, event.cause)
                self._answer_strategy_command(StrategyCommand.CANCEL, CommandResult(text))
            case CommandRefused():
                text = event_messages.command_refused(event.command.value, self._refusal_reason(event.reason))
                self._answer_strategy_command(event.command, CommandResult(text, done=False))
            case _:
                pass

    def end_tick(self) -> None:
        """Refuse the strategy commands that the core took in this tick but did not act on.

        Another event came before them, so the strategy did not see them.
        """
        # The core takes one command per tick. While it still holds commands, wait: they may yet get a result.
        if self._services is None or self._services.core.operator_commands:
            return
        while self._sent_to_strategy:
            command, reply = self._sent_to_strategy.popleft()
            text = event_messages.command_refused(
                command.value, "the hard stop, a last fill or another command came first; see the status"
            )
            _answer(reply, CommandResult(text, done=False))

    def _answer_strategy_command(self, command: StrategyCommand, result: CommandResult) -> None:
        """Answer the oldest queued `command` that still waits for the strategy's result."""
        for sent in self._sent_to_strategy:
            if sent[0] is command:
                self._sent_to_strategy.remove(sent)
                _answer(sent[1], result)
                return

    def _refusal_reason(self, reason: str) -> str:
        """Return why the strategy refused a command. If a pause or a breaker is the reason, name which one."""
        if self._services is None:
            return reason
        core = self._services.core
        return risk_messages.refusal_reason(reason, core.risk.breakers.state.trips, paused=core.paused)

    def _execute(self, command: OperatorCommand, argument: str, reply: Reply) -> CommandResult | None:
        """Execute `command` and return its result, or None if the strategy will answer it later."""
        match command:
            case OperatorCommand.FLIP | OperatorCommand.CANCEL:
                return self._send_to_strategy(_STRATEGY_COMMANDS[command], reply)
            case OperatorCommand.PAUSE:
                return self._pause()
            case OperatorCommand.RESUME:
                return self._resume()
            case OperatorCommand.HELP:
                return CommandResult(HELP)
            case OperatorCommand.RELOAD:
                return CommandResult("reload refused: ask for it with trailing-edge reload", done=False)
            case OperatorCommand.QUIT:
                self._stop("quit")
                return CommandResult("ending: the open order is cancelled first")
            case _:
                return self._query(command, argument)

    def _query(self, question: OperatorCommand, argument: str) -> CommandResult:
        services = self._services
        if services is None or not self._trading:
            return self._progress.answer()
        match question:
            case OperatorCommand.WHY:
                return services.queries.why(self._reconnects())
            case OperatorCommand.BALANCE:
                return services.queries.balance()
            case OperatorCommand.TODAY:
                services.record_sample()  # so that the answer includes the account's value now
                return services.queries.today()
            case OperatorCommand.DAILY | OperatorCommand.TRADES | OperatorCommand.PROFIT:
                services.record_sample()
                return services.queries.results(question, argument)
            case OperatorCommand.PREVIEW:
                return services.queries.preview(self._refusal_reason(risk_messages.HELD))
            case _:
                return services.queries.status(self._reconnects())

    def _send_to_strategy(self, command: StrategyCommand, reply: Reply) -> CommandResult | None:
        """Pass `command` to the core. During the start, refuse the command.

        A command that waited until the end of the start would be executed in a market that has changed.
        """
        if self._services is None or not self._trading:
            refusal = event_messages.command_refused(command.value, "still starting")
            self._alerts.send(refusal, logging.WARNING)
            return CommandResult(refusal, done=False)
        self._services.core.submit(command)
        self._sent_to_strategy.append((command, reply))
        return None

    def _pause(self) -> CommandResult:
        """Pause trading.

        Each pause sends an alert, even if trading is paused already: a user of hotkeys sees no other answer.
        """
        rules = None if self._services is None else self._services.rules
        text = event_messages.paused_already(rules) if self._paused else event_messages.paused(rules)
        self._paused = True
        if self._services is not None:
            self._services.core.pause()
        self._alerts.send(text)
        return CommandResult(text)

    @property
    def _can_resume(self) -> bool:
        """Whether a pause, a halt or a breaker is in force."""
        if self._paused or self._services is None:
            return self._paused
        core = self._services.core
        return core.halted or core.risk.breakers.trading_paused

    def _resume(self) -> CommandResult:
        """Resume trading. After a halt, orders are queried and balances read before the next decision."""
        if not self._can_resume:
            self._alerts.send(event_messages.nothing_to_resume())
            return CommandResult(event_messages.nothing_to_resume())
        self._paused = False
        if self._services is not None:
            core = self._services.core
            halted = core.halted
            core.resume()
            if halted:
                # Our own order records may be wrong: query the orders and read the balances before the next decision.
                self._services.requery_orders()
                self._read_balances()
            breakers = core.risk.breakers
            if breakers.trading_paused:
                still_held = risk_messages.still_paused(breakers.state.trips)
                self._alerts.send(still_held, logging.WARNING)
                return CommandResult(still_held, done=False)
        self._alerts.send(event_messages.resumed())
        return CommandResult(event_messages.resumed())

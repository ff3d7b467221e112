"""The helm: what an operator asks for, by whichever face, as values on one queue, and what each of them does."""

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from trailingedge.console.hotkeys import HELP
from trailingedge.execution.trader_events import TraderEvent
from trailingedge.live.node_services import NodeServices
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.operator_commands import CommandResult, OperatorCommand
from trailingedge.notifications import messages, risk_messages
from trailingedge.notifications.alerts import Alerts
from trailingedge.strategy.inputs import StrategyCommand
from trailingedge.strategy.signals import CommandRefused, ExitEnding, ExitRelabelled, ExitStarted

ReplyCallback = Callable[[CommandResult], None]

_MOST_WAITING: Final = 100
_A_BEAT: Final = 4
_FOR_THE_STRATEGY: Final = {
    OperatorCommand.FLIP: StrategyCommand.FLIP,
    OperatorCommand.CANCEL: StrategyCommand.CANCEL,
}


class CommandHandler:
    """Carries instructions out. `stop` ends the session, `resync` has everything read again after a halt."""

    def __init__(
        self,
        alerts: Alerts,
        *,
        paused: bool,
        stop: Callable[[str], None],
        resync: Callable[[], None],
        reconnects: Callable[[], int],
    ) -> None:
        self.paused = paused
        self.desk: NodeServices | None = None
        self.ready = False
        self._alerts = alerts
        self._stop = stop
        self._resync = resync
        self._reconnects = reconnects
        self._waiting: deque[tuple[OperatorCommand, ReplyCallback]] = deque()
        self._passed_on: deque[tuple[StrategyCommand, ReplyCallback]] = (
            deque()
        )  # the strategy has these and has not answered

    def obey(self, instruction: OperatorCommand, tell: ReplyCallback = lambda _: None) -> None:
        """Carry out `instruction`: in the next beat, or at once while there is none yet. `tell` hears once of it."""
        if len(self._waiting) >= _MOST_WAITING:
            tell(CommandResult("too much was asked for at once", done=False))
            return
        self._waiting.append((instruction, tell))
        if not self.ready:
            self.carry_out()

    def carry_out(self) -> bool:
        """What was asked for since the last time, a few things a beat; whether there is more."""
        for _ in range(min(_A_BEAT, len(self._waiting))):
            instruction, tell = self._waiting.popleft()
            answer = self._carry_out(instruction, tell)
            if answer is not None:
                tell(answer)
        return bool(self._waiting)

    def hear(self, news: TraderEvent) -> None:
        """What the strategy made of a command."""
        match news:
            case ExitStarted(kind=ExitKind.MANUAL) if self.desk is not None:
                text = messages.manual_flip(self.desk.rules, news.side, news.price, self.desk.flip_patience_s)
                self._settle(StrategyCommand.FLIP, CommandResult(text))
            case ExitRelabelled():
                self._settle(StrategyCommand.FLIP, CommandResult(messages.exit_taken_over(news.previous)))
            case ExitEnding(cause=ExitEndReason.CANCELLED):
                self._settle(StrategyCommand.CANCEL, CommandResult(messages.exit_ending(news.kind, news.cause)))
            case CommandRefused():
                reason = news.reason if self.desk is None else self.desk.refusal_reason(news.reason)
                self._settle(
                    news.command, CommandResult(messages.command_refused(news.command.value, reason), done=False)
                )
            case _:
                pass

    def end_of_beat(self) -> None:
        """A command that the strategy has taken and said nothing of was overtaken by something more urgent."""
        if self.desk is None or self.desk.core.operator_commands:
            return
        while self._passed_on:
            command, tell = self._passed_on.popleft()
            tell(CommandResult(messages.command_refused(command.value, "something more urgent came first"), done=False))

    def _settle(self, command: StrategyCommand, answer: CommandResult) -> None:
        for passed in self._passed_on:
            if passed[0] is command:
                self._passed_on.remove(passed)
                passed[1](answer)
                return

    def _carry_out(self, instruction: OperatorCommand, tell: ReplyCallback) -> CommandResult | None:
        """What there is to answer at once; None where the strategy has to think of it first."""
        match instruction:
            case OperatorCommand.FLIP | OperatorCommand.CANCEL:
                return self._pass_on(_FOR_THE_STRATEGY[instruction], tell)
            case OperatorCommand.PAUSE:
                return self._hold()
            case OperatorCommand.RESUME:
                return self._resume()
            case OperatorCommand.HELP:
                return CommandResult(HELP)
            case OperatorCommand.QUIT:
                self._stop("quit")
                return CommandResult("ending: the order is withdrawn first")
            case _:
                return self._look(instruction)

    def _look(self, question: OperatorCommand) -> CommandResult:
        """A question changes nothing."""
        if self.desk is None or not self.ready:
            return CommandResult("starting, not trading yet", done=False)
        match question:
            case OperatorCommand.WHY:
                return self.desk.why(self._reconnects())
            case OperatorCommand.BALANCE:
                return self.desk.balance()
            case OperatorCommand.TODAY:
                return self.desk.today()
            case _:
                return self.desk.standing(self._reconnects())

    def _pass_on(self, command: StrategyCommand, tell: ReplyCallback) -> CommandResult | None:
        """A command is meant for now: one that comes before there is anybody to think of it is not kept."""
        if self.desk is None or not self.ready:
            refusal = messages.command_refused(command.value, "still starting")
            self._alerts.send(refusal, logging.WARNING)
            return CommandResult(refusal, done=False)
        self.desk.core.operator_commands.append(command)
        self._passed_on.append((command, tell))
        return None

    def _pause(self, *, paused: bool) -> None:
        self.paused = paused
        if self.desk is not None:
            self.desk.core.paused = paused

    def _hold(self) -> CommandResult:
        """Pause; a second time changes nothing, and says so: a hotkey shows alerts alone."""
        rules = None if self.desk is None else self.desk.rules
        text = messages.paused_already(rules) if self.paused else messages.paused(rules)
        self._pause(paused=True)
        self._alerts.send(text)
        return CommandResult(text)

    @property
    def _on_hold(self) -> bool:
        """There is something to resume from."""
        if self.paused or self.desk is None:
            return self.paused
        trader = self.desk.core
        return trader.halted or trader.risk.breakers.trading_paused

    def _resume(self) -> CommandResult:
        """Go on; after a halt with everything read again."""
        if not self._on_hold:
            self._alerts.send(messages.nothing_to_resume())
            return CommandResult(messages.nothing_to_resume())
        self._pause(paused=False)
        held = None
        if self.desk is not None:
            halted = self.desk.core.halted
            self.desk.core.resume()
            if halted:
                self.desk.requery_orders()
                self._resync()
            breakers = self.desk.core.risk.breakers
            if breakers.trading_paused:
                held = risk_messages.still_paused(breakers.state.trips)
                self._alerts.send(held, logging.WARNING)
        if held is not None:
            return CommandResult(held, done=False)
        self._alerts.send(messages.resumed())
        return CommandResult(messages.resumed())

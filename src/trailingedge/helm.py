"""The helm: what an operator asks for, by whichever face, as values on one queue, and what each of them does."""

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from trailingedge.console.hotkeys import HELP
from trailingedge.console.lines import Face
from trailingedge.desk import Desk
from trailingedge.instructions import Instruction
from trailingedge.notifications import guard_texts, texts
from trailingedge.notifications.alerts import Alerts
from trailingedge.notifications.status import status
from trailingedge.strategy.inputs import Command

_FOR_THE_STRATEGY: Final = {Instruction.FLIP: Command.FLIP, Instruction.WITHDRAW: Command.WITHDRAW}


class Helm:
    """Carries instructions out. `stop` ends the session, `resync` has everything read again after a halt."""

    def __init__(
        self,
        face: Face,
        alerts: Alerts,
        *,
        paused: bool,
        stop: Callable[[str], None],
        resync: Callable[[], None],
        reconnects: Callable[[], int],
    ) -> None:
        self.paused = paused
        self.desk: Desk | None = None
        self.ready = False
        self._face = face
        self._alerts = alerts
        self._stop = stop
        self._resync = resync
        self._reconnects = reconnects
        self._waiting: deque[Instruction] = deque()

    def obey(self, instruction: Instruction) -> None:
        """Carry out `instruction`: in the next beat, or at once while there is none yet."""
        self._waiting.append(instruction)
        if not self.ready:
            self.carry_out()

    def carry_out(self) -> None:
        """Everything that was asked for since the last time."""
        while self._waiting:
            self._carry_out(self._waiting.popleft())

    def _carry_out(self, instruction: Instruction) -> None:
        match instruction:
            case Instruction.FLIP | Instruction.WITHDRAW:
                self._pass_on(_FOR_THE_STRATEGY[instruction])
            case Instruction.PAUSE:
                self._pause(paused=True)
                self._alerts.send(texts.paused())
            case Instruction.RESUME:
                self._resume()
            case Instruction.STATUS:
                view = None if self.desk is None or not self.ready else self.desk.status(self._reconnects())
                self._face.line("starting, not trading yet" if view is None else status(view))
            case Instruction.HELP:
                self._face.line(HELP)
            case Instruction.QUIT:
                self._stop("quit")

    def _pass_on(self, command: Command) -> None:
        """A command is meant for now: one that comes before there is anybody to think of it is not kept."""
        if self.desk is None or not self.ready:
            self._alerts.send(texts.command_refused(command.value, "still starting"), logging.WARNING)
        else:
            self.desk.trader.instructions.append(command)

    def _pause(self, *, paused: bool) -> None:
        self.paused = paused
        if self.desk is not None:
            self.desk.trader.paused = paused

    def _resume(self) -> None:
        """Go on; after a halt with everything read again."""
        self._pause(paused=False)
        if self.desk is not None:
            halted = self.desk.trader.halted
            self.desk.trader.resume()
            if halted:
                self.desk.doubt()
                self._resync()
            breakers = self.desk.trader.guards.breakers
            if breakers.hold:
                self._alerts.send(guard_texts.still_held(breakers.state.trips), logging.WARNING)
        self._alerts.send(texts.resumed())

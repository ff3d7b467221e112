"""Operator commands and their results, the same for hotkeys, control socket and Telegram."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final


class OperatorCommand(Enum):
    """A command of the operator. Records and the control socket contain the values."""

    FLIP = "flip"
    CANCEL = "withdraw"  # the name is for people; session records keep the value
    PAUSE = "pause"
    RESUME = "resume"
    STATUS = "status"
    WHY = "why"
    BALANCE = "balance"
    TODAY = "today"
    DAILY = "daily"  # with the number of days as argument
    TRADES = "trades"  # with their number as argument
    PROFIT = "profit"
    PREVIEW = "preview"  # what a flip would trade now; changes nothing
    HELP = "help"
    QUIT = "quit"
    RELOAD = "reload"  # of the settings; by the control socket only

    @property
    def shown(self) -> str:
        """The name for people, as in a log line: "cancel", although records contain "withdraw"."""
        return self.name.lower()

    @property
    def is_question(self) -> bool:
        """Whether the command only asks for an answer and changes nothing."""
        return self in _QUESTIONS


_QUESTIONS: Final = frozenset(
    {
        OperatorCommand.STATUS,
        OperatorCommand.WHY,
        OperatorCommand.BALANCE,
        OperatorCommand.TODAY,
        OperatorCommand.DAILY,
        OperatorCommand.TRADES,
        OperatorCommand.PROFIT,
        OperatorCommand.PREVIEW,
        OperatorCommand.HELP,
    }
)


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The reply to a command: a text for people and, if the reply has figures, `data` for machines.

    `done` is False if the command was refused; then the text says why. `data` is JSON: amounts and
    prices are strings, other numbers are numbers.
    """

    text: str
    done: bool = True
    data: Mapping[str, object] = field(default_factory=dict)


SubmitCommand = Callable[[OperatorCommand, str], "asyncio.Future[CommandResult]"]
"""Queues a command with its argument, "" for none, and returns at once.

The future receives the result, perhaps some ticks later.
"""

CommandSink = Callable[[OperatorCommand, Callable[[CommandResult], None], str], None]
"""The same for an interface that takes its reply by a callback; it is called once, on the event loop."""

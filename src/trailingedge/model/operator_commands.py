"""What the operator can ask for, whichever face he asks through, and what he is told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum


class OperatorCommand(Enum):
    """Each has one meaning, from hotkey, phone and socket alike."""

    FLIP = "flip"
    CANCEL = "withdraw"
    PAUSE = "pause"
    RESUME = "resume"
    STATUS = "status"
    WHY = "why"
    BALANCE = "balance"
    TODAY = "today"
    HELP = "help"
    QUIT = "quit"


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What the one who asked is told: in words, and where there are figures, `data` for a machine.

    `done` False: it was refused, and the text says why. `data` holds strings, numbers that are no amounts,
    booleans, None and the like of these; amounts and prices are strings.
    """

    text: str
    done: bool = True
    data: Mapping[str, object] = field(default_factory=dict)


CommandSink = Callable[[OperatorCommand, Callable[[CommandResult], None]], None]
"""Takes an instruction and returns at once; the answer is given on the loop, once, perhaps a beat later."""

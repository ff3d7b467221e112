"""What the owner can ask for on the phone, and the codes that keep a thumb from trading by mistake.

A question is answered at once. What changes something is asked for twice: the bot answers with the exact
line to send back, and its code is good for a minute, once, and for that command alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from trailingedge.model.operator_commands import CommandResult, CommandSink, OperatorCommand

CODE_VALID_S: Final = 60.0

QUESTIONS: Final[Mapping[str, tuple[OperatorCommand, str]]] = {
    "status": (OperatorCommand.STATUS, "how things stand"),
    "why": (OperatorCommand.WHY, "why it does what it does"),
    "balance": (OperatorCommand.BALANCE, "what the account holds"),
    "today": (OperatorCommand.TODAY, "what today has brought"),
}
ACTIONS: Final[Mapping[str, tuple[OperatorCommand, str]]] = {
    "pause": (OperatorCommand.PAUSE, "begin nothing new; the hard stop stays armed"),
    "resume": (OperatorCommand.RESUME, "go on"),
    "flip": (OperatorCommand.FLIP, "change all of it into the other asset now"),
    "stop": (OperatorCommand.QUIT, "withdraw the order and end"),
}
MENU: Final[Mapping[str, str]] = {name: what for name, (_, what) in [*QUESTIONS.items(), *ACTIONS.items()]}
HELP: Final = "\n".join(
    [
        "commands:",
        *(f"/{name} - {what}" for name, (_, what) in QUESTIONS.items()),
        *(f"/{name} - {what} (asks for a code)" for name, (_, what) in ACTIONS.items()),
    ]
)


@dataclass(frozen=True, slots=True)
class OwnerMessage:
    """A message to the bot: from whom, in which chat, when by Telegram's clock (seconds since 1970), and what."""

    chat_id: int
    sender_id: int
    date_s: int
    text: str


def read_message(update: object) -> OwnerMessage | None:
    """The text message in one update, or None for anything else."""
    match update:
        case {
            "message": {
                "chat": {"id": int(chat_id), "type": "private"},
                "from": {"id": int(sender_id)},
                "date": int(date_s),
                "text": str(text),
            }
        }:
            return OwnerMessage(chat_id, sender_id, date_s, text)
    return None


class ConfirmationCodes:
    """One code at a time for each command."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._good: dict[str, tuple[str, float]] = {}

    def issue(self, command: str, now_s: float) -> str:
        """A fresh code; one that was given before is good no more."""
        code = str(self._chance.randrange(1000, 10_000))
        self._good[command] = (code, now_s + CODE_VALID_S)
        return code

    def redeem(self, command: str, code: str, now_s: float) -> bool:
        """Whether `code` is good; then it was good for the last time."""
        good, until_s = self._good.get(command, ("", 0.0))
        if code != good or now_s > until_s:
            return False
        del self._good[command]
        return True


class OwnerCommands:
    """Understands the owner. `answer` carries words back to him, whenever there are some."""

    def __init__(self, obey: CommandSink, chance: Random, answer: Callable[[str], None]) -> None:
        self._submit = obey
        self._codes = ConfirmationCodes(chance)
        self._answer = answer

    def handle(self, text: str, now_s: float) -> None:
        """Carry out one message, or answer what is missing."""
        first, *rest = text.split() or [""]
        name = first.removeprefix("/").partition("@")[0].lower()  # "/flip@our_bot" is how groups address one of many
        if not first.startswith("/") or name not in MENU:
            self._answer(HELP if name in ("start", "help") else f"that is none of my {HELP}")
        elif name in QUESTIONS:
            self._execute(QUESTIONS[name][0])
        elif not rest:
            code = self._codes.issue(name, now_s)
            what = ACTIONS[name][1]
            self._answer(f"{name}: {what}? Send this within {CODE_GOOD_FOR_S:.0f} s to confirm:\n/{name} {code}")
        elif self._codes.redeem(name, rest[0], now_s):
            self._execute(ACTIONS[name][0])
        else:
            self._answer(f"{name}: sorry, that code is not good, or no more. Nothing was done; /{name} gives a new one")

    def _execute(self, instruction: OperatorCommand) -> None:
        def tell(answer: CommandResult) -> None:
            self._answer(answer.text)

        self._submit(instruction, tell)

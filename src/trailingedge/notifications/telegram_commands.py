"""The owner's commands on Telegram, and the one-time codes that protect against an accidental tap.

A question is answered at once. A command that acts needs a confirmation: the bot answers with the exact line to
send back. The code in that line is valid for one minute, for one use and for that command only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from trailingedge.model.operator_commands import CommandResult, CommandSink, OperatorCommand

CODE_VALID_S: Final = 60.0

QUESTIONS: Final[Mapping[str, tuple[OperatorCommand, str]]] = {
    "status": (OperatorCommand.STATUS, "position, price, next levels and order"),
    "why": (OperatorCommand.WHY, "why it trades or does not"),
    "balance": (OperatorCommand.BALANCE, "what the account holds"),
    "today": (OperatorCommand.TODAY, "result, trades and fees of today"),
}
ACTIONS: Final[Mapping[str, tuple[OperatorCommand, str]]] = {
    "pause": (OperatorCommand.PAUSE, "no take-profit and no buy; the hard stop stays active"),
    "resume": (OperatorCommand.RESUME, "trade again after a pause, a breaker or a halt"),
    "flip": (OperatorCommand.FLIP, "sell everything, or buy it back, now"),
    "stop": (OperatorCommand.QUIT, "cancel the order and end the bot"),
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
    """A text message to the bot. `date_s` is Telegram's time, in seconds since 1970."""

    chat_id: int
    sender_id: int
    date_s: int
    text: str


def read_message(update: object) -> OwnerMessage | None:
    """Return the text message in an update from a private chat; None for any other update."""
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
    """Issues and checks confirmation codes. Each command has at most one valid code."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._valid: dict[str, tuple[str, float]] = {}

    def issue(self, command: str, now_s: float) -> str:
        """Return a new code for `command`. The code issued for `command` before becomes invalid."""
        # Four digits protect against an accidental tap. Strangers never get a code: only the owner's chat reaches this.
        code = str(self._rng.randrange(1000, 10_000))
        self._valid[command] = (code, now_s + CODE_VALID_S)
        return code

    def redeem(self, command: str, code: str, now_s: float) -> bool:
        """Return whether `code` is valid for `command`. A valid code can be redeemed only once."""
        valid, until_s = self._valid.get(command, ("", 0.0))
        # A wrong code does not invalidate the right one: a typing error can be corrected within the minute.
        if code != valid or now_s > until_s:
            return False
        del self._valid[command]
        return True


class OwnerCommands:
    """Executes the owner's messages through `submit`, and sends the replies with `answer`."""

    def __init__(self, submit: CommandSink, rng: Random, answer: Callable[[str], None]) -> None:
        self._submit = submit
        self._codes = ConfirmationCodes(rng)
        self._answer = answer

    def handle(self, text: str, now_s: float) -> None:
        """Execute one message, or answer with the confirmation line or the help."""
        first, *rest = text.split() or [""]
        name = first.removeprefix("/").partition("@")[0].lower()  # "/flip@our_bot" is how groups address one of many
        if not first.startswith("/") or name not in MENU:
            self._answer(HELP if name in ("start", "help") else f"unknown command; {HELP}")
        elif name in QUESTIONS:
            self._execute(QUESTIONS[name][0])
        elif not rest:
            code = self._codes.issue(name, now_s)
            what = ACTIONS[name][1]
            self._answer(f"{name}: {what}? Send this within {CODE_VALID_S:.0f} s to confirm:\n/{name} {code}")
        elif self._codes.redeem(name, rest[0], now_s):
            self._execute(ACTIONS[name][0])
        else:
            self._answer(f"{name}: the code is wrong or has expired. Nothing was done; /{name} gives a new one")

    def _execute(self, command: OperatorCommand) -> None:
        def reply(result: CommandResult) -> None:
            self._answer(result.text)

        self._submit(command, reply)

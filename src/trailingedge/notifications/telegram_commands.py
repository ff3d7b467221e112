"""The owner's commands on Telegram, and the one-time codes that protect against an accidental tap.

A question is answered at once. A command that acts needs a confirmation: the bot answers with the exact line to
send back. The code in that line is valid for one minute, for one use, for five tries and for that command only.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from trailingedge.model.operator_commands import CommandResult, CommandSink, OperatorCommand

CODE_VALID_S: Final = 60.0
CODE_DIGITS: Final = 6
CODE_TRIES: Final = 5

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


@dataclass(slots=True)
class _IssuedCode:
    code: str
    valid_until_s: float
    tries_left: int = CODE_TRIES


class ConfirmationCodes:
    """Issues and checks confirmation codes. Each command has at most one valid code."""

    def __init__(self) -> None:
        self._issued: dict[str, _IssuedCode] = {}

    def issue(self, command: str, now_s: float) -> str:
        """Return a new code for `command`. The code issued for `command` before becomes invalid."""
        code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"
        self._issued[command] = _IssuedCode(code, now_s + CODE_VALID_S)
        return code

    def redeem(self, command: str, code: str, now_s: float) -> bool:
        """Return whether `code` is valid for `command`. A valid code can be redeemed only once."""
        issued = self._issued.get(command)
        if issued is None:
            return False
        is_right = secrets.compare_digest(code.encode(errors="replace"), issued.code.encode())
        # A wrong code does not invalidate the right one at once: a typing error can be corrected. But it must not be
        # found by trying.
        issued.tries_left -= 1
        if is_right or not issued.tries_left:
            del self._issued[command]
        return is_right and now_s <= issued.valid_until_s


class OwnerCommands:
    """Executes the owner's messages through `submit`, and sends the replies with `answer`.

    `username` is the bot's own name, without @. A command that names another bot is ignored.
    """

    def __init__(self, submit: CommandSink, answer: Callable[[str], None], username: str = "") -> None:
        self.username = username
        self._submit = submit
        self._codes = ConfirmationCodes()
        self._answer = answer

    def handle(self, text: str, now_s: float) -> None:
        """Execute one message, or answer with the confirmation line or the help."""
        first, *rest = text.split() or [""]
        name, addressed, username = first.removeprefix("/").lower().partition("@")
        if first.startswith("/") and addressed and username != self.username.lower():
            return  # "/flip@other_bot" addresses one of several bots
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

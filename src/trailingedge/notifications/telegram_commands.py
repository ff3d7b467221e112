"""Telegram commands: executes the owner's commands.

Commands that act need a one-time code, which protects against an accidental tap. A question is answered at once. A
command that acts needs a confirmation: the bot answers with a line that contains a code. The owner confirms by sending
that line, or only the code. `core.confirmation_codes` makes the codes.
"""

from collections.abc import Callable, Mapping
from typing import Final

from trailingedge.core.confirmation_codes import CODE_DIGITS, CODE_VALID_S, ConfirmationCodes
from trailingedge.model.operator_commands import CommandResult, CommandSink, OperatorCommand

QUESTIONS: Final[Mapping[str, tuple[OperatorCommand, str]]] = {
    "status": (OperatorCommand.STATUS, "position, price, next levels and order"),
    "why": (OperatorCommand.WHY, "why it trades or does not"),
    "balance": (OperatorCommand.BALANCE, "what the account holds"),
    "today": (OperatorCommand.TODAY, "result, trades and fees of today"),
    "daily": (OperatorCommand.DAILY, "results of the last days; /daily 14 for more"),
    "trades": (OperatorCommand.TRADES, "the last sales and buy-backs; /trades 20 for more"),
    "profit": (OperatorCommand.PROFIT, "result, trades and fees since the start"),
}
ACTIONS: Final[Mapping[str, tuple[OperatorCommand, str]]] = {
    "pause": (OperatorCommand.PAUSE, "no take-profit and no buy; the hard stop stays active"),
    "resume": (OperatorCommand.RESUME, "trade again after a pause, a breaker or a halt"),
    "flip": (OperatorCommand.FLIP, "sell everything, or buy it back, now"),
    "cancel": (OperatorCommand.CANCEL, "cancel the sale or buy-back in progress"),
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
        if not rest and len(first) == CODE_DIGITS and first.isdecimal():
            self._confirm(first, now_s)
        elif not first.startswith("/") or name not in MENU:
            self._answer(HELP if name in ("start", "help") else f"unknown command; {HELP}")
        elif name in QUESTIONS:
            self._execute(QUESTIONS[name][0], " ".join(rest[:1]))
        elif not rest and name == "flip":
            self._submit(OperatorCommand.PREVIEW, lambda shown: self._ask_for_flip(shown, now_s), "")
        elif not rest:
            self._ask_for_code(name, f"{name}: {ACTIONS[name][1]}?", now_s)
        elif self._codes.redeem(name, rest[0], now_s):
            self._execute(ACTIONS[name][0])
        else:
            self._answer(f"{name}: the code is wrong or has expired. Nothing was done; /{name} gives a new one")

    def _confirm(self, code: str, now_s: float) -> None:
        """Execute the command for which this code was given."""
        name = self._codes.redeem_any(code, now_s)
        if name is not None:
            self._execute(ACTIONS[name][0])
        else:
            self._answer("the code is wrong or has expired. Nothing was done; send the command again for a new one")

    def _ask_for_flip(self, shown: CommandResult, now_s: float) -> None:
        """Send the code for a flip with a preview of its trade.

        If the flip would be refused, send the reason instead.
        """
        if shown.done:
            self._ask_for_code("flip", shown.text, now_s)
        else:
            self._answer(shown.text)

    def _ask_for_code(self, name: str, question: str, now_s: float) -> None:
        code = self._codes.issue(name, now_s)
        self._answer(f"{question}\nSend this, or its code, within {CODE_VALID_S:.0f} s to confirm:\n/{name} {code}")

    def _execute(self, command: OperatorCommand, argument: str = "") -> None:
        def reply(result: CommandResult) -> None:
            self._answer(result.text)

        self._submit(command, reply, argument)

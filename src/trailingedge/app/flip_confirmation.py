"""Flip confirmation: shows what a flip from terminal or control socket would trade, and waits for a confirmation.

A first request is answered with what the flip would trade and, if the settings require a confirmation, with a one-time
code. A second request with that code executes the flip. Telegram has codes of its own, for every command that acts.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from trailingedge.core.confirmation_codes import CODE_VALID_S, ConfirmationCodes
from trailingedge.model.operator_commands import CommandResult, OperatorCommand

_FLIP: Final = OperatorCommand.FLIP.value

Reply = asyncio.Future[CommandResult]


class FlipConfirmation:
    """Executes flips, after a confirmation if `needed`. `submit` executes a command; `now_s` reads the clock."""

    def __init__(self, submit: Callable[[OperatorCommand], Reply], *, needed: bool, now_s: Callable[[], float]) -> None:
        self._submit = submit
        self._needed = needed
        self._now_s = now_s
        self._codes = ConfirmationCodes()

    def request(self, code: str = "", show: Callable[[str], None] = lambda _: None) -> Reply:
        """Execute the flip if `code` confirms it or no code is needed; else return a preview of its trade.

        `show` receives the preview before anything is executed. If a confirmation is needed, the data of the answer
        contain the code as `confirmation`.
        """
        if code:
            if self._codes.redeem(_FLIP, code, self._now_s()):
                return self._submit(OperatorCommand.FLIP)
            return _answered(CommandResult("flip: the code is wrong or has expired; nothing was done", done=False))
        reply: Reply = asyncio.get_running_loop().create_future()
        preview = self._submit(OperatorCommand.PREVIEW)
        preview.add_done_callback(lambda shown: self._on_preview(shown.result(), reply, show))
        return reply

    def _on_preview(self, shown: CommandResult, reply: Reply, show: Callable[[str], None]) -> None:
        show(shown.text)
        if not shown.done:
            _answer(reply, shown)
        elif self._needed:
            code = self._codes.issue(_FLIP, self._now_s())
            data = {**shown.data, "confirmation": code, "valid_s": CODE_VALID_S}
            _answer(reply, CommandResult(shown.text, done=False, data=data))
        else:
            flip = self._submit(OperatorCommand.FLIP)
            flip.add_done_callback(lambda made: _answer(reply, _with_preview(shown, made.result())))


class TerminalFlip:
    """The flip by hotkeys of a terminal: a first key shows what it would trade, and a second key confirms it.

    `show` prints a text.
    """

    def __init__(self, flips: FlipConfirmation, show: Callable[[str], None]) -> None:
        self._flips = flips
        self._show = show
        self._code = ""

    def ask(self) -> None:
        """Show a preview of the flip. If no confirmation is needed, execute the flip at once."""
        self._code = ""
        self._flips.request(show=self._show).add_done_callback(lambda reply: self._on_reply(reply.result()))

    def confirm(self) -> None:
        """Execute the requested flip if it waits for its confirmation."""
        code, self._code = self._code, ""
        if not code:
            self._show("nothing to confirm; press x and Enter for a flip")
            return
        self._flips.request(code).add_done_callback(lambda reply: self._on_confirmed(reply.result()))

    def drop(self) -> None:
        """Forget the flip that waits for its confirmation, because another key was pressed."""
        if self._code:
            self._code = ""
            self._show("flip not made, because it was not confirmed")

    def _on_reply(self, result: CommandResult) -> None:
        self._code = str(result.data.get("confirmation", ""))
        if self._code:
            self._show(f"press y and Enter within {CODE_VALID_S:.0f} s to make this flip; any other key discards it")

    def _on_confirmed(self, result: CommandResult) -> None:
        # A flip that was made is announced by an alert, which the terminal shows.
        if not result.done:
            self._show(result.text)


def _with_preview(shown: CommandResult, made: CommandResult) -> CommandResult:
    data: Mapping[str, object] = {**shown.data, **made.data}
    return CommandResult(f"{shown.text}\n{made.text}" if made.done else made.text, done=made.done, data=data)


def _answer(reply: Reply, result: CommandResult) -> None:
    if not reply.done():  # cancelled by a client that waits no longer
        reply.set_result(result)


def _answered(result: CommandResult) -> Reply:
    reply: Reply = asyncio.get_running_loop().create_future()
    reply.set_result(result)
    return reply

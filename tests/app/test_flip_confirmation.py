"""Flip confirmation: a flip is described first, and made only with the code where a confirmation is needed."""

import asyncio

import pytest

from trailingedge.app.flip_confirmation import FlipConfirmation, TerminalFlip
from trailingedge.core.confirmation_codes import CODE_VALID_S
from trailingedge.model.operator_commands import CommandResult, OperatorCommand

WOULD_SELL = CommandResult("flip: sell 1 ETH", data={"quantity": "1"})


class Daemon:
    """A daemon that makes each flip at once; `preview` is what one would trade."""

    def __init__(self, *, needed: bool, preview: CommandResult = WOULD_SELL) -> None:
        self.flips = 0
        self.now_s = 0.0
        self.preview = preview
        self.shown: list[str] = []
        self.confirmation = FlipConfirmation(self.submit, needed=needed, now_s=lambda: self.now_s)
        self.terminal = TerminalFlip(self.confirmation, self.shown.append)

    def submit(self, command: OperatorCommand) -> asyncio.Future[CommandResult]:
        reply: asyncio.Future[CommandResult] = asyncio.get_running_loop().create_future()
        if command is OperatorCommand.FLIP:
            self.flips += 1
        reply.set_result(self.preview if command is OperatorCommand.PREVIEW else CommandResult("selling"))
        return reply

    async def code(self) -> str:
        return str((await self.confirmation.request()).data["confirmation"])


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_without_a_confirmation_the_answer_has_the_trade_and_the_flip() -> None:
    daemon = Daemon(needed=False)
    result = await daemon.confirmation.request()
    assert (result.text, result.done, daemon.flips) == ("flip: sell 1 ETH\nselling", True, 1)
    assert result.data["quantity"] == "1"


async def test_with_one_the_first_answer_has_the_trade_and_a_code_and_the_code_makes_the_flip() -> None:
    daemon = Daemon(needed=True)
    result = await daemon.confirmation.request()
    assert (result.text, result.done, daemon.flips) == ("flip: sell 1 ETH", False, 0)
    made = await daemon.confirmation.request(str(result.data["confirmation"]))
    assert (made.done, daemon.flips) == (True, 1)


@pytest.mark.parametrize("passes_s", [CODE_VALID_S, CODE_VALID_S + 0.1])
async def test_a_code_is_good_for_a_minute(passes_s: float) -> None:
    daemon = Daemon(needed=True)
    code = await daemon.code()
    daemon.now_s += passes_s
    result = await daemon.confirmation.request(code)
    assert (result.done, daemon.flips) == ((True, 1) if passes_s <= CODE_VALID_S else (False, 0))


async def test_a_flip_that_is_refused_gets_no_code() -> None:
    daemon = Daemon(needed=True, preview=CommandResult("flip refused: halted", done=False))
    result = await daemon.confirmation.request()
    assert (result, daemon.flips) == (daemon.preview, 0)


async def test_at_the_terminal_y_makes_the_flip_once() -> None:
    daemon = Daemon(needed=True)
    daemon.terminal.ask()
    await settle()
    assert daemon.shown[0] == "flip: sell 1 ETH"
    assert daemon.shown[1].startswith("press y and Enter within 60 s")
    daemon.terminal.confirm()
    await settle()
    daemon.terminal.confirm()
    assert daemon.flips == 1
    assert daemon.shown[2:] == ["nothing to confirm; press x and Enter for a flip"]


async def test_another_key_drops_it() -> None:
    daemon = Daemon(needed=True)
    daemon.terminal.ask()
    await settle()
    daemon.terminal.drop()
    daemon.terminal.drop()
    daemon.terminal.confirm()
    assert daemon.flips == 0
    assert daemon.shown[2:] == [
        "flip not made, because it was not confirmed",
        "nothing to confirm; press x and Enter for a flip",
    ]


async def test_where_none_is_needed_x_shows_the_trade_and_makes_it() -> None:
    daemon = Daemon(needed=False)
    daemon.terminal.ask()
    await settle()
    assert (daemon.shown, daemon.flips) == (["flip: sell 1 ETH"], 1)

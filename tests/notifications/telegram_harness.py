"""A Telegram bot, its stand-in server and a virtual clock, without sockets."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from random import Random
from typing import Any, Final

import httpx
from tests.background_tasks import running_task
from tests.bot_api import OWNER, TOKEN, BotApi

from trailingedge.model.operator_commands import CommandResult, CommandSink, OperatorCommand
from trailingedge.notifications.telegram import Telegram
from trailingedge.notifications.telegram_api import BotApiClient
from trailingedge.simulator.virtual_loop import VirtualClock, run_virtual

START_MS: Final = 1_783_000_000_000  # 2026-07-02 13:46:40 UTC
TITLE: Final = "PAPER ETHFDUSD"


class Stage:
    """A bot, a stand-in for Telegram, and a sink that executes commands."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.api = BotApi(clock.unix_ms)
        self.asked: list[OperatorCommand] = []
        self.obey: CommandSink = self.answer_soon
        self.clients: list[httpx.AsyncClient] = []

    def _pass_on(self, instruction: OperatorCommand, tell: Callable[[CommandResult], None], argument: str) -> None:
        self.obey(instruction, tell, argument)

    def answer_soon(self, instruction: OperatorCommand, tell: Callable[[CommandResult], None], _argument: str) -> None:
        """As the daemon does, a beat later."""
        if instruction is not OperatorCommand.PREVIEW:  # which changes nothing
            self.asked.append(instruction)
        asyncio.get_running_loop().call_later(0.2, tell, CommandResult(f"{instruction.value} <done>"))

    async def connect(self) -> httpx.AsyncClient:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self.api.handle), trust_env=False)
        self.clients.append(client)
        return client

    def line(self, token: str = TOKEN) -> BotApiClient:
        return BotApiClient("https://telegram.test", token, self.connect)

    def telegram(
        self, token: str | None = TOKEN, owner: str | None = str(OWNER), groups: Sequence[str] = ()
    ) -> Telegram:
        return Telegram(
            token,
            owner,
            groups,
            title=TITLE,
            obey=self._pass_on,
            clock=self.clock,
            chance=Random(1),
            connect=lambda _: self.connect,
        )

    @contextlib.asynccontextmanager
    async def running(
        self, token: str | None = TOKEN, owner: str | None = str(OWNER), groups: Sequence[str] = ()
    ) -> AsyncIterator[Telegram]:
        """A Telegram that has listened for a second, and is ended as the daemon ends it."""
        telegram = self.telegram(token, owner, groups)
        async with running_task(telegram.run()) as task:
            await asyncio.sleep(1.0)
            yield telegram
            assert not task.done()

    async def converse(self, *texts: str) -> list[str]:
        """What the owner is answered to each of `texts`, without the title."""
        answers = []
        for text in texts:
            before = len(self.api.texts())
            self.api.say(text)
            await asyncio.sleep(3.0)
            told = self.api.texts()[before:]
            answers.append("\n".join(told).removeprefix(f"{TITLE} · "))
        return answers


def on_stage(test: Callable[[Stage], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Makes a test of what happens on a fresh stage."""

    def play() -> None:
        run_virtual(lambda clock: test(Stage(clock)), start_unix_ms=START_MS)

    play.__name__, play.__doc__ = test.__name__, test.__doc__
    return play


def warnings(records: Sequence[logging.LogRecord]) -> list[str]:
    """What a person would see of the log."""
    return [record.getMessage() for record in records if record.levelno >= logging.WARNING]

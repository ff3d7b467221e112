"""Telegram: alerts on the phone, and the owner's commands from it.

Nothing here can hold up a beat or end the daemon. `send` puts a text into a bounded box and returns; a task
for each chat carries the boxes out, another listens, and whatever goes wrong with the network, with a chat
or with Telegram is waited out there. Only a wrong token is final: then alerts are off until `reconfigure`.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Final

from trailingedge.core.clock import Clock
from trailingedge.model.operator_commands import CommandSink
from trailingedge.notifications.telegram_api import BOT_API, BotApiClient, BotRefused, Connect, Connector
from trailingedge.notifications.telegram_chat import Chat, TelegramReachability
from trailingedge.notifications.telegram_commands import OwnerCommands
from trailingedge.notifications.telegram_poller import UpdatePoller

_AFTER_A_MISTAKE_S: Final = 60.0

logger = logging.getLogger(__name__)

Job = Callable[[], Awaitable[None]]


class Telegram:
    """`Alerts` to the owner's chat and to groups, each begun with `title` ("PAPER ETHFDUSD").

    Chats are ids as text, or @names. Commands are taken from the owner's chat alone, if that is a private
    one, and handed to `obey`. Without a token or a chat nothing is sent. `connect` opens a client for the
    base URL, and is an argument for worlds without sockets.
    """

    def __init__(
        self,
        token: str | None,
        owner: str | None,
        groups: Sequence[str] = (),
        *,
        title: str,
        obey: CommandSink,
        clock: Clock,
        chance: Random,
        base_url: str = BOT_API,
        connect: Callable[[str], Connect] = Connector,
    ) -> None:
        self._title = title
        self._submit = obey
        self._clock = clock
        self._rng = chance
        self._connect = connect
        self._reachability = TelegramReachability()
        self._changed = asyncio.Event()
        self._settings: tuple[object, ...] = ()
        self._chats: dict[str, Chat] = {}
        self._owner: Chat | None = None
        self._jobs: list[Job] = []
        self._clients: list[BotApiClient] = []
        self.reconfigure(token, owner, groups, base_url=base_url)

    @property
    def on(self) -> bool:
        """Whether alerts go anywhere."""
        return bool(self._chats)

    @property
    def waiting(self) -> int:
        """How many alerts wait, over all chats."""
        return sum(chat.waiting for chat in self._chats.values())

    def reconfigure(
        self, token: str | None, owner: str | None, groups: Sequence[str] = (), *, base_url: str = BOT_API
    ) -> None:
        """From now on use these. What waits for a chat that stays is kept."""
        settings = (token, owner, tuple(groups), base_url)
        if settings == self._settings and self.on:
            return
        self._settings = settings
        self._jobs, self._clients = [], []
        before, self._chats, self._owner = self._chats, {}, None
        if token:
            connect = self._connect(base_url)
            for chat_id in dict.fromkeys(filter(None, (owner, *groups))):
                self._open_chat(chat_id, before.get(chat_id), BotApiClient(base_url, token, connect))
            if owner:
                self._owner = self._chats[owner]
                self._listen_to(owner, BotApiClient(base_url, token, connect))
        self._changed.set()

    def _open_chat(self, chat_id: str, before: Chat | None, line: BotApiClient) -> None:
        chat = before or Chat(chat_id, line, self._title, self._reachability, self._clock, self._rng)
        chat.client = line
        self._chats[chat_id] = chat
        self._jobs.append(chat.run)
        self._clients.append(line)

    def _listen_to(self, owner: str, line: BotApiClient) -> None:
        if not owner.isdecimal():
            logger.info("telegram commands are off: TELEGRAM_CHAT_ID is no private chat")
            return
        commands = OwnerCommands(self._submit, self._rng, self._answer)
        self._jobs.append(UpdatePoller(line, int(owner), commands, self._clock, self._rng).run)
        self._clients.append(line)

    def send(self, text: str, level: int = logging.INFO) -> None:
        """Tell every chat. Returns at once, whatever Telegram does."""
        for chat in self._chats.values():
            chat.send(text, level)

    def _answer(self, text: str) -> None:
        if self._owner is not None:
            self._owner.send(text, logging.INFO)

    async def run(self) -> None:
        """Send and listen until cancelled. Raises nothing of its own."""
        while True:
            self._changed.clear()
            lines = self._clients
            try:
                async with asyncio.TaskGroup() as tasks:
                    workers = [tasks.create_task(self._work(job)) for job in self._jobs]
                    await self._changed.wait()
                    for worker in workers:
                        worker.cancel()
            finally:
                for line in lines:
                    await line.close()

    async def _work(self, job: Job) -> None:
        """Do `job` for as long as there is a token to do it with."""
        while True:
            try:
                await job()
            except BotRefused as refused:
                self._switch_off(refused)
                return
            except Exception:  # alerts are for the trade, not the trade for alerts: a mistake must not end it
                logger.exception("a mistake in telling Telegram")
                await self._clock.sleep(_AFTER_A_MISTAKE_S)

    def _switch_off(self, refused: BotRefused) -> None:
        if self.on:
            logger.error(
                "telegram does not know the bot's token: %s; alerts on the phone are off, see TELEGRAM_BOT_TOKEN",
                refused,
            )
            self._chats, self._owner, self._jobs, self._clients = {}, None, [], []
            self._changed.set()

    async def flush(self, within_s: float) -> None:
        """Send what still waits, as far as that can be done `within_s`. For the end: what is left is dropped."""
        chats = list(self._chats.values())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s), asyncio.TaskGroup() as tasks:
                for chat in chats:
                    tasks.create_task(self._drain(chat, within_s))
        left = sum(chat.waiting for chat in chats)
        if left:
            logger.warning("telegram: alerts not delivered at the end: %d; they are in the log", left)

    async def _drain(self, chat: Chat, within_s: float) -> None:
        try:
            await chat.drain(within_s)
        except BotRefused as refused:
            self._switch_off(refused)
        except Exception:  # nor may one change how the session has ended
            logger.exception("a mistake in telling Telegram")
        finally:
            await chat.close()

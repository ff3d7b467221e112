"""The Telegram bot: sends alerts to the phone and takes the owner's commands from it.

Nothing here can delay a tick or end the daemon. `send` puts a text into a bounded outbox and returns. Each chat has a
task that sends; one more task polls for commands. After a failure of the network, of its chat or of Telegram, a task
tries again. With a wrong token or proxy it does not: alerts stay off until `reconfigure`.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Final

from trailingedge.core.clock import Clock
from trailingedge.core.errors import ConfigError
from trailingedge.model.operator_commands import CommandSink
from trailingedge.notifications.telegram_address import ChatAddress
from trailingedge.notifications.telegram_api import BOT_API, BotApiClient, BotRefused, Connect, Connector
from trailingedge.notifications.telegram_commands import OwnerCommands
from trailingedge.notifications.telegram_outbox import SendRateLimit
from trailingedge.notifications.telegram_poller import UpdatePoller
from trailingedge.notifications.telegram_sender import Chat, TelegramReachability

_RESTART_JOB_AFTER_S: Final = 60.0

logger = logging.getLogger(__name__)

Job = Callable[[], Awaitable[None]]


class Telegram:
    """An alert sink that sends to the owner's chat and to groups.

    Each message begins with `title` ("PAPER ETHFDUSD"). A chat is given by its id as text, or by its @name. With
    `:topic` appended it is a topic of a forum group. Commands are accepted only from the owner's chat, and only if it
    is a private chat; they are passed to `obey`. Without a token or a chat nothing is sent. `connect` takes a base URL
    and returns a function that opens HTTP clients for it; tests replace it, so that no sockets are opened.
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
        self._rate_limits: dict[str, SendRateLimit] = {}
        self._chats: dict[str, Chat] = {}
        self._owner: Chat | None = None
        self._jobs: list[Job] = []
        self._clients: list[BotApiClient] = []
        self.reconfigure(token, owner, groups, base_url=base_url)

    @property
    def on(self) -> bool:
        """Whether there is a chat to send to."""
        return bool(self._chats)

    @property
    def waiting(self) -> int:
        """The number of alerts not sent yet, summed over all chats."""
        return sum(chat.waiting for chat in self._chats.values())

    def reconfigure(
        self, token: str | None, owner: str | None, groups: Sequence[str] = (), *, base_url: str = BOT_API
    ) -> None:
        """Use these settings from now on. A chat in both old and new settings keeps its alerts."""
        settings = (token, owner, tuple(groups), base_url)
        # `on` is False after a refused token: then the same settings are tried again, since the token may work now.
        if settings == self._settings and self.on:
            return
        self._settings = settings
        self._jobs, self._clients = [], []
        before, self._chats, self._owner = self._chats, {}, None
        connect = self._connector(base_url) if token else None
        if token and connect is not None:
            # One client for each chat, because a client sends one request at a time: a request that hangs for its
            # time-out would hold up the other chats.
            for chat_id in dict.fromkeys(filter(None, (owner, *groups))):
                self._open_chat(chat_id, before.get(chat_id), BotApiClient(base_url, token, connect))
            if owner:
                self._owner = self._chats[owner]
                self._listen_to(owner, BotApiClient(base_url, token, connect))
        self._changed.set()

    def _connector(self, base_url: str) -> Connect | None:
        """Return the function that opens HTTP clients; None if the environment names a proxy that cannot be used."""
        try:
            return self._connect(base_url)
        except ConfigError as wrong:
            for problem in wrong.problems:
                logger.error(
                    "telegram cannot be reached: %s; alerts on the phone are off until this is corrected", problem
                )
            return None

    def _open_chat(self, chat_id: str, before: Chat | None, line: BotApiClient) -> None:
        address = ChatAddress.parse(chat_id)
        limit = self._rate_limits.setdefault(address.chat, SendRateLimit(group=address.is_group))
        chat = before or Chat(chat_id, line, self._title, self._reachability, limit, self._clock, self._rng)
        chat.client = line
        self._chats[chat_id] = chat
        self._jobs.append(chat.run)
        self._clients.append(line)

    def _listen_to(self, owner: str, line: BotApiClient) -> None:
        # In a private chat the chat's id is the person's id, a positive number. In a group anyone could give commands.
        number = ChatAddress.parse(owner).chat
        if not number.isdecimal():
            logger.info("telegram commands off: TELEGRAM_CHAT_ID is not a private chat")
            return
        commands = OwnerCommands(self._submit, self._answer)
        poller = UpdatePoller(line, int(number), commands, self._clock, self._rng, self._on_activity)
        self._jobs.append(poller.run)
        self._clients.append(line)

    def send(self, text: str, level: int = logging.INFO) -> None:
        """Queue `text` for every chat and return at once."""
        for chat in self._chats.values():
            chat.send(text, level)

    def _on_activity(self, names: tuple[str, ...]) -> None:
        for chat in self._chats.values():
            chat.on_activity(names)

    def _answer(self, text: str) -> None:
        if self._owner is not None:
            self._owner.send(text, logging.INFO)

    async def run(self) -> None:
        """Send alerts and poll for commands until cancelled. Raises only CancelledError."""
        while True:
            self._changed.clear()
            lines = self._clients
            try:
                async with asyncio.TaskGroup() as tasks:
                    workers = [tasks.create_task(self._work(job)) for job in self._jobs]
                    await self._changed.wait()
                    # `reconfigure` has replaced the jobs: end the old ones and start the new.
                    for worker in workers:
                        worker.cancel()
            finally:
                # Close the clients of the ended jobs; `self._clients` may hold the new ones already.
                for line in lines:
                    await line.close()

    async def _work(self, job: Job) -> None:
        """Run `job` until Telegram refuses the token.

        If `job` raises an unexpected exception, run it again after a pause.
        """
        while True:
            try:
                await job()
            except BotRefused as refused:
                self._switch_off(refused)
                return
            except Exception:  # a bug in the alerts must not end the trading
                logger.exception("telegram task failed restart_after_s=%g", _RESTART_JOB_AFTER_S)
                await self._clock.sleep(_RESTART_JOB_AFTER_S)

    def _switch_off(self, refused: BotRefused) -> None:
        if self.on:
            logger.error(
                "telegram rejects the bot's token: %s; alerts on the phone are off, check TELEGRAM_BOT_TOKEN",
                refused,
            )
            self._chats, self._owner, self._jobs, self._clients = {}, None, [], []
            self._changed.set()

    async def flush(self, within_s: float) -> None:
        """Send the waiting alerts at the shutdown.

        Alerts not sent within `within_s` seconds are dropped.
        """
        chats = list(self._chats.values())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s), asyncio.TaskGroup() as tasks:
                for chat in chats:
                    tasks.create_task(self._drain(chat, within_s))
        left = sum(chat.waiting for chat in chats)
        if left:
            logger.warning("telegram alerts not sent count=%d; the log file has them", left)

    async def _drain(self, chat: Chat, within_s: float) -> None:
        try:
            await chat.drain(within_s)
        except BotRefused as refused:
            self._switch_off(refused)
        except Exception:  # nor may a bug here change the exit code of the session
            logger.exception("telegram: alerts waiting at the shutdown could not be sent")
        finally:
            await chat.close()

"""Telegram poller: fetches the owner's commands from Telegram by long polling.

Commands are accepted only from the owner's private chat; the id of a private chat is the id of the person. Messages of
other people get no answer, because an answer would show that the bot is running. Messages sent before the start are
skipped: yesterday's "/stop" is not meant for today's session. `telegram_updates` tells which updates are new.
"""

import logging
import math
from collections.abc import Callable
from random import Random
from typing import Final

from trailingedge.core.clock import Clock
from trailingedge.notifications.telegram_api import BotApiClient, BotRefused, BotUnreachable
from trailingedge.notifications.telegram_commands import MENU, OwnerCommands
from trailingedge.notifications.telegram_sender import BACKOFF_BASE_S, BACKOFF_MAX_S
from trailingedge.notifications.telegram_updates import UpdateSequence, active_chat, read_message
from trailingedge.websocket.socket_dialer import Backoff

LONG_POLL_S: Final = 50  # how long Telegram may hold a request while there is no update
_TIMEOUT_S: Final = 10.0
_CONFLICT: Final = 409
_WEBHOOK: Final = "webhook"  # is in the text of a conflict with a webhook, and not in that with another process
_ALLOWED_UPDATES: Final = ("message", "my_chat_member")
_MIN_POLL_S: Final = 0.5

logger = logging.getLogger(__name__)


class UpdatePoller:
    """Fetches updates by long polling and passes the owner's messages to `commands`.

    `on_activity` receives the number and the @name of each chat that wrote to the bot, added it or
    unblocked it.
    """

    def __init__(
        self,
        line: BotApiClient,
        owner_id: int,
        commands: OwnerCommands,
        clock: Clock,
        chance: Random,
        on_activity: Callable[[tuple[str, ...]], None],
    ) -> None:
        self._client = line
        self._owner_id = owner_id
        self._commands = commands
        self._clock = clock
        self._backoff = Backoff(BACKOFF_BASE_S, BACKOFF_MAX_S, 0, chance)
        self._on_activity = on_activity
        self._sequence = UpdateSequence()
        self._introduced = False
        self._since_s = 0.0
        self._conflict_logged = False
        self._webhook_removed = False

    async def run(self) -> None:
        """Poll until cancelled. Raises BotRefused when the token is wrong."""
        while True:
            try:
                await self._poll()
            except BotUnreachable as unreachable:
                logger.debug("! telegram commands cannot be fetched, trying again: %s", unreachable)
                await self._clock.sleep(self._backoff.next_delay_s(0.0, str(unreachable)))
            except BotRefused as refused:
                if refused.token_is_wrong:
                    raise
                if await self._remove_webhook(refused):
                    continue
                self._log_refusal(refused)
                await self._clock.sleep(max(refused.wait_s, self._backoff.next_delay_s(0.0, str(refused))))
            else:
                self._backoff.reset_if_healthy(math.inf)

    async def _poll(self) -> None:
        if not self._introduced:
            self._commands.username = await self._own_username()
            await self._skip_old_updates()
            await self._show_menu()
            self._introduced = True
            return
        began_s = self._clock.now_s()
        new = self._sequence.accept(await self._updates(offset=self._sequence.offset, hold_s=LONG_POLL_S))
        for update in new:
            self._handle(update)
        if not new and self._clock.now_s() - began_s < _MIN_POLL_S:
            # A server that answers at once with nothing, or with the same updates again, must not be flooded.
            await self._clock.sleep(_MIN_POLL_S)

    async def _skip_old_updates(self) -> None:
        # A negative offset returns the newest update alone, and confirms all before it.
        self._sequence.accept(await self._updates(offset=-1, hold_s=0))
        # By Telegram's clock, which stamps the messages; the one of this machine may be wrong.
        self._since_s = self._client.server_time_s or self._clock.unix_ms() // 1000

    async def _own_username(self) -> str:
        """Return the bot's username, which a command may contain to address the bot."""
        bot = await self._client.call("getMe", {}, _TIMEOUT_S)
        username = bot.get("username") if isinstance(bot, dict) else None
        return username if isinstance(username, str) else ""

    async def _show_menu(self) -> None:
        """Set the list of commands that the phone's keyboard offers. A failure is only logged."""
        menu = [{"command": name, "description": what} for name, what in MENU.items()]
        try:
            await self._client.call(
                "setMyCommands", {"commands": menu, "scope": {"type": "chat", "chat_id": self._owner_id}}, _TIMEOUT_S
            )
        except (BotRefused, BotUnreachable) as error:
            logger.debug("! telegram command menu not set: %s", error)

    async def _updates(self, *, offset: int | None, hold_s: int) -> list[object]:
        fields: dict[str, object] = {"timeout": hold_s, "allowed_updates": _ALLOWED_UPDATES}
        if offset is not None:
            fields["offset"] = offset
        updates = await self._client.call("getUpdates", fields, hold_s + _TIMEOUT_S)
        return updates if isinstance(updates, list) else []

    def _handle(self, update: object) -> None:
        # First, so that a chat that refused our messages is tried again when its answer is queued.
        self._on_activity(active_chat(update))
        message = read_message(update)
        if message is None or message.date_s < self._since_s:
            return
        # Both ids: a message in the owner's chat that another account sent would be a forgery.
        if message.chat_id != self._owner_id or message.sender_id != self._owner_id:
            logger.debug(
                "telegram message not from the owner ignored chat=%d sender=%d", message.chat_id, message.sender_id
            )
            return
        self._commands.handle(message.text, self._clock.now_s())

    async def _remove_webhook(self, refused: BotRefused) -> bool:
        """Remove the bot's webhook if it is the reason of the refusal. Returns whether it was removed.

        While a webhook is set, Telegram sends all updates to it and refuses getUpdates. It is removed only once in a
        session: if a webhook is set again, another program uses the bot, and a person must decide which of the two may.
        """
        if not _is_webhook_conflict(refused) or self._webhook_removed:
            return False
        try:
            await self._client.call("deleteWebhook", {}, _TIMEOUT_S)
        except (BotRefused, BotUnreachable) as error:
            logger.debug("! telegram webhook not removed: %s", error)
            return False
        self._webhook_removed = True
        logger.warning("telegram webhook of this bot removed, because it kept commands from being fetched")
        return True

    def _log_refusal(self, refused: BotRefused) -> None:
        if refused.code != _CONFLICT:
            logger.debug("! telegram refuses to deliver commands, trying again: %s", refused)
        elif not self._conflict_logged:
            self._conflict_logged = True
            if _is_webhook_conflict(refused):
                logger.warning(
                    "telegram webhook keeps commands from being fetched: %s; call the Bot API's deleteWebhook and stop "
                    "the program that sets it, or give this instance its own bot",
                    refused,
                )
                return
            # Telegram serves one getUpdates per token and ends the others. With two instances, each command of the
            # owner then reaches a random one of them.
            logger.warning(
                "telegram conflict: another process polls with this bot's token: %s; give each instance its own bot",
                refused,
            )


def _is_webhook_conflict(refused: BotRefused) -> bool:
    return refused.code == _CONFLICT and _WEBHOOK in refused.text.lower()

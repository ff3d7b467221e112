"""Long polling for the owner's commands on Telegram.

Only the owner's private chat can give commands; the id of a private chat equals the id of its person. Messages of
others get no answer, because an answer would show that the bot runs. Messages sent before the start are skipped:
yesterday's "/stop" is not meant for today's session.
"""

import logging
import math
from random import Random
from typing import Final

from trailingedge.core.clock import Clock
from trailingedge.notifications.telegram_api import BotApiClient, BotRefused, BotUnreachable
from trailingedge.notifications.telegram_commands import MENU, OwnerCommands, read_message
from trailingedge.notifications.telegram_sender import BACKOFF_BASE_S, BACKOFF_MAX_S
from trailingedge.websocket.socket_dialer import Backoff

LONG_POLL_S: Final = 50  # how long Telegram may hold a request while there is no update
_TIMEOUT_S: Final = 10.0
_CONFLICT: Final = 409
_MIN_POLL_S: Final = 0.5

logger = logging.getLogger(__name__)


class UpdatePoller:
    """Fetches messages by long polling and passes the owner's messages to `commands`."""

    def __init__(
        self, line: BotApiClient, owner_id: int, commands: OwnerCommands, clock: Clock, chance: Random
    ) -> None:
        self._client = line
        self._owner_id = owner_id
        self._commands = commands
        self._clock = clock
        self._backoff = Backoff(BACKOFF_BASE_S, BACKOFF_MAX_S, 0, chance)
        self._next_id: int | None = None  # of the first update not seen yet; None before the first poll
        self._since_s = 0.0
        self._conflict_logged = False

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
                self._log_refusal(refused)
                await self._clock.sleep(max(refused.wait_s, self._backoff.next_delay_s(0.0, str(refused))))
            else:
                self._backoff.reset_if_healthy(math.inf)

    async def _poll(self) -> None:
        if self._next_id is None:
            await self._skip_old_updates()
            await self._show_menu()
            return
        began_s = self._clock.now_s()
        updates = await self._updates(offset=self._next_id, hold_s=LONG_POLL_S)
        self._handle(updates)
        if not updates and self._clock.now_s() - began_s < _MIN_POLL_S:
            await self._clock.sleep(_MIN_POLL_S)  # a server that answers at once without updates must not be flooded

    async def _skip_old_updates(self) -> None:
        # A negative offset returns the newest update alone, and confirms all before it.
        newest = await self._updates(offset=-1, hold_s=0)
        self._next_id = max(map(_number, newest), default=-1) + 1
        # By Telegram's clock, which stamps the messages; the one of this machine may be wrong.
        self._since_s = self._client.server_time_s or self._clock.unix_ms() // 1000

    async def _show_menu(self) -> None:
        """Set the list of commands that the phone's keyboard offers. A failure is only logged."""
        menu = [{"command": name, "description": what} for name, what in MENU.items()]
        try:
            await self._client.call(
                "setMyCommands", {"commands": menu, "scope": {"type": "chat", "chat_id": self._owner_id}}, _TIMEOUT_S
            )
        except (BotRefused, BotUnreachable) as error:
            logger.debug("! telegram command menu not set: %s", error)

    async def _updates(self, *, offset: int, hold_s: int) -> list[object]:
        fields = {"offset": offset, "timeout": hold_s, "allowed_updates": ["message"]}
        updates = await self._client.call("getUpdates", fields, hold_s + _TIMEOUT_S)
        return updates if isinstance(updates, list) else []

    def _handle(self, updates: list[object]) -> None:
        for update in updates:
            # Requesting the next id confirms this update. Count unreadable ones too, else they would return for ever.
            self._next_id = max(self._next_id or 0, _number(update) + 1)
            message = read_message(update)
            if message is None or message.date_s < self._since_s:
                continue
            # Both ids: a message in the owner's chat that another account sent would be a forgery.
            if message.chat_id != self._owner_id or message.sender_id != self._owner_id:
                logger.debug(
                    "telegram message not from the owner ignored chat=%d sender=%d",
                    message.chat_id,
                    message.sender_id,
                )
                continue
            self._commands.handle(message.text, self._clock.now_s())

    def _log_refusal(self, refused: BotRefused) -> None:
        # 409: Telegram serves one getUpdates per token and ends the others. With two instances, each command of the
        # owner then reaches a random one of them.
        if refused.code != _CONFLICT:
            logger.debug("! telegram refuses to deliver commands, trying again: %s", refused)
        elif not self._conflict_logged:
            self._conflict_logged = True
            logger.warning(
                "telegram conflict: another process polls with this bot's token: %s; give each instance its own bot",
                refused,
            )


def _number(update: object) -> int:
    """Return the id of an update, or -1 if the update has none."""
    number = update.get("update_id") if isinstance(update, dict) else None
    return number if isinstance(number, int) else -1

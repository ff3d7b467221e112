"""Listens for the owner's commands, by long polling.

Only a private chat can give commands: there the sender is who the chat is. Everybody else is ignored in
silence, for an answer would tell a stranger that somebody is there. What was sent before we listened is
thrown away: yesterday's "/stop" is not meant for today's session.
"""

import logging
import math
from random import Random
from typing import Final

from trailingedge.core.clock import Clock
from trailingedge.notifications.telegram_api import BotApiClient, BotRefused, BotUnreachable
from trailingedge.notifications.telegram_chat import BACKOFF_BASE_S, BACKOFF_MAX_S
from trailingedge.notifications.telegram_commands import MENU, OwnerCommands, read_message
from trailingedge.websocket.transport import Backoff

LONG_POLL_S: Final = 50  # how long Telegram may hold a question that it has no answer to
_PATIENCE_S: Final = 10.0
_CONFLICT: Final = 409
_AT_ONCE_S: Final = 0.5

logger = logging.getLogger(__name__)


class UpdatePoller:
    """Hands what the owner says to `commands`."""

    def __init__(
        self, line: BotApiClient, owner_id: int, commands: OwnerCommands, clock: Clock, chance: Random
    ) -> None:
        self._client = line
        self._owner_id = owner_id
        self._commands = commands
        self._clock = clock
        self._backoff = Backoff(BACKOFF_BASE_S, BACKOFF_MAX_S, 0, chance)
        self._next_id: int | None = None  # of the first update that we have not seen; None before the first look
        self._since_s = 0.0
        self._conflict_logged = False

    async def run(self) -> None:
        """Until cancelled. Raises BotRefused when the token is wrong."""
        while True:
            try:
                await self._poll()
            except BotUnreachable as unreachable:
                logger.debug("! telegram commands: %s", unreachable)
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
            await self._skip_the_past()
            await self._show_menu()
            return
        began_s = self._clock.now_s()
        updates = await self._updates(offset=self._next_id, hold_s=LONG_POLL_S)
        self._handle(updates)
        if not updates and self._clock.now_s() - began_s < _AT_ONCE_S:
            await self._clock.sleep(_AT_ONCE_S)  # whoever does not hold the question is not to be flooded with it

    async def _skip_the_past(self) -> None:
        newest = await self._updates(offset=-1, hold_s=0)
        self._next_id = max(map(_number, newest), default=-1) + 1
        # By Telegram's clock, which stamps the messages; ours may be wrong.
        self._since_s = self._client.server_time_s or self._clock.unix_ms() // 1000

    async def _show_menu(self) -> None:
        """Offer the commands as the phone's keyboard lists them. It is a courtesy: nothing hangs on it."""
        menu = [{"command": name, "description": what} for name, what in MENU.items()]
        try:
            await self._client.call(
                "setMyCommands", {"commands": menu, "scope": {"type": "chat", "chat_id": self._owner_id}}, _PATIENCE_S
            )
        except (BotRefused, BotUnreachable) as trouble:
            logger.debug("! telegram menu: %s", trouble)

    async def _updates(self, *, offset: int, hold_s: int) -> list[object]:
        fields = {"offset": offset, "timeout": hold_s, "allowed_updates": ["message"]}
        updates = await self._client.call("getUpdates", fields, hold_s + _PATIENCE_S)
        return updates if isinstance(updates, list) else []

    def _handle(self, updates: list[object]) -> None:
        for update in updates:
            self._next_id = max(self._next_id or 0, _number(update) + 1)
            said = read_message(update)
            if said is None or said.date_s < self._since_s:
                continue
            if said.chat_id != self._owner_id or said.sender_id != self._owner_id:
                logger.debug("telegram message ignored chat=%d sender=%d", said.chat_id, said.sender_id)
                continue
            self._commands.handle(said.text, self._clock.now_s())

    def _log_refusal(self, refused: BotRefused) -> None:
        if refused.code != _CONFLICT:
            logger.debug("! telegram commands: %s", refused)
        elif not self._conflict_logged:
            self._conflict_logged = True
            logger.warning(
                "telegram commands go to somebody else as well: %s; give each instance a bot of its own", refused
            )


def _number(update: object) -> int:
    """The update's id, -1 where it has none."""
    number = update.get("update_id") if isinstance(update, dict) else None
    return number if isinstance(number, int) else -1

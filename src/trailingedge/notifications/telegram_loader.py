"""The Telegram service of a session: loads the bot and its HTTP library when a bot is configured for the first time."""

import asyncio
import logging
from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING

from trailingedge.core.clock import Clock
from trailingedge.model.operator_commands import CommandSink

if TYPE_CHECKING:
    from trailingedge.notifications.telegram import Telegram


class TelegramService:
    """Sends alerts by Telegram, from the first `configure` call that has a token."""

    def __init__(self, *, title: str, obey: CommandSink, clock: Clock, chance: Random) -> None:
        self._title = title
        self._submit = obey
        self._clock = clock
        self._rng = chance
        self._telegram: Telegram | None = None
        self._configured = asyncio.Event()

    def configure(self, token: str | None, owner: str | None, groups: Sequence[str], base_url: str | None) -> None:
        """Use these settings from now on. If `base_url` is None, Telegram's own URL is used."""
        if self._telegram is None and not token:
            return
        # Imported late: a daemon without a bot never loads the HTTP library and its modules.
        from trailingedge.notifications.telegram import Telegram
        from trailingedge.notifications.telegram_api import BOT_API

        if self._telegram is not None:
            self._telegram.reconfigure(token, owner, groups, base_url=base_url or BOT_API)
            return
        self._telegram = Telegram(
            token,
            owner,
            groups,
            title=self._title,
            obey=self._submit,
            clock=self._clock,
            chance=self._rng,
            base_url=base_url or BOT_API,
        )
        self._configured.set()

    def send(self, text: str, level: int = logging.INFO) -> None:
        """Queue `text` for every chat and return at once."""
        if self._telegram is not None:
            self._telegram.send(text, level)

    async def run(self) -> None:
        """Send alerts and poll for commands until cancelled."""
        await self._configured.wait()
        if self._telegram is not None:
            await self._telegram.run()

    async def flush(self, within_s: float) -> None:
        """Send the waiting alerts, for at most `within_s` seconds."""
        if self._telegram is not None:
            await self._telegram.flush(within_s)

"""One chat: what waits for it, and the task that sends it.

Each chat keeps its own pace, its own patience and its own connection, so that a group that threw us out or
a chat that hangs delays no other. A message whose fate is not known is sent again: an alert that comes
twice is better than one that never came.
"""

import asyncio
import logging
import math
from random import Random
from typing import Final

from trailingedge.core.clock import Clock
from trailingedge.notifications.telegram_api import BotApiClient, BotRefused, BotUnreachable
from trailingedge.notifications.telegram_outbox import MIN_GAP_S, Outbox, OutgoingMessage, SendRateLimit
from trailingedge.websocket.transport import Backoff

# Longer than most resolvers take to give up: names are looked up in threads, and the threads are few.
SEND_TIMEOUT_S: Final = 20.0
BACKOFF_BASE_S: Final = 1.0
BACKOFF_MAX_S: Final = 60.0
UNUSABLE_RETRY_S: Final = 900.0
_ASKED_TO_WAIT_S: Final = 5.0  # where Telegram asks for patience and does not say how much

logger = logging.getLogger(__name__)


class TelegramReachability:
    """Whether Telegram can be reached, said once for all chats when it changes."""

    def __init__(self) -> None:
        self._away = False

    def on_failure(self, reason: str) -> None:
        if not self._away:
            self._away = True
            logger.warning("telegram cannot be reached: %s; alerts wait until it can", reason)

    def on_success(self) -> None:
        if self._away:
            self._away = False
            logger.info("telegram can be reached again")


class Chat:
    """Sends what is put in, in order, as fast as Telegram takes it. `id` is a number, or @name."""

    def __init__(
        self, chat_id: str, line: BotApiClient, title: str, reach: TelegramReachability, clock: Clock, chance: Random
    ) -> None:
        self.id = chat_id
        self.client = line
        self._address = chat_id
        self._title = title
        self._reachability = reach
        self._clock = clock
        self._backoff = Backoff(BACKOFF_BASE_S, BACKOFF_MAX_S, 0, chance)
        self._outbox = Outbox()
        self._rate_limit = SendRateLimit(group=chat_id.startswith(("-", "@")))
        self._filled = asyncio.Event()
        self._sending = asyncio.Lock()
        self._in_flight = 0
        self._unusable = False

    @property
    def waiting(self) -> int:
        """How many alerts are still to arrive."""
        return len(self._outbox) + self._in_flight

    def send(self, text: str, level: int) -> None:
        """Put `text` in and return at once."""
        self._outbox.add(text, level, self._clock.unix_ms())
        self._filled.set()

    async def run(self) -> None:
        """Until cancelled. Raises BotRefused when the token is wrong."""
        while True:
            await self._filled.wait()
            await self._pause(self._rate_limit.wait_s(self._clock.now_s()))
            await self._pause(await self._deliver())

    async def drain(self, within_s: float) -> None:
        """Send all that waits, without regard for the pace, as long as that can come true `within_s`.

        Raises BotRefused when the token is wrong.
        """
        until_s = self._clock.now_s() + within_s
        while self.waiting:
            pause_s = await self._deliver()
            if self._clock.now_s() + pause_s >= until_s:
                return
            await self._pause(pause_s)

    async def close(self) -> None:
        """Let go of the connection, unless somebody is speaking."""
        if not self._sending.locked():
            await self.client.close()

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            await self._clock.sleep(seconds)

    async def _deliver(self) -> float:
        """Send what waits, as one message; how long to wait before the next."""
        async with self._sending:
            message = self._outbox.take()
            if message is None:
                self._filled.clear()
                return 0.0
            settled, self._in_flight = False, len(message.alerts)
            try:
                await self._post(message)
                settled = True
            except BotUnreachable as unreachable:
                self._reachability.on_failure(str(unreachable))
                return self._backoff.next_delay_s(0.0, str(unreachable))
            except BotRefused as refused:
                if refused.token_is_wrong:
                    raise
                settled = refused.message_at_fault
                return self._wait_after(refused)
            finally:
                self._in_flight = 0
                if not settled:  # cancelled, too
                    self._outbox.put_back(message)
            self._sent()
            return 0.0

    async def _post(self, message: OutgoingMessage) -> None:
        """As HTML; should Telegram not read that as we mean it, plain."""
        now_ms = self._clock.unix_ms()
        fields = {"chat_id": self._address, "link_preview_options": {"is_disabled": True}}
        marked_up = fields | {"text": message.text(self._title, now_ms, marked_up=True), "parse_mode": "HTML"}
        try:
            await self.client.call("sendMessage", marked_up, SEND_TIMEOUT_S)
        except BotRefused as refused:
            if not refused.cannot_parse:
                raise
            logger.warning("telegram cannot read an alert's mark-up, so it goes plain: %s", refused)
            plain = fields | {"text": message.text(self._title, now_ms, marked_up=False)}
            await self.client.call("sendMessage", plain, SEND_TIMEOUT_S)

    def _sent(self) -> None:
        self._rate_limit.sent(self._clock.now_s())
        self._reachability.on_success()
        self._backoff.reset_if_healthy(math.inf)
        if self._unusable:
            self._unusable = False
            logger.info("telegram chat %s takes alerts again", self.id)

    def _wait_after(self, refused: BotRefused) -> float:
        """What a refusal means for this chat."""
        self._reachability.on_success()
        if refused.moved_to is not None:
            logger.warning("telegram chat %s is now %d: put that into the settings", self.id, refused.moved_to)
            self._address = str(refused.moved_to)
            return MIN_GAP_S
        if refused.code == 429:
            wait_s = refused.wait_s or _ASKED_TO_WAIT_S
            logger.info("telegram asks for patience chat=%s wait_s=%g", self.id, wait_s)
            return wait_s
        if refused.message_at_fault:
            logger.warning("telegram does not take an alert, which is in the log: %s", refused)
            return 0.0
        if not self._unusable:
            self._unusable = True
            logger.warning(
                "telegram chat %s is given up: %s; let the bot into it, or change the settings", self.id, refused
            )
        return UNUSABLE_RETRY_S

"""A Telegram chat: its outbox, its rate limit, and the task that sends to it.

Each chat has its own rate limit, back-off and connection. So a group that removed the bot, or a request that hangs,
does not delay other chats. A message whose outcome is unknown is sent again: an alert that comes twice is better than
one that never comes.
"""

import asyncio
import contextlib
import logging
import math
from random import Random
from typing import Final, NamedTuple

from trailingedge.core.clock import Clock, within
from trailingedge.notifications.telegram_address import ChatAddress
from trailingedge.notifications.telegram_api import BotApiClient, BotRefused, BotUnreachable
from trailingedge.notifications.telegram_outbox import MIN_GAP_S, Outbox, OutgoingMessage, SendRateLimit
from trailingedge.websocket.socket_dialer import Backoff

# Longer than most resolvers need to give up: name lookups run in threads, and a cancelled one keeps its thread.
SEND_TIMEOUT_S: Final = 20.0
BACKOFF_BASE_S: Final = 1.0
BACKOFF_MAX_S: Final = 60.0
UNUSABLE_RETRY_S: Final = 900.0
_DEFAULT_RETRY_AFTER_S: Final = 5.0  # for a 429 without retry_after

logger = logging.getLogger(__name__)


class TelegramReachability:
    """Logs a change of Telegram's reachability once, not once for each chat."""

    def __init__(self) -> None:
        self._away = False

    def on_failure(self, reason: str) -> None:
        if not self._away:
            self._away = True
            logger.warning("telegram unreachable reason=%s; alerts wait until it answers", reason)

    def on_success(self) -> None:
        if self._away:
            self._away = False
            logger.info("telegram reachable again")


class _Pause(NamedTuple):
    """The pause in seconds before the next message. If `is_backoff`, activity in the chat ends the pause early."""

    seconds: float
    is_backoff: bool = False


class Chat:
    """Sends the queued alerts in order, as fast as the rate limit allows. `id` is the chat as the settings name it.

    `rate_limit` is shared by all topics of a group.
    """

    def __init__(
        self,
        chat_id: str,
        line: BotApiClient,
        title: str,
        reach: TelegramReachability,
        rate_limit: SendRateLimit,
        clock: Clock,
        chance: Random,
    ) -> None:
        self.id = chat_id
        self.client = line
        self._address = ChatAddress.parse(chat_id)
        self._title = title
        self._reachability = reach
        self._clock = clock
        self._backoff = Backoff(BACKOFF_BASE_S, BACKOFF_MAX_S, 0, chance)
        self._outbox = Outbox()
        self._rate_limit = rate_limit
        self._filled = asyncio.Event()
        self._in_reach = asyncio.Event()
        self._sending = asyncio.Lock()
        self._in_flight = 0
        self._unusable = False

    @property
    def waiting(self) -> int:
        """The number of alerts that are queued or being sent."""
        return len(self._outbox) + self._in_flight

    def send(self, text: str, level: int) -> None:
        """Queue `text` and return at once."""
        self._outbox.add(text, level, self._clock.unix_ms())
        self._filled.set()

    def on_activity(self, names: tuple[str, ...]) -> None:
        """End a back-off if `names` are those of this chat: the number and the @name of the chat that was active.

        A person in the chat has written to the bot, added it or unblocked it, so the next message is likely to arrive.
        """
        if self._address.chat.lower() in names:
            self._backoff.reset_if_healthy(math.inf)
            self._in_reach.set()

    async def run(self) -> None:
        """Send until cancelled. Raises BotRefused when the token is wrong."""
        while True:
            await self._filled.wait()
            await self._wait(_Pause(self._rate_limit.wait_s(self._clock.now_s())))
            await self._wait(await self._deliver())

    async def drain(self, within_s: float) -> None:
        """Send all waiting alerts, ignoring the rate limit, for at most `within_s` seconds.

        Raises BotRefused when the token is wrong.
        """
        until_s = self._clock.now_s() + within_s
        while self.waiting:
            pause = await self._deliver()
            # A retry that cannot end in time is not begun: the shutdown has 5 s for everything.
            if self._clock.now_s() + pause.seconds >= until_s:
                return
            await self._wait(pause)

    async def close(self) -> None:
        """Close the connection, unless a message is being sent over it."""
        if not self._sending.locked():
            await self.client.close()

    async def _wait(self, pause: _Pause) -> None:
        if pause.is_backoff:
            with contextlib.suppress(TimeoutError):
                async with within(self._clock, pause.seconds):
                    await self._in_reach.wait()
        elif pause.seconds > 0:
            await self._clock.sleep(pause.seconds)

    async def _deliver(self) -> _Pause:
        """Send waiting alerts as one message. Return the pause before the next message."""
        async with self._sending:
            message = self._outbox.take()
            if message is None:
                self._filled.clear()
                return _Pause(0.0)
            # Activity from here on may be newer than a refusal of this message.
            self._in_reach.clear()
            # The alerts have left the outbox. Each path below sends them, drops them because Telegram refused them,
            # or puts them back at the front: a cancelled task must not lose an alert.
            settled, self._in_flight = False, len(message.alerts)
            try:
                await self._post(message)
                settled = True
            except BotUnreachable as unreachable:
                self._reachability.on_failure(str(unreachable))
                return _Pause(self._backoff.next_delay_s(0.0, str(unreachable)), is_backoff=True)
            except BotRefused as refused:
                if refused.token_is_wrong:
                    raise
                settled = refused.message_at_fault
                return self._pause_after(refused)
            finally:
                self._in_flight = 0
                if not settled:  # also after a cancellation
                    self._outbox.put_back(message)
            self._sent()
            return _Pause(0.0)

    async def _post(self, message: OutgoingMessage) -> None:
        """Send `message` as HTML, or as plain text if Telegram cannot parse the HTML."""
        now_ms = self._clock.unix_ms()
        fields = self._address.fields() | {"link_preview_options": {"is_disabled": True}}
        marked_up = fields | {"text": message.text(self._title, now_ms, marked_up=True), "parse_mode": "HTML"}
        try:
            await self.client.call("sendMessage", marked_up, SEND_TIMEOUT_S)
        except BotRefused as refused:
            if not refused.cannot_parse:
                raise
            logger.warning("telegram cannot parse an alert's HTML, sending it as plain text: %s", refused)
            plain = fields | {"text": message.text(self._title, now_ms, marked_up=False)}
            await self.client.call("sendMessage", plain, SEND_TIMEOUT_S)

    def _sent(self) -> None:
        self._rate_limit.sent(self._clock.now_s())
        self._reachability.on_success()
        # A success resets the back-off at once, without the minute of health that market connections need.
        self._backoff.reset_if_healthy(math.inf)
        if self._unusable:
            self._unusable = False
            logger.info("telegram chat usable again chat=%s", self.id)

    def _pause_after(self, refused: BotRefused) -> _Pause:
        """Handle Telegram's refusal of a message. Return the pause before the next message."""
        # A refusal is a reply, so Telegram is reachable.
        self._reachability.on_success()
        if refused.moved_to is not None:
            logger.warning("telegram chat moved chat=%s new_id=%d; change the setting", self.id, refused.moved_to)
            # The new id is used for this session only. The setting still has the old one, hence the warning.
            self._address = self._address.moved_to(refused.moved_to)
            return _Pause(MIN_GAP_S)
        if refused.code == 429:
            wait_s = refused.wait_s or _DEFAULT_RETRY_AFTER_S
            logger.info("telegram rate limit reached chat=%s retry_after_s=%g", self.id, wait_s)
            return _Pause(wait_s)
        if refused.message_at_fault:
            logger.warning("telegram refused an alert: %s; the alert is in the log file", refused)
            return _Pause(0.0)
        if not self._unusable:
            self._unusable = True
            logger.warning(
                "telegram chat unusable chat=%s: %s; write to the bot there, add the bot to it, or change the setting",
                self.id,
                refused,
            )
        # The bot was removed, blocked or never started. Only a person can change that, so the next try comes late,
        # unless the chat shows that it is within reach.
        return _Pause(UNUSABLE_RETRY_S, is_backoff=True)

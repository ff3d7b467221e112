"""Subscription to a daemon: receives its lines, and connects again after the daemon was restarted."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from trailingedge.commands.remote_control import none_answers
from trailingedge.core.errors import TrailingEdgeError
from trailingedge.live import control_socket
from trailingedge.live.control_socket import NoRunningDaemon
from trailingedge.live.feed_format import FeedLine, UnreadableFeed, parse

RETRY_S: Final = 1.0
FIRST_LINE_S: Final = 20.0  # a daemon that is busy starting may be slow

Pause = Callable[[float], Awaitable[None]]


class Watcher(Protocol):
    """Interface of an object that receives the lines of a subscription."""

    async def on_line(self, fields: FeedLine, text: bytes) -> None:
        """Handle one line, which was sent as `text`."""
        ...

    async def on_lost(self, reason: str) -> None:
        """Called when the connection to the daemon is lost. Lines follow once it is back."""
        ...


class SubscriptionRefused(TrailingEdgeError):
    """Raised if a daemon refuses the subscription: it is too old, or too many clients are watching."""


class Subscription:
    """Watches the first daemon that answers at one of `places`.

    `place` is that daemon's socket, None while no daemon answers.
    """

    def __init__(self, places: Sequence[Path], watcher: Watcher, pause: Pause = asyncio.sleep) -> None:
        self.place: Path | None = None
        self._places = places
        self._watcher = watcher
        self._pause = pause

    async def run(self) -> None:
        """Deliver lines until cancelled.

        Raises NoRunningDaemon if no daemon answers at the beginning, SubscriptionRefused if the daemon refuses.
        """
        seen = False
        while True:
            try:
                reader, writer = await self._connect()
            except NoRunningDaemon:
                if not seen:
                    raise
                await self._pause(RETRY_S)
                continue
            try:
                reason = await self._deliver(reader)
            finally:
                writer.close()
            seen, self.place = True, None
            await self._watcher.on_lost(reason)
            await self._pause(RETRY_S)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        tried = []
        for place in self._places:
            try:
                found = await control_socket.subscribe(place)
            except NoRunningDaemon as no_daemon:
                tried.append((place, no_daemon))
            else:
                self.place = place
                return found
        raise none_answers(tried, "watch")

    async def _deliver(self, reader: asyncio.StreamReader) -> str:
        """Deliver the lines of one connection. Returns why it ended."""
        reason = "its connection ended without a reason: it was killed, or it has crashed"
        with contextlib.suppress(OSError):
            async with asyncio.timeout(FIRST_LINE_S) as limit:
                # A line without an end is what a killed daemon has left.
                while (text := await reader.readline()).endswith(b"\n"):
                    limit.reschedule(None)
                    fields = _parsed(text)
                    if fields["type"] == "end":
                        reason = str(fields.get("reason"))
                    await self._watcher.on_line(fields, text)
        return reason


def _parsed(text: bytes) -> FeedLine:
    """Return the fields of a line. Raises SubscriptionRefused for a refusal, NoRunningDaemon for anything else."""
    try:
        return parse(text)
    except UnreadableFeed:
        response = control_socket.parse_response(text)
    raise SubscriptionRefused(f"the daemon refused the subscription: {response['text']}")

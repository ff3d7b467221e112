"""Preconnect: dials the exchange while the program is still loading, so that connections are open when they are needed.

A handshake mostly waits for the network (three round trips with TLS), and importing the rest of the program mostly uses
the processor. So a start does both at the same time.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from trailingedge.websocket.socket_dialer import Dial, Socket

Attempt = asyncio.Task[Socket | Exception]


class Preconnect:
    """Dials URLs ahead of time: `start` begins to dial a URL, and the first `dial` of that URL gets the connection."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._attempts: dict[str, Attempt] = {}

    def start(self, url: str, tasks: asyncio.TaskGroup) -> None:
        """Start to dial `url`, in a new task of the group `tasks`."""
        self._attempts[url] = tasks.create_task(self._try(url))

    async def wait(self, timeout_s: float) -> None:
        """Wait at most `timeout_s` for all started attempts to finish."""
        if self._attempts:
            await asyncio.wait(self._attempts.values(), timeout=timeout_s)

    async def dial(self, url: str) -> Socket:
        """Return an open connection: the connection that `start` began, or a new one.

        Raises what the dial function raises.
        """
        # Used once: a reconnect must dial again, and two callers must not share a connection.
        attempt = self._attempts.pop(url, None)
        if attempt is None:
            return await self._dial(url)
        result = await attempt
        if isinstance(result, Exception):
            raise result
        return result

    async def close_unused(self) -> None:
        """Cancel or close every connection that `start` began and no `dial` used."""
        while self._attempts:
            _, attempt = self._attempts.popitem()
            attempt.cancel()
            await asyncio.wait([attempt])
            # The attempt may have finished before the cancel took effect: then its connection is open.
            if not attempt.cancelled() and not isinstance(result := attempt.result(), Exception):
                await result.close()

    async def _try(self, url: str) -> Socket | Exception:
        try:
            return await self._dial(url)
        except Exception as failure:  # noqa: BLE001 - `dial` raises it; here it would end the task group
            return failure


@contextlib.asynccontextmanager
async def preconnect(dial: Dial, *urls: str) -> AsyncIterator[Preconnect]:
    """Start to dial each of `urls`, in that order, and close unused connections at the end."""
    start = Preconnect(dial)
    async with asyncio.TaskGroup() as tasks:
        for url in urls:
            start.start(url, tasks)
        try:
            yield start
        finally:
            await start.close_unused()


def market_url(base_url: str, symbol: str, interval: str) -> str:
    """Return the URL of the combined stream of best prices and klines of one symbol."""
    streams = f"{symbol.lower()}@bookTicker/{symbol.lower()}@kline_{interval}"
    return f"{base_url.rstrip('/')}/stream?streams={streams}"

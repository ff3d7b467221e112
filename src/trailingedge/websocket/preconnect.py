"""A dial that has begun before anybody asks for it.

A handshake is mostly waiting, and so is loading whoever wants the connection: the two can be spent together.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from trailingedge.websocket.transport import Dial, Socket

Attempt = asyncio.Task[Socket | Exception]


class Preconnect:
    """Dials as `dial` does; the first who asks for an address that was begun with gets what came of that."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._attempts: dict[str, Attempt] = {}

    def start(self, url: str, tasks: asyncio.TaskGroup) -> None:
        """Dial `url`, as one of `tasks`."""
        self._attempts[url] = tasks.create_task(self._try(url))

    async def wait(self, within_s: float) -> None:
        """Let what was begun be answered, as far as that comes of it `within_s`."""
        if self._attempts:
            await asyncio.wait(self._attempts.values(), timeout=within_s)

    async def dial(self, url: str) -> Socket:
        """An open connection. Raises what `dial` does."""
        attempt = self._attempts.pop(url, None)
        if attempt is None:
            return await self._dial(url)
        came = await attempt
        if isinstance(came, Exception):
            raise came
        return came

    async def close_unused(self) -> None:
        """Nobody asks any more: leave no connection behind."""
        while self._attempts:
            _, attempt = self._attempts.popitem()
            attempt.cancel()
            await asyncio.wait([attempt])
            if not attempt.cancelled() and not isinstance(came := attempt.result(), Exception):
                await came.close()

    async def _try(self, url: str) -> Socket | Exception:
        try:
            return await self._dial(url)
        except Exception as failure:  # noqa: BLE001 - whoever asks shall judge, and it must not end the others
            return failure


@contextlib.asynccontextmanager
async def preconnect(dial: Dial, *urls: str) -> AsyncIterator[Preconnect]:
    """Begin to dial each of `urls`, in that order. What nobody has asked for in the end is closed again."""
    start = Preconnect(dial)
    async with asyncio.TaskGroup() as tasks:
        for url in urls:
            start.start(url, tasks)
        try:
            yield start
        finally:
            await start.close_unused()


def market_url(base_url: str, symbol: str, interval: str) -> str:
    """Best prices and klines of one symbol, over one connection."""
    streams = f"{symbol.lower()}@bookTicker/{symbol.lower()}@kline_{interval}"
    return f"{base_url.rstrip('/')}/stream?streams={streams}"

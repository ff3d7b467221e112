"""Keepalive of a WebSocket connection, as the real exchange does it.

The exchange pings a connection every 20 seconds, even if other frames are sent. The payload of a ping is the exchange's
time in milliseconds, as text. The client must return it in a pong. A client that does not do so within a minute is
disconnected.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from trailingedge.core.clock import Clock

PING_INTERVAL_S: Final = 20.0
PONG_DEADLINE_S: Final = 60.0


async def keep_alive(websocket: ServerConnection, clock: Clock) -> None:
    """Ping the client until the connection ends. Close the connection if a ping has no pong after a minute."""
    unanswered: deque[tuple[float, asyncio.Future[float]]] = deque()  # the time of each ping, and its pong
    try:
        while True:
            await clock.sleep(PING_INTERVAL_S)
            while unanswered and unanswered[0][1].done():
                unanswered.popleft()
            if unanswered and clock.now_s() - unanswered[0][0] >= PONG_DEADLINE_S:
                await websocket.close(1008, "Pong timeout")
                return
            pong: Awaitable[float] = await websocket.ping(str(clock.unix_ms()))
            unanswered.append((clock.now_s(), asyncio.ensure_future(pong)))
    except ConnectionClosed:
        return

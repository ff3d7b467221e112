"""Transports between a client and the connection hub: a WebSocket, and a pair of queues in memory.

Each transport queues what the hub sends and delivers it in its own task. So a client's handler never runs inside a call
of the hub. It cannot send a request while the hub is still publishing the events of the last request.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from trailingedge.core.clock import Clock
from trailingedge.core.errors import SessionLost
from trailingedge.simulator.api.session import CloseConnection

MAX_QUEUED_FRAMES: Final = 50_000  # a client that falls further behind is disconnected
MAX_FRAME_CHARS: Final = 16 * 1024 * 1024
ABNORMAL_CLOSURE: Final = 1006  # RFC 6455: never sent; the TCP connection just ends

Item = str | CloseConnection


class OutgoingQueue:
    """The frames to be sent to one client, in order, each with the time at which it was queued.

    `queued` counts the frames so far; `unsent` those that the connection has not taken yet.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._items: asyncio.Queue[tuple[float, Item]] = asyncio.Queue()
        self.queued = 0
        self.unsent = 0

    def send(self, text: str) -> None:
        """Queue a frame. If the queue is full, drop the frame and queue the end of the connection, once."""
        if self._items.qsize() < MAX_QUEUED_FRAMES:
            self._put(text)
        # Equality, not more: the close itself makes the queue longer, so it is queued exactly once.
        elif self._items.qsize() == MAX_QUEUED_FRAMES:
            self.close(1008, "too slow")

    def close(self, code: int, reason: str) -> None:
        """Queue the end of the connection."""
        self._put(CloseConnection(code, reason))

    async def take(self) -> tuple[float, Item]:
        """Wait for the next item. Returns the time at which it was queued, and the item."""
        return await self._items.get()

    def note_sent(self) -> None:
        """Record that the connection has taken the item that `take` returned last."""
        self.unsent -= 1

    def _put(self, item: Item) -> None:
        self.queued += 1
        self.unsent += 1
        self._items.put_nowait((self._clock.now_s(), item))


async def write_to_websocket(queue: OutgoingQueue, websocket: ServerConnection, delay: "Delay") -> None:
    """Deliver the queued items over a WebSocket until either side closes."""
    try:
        while True:
            queued_s, item = await queue.take()
            await delay.wait(queued_s)
            if isinstance(item, str):
                await websocket.send(item)
                queue.note_sent()
            elif item.code == ABNORMAL_CLOSURE:
                websocket.transport.abort()
                return
            else:
                await websocket.close(item.code, item.reason)
                return
    except ConnectionClosed:
        return


class MemorySocket:
    """The client's end of a connection in memory, shaped like the daemon's `Socket`.

    `send` and `recv` raise SessionLost once the connection is closed. The exchange uses the other
    end: `deliver`, `disconnect` and `take_sent`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sent: asyncio.Queue[tuple[float, str | None]] = asyncio.Queue()
        self._received: asyncio.Queue[str | None] = asyncio.Queue()
        self._closed = False

    def send(self, text: str) -> None:
        """Send a frame to the exchange."""
        if self._closed:
            raise SessionLost("the connection is closed")
        self._sent.put_nowait((self._clock.now_s(), text))

    async def receive(self, on_message: Callable[[Sequence[str | bytes]], None]) -> None:
        """Call `on_message` with each frame until the connection ends. Raises what `on_message` raises."""
        while True:
            on_message((await self.recv(),))

    async def recv(self) -> str:
        """Wait for the next frame and return it.

        Frames that arrived before the exchange closed the connection are still returned.
        """
        # A closed connection still returns what arrived before the end, as a real socket does.
        if self._closed and self._received.empty():
            raise SessionLost("the connection is closed")
        text = await self._received.get()
        if text is None:
            self._closed = True
            raise SessionLost("the exchange closed the connection")
        return text

    async def close(self) -> None:
        """Close the connection. It may be called more than once."""
        self._close_receiving()
        self._sent.put_nowait((self._clock.now_s(), None))

    def deliver(self, text: str) -> None:
        """Deliver a frame from the exchange to the client.

        A frame that is too large ends the connection, as it does at a real client.
        """
        if len(text) > MAX_FRAME_CHARS:
            self.disconnect()
        elif not self._closed:
            self._received.put_nowait(text)

    def disconnect(self) -> None:
        """Close the connection from the exchange's side, after the frames delivered so far."""
        self._received.put_nowait(None)
        self._sent.put_nowait((self._clock.now_s(), None))

    async def take_sent(self) -> tuple[float, str | None]:
        """Wait for the next frame that the client sends. Returns its send time and text. Called by the exchange.

        The text is None once the connection is closed.
        """
        return await self._sent.get()

    def _close_receiving(self) -> None:
        self._closed = True
        # Frames not read yet are dropped on a local close, as a real socket would drop them.
        while not self._received.empty():
            self._received.get_nowait()
        self._received.put_nowait(None)  # wakes a task that waits in `recv`


class Delay:
    """Latency of one direction of a connection: drawn per frame, but no frame overtakes another, as in TCP."""

    def __init__(self, clock: Clock, draw_s: Callable[[], float]) -> None:
        self._clock = clock
        self._draw_s = draw_s
        self._arrival_s = 0.0

    async def wait(self, sent_s: float) -> None:
        """Wait until a frame that was sent at `sent_s` arrives."""
        # Never before the previous arrival: latency delays frames, but a TCP connection does not reorder them.
        self._arrival_s = max(self._arrival_s, sent_s + self._draw_s())
        wait_s = self._arrival_s - self._clock.now_s()
        if wait_s > 0:
            await self._clock.sleep(wait_s)


async def write_to_memory(queue: OutgoingQueue, socket: MemorySocket, delay: Delay) -> None:
    """Deliver the queued items to a client in memory, until the end of the connection is taken from the queue."""
    while True:
        queued_s, item = await queue.take()
        await delay.wait(queued_s)
        if isinstance(item, str):
            socket.deliver(item)
            queue.note_sent()
        else:
            socket.disconnect()
            return


async def read_from_memory(socket: MemorySocket, delay: Delay, on_message: Callable[[str], None]) -> None:
    """Call `on_message` with each frame that a client in memory sends, until it closes."""
    while True:
        sent_s, text = await socket.take_sent()
        await delay.wait(sent_s)
        if text is None:
            return
        on_message(text)

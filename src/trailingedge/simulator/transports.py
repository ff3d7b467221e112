"""The two kinds of line between a client and the switchboard: a websocket, and plain memory.

Each queues what it is given and delivers it in a task of its own, so that nobody is called back in the
middle of his own sentence.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from trailingedge.core.clock import Clock
from trailingedge.core.errors import SessionLost
from trailingedge.simulator.api.session import CloseConnection

MAX_QUEUED_FRAMES: Final = 50_000  # frames; who reads so slowly is cut off
MAX_FRAME_CHARS: Final = 16 * 1024 * 1024
ABNORMAL_CLOSURE: Final = 1006  # not a code that is sent: the connection just ends

Item = str | CloseConnection | asyncio.Future[None]


class OutgoingQueue:
    """What is to be sent to one client, in order."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._items: asyncio.Queue[tuple[float, Item]] = asyncio.Queue()

    def send(self, text: str) -> None:
        if self._items.qsize() < MAX_QUEUED_FRAMES:
            self._put(text)
        elif self._items.qsize() == MAX_QUEUED_FRAMES:
            self.close(1008, "too slow")

    def close(self, code: int, reason: str) -> None:
        self._put(CloseConnection(code, reason))

    def flush_marker(self) -> asyncio.Future[None]:
        """A future that is done once the client has answered for everything sent before."""
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._put(answered)
        return answered

    async def take(self) -> tuple[float, Item]:
        """The next thing to deliver, and when it was queued."""
        return await self._items.get()

    def _put(self, item: Item) -> None:
        self._items.put_nowait((self._clock.now_s(), item))


async def write_to_websocket(line: OutgoingQueue, websocket: ServerConnection, delay: "Delay") -> None:
    """Deliver what `line` queues, until either side closes."""
    try:
        while True:
            queued_s, item = await line.take()
            await delay.wait(queued_s)
            if isinstance(item, str):
                await websocket.send(item)
            elif isinstance(item, asyncio.Future):
                _when_answered(await websocket.ping(), item)
            elif item.code == ABNORMAL_CLOSURE:
                websocket.transport.abort()
                return
            else:
                await websocket.close(item.code, item.reason)
                return
    except ConnectionClosed:
        return


def _when_answered(pong: Awaitable[float], answered: asyncio.Future[None]) -> None:
    """Resolve `answered` with the pong, or with the end of the connection."""

    def resolve(done: asyncio.Future[float]) -> None:
        if not done.cancelled():
            done.exception()  # looked at, so that a lost connection is not reported a second time
        if not answered.done():
            answered.set_result(None)

    asyncio.ensure_future(pong).add_done_callback(resolve)


class MemorySocket:
    """A client's end of a line in memory, shaped like a websocket. Raises SessionLost once it is closed."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sent: asyncio.Queue[tuple[float, str | None]] = asyncio.Queue()
        self._received: asyncio.Queue[str | None] = asyncio.Queue()
        self._closed = False

    def send(self, text: str) -> None:
        if self._closed:
            raise SessionLost("the connection is closed")
        self._sent.put_nowait((self._clock.now_s(), text))

    async def receive(self, hear: Callable[[Sequence[str | bytes]], None]) -> None:
        """Hand over each frame until the end. Raises what `hear` raises."""
        while True:
            hear((await self.recv(),))

    async def recv(self) -> str:
        """The next frame; those that came before the end are still given."""
        if self._closed and self._received.empty():
            raise SessionLost("the connection is closed")
        text = await self._received.get()
        if text is None:
            self._closed = True
            raise SessionLost("the exchange closed the connection")
        return text

    async def close(self) -> None:
        """Harmless when repeated."""
        self._close_receiving()
        self._sent.put_nowait((self._clock.now_s(), None))

    def deliver(self, text: str) -> None:
        """From the exchange's side: a frame arrives. One too large ends the connection, as a client's library does."""
        if len(text) > MAX_FRAME_CHARS:
            self.disconnect()
        elif not self._closed:
            self._received.put_nowait(text)

    def disconnect(self) -> None:
        """From the exchange's side: the connection is gone, once what came before it is read."""
        self._received.put_nowait(None)
        self._sent.put_nowait((self._clock.now_s(), None))

    async def take_sent(self) -> tuple[float, str | None]:
        """From the exchange's side: what the client sent, and when; None when it closed."""
        return await self._sent.get()

    def _close_receiving(self) -> None:
        self._closed = True
        while not self._received.empty():
            self._received.get_nowait()
        self._received.put_nowait(None)  # for whoever waits in `recv`


class Delay:
    """How long things are on their way: as drawn, but nothing overtakes what went before it."""

    def __init__(self, clock: Clock, draw_s: Callable[[], float]) -> None:
        self._clock = clock
        self._draw_s = draw_s
        self._arrival_s = 0.0

    async def wait(self, sent_s: float) -> None:
        """Return when what was sent at `sent_s` arrives."""
        self._arrival_s = max(self._arrival_s, sent_s + self._draw_s())
        wait_s = self._arrival_s - self._clock.now_s()
        if wait_s > 0:
            await self._clock.sleep(wait_s)


async def write_to_memory(line: OutgoingQueue, socket: MemorySocket, delay: Delay) -> None:
    """Deliver what `line` queues, until it closes."""
    while True:
        queued_s, item = await line.take()
        await delay.wait(queued_s)
        if isinstance(item, str):
            socket.deliver(item)
        elif isinstance(item, asyncio.Future):
            item.set_result(None)
        else:
            socket.disconnect()
            return


async def read_from_memory(socket: MemorySocket, delay: Delay, hear: Callable[[str], None]) -> None:
    """Hand on what the client sends, until it closes."""
    while True:
        sent_s, text = await socket.take_sent()
        await delay.wait(sent_s)
        if text is None:
            return
        hear(text)

"""Read progress of the clients: whether each client has read all frames sent to it, so that the market can wait for
them.

Theory of operation. A fast market must not run ahead of the bot that trades on it: the pacer plays the next tick only
after the clients have read the frames of the last one. A ping after each tick would show that. It is not used: the real
exchange sends a ping every 20 seconds, a client need not answer at once, and a client that never answers would slow the
market for all. Instead the kernel is asked how many bytes the client's socket still holds (`socket_diagnostics`). That
needs no help from the client. Like a pong, an empty socket shows that the client's library has read the frames.

A batch counts as processed when every client has read all frames and the exchange has then neither received nor sent a
frame for `QUIET_S`: a bot that acts on a price sends its request within that time, and gets the reply before the next
price. A slow bot lags by two batches at most: the one that it works on, and one in its socket.

A client that has not read within `READ_TIMEOUT_S` is not waited for again until it has read everything. It slows the
market once, not at every tick. If the kernel gives no answer, a batch counts as read when it has left this process. A
bot in the same process reads it at once even then. Another program may lag by the content of its socket buffer.
"""

import asyncio
from typing import Final

from websockets.asyncio.server import ServerConnection

from trailingedge.simulator.socket_diagnostics import SocketDiagnostics
from trailingedge.simulator.transports import OutgoingQueue

READ_TIMEOUT_S: Final = 1.0
QUIET_S: Final = 0.001
EAGER_LOOKS: Final = 20  # at every turn of the event loop, which is enough for a client in this process
LOOK_INTERVAL_S: Final = 0.0005


class ReadProgress:
    """Checks which clients have read everything. Call `note_frame` for each frame that a client sends."""

    def __init__(self) -> None:
        self._diagnostics = SocketDiagnostics()
        self._clients: dict[OutgoingQueue, ServerConnection] = {}
        self._late: set[OutgoingQueue] = set()
        self._frames_received = 0

    def add(self, queue: OutgoingQueue, websocket: ServerConnection) -> None:
        """Register a client: from now on `wait` waits for it, too."""
        self._diagnostics.open()
        self._clients[queue] = websocket

    def remove(self, queue: OutgoingQueue) -> None:
        self._clients.pop(queue, None)
        self._late.discard(queue)

    def close(self) -> None:
        """Close the socket for questions to the kernel."""
        self._diagnostics.close()

    def note_frame(self) -> None:
        """Record that a client has sent a frame."""
        self._frames_received += 1

    async def wait(self) -> None:
        """Return when the clients have processed all frames sent; see the top of the module."""
        if not self._clients:
            return  # clients in memory: under the virtual loop, time stands still until they have acted
        # Real sockets, so real time: neither the market's speed nor a clock wound by hand says when a program reads.
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + READ_TIMEOUT_S
        while True:
            await self._wait_until_read(deadline_s)
            before = self._traffic()
            await asyncio.sleep(QUIET_S)
            if self._traffic() == before or loop.time() >= deadline_s:
                return

    async def _wait_until_read(self, deadline_s: float) -> None:
        looks = 0
        while unread := [queue for queue in self._clients if not self._has_read(queue) and queue not in self._late]:
            if asyncio.get_running_loop().time() >= deadline_s:
                self._late.update(unread)
                return
            looks += 1
            await asyncio.sleep(0 if looks <= EAGER_LOOKS else LOOK_INTERVAL_S)

    def _has_read(self, queue: OutgoingQueue) -> bool:
        transport = self._clients[queue].transport
        read = not queue.unsent and not transport.get_write_buffer_size()
        if read and not transport.is_closing():
            client, server = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
            read = not self._diagnostics.unread_bytes(client, server)
        if read:
            self._late.discard(queue)
        return read

    def _traffic(self) -> tuple[int, int]:
        return self._frames_received, sum(queue.queued for queue in self._clients)

"""The exchange in front of a tape: it listens on the loopback, or in memory, and the market runs.

The market opens with the tape's first tick and then waits for the first listener to bookTicker, so that
a bot's start costs no market. `ended` is set when the tape is.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from random import Random
from types import TracebackType
from typing import Any, Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from trailingedge.core.clock import Clock
from trailingedge.core.errors import ConfigError, SessionLost
from trailingedge.simulator.connections import (
    API_PATH,
    LIFETIME_S,
    ConnectionHub,
    HubClient,
    NotServed,
    StreamHubClient,
)
from trailingedge.simulator.exchange import OWNER, Exchange
from trailingedge.simulator.faults import Faults
from trailingedge.simulator.feeds.ticks import Tick, TickSource
from trailingedge.simulator.pacing import Pacer
from trailingedge.simulator.transports import (
    Delay,
    MemorySocket,
    OutgoingQueue,
    read_from_memory,
    write_to_memory,
    write_to_websocket,
)

HOST: Final = "127.0.0.1"
PING_INTERVAL_S: Final = 20.0
PONG_DEADLINE_S: Final = 60.0
ANSWER_TIMEOUT_S: Final = 1.0  # for a client to answer for a batch of frames, or for a close


class LoopbackExchange:
    """`async with` it: inside, clients may connect and the market runs.

    Raises ConfigError for a port that cannot be opened.
    `listen` False: no port is opened, clients come through `connect` only. `latency_s` is the most that a
    frame is on its way, drawn from `chance` for each; over a port, those of the exchange's side only.
    `lifetime_s`: after that, a connection is cut.
    """

    def __init__(
        self,
        exchange: Exchange,
        tape: TickSource,
        clock: Clock,
        *,
        speed: float = 1.0,
        port: int = 0,
        listen: bool = True,
        faults: Faults | None = None,
        chance: Random | None = None,
        events_first: bool = False,
        latency_s: float = 0.0,
        lifetime_s: float = LIFETIME_S,
    ) -> None:
        self.exchange = exchange
        self.ended = asyncio.Event()
        self._clock = clock
        self._port = port
        self._listen = listen
        self._latency_s = latency_s
        self._chance = chance or Random(0)
        self._ticks = iter(tape)
        self._book_subscribed = asyncio.Event()
        self._lifetime_s = lifetime_s
        self.hub = ConnectionHub(
            exchange, faults, self._chance, events_first, awaited=self._book_subscribed.set, later=self._later
        )
        self._pacer = Pacer(clock, speed, self.hub.on_tick, self.wait_until_processed)
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []
        self._websocket_queues: dict[OutgoingQueue, bool] = {}  # whether they listen to streams
        self._server: Server | None = None

    @property
    def ws_api_url(self) -> str:
        return f"ws://{HOST}:{self._port}{API_PATH}"

    @property
    def ws_stream_url(self) -> str:
        """Base: the client appends `/ws…` or `/stream…`."""
        return f"ws://{HOST}:{self._port}"

    def register_key(self, public_key: Ed25519PublicKey, account: str = OWNER, api_key: str | None = None) -> str:
        """The API key by which the holder of the private key acts for `account`."""
        return self.exchange.register_key(public_key, account, api_key)

    async def __aenter__(self) -> Self:
        first = next(self._ticks)
        self.hub.on_tick(first)
        if self._listen:
            await self._open_port()
        await self._group.__aenter__()
        self._start(self._run(first))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        for task in list(self._tasks):
            task.cancel()
        # A cancellation may be the group's own doing, so it must see it; other errors go their way unwrapped.
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            await self._group.__aexit__(kind, error, trace)
        else:
            await self._group.__aexit__(None, None, None)

    async def connect(self, url: str) -> MemorySocket:
        """A line in memory to that address. Raises SessionLost where nothing is served."""
        socket = MemorySocket(self._clock)
        line = OutgoingQueue(self._clock)
        try:
            self.hub.check_admission(url)
            client = self._connect_client(url, line)
        except NotServed as exc:
            raise SessionLost(f"HTTP {exc.status}: {exc}", exc.retry_after_s) from exc
        self._start(write_to_memory(line, socket, self._delay()))

        async def read() -> None:
            await read_from_memory(socket, self._delay(), lambda text: self.hub.on_message(client, text))
            self.hub.remove(client)
            line.close(1000, "")

        self._start(read())
        return socket

    async def wait_until_processed(self) -> None:
        """Return when the clients have answered for all that was sent, streams first; or after a second each.

        Clients in memory have no say: under a virtual clock, time stands still until they have acted.
        """
        for streams in (True, False):
            marks = [line.flush_marker() for line, listens in self._websocket_queues.items() if listens is streams]
            if marks:
                await asyncio.wait(marks, timeout=ANSWER_TIMEOUT_S)

    async def _run(self, first: Tick) -> None:
        await self._book_subscribed.wait()
        await self._pacer.run(first.time_ms, self._ticks)
        self.ended.set()

    async def _open_port(self) -> None:
        try:
            self._server = await serve(
                self._serve,
                HOST,
                self._port,
                process_request=self._check_upgrade,
                compression=None,
                ping_interval=PING_INTERVAL_S,
                ping_timeout=PONG_DEADLINE_S,
                close_timeout=ANSWER_TIMEOUT_S,
            )
        except OSError as exc:
            raise ConfigError([f"port {self._port} of {HOST} cannot be opened: {exc.strerror}"]) from exc
        self._port = next(iter(self._server.sockets)).getsockname()[1]

    def _check_upgrade(self, connection: ServerConnection, request: Request) -> Response | None:
        """Turn away who asks for what is not there, or who must stay outside."""
        try:
            self.hub.check_admission(request.path)
        except NotServed as exc:
            response = connection.respond(HTTPStatus(exc.status), f"{exc}\n")
            if exc.retry_after_s:
                response.headers["Retry-After"] = str(math.ceil(exc.retry_after_s))
            return response
        return None

    async def _serve(self, websocket: ServerConnection) -> None:
        """One websocket, from its opening to its end."""
        line = OutgoingQueue(self._clock)
        address = websocket.request.path if websocket.request else ""
        try:
            client = self._connect_client(address, line)
        except NotServed as exc:
            await websocket.close(1008, str(exc)[:100])
            return
        self._websocket_queues[line] = isinstance(client, StreamHubClient)
        writer = self._start(write_to_websocket(line, websocket, self._delay()))
        try:
            async for message in websocket:
                self.hub.on_message(client, message if isinstance(message, str) else "")
        except ConnectionClosed:
            pass  # however it ended, it has
        finally:
            self.hub.remove(client)
            del self._websocket_queues[line]
            writer.cancel()

    def _connect_client(self, address: str, line: OutgoingQueue) -> HubClient:
        client = self.hub.connect(address, line)
        self._later(self._lifetime_s, lambda: self.hub.end_lifetime(client))
        return client

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        async def wait() -> None:
            await self._clock.sleep(seconds)
            act()

        self._start(wait())

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._group.create_task(work)
        self._tasks.append(task)
        task.add_done_callback(self._tasks.remove)
        return task

    def _delay(self) -> Delay:
        """One way of one line."""
        return Delay(self._clock, lambda: self._chance.uniform(0, self._latency_s) if self._latency_s else 0.0)

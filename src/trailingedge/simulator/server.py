"""Server of the simulated exchange: serves clients on the loopback or in memory, plays the market.

The market opens with the source's first tick, then waits for the first client, so that a recorded market does not end
before a client has connected. A market that opens at the present wall-clock time (generated or live) must not fall
behind that time: when the first client connects, the ticks up to now are played at once. `ended` is set after the last
tick.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from random import Random
from types import TracebackType
from typing import Any, Final, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from trailingedge.core.clock import Clock
from trailingedge.core.errors import ConfigError, SessionLost
from trailingedge.core.time_units import MINUTE_MS
from trailingedge.simulator.connection_hub import (
    API_PATH,
    LIFETIME_S,
    ConnectionHub,
    HubClient,
    NotServed,
)
from trailingedge.simulator.exchange import OWNER, Exchange
from trailingedge.simulator.faults import Faults
from trailingedge.simulator.feeds.ticks import Tick, TickSource
from trailingedge.simulator.keepalive import keep_alive
from trailingedge.simulator.keys import SigningKey
from trailingedge.simulator.pacing import Pacer
from trailingedge.simulator.read_progress import ReadProgress
from trailingedge.simulator.transports import (
    Delay,
    MemorySocket,
    OutgoingQueue,
    read_from_memory,
    write_to_memory,
    write_to_websocket,
)

HOST: Final = "127.0.0.1"
CLOSE_TIMEOUT_S: Final = 1.0  # for a client's close frame


class LoopbackExchange:
    """A running exchange, used as `async with`: inside the block clients can connect and the market plays.

    Entering raises ConfigError if the port cannot be opened. With `listen` False no port is opened, and clients connect
    through `connect` only. Frames are delayed by a random time of at most `latency_s`. Over a port, this applies only
    to the frames that the exchange sends. Each connection is dropped after `lifetime_s`.
    """

    def __init__(
        self,
        exchange: Exchange,
        source: TickSource,
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
        self._ticks = iter(source)
        self._client_connected = asyncio.Event()
        self._market_plays = asyncio.Event()
        self._lifetime_s = lifetime_s
        self.hub = ConnectionHub(
            exchange,
            faults,
            self._chance,
            events_first,
            call_later=self._call_later,
        )
        self._progress = ReadProgress()
        self._pacer = Pacer(clock, speed, self.hub.on_tick, self._progress.wait)
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []
        self._server: Server | None = None

    @property
    def ws_api_url(self) -> str:
        """URL of the WebSocket API."""
        return f"ws://{HOST}:{self._port}{API_PATH}"

    @property
    def ws_stream_url(self) -> str:
        """Base URL of the market streams; the client appends `/ws…` or `/stream…`."""
        return f"ws://{HOST}:{self._port}"

    def register_key(self, key: SigningKey, account: str = OWNER, api_key: str | None = None) -> str:
        """Register a key that may sign for `account`. Returns the API key that names it in requests."""
        return self.exchange.register_key(key, account, api_key)

    async def __aenter__(self) -> Self:
        # The market has a price before the first client connects, so that no request finds it closed.
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
            # Connections close first, with a close frame; then the tasks that wait for something later are cancelled.
            await self._server.wait_closed()
        self._progress.close()
        for task in list(self._tasks):
            task.cancel()
        # A cancellation may come from the task group itself (one of its tasks failed), so the group must see it. Other
        # errors belong to the caller's block: passed through the group, they would arrive wrapped in an ExceptionGroup.
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            await self._group.__aexit__(kind, error, trace)
        else:
            await self._group.__aexit__(None, None, None)

    async def connect(self, url: str) -> MemorySocket:
        """Open a connection in memory to `url`. Raises SessionLost if it is refused."""
        socket = MemorySocket(self._clock)
        queue = OutgoingQueue(self._clock)
        try:
            self.hub.check_admission(url)
        except NotServed as exc:
            raise SessionLost(f"HTTP {exc.status}: {exc}", exc.retry_after_s) from exc
        client = await self._connect_client(url, queue)
        self._start(write_to_memory(queue, socket, self._delay()))

        async def read() -> None:
            await read_from_memory(socket, self._delay(), lambda text: self.hub.on_message(client, text))
            self.hub.remove(client)
            queue.close(1000, "")

        self._start(read())
        return socket

    async def wait_until_processed(self) -> None:
        """Return when the clients have processed everything sent; see `read_progress`."""
        await self._progress.wait()

    async def _run(self, first: Tick) -> None:
        keeps_wall_time = abs(self._clock.unix_ms() - first.time_ms) < MINUTE_MS
        await self._client_connected.wait()
        market_ms = max(first.time_ms, self._clock.unix_ms()) if keeps_wall_time else first.time_ms
        try:
            ticks = await self._pacer.skip_to(market_ms, self._ticks)
        finally:
            self._market_plays.set()
        await self._pacer.run(market_ms, ticks)
        self.ended.set()

    async def _open_port(self) -> None:
        try:
            self._server = await serve(
                self._serve,
                HOST,
                self._port,
                process_request=self._check_upgrade,
                compression=None,
                ping_interval=None,  # `keep_alive` pings
                close_timeout=CLOSE_TIMEOUT_S,
            )
        except OSError as exc:
            raise ConfigError([f"port {self._port} of {HOST} cannot be opened: {exc.strerror}"]) from exc
        self._port = next(iter(self._server.sockets)).getsockname()[1]

    def _check_upgrade(self, connection: ServerConnection, request: Request) -> Response | None:
        """Return the HTTP error that refuses a WebSocket upgrade, or None to accept it."""
        try:
            self.hub.check_admission(request.path)
        except NotServed as exc:
            response = connection.respond(HTTPStatus(exc.status), f"{exc}\n")
            if exc.retry_after_s:
                response.headers["Retry-After"] = str(math.ceil(exc.retry_after_s))
            return response
        return None

    async def _serve(self, websocket: ServerConnection) -> None:
        """Serve one WebSocket connection until it closes."""
        queue = OutgoingQueue(self._clock)
        client = await self._connect_client(websocket.request.path if websocket.request else "", queue)
        self._progress.add(queue, websocket)
        tasks = [
            self._start(write_to_websocket(queue, websocket, self._delay())),
            self._start(keep_alive(websocket, self._clock)),
        ]
        try:
            async for message in websocket:
                self._progress.note_frame()
                # A binary frame is not part of the protocol; it is handled as a frame that is not JSON.
                self.hub.on_message(client, message if isinstance(message, str) else "")
        except ConnectionClosed:
            pass  # a normal end, whichever side closed
        finally:
            self.hub.remove(client)
            self._progress.remove(queue)
            for task in tasks:
                task.cancel()

    async def _connect_client(self, address: str, queue: OutgoingQueue) -> HubClient:
        # The first client waits until market time is that of the wall: it is sent nothing of the time before it came.
        self._client_connected.set()
        await self._market_plays.wait()
        client = self.hub.connect(address, queue)
        self._call_later(self._lifetime_s, lambda: self.hub.end_lifetime(client))
        return client

    def _call_later(self, seconds: float, act: Callable[[], None]) -> None:
        async def wait() -> None:
            await self._clock.sleep(seconds)
            act()

        self._start(wait())

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._group.create_task(work)
        self._tasks.append(task)
        # Finished tasks must not pile up: a day of delayed frames is a task each.
        task.add_done_callback(self._tasks.remove)
        return task

    def _delay(self) -> Delay:
        """Create the latency of one direction of one connection."""
        return Delay(self._clock, lambda: self._chance.uniform(0, self._latency_s) if self._latency_s else 0.0)

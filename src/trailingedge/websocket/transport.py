"""The only sockets in the daemon, and the small rules of patience around them.

The dial is an argument everywhere: the virtual loop replaces it by memory. What keeps a connection alive
is the `Link`, one file further on. Messages are not compressed, and the event loop sets TCP_NODELAY: a
frame is on its way when it is written.
"""

import asyncio
import ipaddress
import logging
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import cache
from random import Random
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.version import version as library_version

from trailingedge.core.errors import ConfigError, ExchangeUnreachable, ProtocolViolation, SessionLost, most_severe
from trailingedge.core.printable import frame_text
from trailingedge.core.redaction import ELLIPSIS, redact

logger = logging.getLogger(__name__)

# The library's own DEBUG lines would show the logon's signature.
_library_logger = logging.getLogger(f"{__name__}.library")
_library_logger.setLevel(logging.INFO)

_OPEN_TIMEOUT_S: Final = 10.0
_CLOSE_TIMEOUT_S: Final = 0.5  # the end of a session has five seconds for everything
_PING_INTERVAL_S: Final = 20.0  # our pings count against the five messages a second of a stream
_MAX_FRAME_BYTES: Final = 16 * 1024 * 1024
_MAX_QUEUED_FRAMES: Final = 256
_TESTED_MAJORS: Final = range(15, 18)
_SHOWN: Final = 2000


FrameHandler = Callable[[Sequence[str | bytes]], None]


class Socket(Protocol):
    """One open connection. Once it is closed, `send` and `listen` raise SessionLost, with the reason."""

    def send(self, text: str) -> None:
        """Write a frame."""
        ...

    async def receive(self, hear: FrameHandler) -> None:
        """Hand frames over until the end; those that came together, together. Raises what `hear` raises."""
        ...

    async def close(self) -> None: ...


Dial = Callable[[str], Awaitable[Socket]]


class _LowLatencySocket:
    """A Socket over the network, the short way: over a `LowLatencyConnection`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def send(self, text: str) -> None:
        try:
            self._connection.write(text)
        except (OSError, WebSocketException) as error:
            raise SessionLost(_reason_of(error)) from error

    async def receive(self, hear: FrameHandler) -> None:
        self._connection.begin(hear)
        try:
            await self._connection.wait_closed()
        finally:
            self._connection.begin(lambda _: None)  # nobody listens any more
        if self._connection.failure is not None:
            raise self._connection.failure
        try:
            await self._connection.recv()
        except (ConnectionClosed, OSError) as error:
            raise SessionLost(_reason_of(error)) from error

    async def close(self) -> None:
        await _close_quietly(self._connection)


class _LibrarySocket:
    """A Socket over the network by the library's public methods alone, a turn of the loop slower each way."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._outbox: asyncio.Queue[str] = asyncio.Queue()
        self._lost: SessionLost | None = None

    def send(self, text: str) -> None:
        if self._lost is not None:
            raise self._lost
        self._outbox.put_nowait(text)

    async def receive(self, hear: FrameHandler) -> None:
        try:
            await run_together(self._read(hear), self._write())
        except SessionLost as lost:
            self._lost = lost
            raise

    async def _read(self, hear: FrameHandler) -> None:
        while True:
            try:
                frame = await self._connection.recv()
            except (ConnectionClosed, OSError) as error:
                raise SessionLost(_reason_of(error)) from error
            hear([frame])

    async def _write(self) -> None:
        while True:
            text = await self._outbox.get()
            try:
                await self._connection.send(text)
            except (ConnectionClosed, OSError) as error:
                raise SessionLost(_reason_of(error)) from error

    async def close(self) -> None:
        await _close_quietly(self._connection)


async def _close_quietly(connection: ClientConnection) -> None:
    try:
        await connection.close()
    except (WebSocketException, OSError) as error:
        logger.debug("! close failed reason=%s", _reason_of(error))


@cache
def _tls_context() -> ssl.SSLContext:
    """One for all connections: to read the machine's certificates takes 50 ms, which no beat should wait for."""
    return ssl.create_default_context()


async def dial(url: str, *, prompt: bool | None = None) -> Socket:
    """Open a connection. Raises SessionLost when that fails, ConfigError for a proxy that cannot be used.

    `prompt`: the short way (see there) or not; by default wherever the library is known well enough.
    """
    manner = _low_latency_type() if prompt or (prompt is None and is_tested_version(library_version)) else None
    try:
        connection = await connect(
            url,
            compression=None,
            proxy=None if is_loopback_url(url) else True,
            ssl=_tls_context() if urlsplit(url).scheme == "wss" else None,
            open_timeout=_OPEN_TIMEOUT_S,
            close_timeout=_CLOSE_TIMEOUT_S,
            ping_interval=_PING_INTERVAL_S,
            ping_timeout=_PING_INTERVAL_S,
            max_size=_MAX_FRAME_BYTES,
            max_queue=_MAX_QUEUED_FRAMES,
            logger=_library_logger,
            create_connection=manner,
        )
    except InvalidStatus as refused:  # 429 and 418 say how long they last
        raise SessionLost(_reason_of(refused), _retry_after_s(refused)) from refused
    except (OSError, TimeoutError, WebSocketException, ValueError) as error:
        raise SessionLost(_reason_of(error)) from error
    except ImportError as error:  # the library speaks to SOCKS proxies only with a further package
        raise ConfigError([f"proxy for {url}: {error}; use an HTTP proxy or unset ALL_PROXY"]) from error
    return _LibrarySocket(connection) if manner is None else _LowLatencySocket(connection)


def delivers_synchronously(socket: Socket) -> bool:
    """Whether it hands frames over where the transport delivers them, not in a task."""
    return isinstance(socket, _LowLatencySocket)


def is_tested_version(version: str) -> bool:
    """Whether the library's internals were tried out with this version of it."""
    major = version.partition(".")[0]
    return major.isdigit() and int(major) in _TESTED_MAJORS


def _low_latency_type() -> type[ClientConnection]:
    from trailingedge.websocket.low_latency_transport import (
        LowLatencyConnection,  # may not even load beside an unknown version
    )

    return LowLatencyConnection


class Backoff:
    """How long to wait before the next attempt: exponential, with full jitter.

    A connection that lived `healthy_after_s` starts the count anew. `max_retries` 0 is for ever.
    """

    def __init__(
        self, base_s: float, max_s: float, max_retries: int, random: Random, healthy_after_s: float = 60.0
    ) -> None:
        self._base_s = base_s
        self._max_s = max_s
        self._max_retries = max_retries
        self._random = random
        self._healthy_after_s = healthy_after_s
        self._failures = 0

    def reset_if_healthy(self, lived_s: float) -> bool:
        """Whether a connection that lived that long was a good one; then the count starts anew."""
        if lived_s < self._healthy_after_s:
            return False
        self._failures = 0
        return True

    def next_delay_s(self, lived_s: float, reason: str, *, for_ever: bool = False) -> float:
        """After a connection that lived that long (0 if it never did).

        Raises ExchangeUnreachable when the retries are used up, unless it may go on `for_ever`.
        """
        self.reset_if_healthy(lived_s)
        self._failures += 1
        if self._max_retries and self._failures > self._max_retries and not for_ever:
            raise ExchangeUnreachable(f"{reason}; given up after {attempts(self._max_retries)} to reconnect")
        longest_s = min(self._max_s, self._base_s * 2.0 ** min(self._failures - 1, 32))
        return self._random.uniform(0.0, longest_s)


def attempts_text(count: int) -> str:
    """How many, for people."""
    return "1 attempt" if count == 1 else f"{count} attempts"


class ViolationCount:
    """Forgives unreadable frames, but not twenty within a minute."""

    def __init__(self, limit: int = 20, window_s: float = 60.0) -> None:
        self._window_s = window_s
        self._times_s: deque[float] = deque(maxlen=limit)

    def add(self, violation: ProtocolViolation, now_s: float) -> None:
        """Note one more. Raises SessionLost when it was one too many."""
        logger.warning("frame dropped reason=%s", violation)
        self._times_s.append(now_s)
        if len(self._times_s) == self._times_s.maxlen and now_s - self._times_s[0] <= self._window_s:
            raise SessionLost(f"{len(self._times_s)} unreadable frames within {self._window_s:g} s")


async def run_together(*jobs: Coroutine[Any, Any, None]) -> None:
    """Run all of them until one fails; that failure is raised bare, a lost session last of all."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for job in jobs:
                tasks.create_task(job)
    except BaseExceptionGroup as group:
        failure = most_severe(group)
        raise failure from failure.__cause__


def shown(frame: str | bytes) -> str:
    """A frame for the log: shortened, without key and signature."""
    return redact(frame_text(frame, _SHOWN), ELLIPSIS)


def is_loopback_url(url: str) -> bool:
    """Whether `url` leads to this machine itself."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _retry_after_s(refused: InvalidStatus) -> float:
    """What a refused handshake asks for: seconds, unlike the absolute time that an answer carries."""
    told = refused.response.headers.get("Retry-After", "")
    return float(told) if told.isascii() and told.isdigit() else 0.0


def _reason_of(error: Exception) -> str:
    """One line that says what the network said."""
    if isinstance(error, ConnectionClosed):
        frame = error.rcvd or error.sent
        return "closed without a word" if frame is None else f"closed {frame.code} {frame.reason}".rstrip()
    return str(error) or type(error).__name__

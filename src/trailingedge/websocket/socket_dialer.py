"""Client sockets: `dial` opens a WebSocket connection, `Backoff` spaces the attempts to open the next one.

This module and `low_latency_transport` are the only ones that use the `websockets` library. All
others get a `Dial` function, which returns a `Socket`, so that tests and simulations can replace
the network by memory. Reconnecting is the task of `connection_supervisor`.

A frame goes to the kernel as soon as it is written: messages are not compressed, and asyncio sets TCP_NODELAY on
every TCP socket.
"""

import asyncio
import logging
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import cache
from random import Random
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidProxy, InvalidStatus, WebSocketException
from websockets.version import version as library_version

from trailingedge.core.errors import ConfigError, ExchangeUnreachable, ProtocolViolation, SessionLost, most_severe
from trailingedge.core.printable import LONGEST_MESSAGE, frame_text, printable
from trailingedge.core.proxy_environment import WEBSOCKETS, find_proxy
from trailingedge.core.redaction import ELLIPSIS, redact
from trailingedge.core.redirects import redirect_refusal

logger = logging.getLogger(__name__)

# The library's own DEBUG lines would show the signature of the logon, so they stay off at any LOG_LEVEL.
_library_logger = logging.getLogger(f"{__name__}.library")
_library_logger.setLevel(logging.INFO)

_OPEN_TIMEOUT_S: Final = 10.0
_CLOSE_TIMEOUT_S: Final = 0.5  # a shutdown has five seconds for everything
# Our pings detect a dead peer within 40 s. They count against the limit of 5 incoming messages a second per connection
# (web-socket-streams.md, "Websocket Limits"), and so do the pongs that the library sends.
_PING_INTERVAL_S: Final = 20.0
_LONG_HEALTHY_S: Final = 600.0
_SHORT_PAUSES: Final = (
    30  # half a minute at the default of RECONNECT_BASE_SEC; the exchange allows 60 attempts a minute
)
_MAX_FRAME_BYTES: Final = 16 * 1024 * 1024
_MAX_QUEUED_FRAMES: Final = 256
_TESTED_VERSIONS: Final = ((15, 0), (17, 4))  # the oldest and the newest
_SHOWN: Final = 2000


FrameHandler = Callable[[Sequence[str | bytes]], None]


class Socket(Protocol):
    """One open connection. Once it is closed, `send` and `receive` raise SessionLost with the reason."""

    def send(self, text: str) -> None:
        """Write one text frame, without waiting."""
        ...

    async def receive(self, on_frames: FrameHandler) -> None:
        """Call `on_frames` with all frames of each read until the connection closes. Raises what `on_frames` raises."""
        ...

    async def close(self) -> None: ...


Dial = Callable[[str], Awaitable[Socket]]


class _LowLatencySocket:
    """A Socket over a `LowLatencyConnection`: frames are handled in the transport's callback, writes are immediate."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def send(self, text: str) -> None:
        try:
            self._connection.write(text)
        except (OSError, WebSocketException) as error:
            raise SessionLost(_reason_of(error)) from error

    async def receive(self, on_frames: FrameHandler) -> None:
        self._connection.start_delivery(on_frames)
        try:
            await self._connection.wait_closed()
        finally:
            # This task may have been cancelled while the connection is open: frames that still come are dropped.
            self._connection.start_delivery(lambda _: None)
        if self._connection.handler_error is not None:
            raise self._connection.handler_error
        try:
            # `recv` never got a message, because the connection delivers them itself; it only raises why it closed.
            await self._connection.recv()
        except (ConnectionClosed, OSError) as error:
            raise SessionLost(_reason_of(error)) from error

    async def close(self) -> None:
        await _close_quietly(self._connection)


class _LibrarySocket:
    """A Socket over the library's public methods alone: one event-loop iteration slower in each direction."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._outbox: asyncio.Queue[str] = asyncio.Queue()
        self._lost: SessionLost | None = None

    def send(self, text: str) -> None:
        if self._lost is not None:
            raise self._lost
        self._outbox.put_nowait(text)

    async def receive(self, on_frames: FrameHandler) -> None:
        try:
            await run_together(self._read(on_frames), self._write())
        except SessionLost as lost:
            self._lost = lost
            raise

    async def _read(self, on_frames: FrameHandler) -> None:
        while True:
            try:
                frame = await self._connection.recv()
            except (ConnectionClosed, OSError) as error:
                raise SessionLost(_reason_of(error)) from error
            on_frames([frame])

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
        logger.debug("! closing the socket failed reason=%s", _reason_of(error))


@cache
def _tls_context() -> ssl.SSLContext:
    """Return one context for all connections: loading the certificates takes 50 ms, too long for a running tick."""
    return ssl.create_default_context()


class _ConnectWithoutRedirects(connect):
    """The library's `connect`, without its default to follow a redirect of the handshake to any host."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Return the error of the handshake, so that the library raises it."""
        return exc


async def dial(url: str, *, low_latency: bool | None = None) -> Socket:
    """Open a connection. Raises SessionLost if that fails, ConfigError if a proxy cannot be used.

    `low_latency` chooses the implementation. None chooses the low-latency one if it was tested with
    the installed version of the library.
    """
    if low_latency is None:
        low_latency = _choose_low_latency(library_version)
    connection_type = _low_latency_type() if low_latency else None
    proxy = find_proxy(url, WEBSOCKETS)
    try:
        connection = await _ConnectWithoutRedirects(
            url,
            compression=None,
            proxy=proxy,
            ssl=_tls_context() if urlsplit(url).scheme == "wss" else None,
            open_timeout=_OPEN_TIMEOUT_S,
            close_timeout=_CLOSE_TIMEOUT_S,
            ping_interval=_PING_INTERVAL_S,
            ping_timeout=_PING_INTERVAL_S,
            max_size=_MAX_FRAME_BYTES,
            max_queue=_MAX_QUEUED_FRAMES,
            logger=_library_logger,
            create_connection=connection_type,
        )
    except InvalidStatus as refused:  # the handshake got an HTTP status; 429 and 418 carry a Retry-After header
        response = refused.response
        redirect = redirect_refusal(response.status_code, url, response.headers.get("Location"))
        raise SessionLost(redirect or _reason_of(refused), _retry_after_s(refused)) from refused
    except (InvalidProxy, ImportError) as error:  # a package for SOCKS that is installed and broken, for example
        # Only `msg`: the whole text of InvalidProxy quotes the proxy with its password.
        raise ConfigError([f"the proxy for {url} cannot be used: {error.msg}; use an http:// proxy"]) from None
    except (OSError, TimeoutError, WebSocketException, ValueError) as error:
        raise SessionLost(_reason_of(error)) from error
    return _LowLatencySocket(connection) if low_latency else _LibrarySocket(connection)


def is_tested_version(version: str) -> bool:
    """Return whether `low_latency_transport` was tested with the internals of this version of the library."""
    numbers = version.split(".")[:2]
    if len(numbers) < 2 or not all(number.isdecimal() for number in numbers):
        return False
    oldest, newest = _TESTED_VERSIONS
    return oldest <= (int(numbers[0]), int(numbers[1])) <= newest


@cache
def _choose_low_latency(version: str) -> bool:
    """Return `is_tested_version`, and log once if it is false."""
    if is_tested_version(version):
        return True
    logger.info(
        "low-latency receiving is off, because this version of the websockets package was not tested version=%s",
        version,
    )
    return False


def _low_latency_type() -> type[ClientConnection]:
    # Imported here, because with an unknown version of the library even the import may fail.
    from trailingedge.websocket.low_latency_transport import LowLatencyConnection

    return LowLatencyConnection


class Backoff:
    """Computes the pauses between connection attempts: exponential with full jitter.

    A connection that lived for `healthy_after_s` resets the count of failures. `max_retries` 0 means no limit. After a
    connection that lived for ten minutes the first pauses stay short and do not count as retries: most outages are
    over within half a minute, and we want to reconnect soon after that.
    """

    # Jitter: the exchange drops all clients of a server at the same time, and without it they would all come back at
    # the same time, too. Each connection attempt also costs weight 2 of the IP address, and 300 attempts in 5 minutes
    # are the limit (web-socket-api.md, "Connection limits" and "IP limits").

    def __init__(
        self, base_s: float, max_s: float, max_retries: int, random: Random, healthy_after_s: float = 60.0
    ) -> None:
        self._base_s = base_s
        self._max_s = max_s
        self._max_retries = max_retries
        self._random = random
        self._healthy_after_s = healthy_after_s
        self._failures = 0
        self._short_pauses = 0

    def reset_if_healthy(self, lived_s: float) -> bool:
        """Reset the count after a connection that lived long enough. Returns whether it did."""
        if lived_s < self._healthy_after_s:
            return False
        self._failures = 0
        if lived_s >= _LONG_HEALTHY_S:
            self._short_pauses = _SHORT_PAUSES
        return True

    def next_delay_s(self, lived_s: float, reason: str, *, unlimited: bool = False) -> float:
        """Count one more failure and return the pause before the next attempt.

        The failed connection lived `lived_s`; 0 means that it never opened. Raises
        ExchangeUnreachable when the retries are used up, unless `unlimited`.
        """
        self.reset_if_healthy(lived_s)
        if self._short_pauses:
            self._short_pauses -= 1
            return self._random.uniform(0.0, min(self._max_s, self._base_s * 2.0))
        self._failures += 1
        if self._max_retries and self._failures > self._max_retries and not unlimited:
            raise ExchangeUnreachable(f"{reason}; given up after {attempts_text(self._max_retries)} to reconnect")
        longest_s = min(self._max_s, self._base_s * 2.0 ** min(self._failures - 1, 32))
        return self._random.uniform(0.0, longest_s)


def attempts_text(count: int) -> str:
    """Return "1 attempt", "2 attempts" and so on."""
    return "1 attempt" if count == 1 else f"{count} attempts"


class ViolationCount:
    """Counts unreadable frames. Each one is dropped; `limit` of them within `window_s` end the connection."""

    def __init__(self, limit: int = 20, window_s: float = 60.0) -> None:
        self._window_s = window_s
        self._times_s: deque[float] = deque(maxlen=limit)

    def add(self, violation: ProtocolViolation, now_s: float) -> None:
        """Log and count one more unreadable frame. Raises SessionLost when the limit is reached."""
        logger.warning("unreadable frame ignored reason=%s", violation)
        self._times_s.append(now_s)
        if len(self._times_s) == self._times_s.maxlen and now_s - self._times_s[0] <= self._window_s:
            raise SessionLost(f"{len(self._times_s)} unreadable frames within {self._window_s:g} s")


async def run_together(*jobs: Coroutine[Any, Any, None]) -> None:
    """Run all `jobs` until one fails, cancel the others, and raise the error itself, not an ExceptionGroup.

    If several jobs fail, SessionLost is raised only if there is no other error.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            for job in jobs:
                tasks.create_task(job)
    except BaseExceptionGroup as group:
        failure = most_severe(group)
        raise failure from failure.__cause__


def shown(frame: str | bytes) -> str:
    """Return the text of a frame for the log: shortened, without API key and signature."""
    return redact(frame_text(frame, _SHOWN), ELLIPSIS)


def _retry_after_s(refused: InvalidStatus) -> float:
    """Return the pause that a refused handshake asks for, or 0.

    The HTTP header counts seconds; `retryAfter` in a WebSocket API reply is an absolute time in milliseconds.
    """
    header = refused.response.headers.get("Retry-After", "")
    return float(header) if header.isascii() and header.isdigit() else 0.0


def _reason_of(error: Exception) -> str:
    """Return one line for the log: close code and reason of the peer, or the text of the network error."""
    if isinstance(error, ConnectionClosed):
        frame = error.rcvd or error.sent
        said = "closed without a close frame" if frame is None else f"closed {frame.code} {frame.reason}".rstrip()
        return printable(said)
    # A refused handshake quotes headers of the other side.
    return printable(str(error), LONGEST_MESSAGE) or type(error).__name__

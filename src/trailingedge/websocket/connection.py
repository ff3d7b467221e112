"""The only sockets in the daemon, and how a connection is kept alive.

A `Link` dials, hands the socket to whoever serves it, and when that ends with SessionLost backs off and
dials again. The dial is an argument everywhere: the virtual loop replaces it by memory.
"""

import asyncio
import ipaddress
import logging
import re
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from random import Random
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from trailingedge.clock import Clock
from trailingedge.errors import ConfigError, ExchangeUnreachable, ProtocolViolation, SessionLost

logger = logging.getLogger(__name__)

# The library's own DEBUG lines would show the logon's signature.
_library_logger = logging.getLogger(f"{__name__}.library")
_library_logger.setLevel(logging.INFO)

_OPEN_TIMEOUT_S: Final = 10.0
_CLOSE_TIMEOUT_S: Final = 2.0
_PING_EVERY_S: Final = 20.0  # our pings count against the five messages a second of a stream
_FRAME_LIMIT_BYTES: Final = 16 * 1024 * 1024
_FRAMES_QUEUED: Final = 256
_SECRETS: Final = re.compile(r'"(apiKey|signature)"\s*:\s*"[^"]*"')
_SHOWN: Final = 2000


class Socket(Protocol):
    """One open connection. `recv` and `send` raise SessionLost, with the reason, once it is closed."""

    async def send(self, text: str) -> None: ...

    async def recv(self) -> str | bytes: ...

    async def close(self) -> None: ...


Dial = Callable[[str], Awaitable[Socket]]


class _WebSocket:
    """A Socket over the network."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except (ConnectionClosed, OSError) as error:
            raise SessionLost(_reason(error)) from error

    async def recv(self) -> str | bytes:
        try:
            return await self._connection.recv()
        except (ConnectionClosed, OSError) as error:
            raise SessionLost(_reason(error)) from error

    async def close(self) -> None:
        try:
            await self._connection.close()
        except (WebSocketException, OSError) as error:
            logger.debug("! close failed reason=%s", _reason(error))


async def dial(url: str) -> Socket:
    """Open a connection. Raises SessionLost when that fails, ConfigError for a proxy that cannot be used."""
    try:
        connection = await connect(
            url,
            compression=None,
            proxy=None if _on_loopback(url) else True,
            open_timeout=_OPEN_TIMEOUT_S,
            close_timeout=_CLOSE_TIMEOUT_S,
            ping_interval=_PING_EVERY_S,
            ping_timeout=_PING_EVERY_S,
            max_size=_FRAME_LIMIT_BYTES,
            max_queue=_FRAMES_QUEUED,
            logger=_library_logger,
        )
    except (OSError, TimeoutError, WebSocketException, ValueError) as error:
        raise SessionLost(_reason(error)) from error
    except ImportError as error:  # the library speaks to SOCKS proxies only with a further package
        raise ConfigError([f"proxy for {url}: {error}; use an HTTP proxy or unset ALL_PROXY"]) from error
    return _WebSocket(connection)


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

    def delay_s(self, lived_s: float, reason: str) -> float:
        """After a connection that lived that long (0 if it never did). Raises ExchangeUnreachable when used up."""
        if lived_s >= self._healthy_after_s:
            self._failures = 0
        self._failures += 1
        if self._max_retries and self._failures > self._max_retries:
            raise ExchangeUnreachable(f"{reason}; given up after {self._max_retries} attempts to reconnect")
        longest_s = min(self._max_s, self._base_s * 2.0 ** min(self._failures - 1, 32))
        return self._random.uniform(0.0, longest_s)


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


class Link:
    """Keeps one connection alive. `serve` uses a socket until it raises SessionLost."""

    def __init__(
        self,
        name: str,
        url: str,
        serve: Callable[[Socket], Awaitable[None]],
        *,
        dial: Dial,
        clock: Clock,
        backoff: Backoff,
        on_down: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.name = name
        self.url = url
        self.connects = 0
        self._serve = serve
        self._dial = dial
        self._clock = clock
        self._backoff = backoff
        self._on_down = on_down
        self._ending = False

    @property
    def reconnects(self) -> int:
        return max(0, self.connects - 1)

    def stay_down(self) -> None:
        """From now on a lost connection stays lost, and `run` returns."""
        self._ending = True

    async def run(self) -> None:
        """Until `stay_down`. Raises ExchangeUnreachable, and what `serve` raises beyond SessionLost."""
        while True:
            lived_s, reason = await self._live_once()
            if self._ending:
                return
            delay_s = self._backoff.delay_s(lived_s, f"{self.name} {self.url}: {reason}")
            logger.warning("connection lost name=%s reason=%r again_in_s=%.1f", self.name, reason, delay_s)
            await self._clock.sleep(delay_s)

    async def _live_once(self) -> tuple[float, str]:
        """One connection from dial to loss: the seconds it lived and why it ended."""
        try:
            socket = await self._dial(self.url)
        except SessionLost as lost:
            return 0.0, str(lost)
        self.connects += 1
        born_s = self._clock.now_s()
        logger.debug("connected name=%s url=%s", self.name, self.url)
        try:
            await self._serve(socket)
            reason = "ended"
        except SessionLost as lost:
            reason = str(lost)
        finally:
            await socket.close()
        if not self._ending:
            self._on_down(reason)
        return self._clock.now_s() - born_s, reason


async def side_by_side(*jobs: Coroutine[Any, Any, None]) -> None:
    """Run all of them until one fails; that failure is raised bare, a lost session last of all."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for job in jobs:
                tasks.create_task(job)
    except BaseExceptionGroup as group:
        failures = list(_leaves(group))
        gravest = next((failure for failure in failures if not isinstance(failure, SessionLost)), failures[0])
        raise gravest from gravest.__cause__


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for failure in group.exceptions:
        if isinstance(failure, BaseExceptionGroup):
            yield from _leaves(failure)
        else:
            yield failure


def shown(frame: str | bytes) -> str:
    """A frame for the log: shortened, without key and signature."""
    text = frame if isinstance(frame, str) else frame.decode(errors="replace")
    return _SECRETS.sub(r'"\1":"…"', text)[:_SHOWN]


def _on_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _reason(error: Exception) -> str:
    """One line that says what the network said."""
    if isinstance(error, ConnectionClosed):
        frame = error.rcvd or error.sent
        return "closed without a word" if frame is None else f"closed {frame.code} {frame.reason}".rstrip()
    return str(error) or type(error).__name__

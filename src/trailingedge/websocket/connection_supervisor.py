"""Connection supervisor: keeps one logical connection open across reconnects and planned rotations.

Theory of operation. The `ConnectionSupervisor` dials a socket and hands it to a new `ConnectionHandler`. The handler
first opens (logs on, subscribes, catches up) and is then the active one, which all callers use. It stops being active
in one of two ways:

- The socket is lost. No connection is active until a successor has opened; attempts follow with growing pauses.
- A rotation is planned, because the server announced its shutdown or the connection is nearly a day old. The old
  handler stays active until its successor has opened, then drains (waits for the replies to its requests), and its
  socket closes last. If the successor cannot open, the next attempt follows.

At any time at most one connection is active; others may be opening or draining. For each connection three tasks run
concurrently: `ConnectionHandler.run` reads the socket from the first byte to the last; `_run_handler` takes the
handler through open, active and draining; `_rotate_when_old` asks for a successor after 23 hours. The first task that
fails ends the connection, normally with SessionLost. Any other exception ends the supervisor: a person must act.

    open ──> active ──successor has opened──> draining ──> closed
      │         │                                │
      └─────────┴──────── socket lost ───────────┴───────> closed, and if it was active or none was: on_down
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from trailingedge.core.clock import Clock, within
from trailingedge.core.errors import SessionLost, most_severe
from trailingedge.websocket.socket_dialer import Backoff, Dial, Socket, run_together

logger = logging.getLogger(__name__)

# "A single connection to the API is only valid for 24 hours; expect to be disconnected after the 24-hour mark."
# (web-socket-api.md, "General API Information"; web-socket-streams.md.) The last hour is left to open a successor.
ROTATE_AFTER_S: Final = 23 * 3600.0
_LOG_EVERY_S: Final = 60.0
_QUICK_RETRY_S: Final = 0.25
_BAN_MARGIN_S: Final = 1.0  # a request before the end of a ban makes the next ban longer
_MAX_BAN_S: Final = 3 * 86_400.0  # "from 2 minutes to 3 days" (web-socket-api.md, "IP limits"): more is a mistake


class ConnectionHandler(Protocol):
    """Interface of a connection's handler. SessionLost from `run`, `open`, `watch` or `drain` ends all four."""

    async def run(self) -> None:
        """Read the socket until it closes."""
        ...

    async def open(self) -> None:
        """Do everything that must be done before this connection can be the active one."""
        ...

    async def watch(self) -> None:
        """Check that the connection is alive while it is active; cancelled when a successor replaces it."""
        ...

    async def drain(self) -> None:
        """Wait, for a few seconds at most, for the messages that a replaced connection still delivers."""
        ...

    def on_lost(self, lost: SessionLost) -> None:
        """Wake all callers that wait for this connection: it delivers nothing more."""
        ...


L = TypeVar("L", bound=ConnectionHandler)
RotationCallback = Callable[[str], None]


class _ActiveConnection(Generic[L]):
    """State of one connection from the dial to the end."""

    def __init__(self, socket: Socket, opened_s: float) -> None:
        self.socket = socket
        self.opened_s = opened_s
        self.failure: SessionLost | None = None
        self.rotation_reason = ""  # why a successor is wanted; "" while none is
        self.replaced = False  # a successor is active
        self.open_finished = asyncio.Event()  # it became active, or failed before
        self.needs_successor = asyncio.Event()  # a rotation was requested, or it is lost
        self.lost = asyncio.Event()
        self.watch_scope: asyncio.Timeout = asyncio.timeout(None)  # ends `watch` when it is replaced

    def request_rotation(self, reason: str) -> None:
        """Ask for a successor: the connection works, but not for much longer."""
        if not self.rotation_reason:
            self.rotation_reason = reason
            self.needs_successor.set()

    def on_replaced(self) -> None:
        """End `watch`: a successor is active."""
        self.replaced = True
        # `reschedule` raises RuntimeError if `watch` failed in this same event-loop iteration and left its scope.
        with contextlib.suppress(RuntimeError):
            self.watch_scope.reschedule(0.0)

    def on_lost(self, lost: SessionLost) -> None:
        """Wake all tasks that wait for this connection."""
        self.failure = lost
        self.open_finished.set()
        self.needs_successor.set()
        self.lost.set()


class ConnectionSupervisor(Generic[L]):
    """Keeps one handler active. `make_handler` gets a new socket and the callback that requests a rotation.

    `on_down` gets the reason whenever the active connection is lost, and whenever an attempt fails while none is
    active. It is not called for a rotation. `on_retry` gets the reason of each failure and the pause before the next
    attempt. If it returns True, it has reported the failure, and no warning is logged here.
    """

    def __init__(
        self,
        name: str,
        url: str,
        make_handler: Callable[[Socket, RotationCallback], L],
        *,
        dial: Dial,
        clock: Clock,
        backoff: Backoff,
        on_down: Callable[[str], None] = lambda _: None,
        on_retry: Callable[[str, float], bool] = lambda _reason, _pause_s: False,
        rotate_after_s: float = ROTATE_AFTER_S,
    ) -> None:
        self.name = name
        self.url = url
        self.connects = 0
        self.rotations = 0
        self.is_stopping = False
        self.last_failure = ""  # why the last connection or attempt ended; "" while a connection is active
        self.active: L | None = None
        self._connection: _ActiveConnection[L] | None = None  # that of `active`
        self._has_active = asyncio.Event()
        self._make_handler = make_handler
        self._dial = dial
        self._clock = clock
        self._backoff = backoff
        self._on_down = on_down
        self._on_retry = on_retry
        self._rotate_after_s = rotate_after_s
        self._logged_s = float("-inf")
        self._quick_retries = asyncio.Event()

    @property
    def reconnects(self) -> int:
        """How many connections became active after a loss; rotations do not count."""
        return max(0, self.connects - self.rotations - 1)

    async def wait_active(self) -> None:
        """Wait until a handler is active."""
        await self._has_active.wait()

    def retry_quickly(self) -> None:
        """Retry at short intervals and without limit from now on, for a shutdown; a ban is still respected."""
        self._quick_retries.set()

    def stop_reconnecting(self) -> None:
        """Open no further connection; `run` returns when the active one has ended."""
        self.is_stopping = True

    async def run(self) -> None:
        """Keep a connection open until `stop_reconnecting` is called.

        Raises ExchangeUnreachable, and every error of a handler except SessionLost.
        """
        try:
            async with asyncio.TaskGroup() as connections:
                await self._keep_connected(connections)
        except BaseExceptionGroup as group:
            failure = most_severe(group)
            raise failure from failure.__cause__

    async def _keep_connected(self, connections: asyncio.TaskGroup) -> None:
        while True:
            try:
                connection = await self._connect(connections)
            except SessionLost as lost:
                failure, lived_s = lost, 0.0
            else:
                await connection.needs_successor.wait()
                failure = connection.failure or SessionLost(connection.rotation_reason)
                lived_s = self._clock.now_s() - connection.opened_s
            if self.is_stopping:
                # If only a rotation was requested, the connection still works: callers may use it until it is lost.
                if self._connection is not None:
                    await self._connection.lost.wait()
                return
            # A healthy connection that needs a successor gets one at once. A server that announces its shutdown to
            # every new connection does not make us dial in a loop: such connections are not healthy, so we pause.
            if self._connection is None or not self._backoff.reset_if_healthy(lived_s):
                await self._wait_before_retry(failure, lived_s)
            else:
                logger.info("connection rotation started name=%s reason=%r", self.name, str(failure))

    async def _connect(self, connections: asyncio.TaskGroup) -> _ActiveConnection[L]:
        """Return a new connection once it is active. Raises SessionLost."""
        socket = await self._dial(self.url)
        connection: _ActiveConnection[L] = _ActiveConnection(socket, self._clock.now_s())
        logger.debug("connected name=%s url=%s", self.name, self.url)
        handler = self._make_handler(socket, connection.request_rotation)
        connections.create_task(self._run_connection(connection, handler))
        await connection.open_finished.wait()
        if connection.failure is not None:
            raise connection.failure
        return connection

    async def _wait_before_retry(self, failure: SessionLost, lived_s: float) -> None:
        delay_s = self._retry_delay_s(failure, lived_s)
        lost = self._connection is None
        event = f"{self.name} connection lost" if lost else f"replacing the {self.name} connection failed"
        if self._connection is None:
            self.last_failure = f"{self.url}: {failure}"
        reported = self._on_retry(f"{self.url}: {failure}", delay_s)
        warns = not reported and (lived_s or self._may_log_warning())
        level = logging.WARNING if warns else logging.DEBUG
        logger.log(level, "%s: %s; next attempt in %.1f s", event, failure, delay_s)
        if failure.wait_s or self._quick_retries.is_set():
            await self._clock.sleep(delay_s)
            return
        # `retry_quickly` ends a pause that has begun already, unless the exchange demanded that pause.
        with contextlib.suppress(TimeoutError):
            async with within(self._clock, delay_s):
                await self._quick_retries.wait()

    def _retry_delay_s(self, failure: SessionLost, lived_s: float) -> float:
        if self._quick_retries.is_set():
            delay_s = _QUICK_RETRY_S
        else:
            where = f"{self.name} {self.url}: {failure}"
            # While the old connection is active a rotation may fail any number of times.
            delay_s = self._backoff.next_delay_s(lived_s, where, unlimited=self._connection is not None)
        if failure.wait_s:
            delay_s = max(delay_s, min(failure.wait_s, _MAX_BAN_S) + _BAN_MARGIN_S)
        return delay_s

    def _may_log_warning(self) -> bool:
        """Return whether a failed attempt may be logged as a warning. Only one per minute may."""
        now_s = self._clock.now_s()
        if now_s - self._logged_s < _LOG_EVERY_S:
            return False
        self._logged_s = now_s
        return True

    async def _run_connection(self, connection: _ActiveConnection[L], handler: L) -> None:
        """Run one connection to its end. SessionLost is the usual end and is handled here; other errors are raised."""
        try:
            await run_together(handler.run(), self._run_handler(connection, handler), self._rotate_when_old(connection))
        except SessionLost as lost:
            self._on_lost(connection, handler, lost)
            if self._connection is None and not connection.replaced and not self.is_stopping:
                self._on_down(str(lost))
        except BaseException:
            # A cancelled task comes here too: every waiting request must get NoResponse.
            self.is_stopping = True
            self._on_lost(connection, handler, SessionLost("closed by us"))
            raise
        finally:
            # Last, because the closing handshake with a dead peer takes until its timeout.
            await connection.socket.close()

    async def _run_handler(self, connection: _ActiveConnection[L], handler: L) -> None:
        await handler.open()
        self._make_active(connection, handler)
        with contextlib.suppress(TimeoutError):
            async with connection.watch_scope:
                await handler.watch()
        await handler.drain()
        raise SessionLost("replaced by a newer connection")

    def _make_active(self, connection: _ActiveConnection[L], handler: L) -> None:
        """Make this connection the active one. There is no await, so no task sees two active connections or none."""
        predecessor, self._connection, self.active = self._connection, connection, handler
        self.connects += 1
        self.last_failure = ""
        if predecessor is not None:
            self.rotations += 1
            predecessor.on_replaced()
            logger.info("connection rotated name=%s reason=%r", self.name, predecessor.rotation_reason)
        connection.open_finished.set()
        self._has_active.set()

    async def _rotate_when_old(self, connection: _ActiveConnection[L]) -> None:
        await self._clock.sleep(self._rotate_after_s)
        connection.request_rotation("maximum age reached")

    def _on_lost(self, connection: _ActiveConnection[L], handler: L, lost: SessionLost) -> None:
        if self._connection is connection:
            self._connection = self.active = None
            self._has_active.clear()
        handler.on_lost(lost)
        connection.on_lost(lost)

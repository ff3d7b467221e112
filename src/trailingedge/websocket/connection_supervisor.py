"""Connection supervisor: keeps one logical connection open across reconnects and planned rotations.

Theory of operation. The `ConnectionSupervisor` dials a socket and hands it to a `ConnectionHandler`. The handler
first opens (logs on, subscribes, catches up) and is then the active one, which all callers use. It stops being
active in one of two ways:

- The socket is lost. No connection is active until a successor has opened; attempts follow with growing pauses.
- A rotation is planned, because the server announced its shutdown or the connection is nearly a day old. The old
  handler stays active until its successor has opened, then waits for the replies it is still owed, and closes last.
  A successor that cannot open costs nothing but another attempt.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

from trailingedge.core.clock import Clock, within
from trailingedge.core.errors import SessionLost, most_severe
from trailingedge.websocket.transport import Backoff, Dial, Socket, run_together

logger = logging.getLogger(__name__)

ROTATE_AFTER_S: Final = 23 * 3600.0  # the exchange ends every connection after 24 hours
_LOG_EVERY_S: Final = 60.0
_QUICK_RETRY_S: Final = 0.25
_BAN_MARGIN_S: Final = 1.0  # who knocks a moment too early is banned for longer
_MAX_BAN_S: Final = 3 * 86_400.0  # the longest ban there is; a later time is a mistake


class ConnectionHandler(Protocol):
    """What goes on over one socket. Each of the first four may raise SessionLost, which ends it."""

    async def run(self) -> None:
        """Hear the socket, from the first moment to the last."""
        ...

    async def open(self) -> None:
        """Do what must be done before it may take office."""
        ...

    async def watch(self) -> None:
        """Doubt the connection for as long as it is in office; cancelled when that is over."""
        ...

    async def drain(self) -> None:
        """Another is in office now: wait, not for long, for what is still owed."""
        ...

    def on_lost(self, lost: SessionLost) -> None:
        """Nothing comes any more."""
        ...


L = TypeVar("L", bound=ConnectionHandler)
RotationCallback = Callable[[str], None]


class _ActiveConnection(Generic[L]):
    """One connection from the dial to its end, and how far it has come."""

    def __init__(self, socket: Socket, born_s: float) -> None:
        self.socket = socket
        self.opened_s = born_s
        self.failure: SessionLost | None = None
        self.rotation_reason = ""  # why it is to be followed, "" while it is not
        self.replaced = False
        self.open_finished = asyncio.Event()  # it took office, or it failed before
        self.needs_successor = asyncio.Event()  # it is to be followed, or it is over
        self.lost = asyncio.Event()
        self.watch_scope: asyncio.Timeout = asyncio.timeout(None)

    def request_rotation(self, reason: str) -> None:
        """It is still good, but not for long."""
        if not self.rotation_reason:
            self.rotation_reason = reason
            self.needs_successor.set()

    def on_replaced(self) -> None:
        """A successor is in office."""
        self.replaced = True
        with contextlib.suppress(RuntimeError):  # its own watch has just sent it home
            self.watch_scope.reschedule(0.0)

    def on_lost(self, lost: SessionLost) -> None:
        self.failure = lost
        self.open_finished.set()
        self.needs_successor.set()
        self.lost.set()


class ConnectionSupervisor(Generic[L]):
    """Keeps one life in office. `begin` makes a life of a socket; what it is given with it asks for a successor.

    `on_down` hears the reason whenever the office falls vacant, or could not be taken while it was vacant.
    """

    def __init__(
        self,
        name: str,
        url: str,
        begin: Callable[[Socket, RotationCallback], L],
        *,
        dial: Dial,
        clock: Clock,
        backoff: Backoff,
        on_down: Callable[[str], None] = lambda _: None,
        rotate_after_s: float = ROTATE_AFTER_S,
    ) -> None:
        self.name = name
        self.url = url
        self.connects = 0
        self.rotations = 0
        self.is_stopping = False
        self.active: L | None = None
        self._connection: _ActiveConnection[L] | None = None
        self._has_active = asyncio.Event()
        self._make_handler = begin
        self._dial = dial
        self._clock = clock
        self._backoff = backoff
        self._on_down = on_down
        self._rotate_after_s = rotate_after_s
        self._logged_s = float("-inf")
        self._quick_retries = asyncio.Event()

    @property
    def reconnects(self) -> int:
        """How often a connection was made anew after a loss."""
        return max(0, self.connects - self.rotations - 1)

    async def wait_active(self) -> None:
        """Wait until a life is in office."""
        await self._has_active.wait()

    def retry_quickly(self) -> None:
        """The end is near: from now on pauses are short and attempts are not counted. A ban is still waited for."""
        self._quick_retries.set()

    def stop_reconnecting(self) -> None:
        """From now on a lost connection stays lost, nobody is followed, and `run` returns."""
        self.is_stopping = True

    async def run(self) -> None:
        """Until `stay_down`. Raises ExchangeUnreachable, and what a life raises beyond SessionLost."""
        try:
            async with asyncio.TaskGroup() as tenures:
                await self._keep_connected(tenures)
        except BaseExceptionGroup as group:
            failure = most_severe(group)
            raise failure from failure.__cause__

    async def _keep_connected(self, tenures: asyncio.TaskGroup) -> None:
        while True:
            try:
                tenure = await self._connect(tenures)
            except SessionLost as lost:
                failure, lived_s = lost, 0.0
            else:
                await tenure.needs_successor.wait()
                failure, lived_s = (
                    tenure.failure or SessionLost(tenure.rotation_reason),
                    self._clock.now_s() - tenure.opened_s,
                )
            if self.is_stopping:
                if self._connection is not None:
                    await self._connection.lost.wait()
                return
            if self._connection is None or not self._backoff.reset_if_healthy(lived_s):
                await self._wait_before_retry(failure, lived_s)
            else:
                logger.info("connection to be followed name=%s reason=%r", self.name, str(failure))

    async def _connect(self, tenures: asyncio.TaskGroup) -> _ActiveConnection[L]:
        """A new connection, in office. Raises SessionLost."""
        socket = await self._dial(self.url)
        tenure: _ActiveConnection[L] = _ActiveConnection(socket, self._clock.now_s())
        logger.debug("connected name=%s url=%s", self.name, self.url)
        tenures.create_task(self._run_connection(tenure, self._make_handler(socket, tenure.request_rotation)))
        await tenure.open_finished.wait()
        if tenure.failure is not None:
            raise tenure.failure
        return tenure

    async def _wait_before_retry(self, failure: SessionLost, lived_s: float) -> None:
        delay_s = self._retry_delay_s(failure, lived_s)
        what = "lost" if self._connection is None else "not followed by another yet"
        level = logging.WARNING if lived_s or self._may_log_warning() else logging.DEBUG
        logger.log(level, "%s connection %s: %s; trying again in %.1f s", self.name, what, failure, delay_s)
        if failure.wait_s or self._quick_retries.is_set():
            await self._clock.sleep(delay_s)
            return
        with contextlib.suppress(TimeoutError):
            async with within(self._clock, delay_s):
                await self._quick_retries.wait()

    def _retry_delay_s(self, failure: SessionLost, lived_s: float) -> float:
        if self._quick_retries.is_set():
            delay_s = _QUICK_RETRY_S
        else:
            where = f"{self.name} {self.url}: {failure}"
            delay_s = self._backoff.next_delay_s(lived_s, where, for_ever=self._connection is not None)
        if failure.wait_s:
            delay_s = max(delay_s, min(failure.wait_s, _MAX_BAN_S) + _BAN_MARGIN_S)
        return delay_s

    def _may_log_warning(self) -> bool:
        """Of attempts that fail in a row one a minute is told: more would bury what matters."""
        now_s = self._clock.now_s()
        if now_s - self._logged_s < _LOG_EVERY_S:
            return False
        self._logged_s = now_s
        return True

    async def _run_connection(self, tenure: _ActiveConnection[L], life: L) -> None:
        """A life from its beginning to its end; losing the session is the usual one."""
        try:
            await run_together(life.run(), self._run_handler(tenure, life), self._rotate_when_old(tenure))
        except SessionLost as lost:
            self._on_lost(tenure, life, lost)
            if self._connection is None and not tenure.replaced and not self.is_stopping:
                self._on_down(str(lost))
        except BaseException:  # whatever ends it, those who wait for an answer must hear silence
            self.is_stopping = True
            self._on_lost(tenure, life, SessionLost("closed by us"))
            raise
        finally:
            # Last, for closing a socket that nobody answers takes its time.
            await tenure.socket.close()

    async def _run_handler(self, tenure: _ActiveConnection[L], life: L) -> None:
        await life.open()
        self._make_active(tenure, life)
        with contextlib.suppress(TimeoutError):
            async with tenure.watch_scope:
                await life.watch()
        await life.drain()
        raise SessionLost("followed by another connection")

    def _make_active(self, tenure: _ActiveConnection[L], life: L) -> None:
        predecessor, self._connection, self.active = self._connection, tenure, life
        self.connects += 1
        if predecessor is not None:
            self.rotations += 1
            predecessor.on_replaced()
            logger.info("connection followed by another name=%s reason=%r", self.name, predecessor.rotation_reason)
        tenure.open_finished.set()
        self._has_active.set()

    async def _rotate_when_old(self, tenure: _ActiveConnection[L]) -> None:
        await self._clock.sleep(self._rotate_after_s)
        tenure.request_rotation("it is old")

    def _on_lost(self, tenure: _ActiveConnection[L], life: L, lost: SessionLost) -> None:
        if self._connection is tenure:
            self._connection = self.active = None
            self._has_active.clear()
        life.on_lost(lost)
        tenure.on_lost(lost)

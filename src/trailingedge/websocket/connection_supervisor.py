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
from trailingedge.core.errors import SessionLost
from trailingedge.websocket.transport import Backoff, Dial, Socket, gravest, side_by_side

logger = logging.getLogger(__name__)

FULL_LIFE_S: Final = 23 * 3600.0  # the exchange ends every connection after 24 hours
_TOLD_EVERY_S: Final = 60.0
_IN_HASTE_S: Final = 0.25
_MORE_S: Final = 1.0  # who knocks a moment too early is banned for longer
_LONGEST_WAIT_S: Final = 3 * 86_400.0  # the longest ban there is; a later time is a mistake


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

    async def finish(self) -> None:
        """Another is in office now: wait, not for long, for what is still owed."""
        ...

    def end(self, lost: SessionLost) -> None:
        """Nothing comes any more."""
        ...


L = TypeVar("L", bound=ConnectionHandler)
SuccessionCallback = Callable[[str], None]


class _ActiveConnection(Generic[L]):
    """One connection from the dial to its end, and how far it has come."""

    def __init__(self, socket: Socket, born_s: float) -> None:
        self.socket = socket
        self.born_s = born_s
        self.failure: SessionLost | None = None
        self.leaving = ""  # why it is to be followed, "" while it is not
        self.retired = False
        self.settled = asyncio.Event()  # it took office, or it failed before
        self.parting = asyncio.Event()  # it is to be followed, or it is over
        self.over = asyncio.Event()
        self.office: asyncio.Timeout = asyncio.timeout(None)

    def follow(self, reason: str) -> None:
        """It is still good, but not for long."""
        if not self.leaving:
            self.leaving = reason
            self.parting.set()

    def retire(self) -> None:
        """A successor is in office."""
        self.retired = True
        with contextlib.suppress(RuntimeError):  # its own watch has just sent it home
            self.office.reschedule(0.0)

    def fail(self, lost: SessionLost) -> None:
        self.failure = lost
        self.settled.set()
        self.parting.set()
        self.over.set()


class ConnectionSupervisor(Generic[L]):
    """Keeps one life in office. `begin` makes a life of a socket; what it is given with it asks for a successor.

    `on_down` hears the reason whenever the office falls vacant, or could not be taken while it was vacant.
    """

    def __init__(
        self,
        name: str,
        url: str,
        begin: Callable[[Socket, SuccessionCallback], L],
        *,
        dial: Dial,
        clock: Clock,
        backoff: Backoff,
        on_down: Callable[[str], None] = lambda _: None,
        full_life_s: float = FULL_LIFE_S,
    ) -> None:
        self.name = name
        self.url = url
        self.connects = 0
        self.rotations = 0
        self.ending = False
        self.current: L | None = None
        self._tenure: _ActiveConnection[L] | None = None
        self._occupied = asyncio.Event()
        self._begin = begin
        self._dial = dial
        self._clock = clock
        self._backoff = backoff
        self._on_down = on_down
        self._full_life_s = full_life_s
        self._told_s = float("-inf")
        self._haste = asyncio.Event()

    @property
    def reconnects(self) -> int:
        """How often a connection was made anew after a loss."""
        return max(0, self.connects - self.rotations - 1)

    async def occupied(self) -> None:
        """Wait until a life is in office."""
        await self._occupied.wait()

    def hurry(self) -> None:
        """The end is near: from now on pauses are short and attempts are not counted. A ban is still waited for."""
        self._haste.set()

    def stay_down(self) -> None:
        """From now on a lost connection stays lost, nobody is followed, and `run` returns."""
        self.ending = True

    async def run(self) -> None:
        """Until `stay_down`. Raises ExchangeUnreachable, and what a life raises beyond SessionLost."""
        try:
            async with asyncio.TaskGroup() as tenures:
                await self._keep(tenures)
        except BaseExceptionGroup as group:
            failure = gravest(group)
            raise failure from failure.__cause__

    async def _keep(self, tenures: asyncio.TaskGroup) -> None:
        while True:
            try:
                tenure = await self._install(tenures)
            except SessionLost as lost:
                failure, lived_s = lost, 0.0
            else:
                await tenure.parting.wait()
                failure, lived_s = tenure.failure or SessionLost(tenure.leaving), self._clock.now_s() - tenure.born_s
            if self.ending:
                if self._tenure is not None:
                    await self._tenure.over.wait()
                return
            if self._tenure is None or not self._backoff.healthy(lived_s):
                await self._pause(failure, lived_s)
            else:
                logger.info("connection to be followed name=%s reason=%r", self.name, str(failure))

    async def _install(self, tenures: asyncio.TaskGroup) -> _ActiveConnection[L]:
        """A new connection, in office. Raises SessionLost."""
        socket = await self._dial(self.url)
        tenure: _ActiveConnection[L] = _ActiveConnection(socket, self._clock.now_s())
        logger.debug("connected name=%s url=%s", self.name, self.url)
        tenures.create_task(self._serve(tenure, self._begin(socket, tenure.follow)))
        await tenure.settled.wait()
        if tenure.failure is not None:
            raise tenure.failure
        return tenure

    async def _pause(self, failure: SessionLost, lived_s: float) -> None:
        delay_s = self._delay_s(failure, lived_s)
        what = "lost" if self._tenure is None else "not followed by another yet"
        level = logging.WARNING if lived_s or self._worth_a_word() else logging.DEBUG
        logger.log(level, "%s connection %s: %s; trying again in %.1f s", self.name, what, failure, delay_s)
        if failure.wait_s or self._haste.is_set():
            await self._clock.sleep(delay_s)
            return
        with contextlib.suppress(TimeoutError):
            async with within(self._clock, delay_s):
                await self._haste.wait()

    def _delay_s(self, failure: SessionLost, lived_s: float) -> float:
        if self._haste.is_set():
            delay_s = _IN_HASTE_S
        else:
            where = f"{self.name} {self.url}: {failure}"
            delay_s = self._backoff.delay_s(lived_s, where, for_ever=self._tenure is not None)
        if failure.wait_s:
            delay_s = max(delay_s, min(failure.wait_s, _LONGEST_WAIT_S) + _MORE_S)
        return delay_s

    def _worth_a_word(self) -> bool:
        """Of attempts that fail in a row one a minute is told: more would bury what matters."""
        now_s = self._clock.now_s()
        if now_s - self._told_s < _TOLD_EVERY_S:
            return False
        self._told_s = now_s
        return True

    async def _serve(self, tenure: _ActiveConnection[L], life: L) -> None:
        """A life from its beginning to its end; losing the session is the usual one."""
        try:
            await side_by_side(life.run(), self._hold_office(tenure, life), self._grow_old(tenure))
        except SessionLost as lost:
            self._end(tenure, life, lost)
            if self._tenure is None and not tenure.retired and not self.ending:
                self._on_down(str(lost))
        except BaseException:  # whatever ends it, those who wait for an answer must hear silence
            self.ending = True
            self._end(tenure, life, SessionLost("closed by us"))
            raise
        finally:
            # Last, for closing a socket that nobody answers takes its time.
            await tenure.socket.close()

    async def _hold_office(self, tenure: _ActiveConnection[L], life: L) -> None:
        await life.open()
        self._take_office(tenure, life)
        with contextlib.suppress(TimeoutError):
            async with tenure.office:
                await life.watch()
        await life.finish()
        raise SessionLost("followed by another connection")

    def _take_office(self, tenure: _ActiveConnection[L], life: L) -> None:
        predecessor, self._tenure, self.current = self._tenure, tenure, life
        self.connects += 1
        if predecessor is not None:
            self.rotations += 1
            predecessor.retire()
            logger.info("connection followed by another name=%s reason=%r", self.name, predecessor.leaving)
        tenure.settled.set()
        self._occupied.set()

    async def _grow_old(self, tenure: _ActiveConnection[L]) -> None:
        await self._clock.sleep(self._full_life_s)
        tenure.follow("it is old")

    def _end(self, tenure: _ActiveConnection[L], life: L, lost: SessionLost) -> None:
        if self._tenure is tenure:
            self._tenure = self.current = None
            self._occupied.clear()
        life.end(lost)
        tenure.fail(lost)

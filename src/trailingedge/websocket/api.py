"""The WebSocket API: one `Session` at a time on a `Link` that is kept alive.

After each connect `on_open` runs (logon, subscription, whatever must be reconciled); only when it has
succeeded is the connection ready and takes orders.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from trailingedge.clock import Clock
from trailingedge.errors import OutcomeUnknown, ProtocolViolation, RequestRefused, SessionLost
from trailingedge.market import RateLimit
from trailingedge.websocket.connection import Backoff, Dial, Link, Socket, ViolationCount, shown, side_by_side
from trailingedge.websocket.messages import AccountEvent, ServerShutdown
from trailingedge.websocket.outcomes import Unanswered
from trailingedge.websocket.refusals import judge
from trailingedge.websocket.session import Answer, Listener, NotSent, Params, Revoked, Session, Silence

logger = logging.getLogger(__name__)

PATIENCE_S: Final = 10.0  # the exchange itself gives a request up after ten seconds
_GLANCE_S: Final = 0.5  # how late a time-out may be noticed
_LEAST_SLEEP_S: Final = 0.001


class Caller(Protocol):
    """Whoever can put a question to the exchange and wait for the answer."""

    async def ask(self, method: str, params: Params | None = None, patience_s: float = PATIENCE_S) -> Answer:
        """The answer as a value."""
        ...

    async def call(self, method: str, params: Params | None = None, patience_s: float = PATIENCE_S) -> object:
        """The raw result. Raises RequestRefused, OutcomeUnknown or SessionLost."""
        ...


class Poster(Protocol):
    """Whoever can write a request and go on: the order path."""

    async def post(self, method: str, params: Params | None, patience_s: float, heard: Listener) -> None: ...


@dataclass(frozen=True, slots=True)
class _Live:
    session: Session
    socket: Socket


class ApiConnection:
    """Questions and answers, and the account's events, over a connection that comes back by itself.

    `on_event` may raise SessionLost to have the connection made anew. `on_down` is called once per loss,
    after every listener in flight has heard silence.
    """

    def __init__(
        self,
        url: str,
        *,
        dial: Dial,
        clock: Clock,
        backoff: Backoff,
        on_open: Callable[["ApiConnection"], Awaitable[None]],
        on_event: Callable[[AccountEvent], None],
        on_limits: Callable[[tuple[RateLimit, ...]], None] = lambda _: None,
        on_down: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.limits: dict[tuple[str, int], RateLimit] = {}  # the latest by kind and interval in seconds
        self._clock = clock
        self._on_open = on_open
        self._on_event = on_event
        self._on_limits = on_limits
        self._link = Link("api", url, self._serve, dial=dial, clock=clock, backoff=backoff, on_down=on_down)
        self._live: _Live | None = None
        self._ready = asyncio.Event()
        self._asked = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        return self._ready.is_set()

    @property
    def reconnects(self) -> int:
        return self._link.reconnects

    async def ready(self) -> None:
        """Wait until `on_open` has succeeded."""
        await self._ready.wait()

    def stay_down(self) -> None:
        """From now on a lost connection stays lost, and `run` returns."""
        self._link.stay_down()

    async def run(self) -> None:
        """Until `stay_down`. Raises ExchangeUnreachable, and whatever `on_open` raises for a person to act on."""
        await self._link.run()

    async def call(self, method: str, params: Params | None = None, patience_s: float = PATIENCE_S) -> object:
        """The raw result. Raises RequestRefused, OutcomeUnknown or SessionLost."""
        answer = await self.ask(method, params, patience_s)
        if isinstance(answer, NotSent) or (isinstance(answer, Silence) and answer.connection_lost):
            raise SessionLost(f"{method}: {answer.reason}")
        if isinstance(answer, Silence):
            raise OutcomeUnknown(f"{method}: {answer.reason}")
        if answer.ok:
            return answer.result
        verdict = judge(answer)
        if isinstance(verdict, Unanswered):
            raise OutcomeUnknown(f"{method}: {verdict.reason}")
        raise RequestRefused(verdict.code, verdict.text)

    async def ask(self, method: str, params: Params | None = None, patience_s: float = PATIENCE_S) -> Answer:
        """The answer as a value. Also before the connection is ready: `on_open` asks by it."""
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def heard(answer: Answer) -> None:
            if not answered.done():  # given up by its caller, or late
                answered.set_result(answer)

        await self._write(method, params, patience_s, heard)
        return await answered

    async def post(self, method: str, params: Params | None, patience_s: float, heard: Listener) -> None:
        """Write the request and return; `heard` gets the answer. Not ready: it hears NotSent at once."""
        if self.is_ready:
            await self._write(method, params, patience_s, heard)
        else:
            heard(NotSent("not connected"))

    async def _write(self, method: str, params: Params | None, patience_s: float, heard: Listener) -> None:
        live = self._live
        if live is None:
            heard(NotSent("not connected"))
            return
        text = live.session.ask(method, params, self._clock.now_s(), patience_s, heard)
        self._asked.set()
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("> %s", shown(text))
        try:
            await live.socket.send(text)
        except SessionLost as lost:
            self._lose(live, str(lost))

    async def _serve(self, socket: Socket) -> None:
        live = self._live = _Live(Session(self._hear_limits), socket)
        reason = "closed by us"
        try:
            await side_by_side(self._pump(live), self._expire(live.session), self._open())
        except SessionLost as lost:
            reason = str(lost)
            raise
        finally:
            self._lose(live, reason)

    def _lose(self, live: _Live, reason: str) -> None:
        if self._live is live:
            self._live = None
            self._ready.clear()
        live.session.lost(reason)

    async def _open(self) -> None:
        try:
            await self._on_open(self)
        except (RequestRefused, OutcomeUnknown, ProtocolViolation) as error:
            raise SessionLost(f"the session could not be opened: {error}") from error
        if self._live is not None:
            self._ready.set()

    async def _pump(self, live: _Live) -> None:
        violations = ViolationCount()
        while True:
            frame = await live.socket.recv()
            if logger.isEnabledFor(logging.DEBUG):
                logger.debug("< %s", shown(frame))
            try:
                self._hear(live.session, frame)
            except SessionLost:
                raise
            except ProtocolViolation as violation:
                violations.add(violation, self._clock.now_s())
            except Exception:  # a handler's mistake must not cut us off from the account's news
                logger.exception("frame handler failed")

    def _hear(self, session: Session, frame: str | bytes) -> None:
        message = session.hear(frame)
        if message is None:
            return
        if isinstance(message, Revoked):
            raise SessionLost(f"the exchange revoked the session: {message.code} {message.text}")
        if isinstance(message, ServerShutdown):
            raise SessionLost("the server shuts down")
        self._on_event(message)

    def _hear_limits(self, limits: tuple[RateLimit, ...]) -> None:
        self.limits.update(((limit.kind, limit.interval_s), limit) for limit in limits)
        self._on_limits(limits)

    async def _expire(self, session: Session) -> None:
        """Give up what was not answered in time."""
        while True:
            due_s = session.next_expiry_s
            if due_s is None:
                self._asked.clear()
                await self._asked.wait()
                continue
            # In short naps: a question with less patience may come in between.
            await self._clock.sleep(min(_GLANCE_S, max(_LEAST_SLEEP_S, due_s - self._clock.now_s())))
            session.expire(self._clock.now_s())

"""The WebSocket API as everybody uses it: whichever `ApiSession` is in office on a `ConnectionSupervisor`.

Each conversation is opened (logon, subscription, whatever must be reconciled) before it takes office; only
then are questions and orders put to it, each to exactly one. Those that were put to its predecessor are
still answered there.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from trailingedge.core.clock import Clock
from trailingedge.model.market import RateLimit
from trailingedge.websocket.api_session import REQUEST_TIMEOUT_S, ApiSession, FrameTap, result_of
from trailingedge.websocket.connection_supervisor import ROTATE_AFTER_S, ConnectionSupervisor, RotationCallback
from trailingedge.websocket.prepared_request import SentRequest
from trailingedge.websocket.request_tracker import NotSent, Params, ReplyHandler, RequestOutcome
from trailingedge.websocket.transport import Backoff, Dial, Socket


class RequestCaller(Protocol):
    """Whoever can put a question to the exchange and wait for the answer."""

    async def request(
        self, method: str, params: Params | None = None, patience_s: float = REQUEST_TIMEOUT_S
    ) -> RequestOutcome:
        """The answer as a value."""
        ...

    async def call(self, method: str, params: Params | None = None, patience_s: float = REQUEST_TIMEOUT_S) -> object:
        """The raw result. Raises RequestRefused, OutcomeUnknown or SessionLost."""
        ...


class RequestSender(Protocol):
    """Whoever can write a request and go on: the order path."""

    def send_prepared(self, word: Callable[[int], str]) -> SentRequest: ...

    def send(self, method: str, params: Params | None, patience_s: float, heard: ReplyHandler) -> None: ...


async def _trust(_: ApiSession) -> None:
    await asyncio.Event().wait()


class ApiClient:
    """Questions and answers over a connection that comes back by itself.

    `on_open` is awaited with each new conversation, `on_watch` for as long as it is in office. `on_down` is
    called once per loss, after every listener in flight has heard silence. `server_ms` is the exchange's
    wall clock, by which it says how long it wants to be left alone.
    """

    def __init__(
        self,
        url: str,
        *,
        dial: Dial,
        clock: Clock,
        backoff: Backoff,
        on_open: Callable[[ApiSession], Awaitable[None]],
        on_watch: Callable[[ApiSession], Awaitable[None]] = _trust,
        on_limits: Callable[[tuple[RateLimit, ...]], None] = lambda _: None,
        on_down: Callable[[str], None] = lambda _: None,
        server_ms: Callable[[], int] | None = None,
        note: FrameTap = lambda _direction, _frames: None,
        rotate_after_s: float = ROTATE_AFTER_S,
    ) -> None:
        def begin(socket: Socket, follow: RotationCallback) -> ApiSession:
            return ApiSession(
                socket,
                clock,
                follow,
                on_open=on_open,
                on_watch=on_watch,
                on_limits=on_limits,
                server_ms=server_ms or clock.unix_ms,
                note=note,
            )

        self._supervisor = ConnectionSupervisor(
            "api", url, begin, dial=dial, clock=clock, backoff=backoff, on_down=on_down, rotate_after_s=rotate_after_s
        )

    @property
    def active(self) -> ApiSession | None:
        """The conversation in office."""
        return self._supervisor.active

    @property
    def is_ready(self) -> bool:
        current = self._supervisor.active
        return current is not None and not current.is_lost

    @property
    def is_stopping(self) -> bool:
        """It was told to stay down."""
        return self._supervisor.is_stopping

    @property
    def reconnects(self) -> int:
        return self._supervisor.reconnects

    async def wait_ready(self) -> None:
        """Wait until a conversation was opened."""
        await self._supervisor.wait_active()

    def retry_quickly(self) -> None:
        """The end is near: a lost connection is dialled again soon and often."""
        self._supervisor.retry_quickly()

    def stop_reconnecting(self) -> None:
        """From now on a lost connection stays lost, and `run` returns."""
        self._supervisor.stop_reconnecting()

    async def run(self) -> None:
        """Until `stay_down`. Raises ExchangeUnreachable, and whatever `on_open` raises for a person to act on."""
        await self._supervisor.run()

    async def request(
        self, method: str, params: Params | None = None, patience_s: float = REQUEST_TIMEOUT_S
    ) -> RequestOutcome:
        """The answer as a value."""
        current = self._supervisor.active
        return NotSent("not connected") if current is None else await current.request(method, params, patience_s)

    async def call(self, method: str, params: Params | None = None, patience_s: float = REQUEST_TIMEOUT_S) -> object:
        """The raw result. Raises RequestRefused, OutcomeUnknown or SessionLost."""
        return result_of(method, await self.request(method, params, patience_s))

    def send(self, method: str, params: Params | None, patience_s: float, heard: ReplyHandler) -> None:
        """Write the request and return; `heard` gets the answer. Not ready: it hears NotSent at once."""
        current = self._supervisor.active
        if current is None:
            heard(NotSent("not connected"))
        else:
            current.send(method, params, patience_s, heard)

    def send_prepared(self, word: Callable[[int], str]) -> SentRequest:
        """Write a request, worded for its number; whoever wrote it then listens."""
        current = self._supervisor.active
        return SentRequest(None, NotSent("not connected")) if current is None else current.send_prepared(word)

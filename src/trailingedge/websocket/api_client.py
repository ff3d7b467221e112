"""API client: sends requests over the active `ApiSession`, and opens a new session after each loss or rotation.

Theory of operation. `ApiClient` owns a `ConnectionSupervisor` whose handlers are `ApiSession`s. A new session first
runs `on_open` (logon, subscription, reconciliation) over itself; then it becomes the active one and all later requests
go to it. Each request goes to exactly one session: it is never sent again on another one, because an order sent twice
could be executed twice. During a rotation the replaced session still delivers the replies to its own requests, so a
caller never notices a rotation. After a loss every pending request gets NoResponse, then `on_down` is called, and
requests get NotSent until the next session is active.

There are two ways to use it:

- `request` and `call` wait for the reply. Start-up, recovery and probes use them. `RequestCaller`
  is their protocol.
- `send` returns as soon as the frame is written, and a handler gets the outcome. The order path,
  which must not wait, uses it. `RequestSender` is its protocol.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from trailingedge.core.clock import Clock
from trailingedge.model.market import RateLimit
from trailingedge.websocket.api_connection import REQUEST_TIMEOUT_S, ApiSession, FrameTap, result_of
from trailingedge.websocket.connection_supervisor import ROTATE_AFTER_S, ConnectionSupervisor, RotationCallback
from trailingedge.websocket.request_tracker import Encoder, NotSent, Params, ReplyHandler, RequestOutcome
from trailingedge.websocket.socket_dialer import Backoff, Dial, Socket


class RequestCaller(Protocol):
    """Sends a request and waits for the reply: an `ApiClient`, or one `ApiSession` before it is active."""

    async def request(
        self, method: str, params: Params | None = None, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> RequestOutcome:
        """Send a request and return the outcome as a value."""
        ...

    async def call(self, method: str, params: Params | None = None, timeout_s: float = REQUEST_TIMEOUT_S) -> object:
        """Send a request and return the raw result. Raises RequestRefused, OutcomeUnknown or SessionLost."""
        ...


class RequestSender(Protocol):
    """Sends a request without waiting; a handler gets the outcome."""

    def send(self, method: str, encode: Encoder, timeout_s: float, on_reply: ReplyHandler) -> None: ...


async def _watch_nothing(_: ApiSession) -> None:
    await asyncio.Event().wait()


class ApiClient:
    """Sends requests over a connection that reconnects by itself.

    `on_open` is awaited with each new session, `on_watch` runs while it is active. `on_down` is
    called once per loss, after every pending request got NoResponse. `on_retry` gets the
    reason of each failed attempt to connect and the pause before the next. `server_ms` returns the
    exchange's time, from which the rest of a ban is computed. `tap` gets all frames.
    """

    def __init__(
        self,
        url: str,
        *,
        dial: Dial,
        clock: Clock,
        backoff: Backoff,
        on_open: Callable[[ApiSession], Awaitable[None]],
        on_watch: Callable[[ApiSession], Awaitable[None]] = _watch_nothing,
        on_limits: Callable[[tuple[RateLimit, ...]], None] = lambda _: None,
        on_down: Callable[[str], None] = lambda _: None,
        on_retry: Callable[[str, float], bool] = lambda _reason, _pause_s: False,
        server_ms: Callable[[], int] | None = None,
        tap: FrameTap = lambda _direction, _frames: None,
        rotate_after_s: float = ROTATE_AFTER_S,
    ) -> None:
        def make_session(socket: Socket, request_rotation: RotationCallback) -> ApiSession:
            return ApiSession(
                socket,
                clock,
                request_rotation,
                on_open=on_open,
                on_watch=on_watch,
                on_limits=on_limits,
                server_ms=server_ms or clock.unix_ms,
                tap=tap,
            )

        self._supervisor = ConnectionSupervisor(
            "api",
            url,
            make_session,
            dial=dial,
            clock=clock,
            backoff=backoff,
            on_down=on_down,
            on_retry=on_retry,
            rotate_after_s=rotate_after_s,
        )

    @property
    def active(self) -> ApiSession | None:
        """The session that gets new requests; None while there is no open connection."""
        return self._supervisor.active

    @property
    def is_ready(self) -> bool:
        """Return whether a request can be written now.

        After a failed write this is False at once, even before the supervisor handles the loss.
        """
        session = self._supervisor.active
        return session is not None and not session.is_lost

    @property
    def is_stopping(self) -> bool:
        """Whether `stop_reconnecting` was called."""
        return self._supervisor.is_stopping

    @property
    def reconnects(self) -> int:
        """How many sessions became active after a loss."""
        return self._supervisor.reconnects

    async def wait_ready(self) -> None:
        """Wait until a session is active."""
        await self._supervisor.wait_active()

    def retry_quickly(self) -> None:
        """Retry at short intervals from now on, for a shutdown."""
        self._supervisor.retry_quickly()

    def stop_reconnecting(self) -> None:
        """Open no further connection; `run` returns when the active one has ended."""
        self._supervisor.stop_reconnecting()

    async def run(self) -> None:
        """Keep a session open until `stop_reconnecting`. Raises ExchangeUnreachable and what `on_open` raises."""
        await self._supervisor.run()

    async def request(
        self, method: str, params: Params | None = None, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> RequestOutcome:
        """Send a request and return the outcome as a value."""
        session = self._supervisor.active
        # Requests are not queued until the connection is back: an order must not be sent at a price of minutes ago, and
        # after a reconnect the caller has to look at the account first.
        return NotSent("not connected") if session is None else await session.request(method, params, timeout_s)

    async def call(self, method: str, params: Params | None = None, timeout_s: float = REQUEST_TIMEOUT_S) -> object:
        """Send a request and return the raw result. Raises RequestRefused, OutcomeUnknown or SessionLost."""
        return result_of(method, await self.request(method, params, timeout_s))

    def send(self, method: str, encode: Encoder, timeout_s: float, on_reply: ReplyHandler) -> None:
        """Write a request and return; `on_reply` gets the outcome later.

        If the request cannot be sent, `on_reply` gets NotSent before this method returns.
        """
        session = self._supervisor.active
        if session is None:
            on_reply(NotSent("not connected"))
        else:
            session.send(method, encode, timeout_s, on_reply)

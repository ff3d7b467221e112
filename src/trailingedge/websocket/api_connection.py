"""API session: one WebSocket API connection from its first request to its last reply.

Theory of operation. `ApiSession` is the `ConnectionHandler` of the WebSocket API. It combines a `Socket` (transports
frames) and a `RequestTracker` (matches replies to requests), and handles four things that neither of them does:

- Timeouts: `_expire_requests` sleeps until the next one is due, but at most 0.5 s at a time, since a request with a
  shorter timeout may be added while it sleeps.
- Bans: after a 418, or a 429 for request weight, no further request is written until the time that the reply names.
  Callers get NotSent with the rest of the wait. "Repeatedly violating rate limits and/or failing to back off after
  receiving 429s will result in an automated IP ban" (web-socket-api.md, "IP limits"), and the ban covers our address,
  so a new connection does not help: SessionLost carries the rest of the wait to the supervisor.
- Failed writes: a write notices a dead socket before the reader does. The session is then lost at once: every pending
  request gets NoResponse, also the one whose write failed, because part of its bytes may have reached the exchange.
- Events: account events go to `on_event`, which the owner sets in `on_open`. `serverShutdown` requests a rotation,
  a revoked session ends the connection.

Life of a session: `open` awaits `on_open`, which may use this session before it is the active one; `watch` awaits
`on_watch` while it is active; `drain` waits until all pending requests are answered after a successor took over.

Order of work in `send`: the request is registered, the frame is written, then the tap gets it. Registering costs a
dictionary entry and must come first, since a failed write has to find the request pending.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from trailingedge.core.clock import Clock
from trailingedge.core.errors import OutcomeUnknown, ProtocolViolation, RequestRefused, RetryLater, SessionLost
from trailingedge.model.market import RateLimit
from trailingedge.model.order_outcomes import Unanswered
from trailingedge.websocket.error_codes import classify_error, server_time_of
from trailingedge.websocket.event_parser import AccountEvent, Reply, ServerShutdown
from trailingedge.websocket.request_tracker import (
    Encoder,
    NoResponse,
    NotSent,
    Params,
    ReplyHandler,
    RequestOutcome,
    RequestTracker,
    SessionRevoked,
    json_request,
)
from trailingedge.websocket.socket_dialer import Socket, ViolationCount, run_together, shown

logger = logging.getLogger(__name__)

# The exchange gives a request up after ten seconds itself and replies −1007 (errors.md: "Timeout waiting for response
# from backend server. Send status unknown; execution status unknown.").
REQUEST_TIMEOUT_S: Final = 10.0
_EXPIRY_CHECK_S: Final = 0.5  # how late a timeout may be noticed
_MIN_SLEEP_S: Final = 0.001
_MAX_BAN_S: Final = 3 * 24 * 3600.0  # "from 2 minutes to 3 days" (web-socket-api.md, "IP limits")
_LATE_EVENTS_S: Final = 1.0  # events from before the rotation may still be on their way
_DRAIN_TIMEOUT_S: Final = 5.0

FrameTap = Callable[[str, Sequence[str | bytes]], None]


class ApiSession:
    """One connection to the WebSocket API; both a RequestCaller and a RequestSender.

    `on_event` gets account events and may raise SessionLost. `request_rotation` is called with the reason when a
    successor should replace this connection. `tap` gets all frames, with ">" for sent and "<" for received; one call
    gets all frames of one read. `server_ms` returns the exchange's time.
    """

    def __init__(
        self,
        socket: Socket,
        clock: Clock,
        request_rotation: Callable[[str], None],
        *,
        on_open: Callable[["ApiSession"], Awaitable[None]],
        on_watch: Callable[["ApiSession"], Awaitable[None]],
        server_ms: Callable[[], int],
        on_limits: Callable[[tuple[RateLimit, ...]], None] = lambda _: None,
        tap: FrameTap = lambda _direction, _frames: None,
    ) -> None:
        self.on_event: Callable[[AccountEvent], None] = lambda _: None
        self.request_rotation = request_rotation
        self.received_s = clock.now_s()  # when the last frame came
        self._socket = socket
        self._clock = clock
        self._on_open = on_open
        self._on_watch = on_watch
        self._server_ms = server_ms
        self._tap = tap
        self._tracker = RequestTracker(on_limits)
        self._banned_until_s = float("-inf")
        self._applied_ban: Reply | None = None
        self._lost: SessionLost | None = None
        self._send_failed = asyncio.Event()
        self._violations = ViolationCount()
        self._request_added = asyncio.Event()

    @property
    def is_lost(self) -> bool:
        """Whether the connection is lost. The supervisor may not have handled the loss yet."""
        return self._lost is not None

    async def request(
        self, method: str, params: Params | None = None, timeout_s: float = REQUEST_TIMEOUT_S
    ) -> RequestOutcome:
        """Send a request and return the outcome as a value."""
        outcome: asyncio.Future[RequestOutcome] = asyncio.get_running_loop().create_future()

        def on_reply(reply: RequestOutcome) -> None:
            if not outcome.done():  # done: a late reply after the timeout, or the caller was cancelled
                outcome.set_result(reply)

        self.send(method, json_request(method, params), timeout_s, on_reply)
        return await outcome

    async def call(self, method: str, params: Params | None = None, timeout_s: float = REQUEST_TIMEOUT_S) -> object:
        """Send a request and return the raw result. Raises RequestRefused, OutcomeUnknown or SessionLost."""
        return result_of(method, await self.request(method, params, timeout_s))

    def send(self, method: str, encode: Encoder, timeout_s: float, on_reply: ReplyHandler) -> None:
        """Write a request and return; `on_reply` gets the outcome."""
        not_sent = self._reason_not_to_send()
        if not_sent is not None:
            on_reply(not_sent)
            return
        text = encode(self._tracker.add(method, self._clock.now_s(), timeout_s, on_reply))
        self._request_added.set()
        try:
            self._socket.send(text)
        except SessionLost as lost:
            self.on_lost(lost)
        self._tap(">", (text,))  # an order must not wait for what is written down about it

    def _reason_not_to_send(self) -> NotSent | None:
        """Return why no request can be written now; None when one can."""
        if self._lost is not None:
            return NotSent(str(self._lost))
        banned_s = self._banned_until_s - self._clock.now_s()
        if banned_s > 0.0:  # requests during a ban would only prolong it
            return NotSent(f"the exchange accepts no request for {banned_s:.0f} s", banned_s)
        return None

    # ConnectionHandler -----------------------------------------------------------------------

    async def run(self) -> None:
        """Read frames and expire requests until the connection is lost. Raises SessionLost."""
        try:
            await run_together(
                self._socket.receive(self._on_frames), self._expire_requests(), self._raise_on_send_failure()
            )
        except SessionLost as lost:
            lost.wait_s = max(lost.wait_s, self._banned_until_s - self._clock.now_s())
            raise

    async def open(self) -> None:
        """Await `on_open`. Raises SessionLost if one of its requests fails.

        LogonRefused and ConfigError are raised unchanged.
        """
        try:
            await self._on_open(self)
        except RequestRefused as refused:
            wait_s = refused.wait_s(self._server_ms())
            raise SessionLost(f"the session could not be opened: {refused}", wait_s) from refused
        except (OutcomeUnknown, ProtocolViolation) as error:
            raise SessionLost(f"the session could not be opened: {error}") from error

    async def watch(self) -> None:
        """Await `on_watch`. Raises SessionLost when the connection turns out to be dead."""
        await self._on_watch(self)

    async def drain(self) -> None:
        """Wait one second for late events, then at most about five seconds until no request is pending."""
        await self._clock.sleep(_LATE_EVENTS_S)
        deadline_s = self._clock.now_s() + _DRAIN_TIMEOUT_S
        while self._tracker.in_flight and self._clock.now_s() < deadline_s:
            await self._clock.sleep(_EXPIRY_CHECK_S)

    def on_lost(self, lost: SessionLost) -> None:
        """Mark the session as lost and give NoResponse to every pending request.

        Later calls do nothing.
        """
        if self._lost is None:
            self._lost = lost
            self._send_failed.set()
            self._tracker.on_connection_lost(str(lost))

    # Internals -------------------------------------------------------------------------------

    def _apply_ban(self) -> None:
        """Block all requests until the end of the newest ban."""
        ban = self._tracker.ban
        if ban is not None and ban is not self._applied_ban:
            self._applied_ban = ban
            refused = to_exception("ban", ban)
            ban_s = refused.wait_s(self._server_ms()) if isinstance(refused, RequestRefused) else 0.0
            self._banned_until_s = self._clock.now_s() + min(ban_s, _MAX_BAN_S)

    async def _raise_on_send_failure(self) -> None:
        """End `run` after a failed write. The reader alone might notice the loss only when TCP stops retransmitting."""
        await self._send_failed.wait()
        raise self._lost or SessionLost("ended")

    def _on_frames(self, frames: Sequence[str | bytes]) -> None:
        """Handle all frames of one read. Raises SessionLost."""
        self.received_s = self._clock.now_s()
        self._tap("<", frames)
        for frame in frames:
            try:
                self._on_frame(frame)
            except SessionLost:
                raise
            except ProtocolViolation as violation:
                self._violations.add(violation, self._clock.now_s())
            except Exception:  # an error in a handler must not cut us off from the account's events
                logger.exception("API frame handler failed, the session stays open frame=%s", shown(frame))

    def _on_frame(self, frame: str | bytes) -> None:
        message = self._tracker.on_frame(frame)
        if message is None:
            self._apply_ban()
            return
        if isinstance(message, SessionRevoked):
            raise SessionLost(f"the exchange revoked the session: {message.code} {message.text}")
        if isinstance(message, ServerShutdown):
            self.request_rotation("the server shuts down")
            return
        self.on_event(message)

    async def _expire_requests(self) -> None:
        """Time out the requests that got no reply."""
        while True:
            due_s = self._tracker.next_expiry_s
            if due_s is None:
                self._request_added.clear()
                await self._request_added.wait()
                continue
            # A request with a shorter timeout may be added during this sleep.
            await self._clock.sleep(min(_EXPIRY_CHECK_S, max(_MIN_SLEEP_S, due_s - self._clock.now_s())))
            self._tracker.expire(self._clock.now_s())


def result_of(method: str, outcome: RequestOutcome) -> object:
    """Return the raw result of a reply. Raises RequestRefused, OutcomeUnknown or SessionLost for any other outcome."""
    if isinstance(outcome, NotSent):
        raise (RetryLater if outcome.wait_s else SessionLost)(f"{method}: {outcome.reason}", outcome.wait_s)
    if isinstance(outcome, NoResponse) and outcome.connection_lost:
        raise SessionLost(f"{method}: {outcome.reason}")
    if isinstance(outcome, NoResponse):
        raise OutcomeUnknown(f"{method}: {outcome.reason}")
    if outcome.ok:
        return outcome.result
    raise to_exception(method, outcome)


def to_exception(method: str, reply: Reply) -> RequestRefused | OutcomeUnknown:
    """Return the exception for an error reply: the request was refused, or its outcome is unknown."""
    error = classify_error(reply)
    if isinstance(error, Unanswered):
        return OutcomeUnknown(f"{method}: {error.reason}")
    return RequestRefused(error.code, error.text, error.retry_at_ms, server_time_of(reply))

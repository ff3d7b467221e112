"""One connection to the WebSocket API, from its first question to its last answer.

The `RequestTracker` knows which answer belongs to which question; here its frames are written and read, and its
patience is kept. Whoever opens the conversation may put questions before anybody else.
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
from trailingedge.websocket.prepared_request import SentRequest
from trailingedge.websocket.request_tracker import (
    NoResponse,
    NotSent,
    Params,
    ReplyHandler,
    RequestOutcome,
    RequestTracker,
    SessionRevoked,
)
from trailingedge.websocket.transport import Socket, ViolationCount, run_together, shown

logger = logging.getLogger(__name__)

REQUEST_TIMEOUT_S: Final = 10.0  # the exchange itself gives a request up after ten seconds
_EXPIRY_CHECK_S: Final = 0.5  # how late a time-out may be noticed
_MIN_SLEEP_S: Final = 0.001
_MAX_BAN_S: Final = 3 * 24 * 3600.0  # the longest ban there is
_LATE_EVENTS_S: Final = 1.0  # events of before the end may still be on their way
_DRAIN_TIMEOUT_S: Final = 5.0

FrameTap = Callable[[str, Sequence[str | bytes]], None]


class ApiSession:
    """A Caller on one socket. `on_event` hears what comes unasked and may raise SessionLost.

    `follow` is called with the reason when another connection should take this one's place. `note` is
    told of all frames, ">" sent or "<" heard, as many at a time as came together. `server_ms` is the
    exchange's wall clock.
    """

    def __init__(
        self,
        socket: Socket,
        clock: Clock,
        follow: Callable[[str], None],
        *,
        on_open: Callable[["ApiSession"], Awaitable[None]],
        on_watch: Callable[["ApiSession"], Awaitable[None]],
        server_ms: Callable[[], int],
        on_limits: Callable[[tuple[RateLimit, ...]], None] = lambda _: None,
        note: FrameTap = lambda _direction, _frames: None,
    ) -> None:
        self.on_event: Callable[[AccountEvent], None] = lambda _: None
        self.request_rotation = follow
        self._socket = socket
        self._clock = clock
        self._on_open = on_open
        self._on_watch = on_watch
        self._server_ms = server_ms
        self._tap = note
        self._tracker = RequestTracker(on_limits)
        self._quiet_until_s = float("-inf")
        self._applied_ban: Reply | None = None
        self._lost: SessionLost | None = None
        self._send_failed = asyncio.Event()
        self._violations = ViolationCount()
        self._request_added = asyncio.Event()

    @property
    def is_lost(self) -> bool:
        return self._lost is not None

    async def request(
        self, method: str, params: Params | None = None, patience_s: float = REQUEST_TIMEOUT_S
    ) -> RequestOutcome:
        """The answer as a value."""
        answered: asyncio.Future[RequestOutcome] = asyncio.get_running_loop().create_future()

        def heard(answer: RequestOutcome) -> None:
            if not answered.done():  # given up by its caller, or late
                answered.set_result(answer)

        self.send(method, params, patience_s, heard)
        return await answered

    async def call(self, method: str, params: Params | None = None, patience_s: float = REQUEST_TIMEOUT_S) -> object:
        """The raw result. Raises RequestRefused, OutcomeUnknown or SessionLost."""
        return result_of(method, await self.request(method, params, patience_s))

    def send(self, method: str, params: Params | None, patience_s: float, heard: ReplyHandler) -> None:
        """Write the request and return; `heard` gets the answer."""
        refused = self._reason_not_to_send()
        if refused is not None:
            heard(refused)
            return
        text = self._tracker.encode_request(method, params, self._clock.now_s(), patience_s, heard)
        self._request_added.set()
        try:
            self._socket.send(text)
        except SessionLost as lost:
            self.on_lost(lost)
        # An order must not wait for the log.
        self._tap(">", (text,))
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("> %s", shown(text))

    def send_prepared(self, word: Callable[[int], str]) -> "SentRequest":
        """Write a request, worded for its number, before anything else is done; whoever wrote it then listens."""
        refused = self._reason_not_to_send()
        if refused is not None:
            return SentRequest(None, refused)
        number = self._tracker.next_id()
        text = word(number)
        lost = None
        try:
            self._socket.send(text)
        except SessionLost as error:
            lost = error

        def listen(method: str, patience_s: float, heard: ReplyHandler) -> None:
            self._tracker.add_pending(number, method, self._clock.now_s(), patience_s, heard)
            self._request_added.set()
            if lost is not None:
                self.on_lost(lost)
            self._tap(">", (text,))
            if logger.isEnabledFor(logging.DEBUG):
                logger.debug("> %s", shown(text))

        return SentRequest(listen)

    def _reason_not_to_send(self) -> NotSent | None:
        """Why nothing may be written now."""
        if self._lost is not None:
            return NotSent(str(self._lost))
        quiet_s = self._quiet_until_s - self._clock.now_s()
        if quiet_s > 0.0:  # asking on would only lengthen the ban
            return NotSent(f"the exchange wants to hear nothing for {quiet_s:.0f} s", quiet_s)
        return None

    # A life on a link ------------------------------------------------------------------------

    async def run(self) -> None:
        """Hear what is said, and give up what is not. Raises SessionLost."""
        try:
            await run_together(
                self._socket.receive(self._on_frames), self._expire_requests(), self._raise_on_send_failure()
            )
        except SessionLost as lost:
            lost.wait_s = max(lost.wait_s, self._quiet_until_s - self._clock.now_s())
            raise

    async def open(self) -> None:
        """Raises SessionLost, and whatever else a person must act on."""
        try:
            await self._on_open(self)
        except RequestRefused as refused:
            wait_s = refused.wait_s(self._server_ms())
            raise SessionLost(f"the session could not be opened: {refused}", wait_s) from refused
        except (OutcomeUnknown, ProtocolViolation) as error:
            raise SessionLost(f"the session could not be opened: {error}") from error

    async def watch(self) -> None:
        """Raises SessionLost where the connection turns out to be no use."""
        await self._on_watch(self)

    async def drain(self) -> None:
        """Wait until everything asked is answered, and for events that are on their way."""
        await self._clock.sleep(_LATE_EVENTS_S)
        deadline_s = self._clock.now_s() + _DRAIN_TIMEOUT_S
        while self._tracker.in_flight and self._clock.now_s() < deadline_s:
            await self._clock.sleep(_EXPIRY_CHECK_S)

    def on_lost(self, lost: SessionLost) -> None:
        """It is over: silence for every question in flight. Only the first reason counts."""
        if self._lost is None:
            self._lost = lost
            self._send_failed.set()
            self._tracker.on_connection_lost(str(lost))

    def _apply_ban(self) -> None:
        """Whoever is told to wait must not be asked by another of us meanwhile."""
        ban = self._tracker.ban
        if ban is not None and ban is not self._applied_ban:
            self._applied_ban = ban
            refused = to_exception("ban", ban)
            ban_s = refused.wait_s(self._server_ms()) if isinstance(refused, RequestRefused) else 0.0
            self._quiet_until_s = self._clock.now_s() + min(ban_s, _MAX_BAN_S)

    async def _raise_on_send_failure(self) -> None:
        """A write has failed; the reader may not have noticed yet."""
        await self._send_failed.wait()
        raise self._lost or SessionLost("ended")

    def _on_frames(self, frames: Sequence[str | bytes]) -> None:
        """Raises SessionLost."""
        self._tap("<", frames)
        for frame in frames:
            try:
                self._on_frame(frame)
            except SessionLost:
                raise
            except ProtocolViolation as violation:
                self._violations.add(violation, self._clock.now_s())
            except Exception:  # a handler's mistake must not cut us off from the account's news
                logger.exception("frame handler failed")
            finally:
                if logger.isEnabledFor(logging.DEBUG):
                    logger.debug("< %s", shown(frame))

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
        """Give up what was not answered in time."""
        while True:
            due_s = self._tracker.next_expiry_s
            if due_s is None:
                self._request_added.clear()
                await self._request_added.wait()
                continue
            # In short naps: a question with less patience may come in between.
            await self._clock.sleep(min(_EXPIRY_CHECK_S, max(_MIN_SLEEP_S, due_s - self._clock.now_s())))
            self._tracker.expire(self._clock.now_s())


def result_of(method: str, answer: RequestOutcome) -> object:
    """The raw result of an answer. Raises RequestRefused, OutcomeUnknown or SessionLost."""
    if isinstance(answer, NotSent):
        raise (RetryLater if answer.wait_s else SessionLost)(f"{method}: {answer.reason}", answer.wait_s)
    if isinstance(answer, NoResponse) and answer.connection_lost:
        raise SessionLost(f"{method}: {answer.reason}")
    if isinstance(answer, NoResponse):
        raise OutcomeUnknown(f"{method}: {answer.reason}")
    if answer.ok:
        return answer.result
    raise to_exception(method, answer)


def to_exception(method: str, reply: Reply) -> RequestRefused | OutcomeUnknown:
    """What a reply that is no success amounts to, for whoever waits for it."""
    verdict = classify_error(reply)
    if isinstance(verdict, Unanswered):
        return OutcomeUnknown(f"{method}: {verdict.reason}")
    return RequestRefused(verdict.code, verdict.text, verdict.retry_at_ms, server_time_of(reply))

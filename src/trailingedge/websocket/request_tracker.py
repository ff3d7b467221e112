"""Request tracker: matches the replies of one WebSocket API connection to its requests. No socket, no clock, no await.

Theory of operation. Requests and replies share a connection, replies may come in any order, and an `id` ties them
together ("you can freely reuse IDs within a session", web-socket-api.md, "Request format"; we count up and reuse none).
For each request the caller gives a timeout and a `ReplyHandler`, which gets exactly one first outcome:

- `Reply`: the exchange's answer, success or error.
- `NoResponse`: a timeout, or the connection was lost. The request may have been executed. A
  placed order is then in an unknown state, and not rejected, until an execution report or a query
  shows what became of it.
- `NotSent`, given by `ApiSession` and `ApiClient`: no byte was written, so it was certainly not executed.

A timeout is not the end. The exchange may reply later, and that reply shows the outcome of the request. So a request
that timed out is remembered (the newest 1,000), and a late reply goes to its handler as a second outcome. A lost
connection is the end: `on_connection_lost` gives NoResponse to every pending request, and frames that are still in a
buffer are parsed, but change nothing.

Replies and execution reports of one order race. They come over the same connection, but from different parts of the
exchange, so a report of a fill may precede the reply to the placement, which then shows an older state. This module
passes everything on in the order of arrival; `execution.order_updates` decides what is newer.
"""

import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from trailingedge.model.market import RateLimit
from trailingedge.websocket.error_codes import forbids_requests
from trailingedge.websocket.event_parser import AccountEvent, ParsedReply, Reply, read_api_frame

logger = logging.getLogger(__name__)

_MAX_TIMED_OUT: Final = 1000


@dataclass(frozen=True, slots=True)
class NoResponse:
    """The request was sent and got no reply: a timeout, or the connection was lost. It may have been executed."""

    reason: str
    connection_lost: bool = False


@dataclass(frozen=True, slots=True)
class NotSent:
    """The request was never written to a socket, so it was certainly not executed.

    `wait_s` is how long the next request must wait.
    """

    reason: str
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class SessionRevoked:
    """The exchange ended the session: the API key or its permission is gone."""

    code: int
    text: str


RequestOutcome = Reply | NoResponse | NotSent
ReplyHandler = Callable[[RequestOutcome], None]
Params = Mapping[str, str | int]
Encoder = Callable[[int], str]
"""Returns the frame of a request, given its id."""


def json_request(method: str, params: Params | None = None) -> Encoder:
    """Return the encoder of a request with these parameters."""
    request: dict[str, object] = {"method": method}
    if params:
        request["params"] = dict(params)
    return lambda request_id: json.dumps({"id": request_id} | request, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class _PendingCall:
    method: str
    expires_s: float
    on_reply: ReplyHandler


class RequestTracker:
    """Pending requests of one connection. `on_limits` gets the rate limits that a reply carries."""

    def __init__(self, on_limits: Callable[[tuple[RateLimit, ...]], None] = lambda _: None) -> None:
        self.ban: Reply | None = None  # the newest reply that forbids further requests from our address for a while
        self._on_limits = on_limits
        self._last_id = 0
        self._in_flight: dict[int, _PendingCall] = {}
        self._timed_out: OrderedDict[int, _PendingCall] = OrderedDict()
        self._connection_lost = False

    @property
    def in_flight(self) -> int:
        """How many requests wait for a reply."""
        return len(self._in_flight)

    @property
    def next_expiry_s(self) -> float | None:
        """Return the time at which the next request times out; None while none is pending."""
        return min((call.expires_s for call in self._in_flight.values()), default=None)

    def add(self, method: str, now_s: float, timeout_s: float, on_reply: ReplyHandler) -> int:
        """Register a request and return its new id. `on_reply` gets the outcome; after a timeout, also a late reply."""
        self._last_id += 1
        self._in_flight[self._last_id] = _PendingCall(method, now_s + timeout_s, on_reply)
        return self._last_id

    def on_frame(self, frame: str | bytes) -> AccountEvent | SessionRevoked | None:
        """Deliver a reply to its handler, or return an event. Raises ProtocolViolation for a frame that is neither."""
        message = read_api_frame(frame)
        if self._connection_lost:
            return None
        if not isinstance(message, ParsedReply):
            return message
        reply = message.reply
        if forbids_requests(reply):
            self.ban = reply
        if message.request_id is None:
            return self._on_reply_without_id(reply)
        if reply.limits:
            self._on_limits(reply.limits)
        call = self._in_flight.pop(message.request_id, None) or self._timed_out.pop(message.request_id, None)
        if call is None:
            logger.debug("! reply ignored, no request has its id id=%d", message.request_id)
        else:
            _notify(call, reply)
        return None

    def expire(self, now_s: float) -> None:
        """Give NoResponse to every request whose timeout has passed."""
        expired = [request_id for request_id, call in self._in_flight.items() if call.expires_s <= now_s]
        for request_id in expired:
            call = self._in_flight.pop(request_id)
            self._timed_out[request_id] = call
            if len(self._timed_out) > _MAX_TIMED_OUT:
                self._timed_out.popitem(last=False)
            logger.debug("! request timed out id=%d method=%s", request_id, call.method)
            _notify(call, NoResponse("timeout"))

    def on_connection_lost(self, reason: str) -> None:
        """Give NoResponse to every pending request; late replies are not delivered any more."""
        self._connection_lost = True
        pending = list(self._in_flight.values())
        # Cleared first: a handler may send its next request at once, and must find no leftover of this connection.
        self._in_flight.clear()
        self._timed_out.clear()
        for call in pending:
            _notify(call, NoResponse(reason, connection_lost=True))

    @staticmethod
    def _on_reply_without_id(reply: Reply) -> SessionRevoked | None:
        """Handle a reply whose id is null: our key was revoked, or the exchange could not parse a request."""
        if reply.status == 401:
            return SessionRevoked(reply.code, reply.text)
        logger.error(
            "exchange could not read a request status=%d code=%d text=%r", reply.status, reply.code, reply.text
        )
        return None


def _notify(call: _PendingCall, outcome: RequestOutcome) -> None:
    try:
        call.on_reply(outcome)
    except Exception:  # an error in one handler must not keep the others from their replies
        logger.exception("reply handler failed method=%s", call.method)

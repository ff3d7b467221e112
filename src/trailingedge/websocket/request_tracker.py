"""Pairs answers with questions, for the life of one connection. No socket, no clock.

Every question has an id and a patience. Its listener hears one answer, or silence when the patience is
over; a reply that comes after that is still delivered, for it ends a doubt. Once the connection is
lost every listener in flight hears silence, and nothing of this session is delivered any more.
"""

import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from trailingedge.model.market import RateLimit
from trailingedge.websocket.event_parser import AccountEvent, ParsedReply, Reply, read_api_frame

logger = logging.getLogger(__name__)

_MAX_TIMED_OUT: Final = 1000
_IP_BANNED: Final = 418
_WEIGHT_EXCEEDED: Final = (429, -1003)  # of weight; 429 −1015 is about orders alone


@dataclass(frozen=True, slots=True)
class NoResponse:
    """Asked and not answered: a time-out, or the connection was lost. It may have been done."""

    reason: str
    connection_lost: bool = False


@dataclass(frozen=True, slots=True)
class NotSent:
    """Never written to a socket: certainly not done. `wait_s`: how long the exchange wants to hear nothing."""

    reason: str
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class SessionRevoked:
    """The exchange dropped the session: the key or its permission is gone."""

    code: int
    text: str


RequestOutcome = Reply | NoResponse | NotSent
ReplyHandler = Callable[[RequestOutcome], None]
Params = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class _PendingCall:
    method: str
    expires_s: float
    on_reply: ReplyHandler


class RequestTracker:
    """One conversation with the WebSocket API. `on_limits` hears the rate limits of each reply."""

    def __init__(self, on_limits: Callable[[tuple[RateLimit, ...]], None] = lambda _: None) -> None:
        self.ban: Reply | None = None  # the exchange wants to hear nothing from our address for a while
        self._on_limits = on_limits
        self._last_id = 0
        self._in_flight: dict[int, _PendingCall] = {}
        self._timed_out: OrderedDict[int, _PendingCall] = OrderedDict()
        self._connection_lost = False

    @property
    def in_flight(self) -> int:
        """How many questions wait for an answer."""
        return len(self._in_flight)

    @property
    def next_expiry_s(self) -> float | None:
        """When the next patience is over; None while nothing is in flight."""
        return min((question.expires_s for question in self._in_flight.values()), default=None)

    def encode_request(
        self, method: str, params: Params | None, now_s: float, patience_s: float, heard: ReplyHandler
    ) -> str:
        """The text of the frame to be sent. `heard` gets its answer, and a late one once more."""
        number = self.next_id()
        self.add_pending(number, method, now_s, patience_s, heard)
        request: dict[str, object] = {"id": number, "method": method}
        if params:
            request["params"] = dict(params)
        return json.dumps(request, ensure_ascii=False, separators=(",", ":"))

    def next_id(self) -> int:
        """The id of a question that is worded elsewhere, and of no other."""
        self._last_id += 1
        return self._last_id

    def add_pending(self, number: int, method: str, now_s: float, patience_s: float, heard: ReplyHandler) -> None:
        """The question of that number goes out, or has just gone."""
        self._in_flight[number] = _PendingCall(method, now_s + patience_s, heard)

    def on_frame(self, frame: str | bytes) -> AccountEvent | SessionRevoked | None:
        """Deliver a reply, or return what came unasked. Raises ProtocolViolation for a frame that is neither."""
        message = read_api_frame(frame)
        if self._connection_lost:
            return None
        if not isinstance(message, ParsedReply):
            return message
        reply = message.reply
        if reply.status == _IP_BANNED or (reply.status, reply.code) == _WEIGHT_EXCEEDED:
            self.ban = reply
        if message.request_id is None:
            return self._on_reply_without_id(reply)
        if reply.limits:
            self._on_limits(reply.limits)
        question = self._in_flight.pop(message.request_id, None) or self._timed_out.pop(message.request_id, None)
        if question is None:
            logger.debug("! answer to no question of ours id=%d", message.request_id)
        else:
            _notify(question, reply)
        return None

    def expire(self, now_s: float) -> None:
        """Silence for every question whose patience is over."""
        expired = [number for number, question in self._in_flight.items() if question.expires_s <= now_s]
        for number in expired:
            question = self._in_flight.pop(number)
            self._timed_out[number] = question
            if len(self._timed_out) > _MAX_TIMED_OUT:
                self._timed_out.popitem(last=False)
            logger.debug("! no answer in time id=%d method=%s", number, question.method)
            _notify(question, NoResponse("timeout"))

    def on_connection_lost(self, reason: str) -> None:
        """The connection is gone: silence for all, and nothing after it."""
        self._connection_lost = True
        abandoned = list(self._in_flight.values())
        self._in_flight.clear()
        self._timed_out.clear()
        for question in abandoned:
            _notify(question, NoResponse(reason, connection_lost=True))

    @staticmethod
    def _on_reply_without_id(reply: Reply) -> SessionRevoked | None:
        """An answer without an id: our key was revoked, or a request of ours could not be read."""
        if reply.status == 401:
            return SessionRevoked(reply.code, reply.text)
        logger.error("a request could not be read status=%d code=%d text=%r", reply.status, reply.code, reply.text)
        return None


def _notify(question: _PendingCall, answer: RequestOutcome) -> None:
    try:
        question.on_reply(answer)
    except Exception:  # one listener's mistake must not cost the others their answers
        logger.exception("listener failed method=%s", question.method)

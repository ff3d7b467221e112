"""API session of the simulated exchange: one connection to the WebSocket API, its logon and its subscriptions.

Theory of operation. The hub passes in the text of a frame and sends what comes back; there is no I/O here. Parsing and
execution are separate steps (`parse_request`, `execute`), so that the hub can delay a request, lose it or answer it
with an error before it takes effect.

`execute` makes its checks in the real exchange's order, because that order decides which error a client sees and how
much weight it is charged: 1. the key that logged on must still be valid; otherwise the logon ends, and the request
itself gets no reply; 2. the request weight is charged (429 or 418 if there is none left; a 418 closes the connection);
3. the account is found by the request's own `apiKey` and signature if sent, else by the logon; `timestamp` and
`recvWindow` are checked in both cases, before the signature; 4. the handler reads its parameters and acts; methods that
are free on success get their weight back. A connection has at most one logon. Subscriptions that use the logon
(`userDataStream.subscribe`) end with it. Subscriptions that have a signature of their own last as long as the
connection.

Frames that cannot be read, and requests without an `id`, are answered with −1135. The connection is closed after five
of them.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trailingedge.core.foreign_json import UnreadableJson
from trailingedge.core.time_units import MINUTE_MS
from trailingedge.model.market import RateLimit
from trailingedge.simulator.api.account import ACCOUNT_METHODS
from trailingedge.simulator.api.amendments import AMENDMENT_METHODS
from trailingedge.simulator.api.book_and_trades import BOOK_AND_TRADE_METHODS
from trailingedge.simulator.api.market import MARKET_METHODS
from trailingedge.simulator.api.method_types import AccountMethod, MarketMethod, MethodCall, SignedCall
from trailingedge.simulator.api.orders import ORDER_METHODS
from trailingedge.simulator.api.prevented_matches import PREVENTED_MATCH_METHODS
from trailingedge.simulator.api.tickers import TICKER_METHODS
from trailingedge.simulator.errors import ExchangeError, invalid_api_key, missing_parameter
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.exchange_spec import limit_json
from trailingedge.simulator.payloads import Json, UserEvent
from trailingedge.simulator.request_params import (
    CLIENT_ORDER_ID_PATTERN,
    MICROSECONDS,
    JsonNumber,
    RequestParameters,
    plain_json,
    read_json,
)
from trailingedge.simulator.time_unit import event_in_microseconds, reply_in_microseconds

METHODS: Final[Mapping[str, AccountMethod]] = {
    **ORDER_METHODS,
    **AMENDMENT_METHODS,
    **ACCOUNT_METHODS,
    **PREVENTED_MATCH_METHODS,
}
PUBLIC_METHODS: Final[Mapping[str, MarketMethod]] = {**MARKET_METHODS, **BOOK_AND_TRADE_METHODS, **TICKER_METHODS}
SESSION_WEIGHT: Final = 2
CONNECT_WEIGHT: Final = 2
MAX_MALFORMED_FRAMES: Final = 5  # then the connection is closed
MAX_RECV_WINDOW_MS: Final = MINUTE_MS
BAD_ID: Final = "Invalid 'id' in JSON request; expected an integer, a string matching '^[a-zA-Z0-9-_]{1,36}$', or null."
NO_SESSION: Final = "WebSocket session not authenticated. Recommendation: use `session.logon`"


@dataclass(frozen=True, slots=True)
class CloseConnection:
    """Instructs the transport to close the connection with this code and reason."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """Holds the frames to send, in order. If `close` is set, the connection is closed after them."""

    frames: tuple[str, ...] = ()
    close: CloseConnection | None = None


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A well-formed request."""

    id: object
    method: str
    parameters: RequestParameters

    def error_frame(self, status: int, error: Json) -> str:
        """Return an error reply to this request, as the text of a frame."""
        return to_frame({"id": self.id, "status": status, "error": error})


@dataclass(frozen=True, slots=True)
class Logon:
    """The logon of a connection: API key, account, and wall-clock time of the logon."""

    api_key: str
    account: str
    since_ms: int


class ClientSession:
    """One connection to the WebSocket API.

    `show_limits`: replies carry `rateLimits` unless the request says otherwise. `microseconds`: the unit of all times
    that the connection receives.
    """

    def __init__(self, exchange: Exchange, show_limits: bool = True, microseconds: bool = False) -> None:
        self._exchange = exchange
        self._show_limits = show_limits
        self._microseconds = microseconds
        self._connected_ms = exchange.clock.unix_ms()
        self._logon: Logon | None = None
        self._subscriptions: dict[int, str] = {}  # account by subscription id
        self._session_subscriptions: set[int] = set()  # the ids that end with the logon
        self._next_subscription = 0
        self._malformed = 0

    def parse_request(self, text: str) -> ApiRequest | ApiResponse:
        """Parse a frame. Returns the request, or the response to a malformed frame."""
        try:
            raw = read_json(text)
        except UnreadableJson:
            return self._malformed_reply("Invalid JSON.")
        if not isinstance(raw, dict):
            return self._malformed_reply("Invalid JSON request; expected an object.")
        if "id" not in raw or not _legal_id(raw["id"]):
            return self._malformed_reply(BAD_ID)
        request_id = plain_json(raw["id"])
        sent, method = raw.get("params"), raw.get("method")
        if sent is not None and not isinstance(sent, dict):
            return self._malformed_reply("Invalid 'params' in JSON request; expected an object.", request_id)
        if not isinstance(method, str) or isinstance(method, JsonNumber):
            return self._malformed_reply("Invalid 'method' in JSON request; expected a string.", request_id)
        # A version in front of the method ("v3/order.place") is legal and means nothing here.
        return ApiRequest(request_id, re.sub(r"^v[0-9]+/", "", method), RequestParameters(sent or {}))

    @property
    def account(self) -> str:
        """The account that is logged on; "" if none is."""
        return self._logon.account if self._logon else ""

    def execute(self, request: ApiRequest, lag_s: float = 0.0) -> ApiResponse:
        """Execute a request and return the reply; see the top of the module.

        `lag_s` is a fault: queries are answered from records that many seconds old.
        """
        if self._logon is not None and not self._key_is_valid(self._logon):
            return self._revoked_reply()
        account, show = "", self._show_limits
        limits: Sequence[RateLimit] = ()
        ended: tuple[str, ...] = ()
        now_ms = self._exchange.clock.unix_ms()
        try:
            shown = request.parameters.flag("returnRateLimits")
            show = self._show_limits if shown is None else shown
            result: object
            if request.method in METHODS:
                method = METHODS[request.method]
                cost = method.weight.for_parameters(request.parameters)
                # Charged before anything else is checked: a request with a wrong signature costs its weight, too.
                self._exchange.weight_limiter.charge(now_ms, cost)
                signed = self._authorize(request, now_ms, lag_s)
                account = signed.account.name
                self._exchange.audit_log.record_request(
                    now_ms, self._exchange.engine.market_ms, account, request.method
                )
                try:
                    result = method.handler(signed)
                finally:  # an error reply carries the counts, too: a rejected order has been counted
                    limits = signed.account.order_counts.limits(now_ms) if method.shows_order_counts else ()
                if method.free_on_success:
                    self._exchange.weight_limiter.refund(now_ms, cost)
            else:
                self._exchange.audit_log.record_request(now_ms, self._exchange.engine.market_ms, "", request.method)
                result, ended = self._execute_public(request, now_ms)
            body: Json = {"id": request.id, "status": 200, "result": result}
            close = None
        except ExchangeError as refusal:
            self._exchange.record_error(account, refusal)
            body = {"id": request.id, "status": refusal.status, "error": refusal.as_json()}
            close = CloseConnection(1008, "disconnected") if refusal.status == 418 else None
        if self._microseconds:
            for part in body.keys() & {"result", "error"}:
                body[part] = reply_in_microseconds(body[part], request.method)
        if show:
            counted = (*limits, self._exchange.weight_limiter.rate_limit(now_ms))
            body["rateLimits"] = [limit_json(limit) for limit in counted]
        return ApiResponse((to_frame(body), *ended), close)

    def frame_for(self, event: UserEvent) -> str | None:
        """Return `event` as a frame, or None if this connection has no subscription to the event's account."""
        for subscription_id, account in self._subscriptions.items():
            if account == event.account:
                return self._event_frame(event.payload, subscriptionId=subscription_id)
        return None

    def terminate_subscriptions(self) -> tuple[str, ...]:
        """End all subscriptions on the exchange's own initiative. Returns the `eventStreamTerminated` frames."""
        return self._unsubscribe(sorted(self._subscriptions))

    def shutdown_frame(self) -> str:
        """The `serverShutdown` event as a frame."""
        return self._event_frame({"e": "serverShutdown", "E": self._exchange.engine.market_ms})

    def _event_frame(self, event: Json, **envelope: object) -> str:
        return to_frame({**envelope, "event": event_in_microseconds(event) if self._microseconds else event})

    # Execution

    def _execute_public(self, request: ApiRequest, now_ms: int) -> tuple[object, tuple[str, ...]]:
        """Execute a market or session method. Returns its result, and the event frames that follow the reply."""
        spend = self._exchange.weight_limiter.charge
        if request.method in PUBLIC_METHODS:
            method = PUBLIC_METHODS[request.method]
            spend(now_ms, method.weight.for_parameters(request.parameters))
            return method.handler(MethodCall(self._exchange, request.parameters, now_ms)), ()
        spend(now_ms, SESSION_WEIGHT)
        match request.method:
            case "session.logon":
                return self._log_on(request, now_ms), ()
            case "session.status":
                request.parameters.check_all_read()
                return self._status(now_ms), ()
            case "session.logout":
                request.parameters.check_all_read()
                self._logon = None
                ended = self._unsubscribe(sorted(self._session_subscriptions))
                return self._status(now_ms), ended
            case "session.subscriptions":
                request.parameters.check_all_read()
                return [{"subscriptionId": subscription_id} for subscription_id in self._subscriptions], ()
            case "userDataStream.subscribe":
                request.parameters.check_all_read()
                if self._logon is None:
                    raise ExchangeError(-1193, NO_SESSION)
                return self._subscribe(self._logon.account, by_session=True), ()
            case "userDataStream.subscribe.signature":
                _, account = self._verify_signature(request.parameters, now_ms)
                request.parameters.check_all_read()
                return self._subscribe(account, by_session=False), ()
            case "userDataStream.unsubscribe":
                return {}, self._unsubscribe(self._selected_subscriptions(request.parameters))
            case _:
                raise ExchangeError(-1020, "This operation is not supported.")

    def _log_on(self, request: ApiRequest, now_ms: int) -> Json:
        api_key, account = self._verify_signature(request.parameters, now_ms, for_logon=True)
        request.parameters.check_all_read()
        self._logon = Logon(api_key, account, now_ms)
        return self._status(now_ms)

    def _status(self, now_ms: int) -> Json:
        return {
            "apiKey": self._logon.api_key if self._logon else None,
            "authorizedSince": self._logon.since_ms if self._logon else None,
            "connectedSince": self._connected_ms,
            "returnRateLimits": self._show_limits,
            "serverTime": now_ms,
            "userDataStream": bool(self._subscriptions),
        }

    def _authorize(self, request: ApiRequest, now_ms: int, lag_s: float) -> SignedCall:
        """Authenticate the request and build the arguments of an account method.

        The account is that of the request's own API key, or that of the logon if the request has none.
        """
        parameters = request.parameters
        if "apiKey" in parameters or "signature" in parameters:
            _, account = self._verify_signature(parameters, now_ms)
        elif self._logon is not None:
            account = self._logon.account
            self._check_time(parameters, now_ms)
        else:
            raise missing_parameter("apiKey")
        return SignedCall(self._exchange, parameters, now_ms, self._exchange.account(account), lag_s)

    def _verify_signature(self, parameters: RequestParameters, now_ms: int, for_logon: bool = False) -> tuple[str, str]:
        """Check key, time and signature. Returns the API key and its account."""
        api_key = parameters.required_text("apiKey")
        account = self._exchange.keys.account_of(api_key)
        if for_logon:
            self._exchange.keys.check_can_log_on(api_key)
        signature = parameters.required_text("signature")
        self._check_time(parameters, now_ms)
        self._exchange.keys.verify(api_key, parameters.signed_payload(), signature)
        return api_key, account

    @staticmethod
    def _check_time(parameters: RequestParameters, now_ms: int) -> None:
        """Check that `timestamp` is at most `recvWindow` old and less than a second ahead of the wall clock.

        The bounds are Binance's: serverTime - timestamp <= recvWindow, and timestamp < serverTime + 1000.
        """
        window_ms = parameters.amount("recvWindow")
        if window_ms is not None and window_ms > MAX_RECV_WINDOW_MS:
            text = f"'recvWindow' contains unexpected value. Cannot be greater than {MAX_RECV_WINDOW_MS}."
            raise ExchangeError(-1102, text)
        timestamp = parameters.integer("timestamp")
        if timestamp is None:
            raise missing_parameter("timestamp")
        # A microsecond timestamp keeps its fraction of a millisecond, because the bounds below apply to it, too.
        stamped_ms = timestamp / 1000 if timestamp >= MICROSECONDS else timestamp
        if stamped_ms >= now_ms + 1000:
            raise ExchangeError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        if now_ms - stamped_ms > (5000 if window_ms is None else window_ms):
            raise ExchangeError(-1021, "Timestamp for this request is outside of the recvWindow.")

    def _subscribe(self, account: str, by_session: bool) -> Json:
        if account in self._subscriptions.values():
            raise ExchangeError(-2035, "User Data Stream subscription already active.")
        # Ids are never reused on a connection, so that a late event cannot be taken for a new subscription's.
        if self._next_subscription > 65_535:
            raise ExchangeError(-2042, "Maximum subscription ID reached for this connection.")
        subscription_id, self._next_subscription = self._next_subscription, self._next_subscription + 1
        self._subscriptions[subscription_id] = account
        if by_session:
            self._session_subscriptions.add(subscription_id)
        return {"subscriptionId": subscription_id}

    def _selected_subscriptions(self, parameters: RequestParameters) -> list[int]:
        subscription_id = parameters.integer("subscriptionId")
        parameters.check_all_read()
        # Without an id all subscriptions end.
        if subscription_id is None:
            return list(self._subscriptions)
        if subscription_id not in self._subscriptions:
            raise ExchangeError(-2036, "User Data Stream subscription not active.")
        return [subscription_id]

    def _unsubscribe(self, subscription_ids: list[int]) -> tuple[str, ...]:
        """End these subscriptions. Returns the `eventStreamTerminated` frames, to be sent after the reply."""
        ended: Json = {"e": "eventStreamTerminated", "E": self._exchange.engine.market_ms}
        for subscription_id in subscription_ids:
            del self._subscriptions[subscription_id]
            self._session_subscriptions.discard(subscription_id)
        return tuple(self._event_frame(ended, subscriptionId=each) for each in subscription_ids)

    def _key_is_valid(self, logon: Logon) -> bool:
        try:
            return self._exchange.keys.account_of(logon.api_key) == logon.account
        except ExchangeError:
            return False

    def _revoked_reply(self) -> ApiResponse:
        """End a logon whose key was revoked. Returns an error without id and the `eventStreamTerminated` frames."""
        refusal = invalid_api_key()
        self._exchange.record_error(self.account, refusal)
        self._logon = None
        reply = to_frame({"id": None, "status": refusal.status, "error": refusal.as_json()})
        return ApiResponse((reply, *self._unsubscribe(sorted(self._session_subscriptions))))

    def _malformed_reply(self, text: str, request_id: object = None) -> ApiResponse:
        self._malformed += 1
        refusal = ExchangeError(-1135, text)
        self._exchange.record_error("", refusal)
        reply = to_frame({"id": request_id, "status": refusal.status, "error": refusal.as_json()})
        return ApiResponse(
            (reply,), CloseConnection(1008, "disconnected") if self._malformed >= MAX_MALFORMED_FRAMES else None
        )


# Made once: `json.dumps` would make an encoder for each frame.
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


def to_frame(body: object) -> str:
    """`body` as the text of one frame."""
    return _ENCODER.encode(body)


def _legal_id(value: object) -> bool:
    if isinstance(value, JsonNumber):
        return re.fullmatch("-?[0-9]{1,19}", value) is not None
    return value is None or (isinstance(value, str) and re.fullmatch(CLIENT_ORDER_ID_PATTERN, value) is not None)

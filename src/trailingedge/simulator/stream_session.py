"""Stream session: one connection to the market streams, its subscriptions and its control messages.

No I/O: the connection hub passes the text of each frame in and sends what comes back.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from trailingedge.core import foreign_json
from trailingedge.core.foreign_json import UnreadableJson
from trailingedge.simulator.api.session import ApiResponse, CloseConnection, to_frame
from trailingedge.simulator.market_streams import is_missing_stream
from trailingedge.simulator.payloads import Json, MarketEvent
from trailingedge.simulator.time_unit import event_in_microseconds, wants_microseconds
from trailingedge.simulator.url_options import stream_names

MESSAGES_PER_SECOND: Final = 5
MAX_STREAMS: Final = 1024
BAD_ID: Final = "Invalid request: request ID must be an unsigned integer"  # also for an id that is missing


class StreamSession:
    """One connection to the market streams. `on_subscribe` is called with each stream it subscribes to.

    The URL names the first subscriptions: `/ws/NAME/…` delivers bare payloads, `/stream?streams=NAME/…` wraps each
    one with its stream's name ("combined"). `timeUnit=MICROSECOND` sets the unit of all times in the payloads.
    Raises ExchangeError for an unknown time unit.
    """

    def __init__(self, url: str, on_subscribe: Callable[[str], None]) -> None:
        address = urlsplit(url)
        self._combined = address.path.rstrip("/") == "/stream"
        self._on_subscribe = on_subscribe
        self._streams: dict[str, None] = {}  # in the order of their subscription
        # A sliding second, as documented ("5 incoming messages per second"), unlike the fixed windows of the API.
        self._message_times_ms: deque[int] = deque(maxlen=MESSAGES_PER_SECOND)
        self._microseconds = wants_microseconds(address)
        self._subscribe(stream_names(address))

    def on_message(self, text: str, now_ms: int) -> ApiResponse:
        """Return the reply to a control message that arrives at wall-clock time `now_ms`.

        The connection is closed if the client sends more than five messages a second.
        """
        if len(self._message_times_ms) == MESSAGES_PER_SECOND and now_ms - self._message_times_ms[0] < 1000:
            return ApiResponse(close=CloseConnection(1008, "Too many requests"))
        self._message_times_ms.append(now_ms)
        try:
            raw = foreign_json.parse(text)
        except UnreadableJson as exc:
            return ApiResponse((to_frame({"code": 3, "msg": f"Invalid JSON: {exc}"}),))
        return ApiResponse((to_frame(self._reply_to(raw)),))

    def frame_for(self, event: MarketEvent) -> str | None:
        """`event` as a frame for this connection; None if it did not subscribe to that stream."""
        if event.stream not in self._streams:
            return None
        return self._event_frame(event.stream, event.payload, event.in_array)

    def shutdown_frame(self, event_ms: int) -> str:
        """The `serverShutdown` event as a frame."""
        return self._event_frame("!serverShutdown", {"e": "serverShutdown", "E": event_ms})

    def _event_frame(self, stream: str, payload: Json, in_array: bool = False) -> str:
        payload = event_in_microseconds(payload) if self._microseconds else payload
        data = [payload] if in_array else payload
        return to_frame({"stream": stream, "data": data} if self._combined else data)

    def _reply_to(self, raw: object) -> Json:
        if not isinstance(raw, dict):
            return {"code": 2, "msg": "Invalid request: expected an object"}
        if "id" not in raw or not _legal_id(raw["id"]):
            return {"code": 2, "msg": BAD_ID}
        request_id = raw.get("id")
        match raw.get("method"):
            case "SUBSCRIBE" | "UNSUBSCRIBE" as method:
                return self._change_subscriptions(method, raw, request_id)
            case "LIST_SUBSCRIPTIONS":
                return {"result": list(self._streams), "id": request_id}
            case "SET_PROPERTY":
                return self._set_property(raw.get("params"), request_id)
            case "GET_PROPERTY":
                return self._get_property(raw.get("params"), request_id)
            case None:
                return _invalid("missing field `method`", request_id)
            case method:
                return _invalid(
                    f"unknown variant `{method}`, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, "
                    "`SET_PROPERTY`, `GET_PROPERTY`",
                    request_id,
                )

    def _change_subscriptions(self, method: str, raw: Mapping[str, object], request_id: object) -> Json:
        names = raw.get("params")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return _invalid("params must be an array of strings", request_id)
        if method == "SUBSCRIBE":
            if len(self._streams) + len(names) > MAX_STREAMS:
                return _invalid("too many streams", request_id)
            missing = [name for name in names if is_missing_stream(name)]
            if missing:
                return _invalid(f"stream {missing[0]} is not offered", request_id)
            self._subscribe(names)
        else:
            for name in names:
                self._streams.pop(name, None)
        return {"result": None, "id": request_id}

    def _set_property(self, params: object, request_id: object) -> Json:
        if not isinstance(params, list) or len(params) != 2:
            return _invalid("SET_PROPERTY takes a property and its value", request_id)
        name, value = params
        if name != "combined":
            return {"code": 0, "msg": f"Unknown property: {name}", "id": request_id}
        if not isinstance(value, bool):
            return {"code": 1, "msg": "Invalid value type: expected Boolean", "id": request_id}
        self._combined = value
        return {"result": None, "id": request_id}

    def _get_property(self, params: object, request_id: object) -> Json:
        if not isinstance(params, list) or len(params) != 1:
            return _invalid("GET_PROPERTY takes one property", request_id)
        if params[0] != "combined":
            return {"code": 0, "msg": f"Unknown property: {params[0]}", "id": request_id}
        return {"result": self._combined, "id": request_id}

    def _subscribe(self, names: Iterable[str]) -> None:
        """Subscribe to streams. As on the real exchange, an unknown name is accepted and never delivers anything.

        Streams that only the real exchange has are refused before this is called.
        """
        for name in names:
            self._streams[name] = None
            self._on_subscribe(name)


def _legal_id(value: object) -> bool:
    """Whether a request id is legal: a 64-bit integer, null, or up to 36 characters.

    The documentation says alphanumeric; dashes pass on the real exchange, and clients send dashed UUIDs.
    """
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return value is None or (isinstance(value, str) and re.fullmatch("[a-zA-Z0-9-_]{0,36}", value) is not None)


def _invalid(what: str, request_id: object) -> Json:
    return {"code": 2, "msg": f"Invalid request: {what}", "id": request_id}

"""Time unit of a connection: milliseconds, or microseconds with `timeUnit=MICROSECOND` in its URL.

The exchange keeps every time in milliseconds. For a connection that wants microseconds, the functions here
convert the time fields of a payload just before it becomes a frame. The closing time of a kline is its last
microsecond, as on the real exchange. Times in a request may have either unit on any connection.
"""

from typing import Final
from urllib.parse import SplitResult

from trailingedge.simulator.errors import ExchangeError
from trailingedge.simulator.url_options import query_option

TIME_UNITS: Final = {"MILLISECOND": False, "millisecond": False, "MICROSECOND": True, "microsecond": True}
# Fields of events. Ids share letters with times ("u" is an update id in a bookTicker), so each event type is converted
# by what it holds: an "O" or "C" that is no number is an order list or a client order id.
EVENT_TIMES: Final = frozenset({"E", "T", "O", "C", "W", "D"})
REPLY_TIMES: Final = frozenset(
    {
        "serverTime",
        "transactTime",
        "transactionTime",
        "workingTime",
        "trailingTime",
        "time",
        "updateTime",
        "openTime",
        "closeTime",
        "authorizedSince",
        "connectedSince",
        "retryAfter",
        "T",
    }
)
KLINE_METHODS: Final = frozenset({"klines", "uiKlines"})


def wants_microseconds(address: SplitResult) -> bool:
    """Whether the URL asks for microseconds. Raises ExchangeError (−1194) for an unknown time unit."""
    named = query_option(address, "timeUnit") or "MILLISECOND"
    if named not in TIME_UNITS:
        raise ExchangeError(-1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.")
    return TIME_UNITS[named]


def event_in_microseconds(event: dict[str, object]) -> dict[str, object]:
    """Return `event` with its times in microseconds."""
    converted = {name: _time(value) if name in EVENT_TIMES else value for name, value in event.items()}
    if event.get("e") == "outboundAccountPosition":
        converted["u"] = _time(event["u"])
    kline = event.get("k")
    if isinstance(kline, dict):
        converted["k"] = kline | {"t": _time(kline["t"]), "T": _end_time(kline["T"])}
    return converted


def reply_in_microseconds(reply: object, method: str) -> object:
    """Return the result or the error of a request with its times in microseconds."""
    if method in KLINE_METHODS and isinstance(reply, list):
        return [[_time(row[0]), *row[1:6], _end_time(row[6]), *row[7:]] for row in reply]
    if isinstance(reply, dict):
        return {
            name: _time(value) if name in REPLY_TIMES else reply_in_microseconds(value, "")
            for name, value in reply.items()
        }
    if isinstance(reply, list):
        return [reply_in_microseconds(each, "") for each in reply]
    return reply


def _time(value: object) -> object:
    """Convert a time to microseconds. Other values, such as −1 for "never", are returned unchanged."""
    return value * 1000 if isinstance(value, int) and value > 0 else value


def _end_time(value: object) -> object:
    """The last microsecond of the millisecond `value`."""
    return value * 1000 + 999 if isinstance(value, int) else value

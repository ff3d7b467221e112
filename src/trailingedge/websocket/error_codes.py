"""Error codes of the exchange: classifies each error reply by its status, code and text, in this one place.

Codes are stable. Where one code means many things (−1010, −1013, −2010, −2011) the text decides.
Sources: errors.md of the exchange's documentation ("Error Codes", "Messages for -1010, -2010 and -2011") and the status
codes in web-socket-api.md ("Status codes").
"""

from collections.abc import Mapping
from typing import Final

from trailingedge.core.errors import ProtocolViolation
from trailingedge.model.order_outcomes import Rejected, RejectReason, Unanswered
from trailingedge.websocket.event_parser import Reply
from trailingedge.websocket.json_fields import fields, time_ms

TIMESTAMP_OUTSIDE_WINDOW: Final = -1021  # not executed: measure the clock and send again
ALREADY_SUBSCRIBED: Final = -2035
REPLACE_PARTIALLY_FAILED: Final = -2021  # status 409: one half of a cancel-replace was done
REPLACE_FAILED: Final = -2022  # status 400: neither half was done; `data` says why
UNKNOWN_SYMBOL_CODES: Final = frozenset({-1100, -1121})  # illegal characters, invalid symbol
NOT_LOGGED_ON_CODES: Final = frozenset({-1002, -1099, -1193, -2014, -2015})
ORDER_NOT_FOUND_CODES: Final = frozenset({-2013, -2026})  # no such order, order archived

# The exchange itself does not know whether the request was executed. "Execution status is unknown and the request might
# have actually succeeded." (web-socket-api.md, "Status codes", of every 5xx) The same for −1006 and −1007 in errors.md.
_UNKNOWN_CODES: Final = frozenset({-1000, -1001, -1006, -1007})

_BY_STATUS: Final[Mapping[int, RejectReason]] = {
    401: RejectReason.UNAUTHORIZED,
    403: RejectReason.BUSY,  # the Web Application Firewall stopped it before the exchange read it
    418: RejectReason.RATE_LIMITED,
    429: RejectReason.RATE_LIMITED,
}

_BY_CODE: Final[Mapping[int, RejectReason]] = {
    -1002: RejectReason.UNAUTHORIZED,
    -1003: RejectReason.RATE_LIMITED,
    -1008: RejectReason.BUSY,
    -1013: RejectReason.FILTER,
    -1014: RejectReason.BAD_REQUEST,
    -1016: RejectReason.BUSY,
    -1020: RejectReason.BAD_REQUEST,
    -1021: RejectReason.TIMESTAMP,
    -1022: RejectReason.BAD_REQUEST,
    -1034: RejectReason.RATE_LIMITED,
    -1099: RejectReason.UNAUTHORIZED,
    -1111: RejectReason.FILTER,
    -1112: RejectReason.BUSY,
    -1193: RejectReason.UNAUTHORIZED,
    -1220: RejectReason.NOT_TRADING,
    # With any text: the order was filled or canceled, or the reader lags behind the engine. Only a query settles it.
    -2011: RejectReason.UNKNOWN_ORDER,
    -2013: RejectReason.UNKNOWN_ORDER,
    -2014: RejectReason.UNAUTHORIZED,
    -2015: RejectReason.UNAUTHORIZED,
    -2026: RejectReason.UNKNOWN_ORDER,
    -2028: RejectReason.UNAUTHORIZED,
    -2039: RejectReason.BAD_REQUEST,
}

# Parts of the engine's messages in lower case; the first that is found decides, so the specific ones stand first.
_BY_TEXT: Final[tuple[tuple[str, RejectReason], ...]] = (
    ("would immediately match", RejectReason.WOULD_TAKE),
    ("insufficient balance", RejectReason.INSUFFICIENT_BALANCE),
    ("duplicate order", RejectReason.DUPLICATE),
    ("cancel restrictions", RejectReason.CANCEL_RESTRICTED),
    ("unknown order", RejectReason.UNKNOWN_ORDER),
    ("filter failure: max_num", RejectReason.TOO_MANY_ORDERS),
    ("filter failure: exchange_max_num", RejectReason.TOO_MANY_ORDERS),
    ("filter failure", RejectReason.FILTER),
    ("market is closed", RejectReason.NOT_TRADING),
    ("trading phase", RejectReason.NOT_TRADING),
    ("for this phase", RejectReason.NOT_TRADING),
    # The account may not trade now: we retry after a while, as for a halted symbol.
    ("disabled on this account", RejectReason.NOT_TRADING),
    ("may not place or cancel orders", RejectReason.NOT_TRADING),
    ("permitted for this account", RejectReason.NOT_TRADING),
    ("restricted for this account", RejectReason.NOT_TRADING),
    ("trading is not enabled", RejectReason.NOT_TRADING),
    ("liquidity is too low", RejectReason.BUSY),
    ("zero or less", RejectReason.BAD_REQUEST),
    ("exceeds qty", RejectReason.BAD_REQUEST),
    ("unsupported order combination", RejectReason.BAD_REQUEST),
    ("would trigger immediately", RejectReason.BAD_REQUEST),
    ("check origclordid", RejectReason.BAD_REQUEST),
    ("not supported", RejectReason.BAD_REQUEST),
    ("pegged price", RejectReason.BAD_REQUEST),
    ("price peg", RejectReason.BAD_REQUEST),
)
_TEXT_DECIDES: Final = frozenset({-1010, -1013, -2010, -2011})


# Errors of a logon that only a person can resolve, and what to do.
_LOGON_REMEDIES: Final[Mapping[int, str]] = {
    -1022: "the private key does not belong to this API key: check BINANCE_ED25519_PRIV_PATH",
    -1102: "the API key is empty or malformed: check BINANCE_ED25519_API_KEY",
    -2014: "the API key is malformed: check BINANCE_ED25519_API_KEY",
    -2015: "unknown key, IP address not allowed or permission missing: check the key's settings at the exchange",
    -2028: "this is an HMAC key: create an Ed25519 key at the exchange",
}


def classify_error(reply: Reply) -> Rejected | Unanswered:
    """Return Rejected if an error reply refuses the request, Unanswered if its outcome is unknown."""
    # A reply that contradicts itself (status 200 with an error, an error without a code) proves nothing.
    if reply.status == 200 or not (reply.code or reply.status in _BY_STATUS):
        return Unanswered(f"unreadable reply, status {reply.status}")
    if reply.status >= 500 or reply.code in _UNKNOWN_CODES:
        return Unanswered(f"status {reply.status}: {reply.code} {reply.text}")
    return Rejected(_reject_reason(reply), reply.code, reply.text, _time_ms(reply.data, "retryAfter"))


def forbids_requests(reply: Reply) -> bool:
    """Return whether the reply stops all requests of our address for a while: a ban, or no request weight left.

    429 with −1015 is neither of these: it limits only the number of orders of the account.
    """
    return reply.status == 418 or (reply.status, reply.code) == (429, -1003)


def logon_remedy(reply: Reply) -> str | None:
    """Return advice for a person about a refused logon; None if a later logon may succeed without a person."""
    if reply.code in _LOGON_REMEDIES:
        return _LOGON_REMEDIES[reply.code]
    return "check the key's settings at the exchange" if reply.status == 401 else None


def server_time_of(reply: Reply) -> int | None:
    """Return the exchange's time in an error reply; None if the reply has none.

    Replies with `retryAfter` have it, few others do.
    """
    return _time_ms(reply.data, "serverTime")


def _reject_reason(reply: Reply) -> RejectReason:
    if reply.code == -1015:  # status 429 too, but for the number of orders, not for request weight
        return RejectReason.TOO_MANY_ORDERS
    if reply.status in _BY_STATUS:
        return _BY_STATUS[reply.status]
    if reply.code in _TEXT_DECIDES:
        sentence = reply.text.lower()
        for part, reason in _BY_TEXT:
            if part in sentence:
                return reason
    if reply.code in _BY_CODE:
        return _BY_CODE[reply.code]
    if -1300 < reply.code <= -1100:  # errors.md, "11xx - Request issues"; 12xx are of the same kind
        return RejectReason.BAD_REQUEST
    return RejectReason.OTHER


def _time_ms(data: object, name: str) -> int | None:
    try:
        return time_ms(fields(data), name)
    except ProtocolViolation:
        return None  # the field is optional, and without it `wait_s` is 0: the retry policy decides

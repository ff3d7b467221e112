"""One function that maps the exchange's codes and texts to what we do next.

Codes are stable; where one code means many things (−1010, −2010, −2011) the engine's text decides.
Sources: the exchange's error list and its engine messages.
"""

from collections.abc import Mapping
from typing import Final

from trailingedge.core.errors import ProtocolViolation
from trailingedge.model.order_outcomes import Rejected, RejectReason, Unanswered
from trailingedge.websocket.event_parser import Reply
from trailingedge.websocket.json_fields import fields, integer

# The exchange itself does not know what became of the request.
_UNKNOWN_CODES: Final = frozenset({-1000, -1001, -1006, -1007})

_BY_STATUS: Final[Mapping[int, RejectReason]] = {
    401: RejectReason.UNAUTHORIZED,
    403: RejectReason.BUSY,  # a firewall stopped it before anybody read it
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
    # Whatever the engine's text: only a query tells what became of the order.
    -2011: RejectReason.UNKNOWN_ORDER,
    -2013: RejectReason.UNKNOWN_ORDER,
    -2014: RejectReason.UNAUTHORIZED,
    -2015: RejectReason.UNAUTHORIZED,
    -2026: RejectReason.UNKNOWN_ORDER,
    -2028: RejectReason.UNAUTHORIZED,
    -2039: RejectReason.BAD_REQUEST,
}

# Parts of the engine's sentences in lower case; the first that fits decides.
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
    # The account is kept from trading: to be looked at again in a while, like a halted symbol.
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


def classify_error(reply: Reply) -> Rejected | Unanswered:
    """What a reply that is no success means: a refusal, or that nobody knows."""
    if reply.status == 200 or not (reply.code or reply.status in _BY_STATUS):
        return Unanswered(f"unreadable answer, status {reply.status}")
    if reply.status >= 500 or reply.code in _UNKNOWN_CODES:
        return Unanswered(f"status {reply.status}: {reply.code} {reply.text}")
    return Rejected(_reject_reason(reply), reply.code, reply.text, _time_ms(reply.data, "retryAfter"))


def server_time_of(reply: Reply) -> int | None:
    """The exchange's time of a refusal that carries it: those that ask for patience do."""
    return _time_ms(reply.data, "serverTime")


def _reject_reason(reply: Reply) -> RejectReason:
    if reply.code == -1015:  # also 429, but of orders, not of weight
        return RejectReason.TOO_MANY_ORDERS
    if reply.status in _BY_STATUS:
        return _BY_STATUS[reply.status]
    if reply.code in _TEXT_DECIDES:
        sentence = reply.text.lower()
        for part, refusal in _BY_TEXT:
            if part in sentence:
                return refusal
    if reply.code in _BY_CODE:
        return _BY_CODE[reply.code]
    if -1300 < reply.code <= -1100:  # the whole range complains about parameters
        return RejectReason.BAD_REQUEST
    return RejectReason.OTHER


def _time_ms(data: object, name: str) -> int | None:
    try:
        return integer(fields(data), name)
    except ProtocolViolation:
        return None  # not every 429 carries it

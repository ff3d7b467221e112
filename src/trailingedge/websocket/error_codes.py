"""One function that maps the exchange's codes and texts to what we do next.

Codes are stable; where one code means many things (−1010, −2010, −2011) the engine's text decides.
Sources: the exchange's error list and its engine messages.
"""

from collections.abc import Mapping
from typing import Final

from trailingedge.core.errors import ProtocolViolation
from trailingedge.model.order_outcomes import Refusal, Refused, Unanswered
from trailingedge.websocket.event_parser import Reply
from trailingedge.websocket.json_fields import fields, integer

# The exchange itself does not know what became of the request.
_UNKNOWN_CODES: Final = frozenset({-1000, -1001, -1006, -1007})

_BY_STATUS: Final[Mapping[int, Refusal]] = {
    401: Refusal.UNAUTHORIZED,
    403: Refusal.BUSY,  # a firewall stopped it before anybody read it
    418: Refusal.RATE_LIMITED,
    429: Refusal.RATE_LIMITED,
}

_BY_CODE: Final[Mapping[int, Refusal]] = {
    -1002: Refusal.UNAUTHORIZED,
    -1003: Refusal.RATE_LIMITED,
    -1008: Refusal.BUSY,
    -1013: Refusal.FILTER,
    -1014: Refusal.BAD_REQUEST,
    -1016: Refusal.BUSY,
    -1020: Refusal.BAD_REQUEST,
    -1021: Refusal.TIMESTAMP,
    -1022: Refusal.BAD_REQUEST,
    -1034: Refusal.RATE_LIMITED,
    -1099: Refusal.UNAUTHORIZED,
    -1111: Refusal.FILTER,
    -1112: Refusal.BUSY,
    -1193: Refusal.UNAUTHORIZED,
    -1220: Refusal.NOT_TRADING,
    # Whatever the engine's text: only a query tells what became of the order.
    -2011: Refusal.UNKNOWN_ORDER,
    -2013: Refusal.UNKNOWN_ORDER,
    -2014: Refusal.UNAUTHORIZED,
    -2015: Refusal.UNAUTHORIZED,
    -2026: Refusal.UNKNOWN_ORDER,
    -2028: Refusal.UNAUTHORIZED,
    -2039: Refusal.BAD_REQUEST,
}

# Parts of the engine's sentences in lower case; the first that fits decides.
_BY_TEXT: Final[tuple[tuple[str, Refusal], ...]] = (
    ("would immediately match", Refusal.WOULD_TAKE),
    ("insufficient balance", Refusal.INSUFFICIENT_BALANCE),
    ("duplicate order", Refusal.DUPLICATE),
    ("cancel restrictions", Refusal.CANCEL_RESTRICTED),
    ("unknown order", Refusal.UNKNOWN_ORDER),
    ("filter failure: max_num", Refusal.TOO_MANY_ORDERS),
    ("filter failure: exchange_max_num", Refusal.TOO_MANY_ORDERS),
    ("filter failure", Refusal.FILTER),
    ("market is closed", Refusal.NOT_TRADING),
    ("trading phase", Refusal.NOT_TRADING),
    ("for this phase", Refusal.NOT_TRADING),
    # The account is kept from trading: to be looked at again in a while, like a halted symbol.
    ("disabled on this account", Refusal.NOT_TRADING),
    ("may not place or cancel orders", Refusal.NOT_TRADING),
    ("permitted for this account", Refusal.NOT_TRADING),
    ("restricted for this account", Refusal.NOT_TRADING),
    ("trading is not enabled", Refusal.NOT_TRADING),
    ("liquidity is too low", Refusal.BUSY),
    ("zero or less", Refusal.BAD_REQUEST),
    ("exceeds qty", Refusal.BAD_REQUEST),
    ("unsupported order combination", Refusal.BAD_REQUEST),
    ("would trigger immediately", Refusal.BAD_REQUEST),
    ("check origclordid", Refusal.BAD_REQUEST),
    ("not supported", Refusal.BAD_REQUEST),
    ("pegged price", Refusal.BAD_REQUEST),
    ("price peg", Refusal.BAD_REQUEST),
)
_TEXT_DECIDES: Final = frozenset({-1010, -1013, -2010, -2011})


def judge(reply: Reply) -> Refused | Unanswered:
    """What a reply that is no success means: a refusal, or that nobody knows."""
    if reply.status == 200 or not (reply.code or reply.status in _BY_STATUS):
        return Unanswered(f"unreadable answer, status {reply.status}")
    if reply.status >= 500 or reply.code in _UNKNOWN_CODES:
        return Unanswered(f"status {reply.status}: {reply.code} {reply.text}")
    return Refused(_refusal(reply), reply.code, reply.text, _moment_ms(reply.data, "retryAfter"))


def told_ms(reply: Reply) -> int | None:
    """The exchange's time of a refusal that carries it: those that ask for patience do."""
    return _moment_ms(reply.data, "serverTime")


def _refusal(reply: Reply) -> Refusal:
    if reply.code == -1015:  # also 429, but of orders, not of weight
        return Refusal.TOO_MANY_ORDERS
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
        return Refusal.BAD_REQUEST
    return Refusal.OTHER


def _moment_ms(data: object, name: str) -> int | None:
    try:
        return integer(fields(data), name)
    except ProtocolViolation:
        return None  # not every 429 carries it

"""Event parser: turns frames of the WebSocket API and of the market streams into typed values.

A frame that cannot be read raises ProtocolViolation. The exchange adds fields, event types and enum
values without notice. So unknown fields are ignored, unknown event types become `Unrecognized`, and
unknown enum values UNRECOGNIZED. The results of replies are read in `result_parser`.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from trailingedge.core.errors import ProtocolViolation
from trailingedge.model.account_position import AccountPosition as AccountPosition
from trailingedge.model.market import (
    ZERO,
    Balance,
    BookTop,
    ExecutionReport,
    ExecutionType,
    Kline,
    OrderStatus,
    RateLimit,
    Side,
)
from trailingedge.model.market_names import is_market_name
from trailingedge.websocket.json_fields import (
    Fields,
    amount,
    amount_or,
    asset,
    decode,
    fields,
    flag,
    id_or_none,
    integer,
    items,
    message_or,
    text,
    text_or,
    time_ms,
)

_INTERVALS_S: Final = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400}


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply of the WebSocket API. `result` and `data` are raw JSON; `code` is 0 if there is no error."""

    status: int
    result: object = None
    code: int = 0
    text: str = ""
    data: object = None
    limits: tuple[RateLimit, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the request succeeded."""
        return self.status == 200 and not self.code


@dataclass(frozen=True, slots=True)
class ParsedReply:
    """A reply and the id of its request; the id is None if the exchange could not read the request."""

    request_id: int | None
    reply: Reply


@dataclass(frozen=True, slots=True)
class BalanceUpdate:
    """A deposit, withdrawal or transfer changed the balance of `asset` by `delta`."""

    asset: str
    delta: Decimal
    event_ms: int


@dataclass(frozen=True, slots=True)
class ExternalLockUpdate:
    """Another product of the exchange locked (positive) or released `delta` of `asset`."""

    asset: str
    delta: Decimal
    event_ms: int


@dataclass(frozen=True, slots=True)
class StreamTerminated:
    """The user data stream ends; the connection may stay open."""

    event_ms: int


@dataclass(frozen=True, slots=True)
class ServerShutdown:
    """The server will shut down soon (no time is named): connect to another server at once."""

    event_ms: int


@dataclass(frozen=True, slots=True)
class Unrecognized:
    """A well-formed message of an unknown type; to be ignored."""

    kind: str


@dataclass(frozen=True, slots=True)
class BookUpdate:
    """Best prices of `symbol`, from a bookTicker frame."""

    symbol: str
    top: BookTop


@dataclass(frozen=True, slots=True)
class InvalidBook:
    """A bookTicker whose prices are crossed, locked or missing: bad data, to be ignored."""

    reason: str


@dataclass(frozen=True, slots=True)
class KlineUpdate:
    """A forming or closed kline of `symbol`."""

    symbol: str
    interval: str
    kline: Kline
    event_ms: int


@dataclass(frozen=True, slots=True)
class ControlReply:
    """Reply of the stream server: a control message such as SUBSCRIBE succeeded."""

    request_id: int | str | None


@dataclass(frozen=True, slots=True)
class StreamError:
    """The stream server rejected a control message."""

    code: int
    text: str


AccountEvent = (
    ExecutionReport
    | AccountPosition
    | BalanceUpdate
    | ExternalLockUpdate
    | StreamTerminated
    | ServerShutdown
    | Unrecognized
)
StreamMessage = BookUpdate | InvalidBook | KlineUpdate | ServerShutdown | ControlReply | StreamError | Unrecognized


# Looking a word up is several times as fast as `Enum(word)`.
_SIDES: Final = {side.value: side for side in Side}
_ORDER_STATUSES: Final = {status.value: status for status in OrderStatus}
_EXECUTION_TYPES: Final = {kind.value: kind for kind in ExecutionType}


def read_api_frame(frame: str | bytes) -> ParsedReply | AccountEvent:
    """Parse a frame of the WebSocket API."""
    message = fields(decode(frame))
    if "event" in message:
        return _read_event(fields(message["event"], "event"))
    if "status" in message:
        return _read_reply(message)
    raise ProtocolViolation("neither a reply nor an event")


def read_stream_frame(frame: str | bytes) -> StreamMessage:
    """Parse a frame of the market streams, raw or combined."""
    message = fields(decode(frame))
    if "stream" in message and "data" in message:
        message = fields(message["data"], "data")
    kind = message.get("e")
    if kind == "kline":
        return _read_kline(message)
    if kind == "serverShutdown":
        return ServerShutdown(time_ms(message, "E"))
    if isinstance(kind, str):
        return Unrecognized(text(message, "e"))
    if "b" in message and "a" in message:  # a bookTicker is the only stream without an event type `e`
        return _read_top(message)
    if "code" in message:
        return StreamError(integer(message, "code"), message_or(message, "msg", ""))
    if "result" in message:
        return _read_control(message)
    raise ProtocolViolation("unknown kind of stream message")


def read_rate_limits(raw: object) -> tuple[RateLimit, ...]:
    """Return the entries of a `rateLimits` array, without those of unknown intervals."""
    limits = []
    for entry in items(raw, "rateLimits"):
        limit = fields(entry, "rateLimits")
        # "Rate limits are accounted by intervals": one of an unknown length cannot be kept, so it is ignored.
        unit_s = _INTERVALS_S.get(text(limit, "interval"))
        if unit_s is None:
            continue
        limits.append(
            RateLimit(
                kind=text(limit, "rateLimitType"),
                interval_s=unit_s * integer(limit, "intervalNum"),
                limit=integer(limit, "limit"),
                count=integer(limit, "count") if "count" in limit else None,
            )
        )
    return tuple(limits)


def read_side(raw: Fields, name: str) -> Side:
    side = _SIDES.get(text(raw, name))
    if side is None:
        raise ProtocolViolation(f"{name}: expected BUY or SELL, got {text(raw, name)!a}")
    return side


def read_order_status(raw: Fields, name: str) -> OrderStatus:
    return _ORDER_STATUSES.get(text(raw, name), OrderStatus.UNRECOGNIZED)


def _read_execution_type(event: Fields) -> ExecutionType:
    return _EXECUTION_TYPES.get(text(event, "x"), ExecutionType.UNRECOGNIZED)


def _read_reply(message: Fields) -> ParsedReply:
    raw_id = message.get("id")
    # Our request ids are integers; a reply with another id is none of ours.
    request_id = raw_id if isinstance(raw_id, int) and not isinstance(raw_id, bool) else None
    error = message.get("error")
    error_fields = {} if error is None else fields(error, "error")
    return ParsedReply(
        request_id,
        Reply(
            status=integer(message, "status"),
            result=message.get("result"),
            code=integer(error_fields, "code") if error_fields else 0,
            text=message_or(error_fields, "msg", ""),
            data=error_fields.get("data"),
            limits=_limits_if_readable(message.get("rateLimits")),
        ),
    )


def _limits_if_readable(raw: object) -> tuple[RateLimit, ...]:
    """Return the rate limits in a reply, or () if they are unreadable: the rest of the reply is still needed."""
    try:
        return () if raw is None else read_rate_limits(raw)
    except ProtocolViolation:
        return ()


def _read_event(event: Fields) -> AccountEvent:
    kind = text(event, "e")
    read = _EVENTS.get(kind)
    return Unrecognized(kind) if read is None else read(event)


def _read_report(event: Fields) -> ExecutionReport:
    execution_type = _read_execution_type(event)
    return ExecutionReport(
        symbol=asset(event, "s"),
        side=read_side(event, "S"),
        order_type=text(event, "o"),
        client_order_id=_order_client_id(event, execution_type),
        order_id=id_or_none(event, "i"),
        execution_type=execution_type,
        status=read_order_status(event, "X"),
        # A pegged order has "0.00000000" in `p`, and the price at which it rests in `gp`.
        price=amount_or(event, "gp", amount(event, "p")),
        quantity=amount(event, "q"),
        filled_quantity=amount(event, "z"),
        filled_quote=amount(event, "Z"),
        time_ms=time_ms(event, "T"),
        event_ms=time_ms(event, "E"),
        execution_id=integer(event, "I"),
        trade_id=id_or_none(event, "t") if "t" in event else -1,
        last_price=amount_or(event, "L", ZERO),
        last_quantity=amount_or(event, "l", ZERO),
        last_quote=amount_or(event, "Y", ZERO),
        commission=amount_or(event, "n", ZERO) if event.get("n") is not None else ZERO,
        commission_asset=asset(event, "N") if isinstance(event.get("N"), str) else None,
        is_maker=flag(event, "m") if "m" in event else False,
        reject_reason=text_or(event, "r", "NONE"),
    )


def _order_client_id(event: Fields, execution_type: ExecutionType) -> str:
    """Return the client order id of the order.

    A report of a cancel has the cancel's id in `c` and the order's id in `C`.
    """
    if execution_type in (ExecutionType.CANCELED, ExecutionType.REPLACED):
        return text_or(event, "C", "") or text(event, "c")
    return text(event, "c")


def _read_position(event: Fields) -> AccountPosition:
    balances = read_balances(event.get("B"), "B", ("a", "f", "l"))
    # `u` is the time of the last account update and may be older than the event that carries it.
    return AccountPosition(balances, max(time_ms(event, "u"), time_ms(event, "E")))


def read_balances(raw: object, what: str, names: tuple[str, str, str]) -> tuple[Balance, ...]:
    """Return the balances in the array `raw`; `names` are the names of the fields for asset, free and locked amount.

    A balance whose asset has an impossible name is left out, so that the others can be read. The assets of our pair
    cannot be left out: their names were checked when the exchange's rules were read.
    """
    balances = []
    for entry in items(raw, what):
        balance = fields(entry, what)
        if is_market_name(text(balance, names[0])):
            balances.append(Balance(text(balance, names[0]), amount(balance, names[1]), amount(balance, names[2])))
    return tuple(balances)


def _read_balance_update(event: Fields) -> BalanceUpdate:
    return BalanceUpdate(asset(event, "a"), amount(event, "d"), time_ms(event, "E"))


def _read_external_lock(event: Fields) -> ExternalLockUpdate:
    return ExternalLockUpdate(asset(event, "a"), amount(event, "d"), time_ms(event, "E"))


def _read_terminated(event: Fields) -> StreamTerminated:
    return StreamTerminated(time_ms(event, "E"))


def _read_shutdown(event: Fields) -> ServerShutdown:
    return ServerShutdown(time_ms(event, "E"))


_EVENTS: Final[Mapping[str, Callable[[dict[str, Any]], AccountEvent]]] = {
    "executionReport": _read_report,
    "outboundAccountPosition": _read_position,
    "balanceUpdate": _read_balance_update,
    "externalLockUpdate": _read_external_lock,
    "eventStreamTerminated": _read_terminated,
    "serverShutdown": _read_shutdown,
}


def _read_top(message: Fields) -> BookUpdate | InvalidBook:
    symbol = asset(message, "s")
    bid, ask = amount(message, "b"), amount(message, "a")
    bid_quantity, ask_quantity = amount(message, "B"), amount(message, "A")
    try:
        return BookUpdate(symbol, BookTop(bid, ask, bid_quantity, ask_quantity, integer(message, "u")))
    except ValueError as error:
        return InvalidBook(str(error))


def _read_kline(message: Fields) -> KlineUpdate:
    k = fields(message.get("k"), "k")
    try:
        kline = Kline(
            open_ms=time_ms(k, "t"),
            close_ms=time_ms(k, "T"),
            open=amount(k, "o"),
            high=amount(k, "h"),
            low=amount(k, "l"),
            close=amount(k, "c"),
            volume=amount(k, "v"),
            closed=flag(k, "x"),
        )
    except ValueError as error:
        raise ProtocolViolation(str(error)) from error
    return KlineUpdate(asset(message, "s"), text(k, "i"), kline, time_ms(message, "E"))


def _read_control(message: Fields) -> ControlReply:
    request_id = message.get("id")
    if isinstance(request_id, bool) or not isinstance(request_id, int | str | None):
        raise ProtocolViolation("id: expected an integer, text or null")
    return ControlReply(request_id)


# Book frames without the JSON decoder -------------------------------------------------------------

# The amounts and integers that `json_fields` accepts, so that both ways of reading accept the same frames.
_AMOUNT: Final = rb'"([0-9]{1,20}(?:\.[0-9]{1,20})?)"'
_BOOK_TICKER_FRAME: Final = re.compile(
    rb'\{"stream": ?"[^"\\\x00-\x1f\x80-\xff]*", ?"data": ?\{"u": ?(0|[1-9][0-9]{0,17}), ?"s": ?"([A-Z0-9]+)", ?'
    rb'"b": ?' + _AMOUNT + rb', ?"B": ?' + _AMOUNT + rb', ?"a": ?' + _AMOUNT + rb', ?"A": ?' + _AMOUNT + rb"\}\}"
)


def read_top_fast(frame: str | bytes) -> BookUpdate | None:
    """Return the best prices in a bookTicker frame; None for any other frame, or if its format is not the usual one.

    A regular expression reads the bytes. This is faster than the JSON decoder, and an order may wait for this frame.
    `read_stream_frame` reads every frame for which this function returns None.
    """
    if not isinstance(frame, bytes):
        return None
    found = _BOOK_TICKER_FRAME.fullmatch(frame)
    if found is None:
        return None
    update_id, symbol, bid, bid_quantity, ask, ask_quantity = found.groups()
    try:
        top = BookTop(
            Decimal(bid.decode()),
            Decimal(ask.decode()),
            Decimal(bid_quantity.decode()),
            Decimal(ask_quantity.decode()),
            int(update_id),
        )
    except ValueError:  # crossed or empty: `read_stream_frame` returns InvalidBook with the reason
        return None
    return BookUpdate(symbol.decode(), top)


class BookFrames:
    """Finds the bookTicker frames of `symbol` among the frames of one read."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        # A server may write letters of other scripts as they are, or as JSON escapes.
        written = symbol.lower().encode(), json.dumps(symbol.lower())[1:-1].encode()
        names = b"|".join(map(re.escape, written))
        self._beginning = re.compile(rb'\{\s*"stream"\s*:\s*"(?:' + names + rb')@bookTicker"\s*,')

    def is_book(self, frame: str | bytes) -> bool:
        """Return whether `frame` begins like a bookTicker frame. Its rest may be unreadable."""
        return isinstance(frame, bytes) and self._beginning.match(frame) is not None

    def newest_book(self, frames: Sequence[str | bytes]) -> tuple[int, BookUpdate | None]:
        """Return index and content of the last readable book frame; -1 and None if there is none."""
        for index in range(len(frames) - 1, -1, -1):
            frame = frames[index]
            book = self._read(frame) if self.is_book(frame) else None
            if book is not None:
                return index, book
        return -1, None

    def _read(self, frame: str | bytes) -> BookUpdate | None:
        try:
            message = read_top_fast(frame) or read_stream_frame(frame)
        except ProtocolViolation:
            return None
        return message if isinstance(message, BookUpdate) and message.symbol == self._symbol else None

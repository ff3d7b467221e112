"""Frames to typed values: what arrives becomes one of these, or it is a ProtocolViolation, nothing else.

Unknown fields are ignored, unknown event types become `Unrecognized`, unknown enum values their
UNRECOGNIZED: the exchange adds such without asking. What a result holds is read in `results`.
"""

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
from trailingedge.websocket.json_fields import (
    Fields,
    amount,
    amount_or,
    decode,
    fields,
    flag,
    integer,
    integer_or,
    items,
    text,
    text_or,
)

_INTERVALS_S: Final = {"SECOND": 1, "MINUTE": 60, "HOUR": 3600, "DAY": 86_400}


@dataclass(frozen=True, slots=True)
class Reply:
    """What the exchange answered. `result` and `data` are raw JSON; `code` is 0 where there is no error."""

    status: int
    result: object = None
    code: int = 0
    text: str = ""
    data: object = None
    limits: tuple[RateLimit, ...] = ()

    @property
    def ok(self) -> bool:
        return self.status == 200 and not self.code


@dataclass(frozen=True, slots=True)
class ParsedReply:
    """A reply with the id of its question; None where the exchange could not read the question."""

    request_id: int | None
    reply: Reply


@dataclass(frozen=True, slots=True)
class BalanceUpdate:
    """A deposit, withdrawal or transfer: `delta` of `asset`."""

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
    """The user data stream ends here; the connection may live on."""

    event_ms: int


@dataclass(frozen=True, slots=True)
class ServerShutdown:
    """The server goes away and promises no delay: reconnect at once."""

    event_ms: int


@dataclass(frozen=True, slots=True)
class Unrecognized:
    """Well-formed, of a kind this code does not know; to be ignored."""

    kind: str


@dataclass(frozen=True, slots=True)
class BookUpdate:
    """A bookTicker of `symbol`."""

    symbol: str
    top: BookTop


@dataclass(frozen=True, slots=True)
class InvalidBook:
    """A bookTicker that is none: crossed, locked or without a price. Bad data, to be ignored."""

    reason: str


@dataclass(frozen=True, slots=True)
class KlineUpdate:
    """A kline event of `symbol`, the kline forming or closed."""

    symbol: str
    interval: str
    kline: Kline
    event_ms: int


@dataclass(frozen=True, slots=True)
class ControlReply:
    """A SUBSCRIBE or the like was done."""

    request_id: int | str | None


@dataclass(frozen=True, slots=True)
class StreamError:
    """The stream host refused a control message."""

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


def read_api_frame(frame: str | bytes) -> ParsedReply | AccountEvent:
    """A frame of the WebSocket API."""
    message = fields(decode(frame))
    if "event" in message:
        return _read_event(fields(message["event"], "event"))
    if "status" in message:
        return _read_answer(message)
    raise ProtocolViolation("neither an answer nor an event")


def read_stream_frame(frame: str | bytes) -> StreamMessage:
    """A frame of the market streams, raw or combined."""
    message = fields(decode(frame))
    if "stream" in message and "data" in message:
        message = fields(message["data"], "data")
    kind = message.get("e")
    if kind == "kline":
        return _read_kline(message)
    if kind == "serverShutdown":
        return ServerShutdown(integer(message, "E"))
    if isinstance(kind, str):
        return Unrecognized(kind)
    if "b" in message and "a" in message:  # a bookTicker alone carries no event type
        return _read_top(message)
    if "code" in message:
        return StreamError(integer(message, "code"), text_or(message, "msg", ""))
    if "result" in message:
        return _read_control(message)
    raise ProtocolViolation("no stream message known")


def read_rate_limits(raw: object) -> tuple[RateLimit, ...]:
    """The entries of a `rateLimits` array, those of unknown intervals left out."""
    limits = []
    for entry in items(raw, "rateLimits"):
        limit = fields(entry, "rateLimits")
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
    side = text(raw, name)
    if side not in ("BUY", "SELL"):
        raise ProtocolViolation(f"{name}: no side {side!a}")
    return Side(side)


def read_order_status(raw: Fields, name: str) -> OrderStatus:
    try:
        return OrderStatus(text(raw, name))
    except ValueError:
        return OrderStatus.UNRECOGNIZED


def _read_execution_type(event: Fields) -> ExecutionType:
    try:
        return ExecutionType(text(event, "x"))
    except ValueError:
        return ExecutionType.UNRECOGNIZED


def _read_answer(message: Fields) -> ParsedReply:
    raw_id = message.get("id")
    # Ours are integers; an answer to anything else is not for us.
    request_id = raw_id if isinstance(raw_id, int) and not isinstance(raw_id, bool) else None
    error = message.get("error")
    refusal = {} if error is None else fields(error, "error")
    return ParsedReply(
        request_id,
        Reply(
            status=integer(message, "status"),
            result=message.get("result"),
            code=integer(refusal, "code") if refusal else 0,
            text=text_or(refusal, "msg", ""),
            data=refusal.get("data"),
            limits=_limits_if_readable(message.get("rateLimits")),
        ),
    )


def _limits_if_readable(raw: object) -> tuple[RateLimit, ...]:
    """The accounting beside an answer; it must not cost us the answer."""
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
    asset = event.get("N")
    return ExecutionReport(
        symbol=text(event, "s"),
        side=read_side(event, "S"),
        order_type=text(event, "o"),
        client_order_id=_order_client_id(event, execution_type),
        order_id=integer(event, "i"),
        execution_type=execution_type,
        status=read_order_status(event, "X"),
        # A pegged order says "0.00000000" in `p` and where it rests in `gp`.
        price=amount_or(event, "gp", amount(event, "p")),
        quantity=amount(event, "q"),
        filled_quantity=amount(event, "z"),
        filled_quote=amount(event, "Z"),
        time_ms=integer(event, "T"),
        event_ms=integer(event, "E"),
        execution_id=integer(event, "I"),
        trade_id=integer_or(event, "t", -1),
        last_price=amount_or(event, "L", ZERO),
        last_quantity=amount_or(event, "l", ZERO),
        last_quote=amount_or(event, "Y", ZERO),
        commission=amount_or(event, "n", ZERO) if event.get("n") is not None else ZERO,
        commission_asset=asset if isinstance(asset, str) else None,
        is_maker=flag(event, "m") if "m" in event else False,
        reject_reason=text_or(event, "r", "NONE"),
    )


def _order_client_id(event: Fields, execution_type: ExecutionType) -> str:
    """The order's own client id: a cancel carries its id in `c` and the order's in `C`."""
    if execution_type in (ExecutionType.CANCELED, ExecutionType.REPLACED):
        return text_or(event, "C", "") or text(event, "c")
    return text(event, "c")


def _read_position(event: Fields) -> AccountPosition:
    balances = []
    for entry in items(event.get("B"), "B"):
        balance = fields(entry, "B")
        balances.append(Balance(text(balance, "a"), amount(balance, "f"), amount(balance, "l")))
    return AccountPosition(tuple(balances), max(integer(event, "u"), integer(event, "E")))


def _read_balance_update(event: Fields) -> BalanceUpdate:
    return BalanceUpdate(text(event, "a"), amount(event, "d"), integer(event, "E"))


def _read_external_lock(event: Fields) -> ExternalLockUpdate:
    return ExternalLockUpdate(text(event, "a"), amount(event, "d"), integer(event, "E"))


def _read_terminated(event: Fields) -> StreamTerminated:
    return StreamTerminated(integer(event, "E"))


def _read_shutdown(event: Fields) -> ServerShutdown:
    return ServerShutdown(integer(event, "E"))


_EVENTS: Final[Mapping[str, Callable[[dict[str, Any]], AccountEvent]]] = {
    "executionReport": _read_report,
    "outboundAccountPosition": _read_position,
    "balanceUpdate": _read_balance_update,
    "externalLockUpdate": _read_external_lock,
    "eventStreamTerminated": _read_terminated,
    "serverShutdown": _read_shutdown,
}


def _read_top(message: Fields) -> BookUpdate | InvalidBook:
    symbol = text(message, "s")
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
            open_ms=integer(k, "t"),
            close_ms=integer(k, "T"),
            open=amount(k, "o"),
            high=amount(k, "h"),
            low=amount(k, "l"),
            close=amount(k, "c"),
            volume=amount(k, "v"),
            closed=flag(k, "x"),
        )
    except ValueError as error:
        raise ProtocolViolation(str(error)) from error
    return KlineUpdate(text(message, "s"), text(k, "i"), kline, integer(message, "E"))


def _read_control(message: Fields) -> ControlReply:
    request_id = message.get("id")
    if isinstance(request_id, bool) or not isinstance(request_id, int | str | None):
        raise ProtocolViolation("id: expected an integer, text or null")
    return ControlReply(request_id)


# The same amounts and integers that `fields` lets pass.
_AMOUNT: Final = rb'"([0-9]{1,20}(?:\.[0-9]{1,20})?)"'
_BOOK_TICKER_FRAME: Final = re.compile(
    rb'\{"stream": ?"[^"\\\x00-\x1f\x80-\xff]*", ?"data": ?\{"u": ?(0|[1-9][0-9]{0,17}), ?"s": ?"([A-Z0-9]+)", ?'
    rb'"b": ?' + _AMOUNT + rb', ?"B": ?' + _AMOUNT + rb', ?"a": ?' + _AMOUNT + rb', ?"A": ?' + _AMOUNT + rb"\}\}"
)


def read_top_fast(frame: str | bytes) -> BookUpdate | None:
    """The top that `frame` tells; None where it tells something else, or tells it in another way."""
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
    except ValueError:  # no book
        return None
    return BookUpdate(symbol.decode(), top)


class BookFrames:
    """Which frames tell of the book of `symbol`, and which of several tells it last."""

    def __init__(self, symbol: str) -> None:
        self._symbol = symbol
        self._beginning = re.compile(rb'\{\s*"stream"\s*:\s*"' + symbol.lower().encode() + rb'@bookTicker"\s*,')

    def is_book(self, frame: str | bytes) -> bool:
        """Whether `frame` is about that book and nothing else, rightly or wrongly."""
        return isinstance(frame, bytes) and self._beginning.match(frame) is not None

    def newest_book(self, frames: Sequence[str | bytes]) -> tuple[int, BookUpdate | None]:
        """Of frames that came together, where the last readable top is, and that top; -1 and None without one."""
        for index in range(len(frames) - 1, -1, -1):
            frame = frames[index]
            heard = self._read(frame) if self.is_book(frame) else None
            if heard is not None:
                return index, heard
        return -1, None

    def _read(self, frame: str | bytes) -> BookUpdate | None:
        try:
            heard = read_top_fast(frame) or read_stream_frame(frame)
        except ProtocolViolation:
            return None
        return heard if isinstance(heard, BookUpdate) and heard.symbol == self._symbol else None

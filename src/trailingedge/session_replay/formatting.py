"""Formatting of record lines in words, for the output of a session replay."""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from trailingedge.core.errors import ProtocolViolation
from trailingedge.core.foreign_json import parse
from trailingedge.core.printable import frame_text
from trailingedge.eventlog.format import RecordEntry
from trailingedge.eventlog.line_decoder import decode
from trailingedge.model.market import (
    Balance,
    BookTop,
    ExecutionReport,
    ExecutionType,
    Kline,
    SymbolRules,
    format_plain,
)
from trailingedge.notifications.event_messages import EXIT_NAMES
from trailingedge.session_replay.comparable import without_newer_fields
from trailingedge.websocket.event_parser import (
    AccountPosition,
    BookUpdate,
    KlineUpdate,
    ParsedReply,
    Reply,
    read_api_frame,
    read_stream_frame,
)
from trailingedge.websocket.result_parser import read_order

# The exchange's names of the requests that follow from our commands.
_METHODS: Final[Mapping[str, str]] = {
    "Place": "order.place",
    "Replace": "order.cancelReplace",
    "Cancel": "order.cancel",
    "QueryOrder": "order.status",
    "QueryOrdersFrom": "allOrders",
}
_EXIT_KIND_NAMES: Final = {kind.value: name for kind, name in EXIT_NAMES.items()}
_EXIT_KIND_FIELDS: Final = ("kind", "previous", "upgraded")


def describe_line(line: bytes, rules: SymbolRules | None = None) -> str:
    """Describe a record line in words. A line of unknown kind is returned as it is.

    If `rules` is given, amounts are followed by their assets.
    """
    entry = decode(line)
    match entry:
        case ("<" | "+", _, number, frame):
            return f"received on connection {number}: {_describe_frame(frame, rules)}"
        case (">", _, number, text):
            return f"request on connection {number}: {_describe_request_text(text, rules)}"
        case ("!>", _, number, text, reason):
            return f"request on connection {number}, not sent ({reason}): {_describe_request_text(text, rules)}"
        case ("dial", _, number, url):
            return f"connection {number} to {url} is open"
        case ("closed", _, number, reason):
            return f"connection {number} ended: {reason}"
        case ("skipped", _, number, count):
            return f"{count} frames on connection {number} are not in the record"
        case ("alert", _, _, text):
            return f"alert: {text}"
        case ("over", _, int(code)):
            return f"ended with exit code {code}"
        case ("over", _, outcome):
            return f"ended with an error: {': '.join(outcome)}"
        case _:
            return _describe_core_line(entry, rules) or line.decode(errors="replace")


def _describe_core_line(entry: RecordEntry, rules: SymbolRules | None) -> str | None:
    """Describe an input or an output of the trading core; None for any other line."""
    match entry:
        case ("core", *_):
            return "trading core built"
        case ("call", _, method, arguments):
            return f"{method.replace('_', ' ')}: {_describe_fields(arguments)}".removesuffix(": ")
        case ("tick" | "shutdown tick" as kind, _, _, _, changed, *_):
            return f"{kind}: {_describe_view(changed)}"
        case ("requote", _, _, _, top):
            return f"requote: {_describe_top(top)}"
        case ("command", name, fields):
            return f"command {describe_command(name, fields, rules)}"
        case ("event", event, fields):
            return f"event {event}: {_describe_fields(fields)}"
        case ("decision", checksum, *fields):
            return f"decision: {_describe_decision(*fields)}" if fields else f"decision with the checksum {checksum}"
        case ("raised", error, text):
            return f"error {error}: {text}"
        case _:
            return None


def describe_command(name: str, fields: object, rules: SymbolRules | None) -> str:
    """Describe a command of the trading core in the words of the exchange: "order.place SELL 1.2 ETH at 2500.01"."""
    if not isinstance(fields, dict):
        return (
            f"Refresh: read {_format_value(fields)} again" if name == "Refresh" else f"{name} {_format_value(fields)}"
        )
    words = [_METHODS.get(name, name)]
    if "side" in fields:
        words.append(_describe_order(str(fields["side"]), fields.get("quantity"), fields.get("price"), rules))
    words += ["as a taker"] if fields.get("escape") else []
    words += [f"for order {fields['order_id']}"] if fields.get("order_id") is not None else []
    words += [f"({fields['client_order_id']})"] if "client_order_id" in fields else []
    return " ".join(words)


def field_differences(recorded: bytes, replayed: bytes) -> Iterator[tuple[str, str, str]]:
    """Yield each field in which two lines differ: its name and both values.

    Yields nothing if the lines are not of the same kind. Fields that the recorded line of an older
    version does not have are left out.
    """
    try:
        one, other = decode(recorded), decode(replayed)
    except ValueError:
        return
    if one[0] != other[0] or len(one) != len(other):
        return
    other = tuple(map(without_newer_fields, other, one))
    for part, (recorded_value, replayed_value) in enumerate(zip(one[1:], other[1:], strict=True), 1):
        named = isinstance(recorded_value, dict) and isinstance(replayed_value, dict)
        yield from _field_differences("" if named else f"{one[0]} {part}", recorded_value, replayed_value)


def _field_differences(name: str, recorded_value: object, replayed_value: object) -> Iterator[tuple[str, str, str]]:
    if isinstance(recorded_value, dict) and isinstance(replayed_value, dict):
        for key in dict.fromkeys((*recorded_value, *replayed_value)):
            yield from _field_differences(
                f"{name}.{key}" if name else key, recorded_value.get(key), replayed_value.get(key)
            )
    elif recorded_value != replayed_value:
        yield name, _format_value(recorded_value), _format_value(replayed_value)


# --- output of the daemon ---


def _describe_request_text(text: str, rules: SymbolRules | None) -> str:
    """Describe a request: "order.place SELL 1.2 ETH at 2500.01 FDUSD (TE-t-…)".

    Requests that are not about an order are described by their parameters.
    """
    message = _parse_json(text)
    if not isinstance(message, dict) or not isinstance(method := message.get("method"), str):
        return text
    params = message.get("params")
    if not isinstance(params, dict):
        return f"{method} {' '.join(map(str, params))}" if isinstance(params, list) else method
    words = [method]
    if "side" in params:
        words.append(_describe_order(str(params["side"]), params.get("quantity"), params.get("price"), rules))
        if params.get("type") not in (None, "LIMIT_MAKER"):
            words.append(str(params.get("type")))
    words += [f"for order {params[name]}" for name in ("orderId", "cancelOrderId") if name in params]
    own = params.get("newClientOrderId", params.get("origClientOrderId"))
    words += [f"({own})"] if own else []
    words += [f"{name} {params[name]}" for name in ("interval", "limit", "fromId") if name in params]
    return " ".join(words)


def _describe_order(side: str, quantity: object, price: object, rules: SymbolRules | None) -> str:
    base, quote = ("", "") if rules is None else (f" {rules.base_asset}", f" {rules.quote_asset}")
    amount = "" if quantity is None else f" {_format_number(quantity)}{base}"
    return f"{side}{amount} at {'the best price' if price is None else f'{_format_number(price)}{quote}'}"


def _describe_decision(fields: object) -> str:
    """Describe a decision by its fields: the asset held, the exit and the gate, the bid, and the price of the
    anchor.
    """
    state = fields.get("state") if isinstance(fields, dict) else None
    if not isinstance(fields, dict) or not isinstance(state, dict):
        return "another decision"
    regime, gate, exit_, trail = (state.get("regime"), state.get("gate"), state.get("exit"), fields.get("trail"))
    words = [f"holding {str(regime).lower()}" if regime else "no side known"]
    words += [f"gate shut by {gate.get('shut_by')}"] if isinstance(gate, dict) else []
    if isinstance(exit_, dict):
        kind, ending = str(exit_.get("kind")), exit_.get("ending")
        words.append(f"{_EXIT_KIND_NAMES.get(kind, kind)} {exit_.get('side')}")
        words += [f"ending: {ending}"] if ending else []
    trailing = isinstance(trail, dict) and bool(trail.get("armed"))
    flags = (("paused", fields.get("trading_paused")), ("halted", fields.get("halted")), ("trailing", trailing))
    words += [name for name, holds in flags if holds]
    rule = f" (rule: {fields['acted']})" if fields.get("acted") else ""
    return ", ".join(words) + rule + _describe_decision_price(regime, fields.get("unit_value"), state.get("anchor"))


def _describe_decision_price(regime: object, unit_value: object, anchor: object) -> str:
    if not (isinstance(unit_value, float) and isinstance(anchor, float) and unit_value and anchor and regime):
        return ""
    # In QUOTE the unit value is the inverse of the price: what one quote unit buys.
    price, anchor_price = (unit_value, anchor) if regime == "BASE" else (1 / unit_value, 1 / anchor)
    return f"; {'bid' if regime == 'BASE' else 'ask'} {price:.8g}, anchor {anchor_price:.8g}"


def _describe_view(changed: Mapping[str, object]) -> str:
    """Describe the changes of a view: new best prices, and the names of the other changed fields."""
    top = changed.get("top")
    words = [_describe_top(top)] if isinstance(top, Mapping) else []
    words += [name.replace("_", " ") for name in changed if name not in ("top", "market_ms", "now_s")]
    return ", ".join(words) or "nothing new"


def _describe_top(top: Mapping[str, object]) -> str:
    return f"bid {_format_number(top.get('b'))}, ask {_format_number(top.get('a'))}"


# --- frames ---


def _describe_frame(frame: str | bytes, rules: SymbolRules | None) -> str:
    """Describe a WebSocket frame in words. A frame of unknown kind is shown as it is."""
    # The record does not say which kind of connection it was; replies and events look different enough to try both.
    for read in (read_api_frame, read_stream_frame):
        try:
            message = read(frame)
        except ProtocolViolation:
            continue
        match message:
            case BookUpdate():
                return f"book {_describe_book(message.top)}"
            case KlineUpdate():
                return f"candle {message.interval} {_describe_kline(message.kline)}"
            case ParsedReply():
                return f"reply to {message.request_id}: {_describe_reply(message.reply, rules)}"
            case ExecutionReport():
                return _describe_report(message, rules)
            case AccountPosition():
                return f"balances {', '.join(map(_describe_balance, message.balances))}"
            case _:
                break
    return frame_text(frame)


def _describe_reply(reply: Reply, rules: SymbolRules | None) -> str:
    if not reply.ok:
        return f"{reply.status}, {reply.code} {reply.text}".rstrip()
    try:
        order = read_order(reply.result)
    except ProtocolViolation:
        return "ok"
    if order.side is None or order.status is None:
        return "ok"
    words = _describe_order(order.side.value, format_plain(order.quantity), format_plain(order.price), rules)
    return f"ok, order {order.order_id} {order.status.value}: {words} ({order.client_order_id})"


def _describe_report(report: ExecutionReport, rules: SymbolRules | None) -> str:
    words = _describe_order(report.side.value, format_plain(report.quantity), format_plain(report.price), rules)
    filled = f", filled {format_plain(report.last_quantity)} at {format_plain(report.last_price)}"
    traded = filled if report.execution_type is ExecutionType.TRADE else ""
    kind = f"{report.execution_type.value} {report.status.value}"
    return f"execution report {kind}: {words}{traded} ({report.client_order_id})"


def _describe_book(top: BookTop) -> str:
    return f"bid {format_plain(top.bid)}, ask {format_plain(top.ask)}"


def _describe_kline(kline: Kline) -> str:
    return f"closed at {format_plain(kline.close)}" if kline.closed else f"so far {format_plain(kline.close)}"


def _describe_balance(balance: Balance) -> str:
    locked = f" and {format_plain(balance.locked)} locked" if balance.locked else ""
    return f"{format_plain(balance.free)} {balance.asset}{locked}"


# --- values ---


def _describe_fields(fields: object) -> str:
    """Describe the plain fields of an event.

    Nested fields are left out, because the decision line has them.
    """
    if not isinstance(fields, Mapping):
        return _format_value(fields)
    single = {key: value for key, value in fields.items() if isinstance(value, str | int | float)}
    return ", ".join(f"{key.replace('_', ' ')} {_format_field(key, value)}" for key, value in single.items())


def _format_field(key: str, value: str | float) -> str:
    if not isinstance(value, str):
        return _format_value(value)
    return _EXIT_KIND_NAMES.get(value, value) if key in _EXIT_KIND_FIELDS else _format_number(value)


def _format_value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):  # a frame that is no text frame
        return value.decode(errors="replace")
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)


def _format_number(value: object) -> str:
    try:
        return format_plain(Decimal(str(value)))
    except InvalidOperation:
        return str(value)


def _parse_json(text: Any) -> Any:
    """Parse JSON text inside a line, for example a request. Return anything else unchanged."""
    try:
        return parse(text) if isinstance(text, str) else text
    except ValueError:
        return text

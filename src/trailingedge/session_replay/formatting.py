"""Formatting of record lines in words, for the output of a session replay."""

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from trailingedge.core.errors import ProtocolViolation
from trailingedge.core.printable import frame_text
from trailingedge.eventlog.format import decode
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import Balance, BookTop, ExecutionReport, ExecutionType, Kline, SymbolRules, format_plain
from trailingedge.notifications.event_messages import END_REASONS, EXIT_NAMES
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

_REQUESTS: Final = (">", "!>")
_WITH_FIELDS: Final = ("news", "decision")
_EXIT_KIND_NAMES: Final = {kind.value: name for kind, name in EXIT_NAMES.items()}
_EXIT_KIND_FIELDS: Final = ("kind", "previous", "upgraded")


def describe_line(line: bytes, rules: SymbolRules | None = None) -> str:
    """Describe a record line in words. A line of unknown kind is returned as it is.

    If `rules` is given, amounts are followed by their assets.
    """
    try:
        entry = decode(line)
    except ValueError:  # no line, but the player's message about one
        return line.decode(errors="replace")
    match entry:
        case ("<" | "+", _, _, number, frame):
            return f"received on connection {number}: {_describe_frame(frame, rules)}"
        case (">", number, text):
            return f"request on connection {number}: {_describe_request_text(text, rules)}"
        case ("!>", number, text, error):
            request = _describe_request_text(text, rules)
            return f"request on connection {number}, not sent ({_describe_error(error)}): {request}"
        case ("ask", number, what):
            return f"waits for {what} (operation {number})"
        case ("told", _, _, number, None):
            return f"operation {number} completed"
        case ("told", _, _, number, str(outcome)):
            return f"operation {number} completed: {outcome}"
        case ("told", _, _, number, outcome):
            return f"operation {number} failed: {_describe_error(outcome)}"
        case ("alarm", number, seconds):
            return f"timer {number} set to {seconds:g} s"
        case ("ring", _, _, number, *_):
            return f"timer {number} fired"
        case ("obey", _, _, command, who):
            return f"command {command}" + (f" from {who}" if who else "")
        case ("stop", _, _, reason, code):
            return f"stop requested: {reason} (exit code {code})"
        case ("tick", *_):
            return "time passed"
        case ("stir", *_):
            return "trading loop woken"
        case ("alert", _, text):
            return f"alert: {text}"
        case ("news", event, fields):
            return f"event {event}: {_describe_fields(fields)}"
        case ("decision", key, fields):
            return f"decision: {_describe_decision_key(key)}{_describe_decision_price(fields)}"
        case ("over", int(code)):
            return f"ended with exit code {code}"
        case ("over", outcome):
            return f"ended with an error: {_describe_error(outcome)}"
        case _:
            return line.decode(errors="replace")


def describe_request(line: bytes, rules: SymbolRules | None) -> str:
    """Describe a request line without naming its connection. Raises ValueError for other lines."""
    _, _, text, *error = decode(line)
    request = _describe_request_text(text, rules)
    head = "" if request.startswith("order.") else "request "
    return f"{head}{request}" + (f", not sent ({_describe_error(error[0])})" if error else "")


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
    if one[0] in _REQUESTS:
        one, other = tuple(map(_parse_json, one)), tuple(map(_parse_json, other))
    elif one[0] in _WITH_FIELDS:
        other = (*other[:2], without_newer_fields(other[2], one[2]))
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


def _describe_decision_key(key: Sequence[Any]) -> str:
    """The decision key that `eventlog.recorder` writes, in words."""
    try:
        acted, phase, regime, gate, exit_, paused, halted, armed = key
        words = [f"{phase}, holding {str(regime).lower()}" if regime else str(phase)]
        words += [f"gate shut by {gate}"] if gate else []
        if exit_ is not None:
            kind, side, ending = exit_
            words.append(
                f"{EXIT_NAMES[ExitKind(kind)]} {side}"
                + (f", ending: {END_REASONS[ExitEndReason(ending)]}" if ending else "")
            )
        words += [name for name, holds in (("paused", paused), ("halted", halted), ("trailing", armed)) if holds]
    except (ValueError, TypeError):  # of a version with another key
        return _format_value(key)
    return ", ".join(words) + (f" (rule: {acted})" if acted else "")


def _describe_decision_price(decision: object) -> str:
    """Describe the price at which the decision was made, and the anchor as a price.

    `decision` has the field names of the record.
    """
    state = decision.get("memory") if isinstance(decision, dict) else None
    if not isinstance(decision, dict) or not isinstance(state, dict):
        return ""
    unit_value, anchor, regime = decision.get("u"), state.get("anchor"), state.get("regime")
    if not (isinstance(unit_value, float) and isinstance(anchor, float) and unit_value and anchor and regime):
        return ""
    # In QUOTE the unit value is the inverse of the price: what one quote unit buys.
    price, anchor_price = (unit_value, anchor) if regime == "BASE" else (1 / unit_value, 1 / anchor)
    return f"; {'bid' if regime == 'BASE' else 'ask'} {price:.8g}, anchor {anchor_price:.8g}"


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


def _describe_error(error: Sequence[object]) -> str:
    """Return the name and the text of an error that `eventlog.error_codec` encoded. Further arguments are left out."""
    return ": ".join(map(str, error[:2]))


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
        return json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return text

"""Lines of a record in words, for whoever looks for the place where two lives of a session part."""

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from trailingedge.core.errors import ProtocolViolation
from trailingedge.core.printable import frame_text
from trailingedge.eventlog.format import decode
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Balance, BookTop, ExecutionReport, ExecutionType, Kline, SymbolRules, format_plain
from trailingedge.notifications.messages import EXIT_NAMES
from trailingedge.websocket.event_parser import (
    AccountPosition,
    BookUpdate,
    KlineUpdate,
    ParsedReply,
    Reply,
    read_api_frame,
    read_stream_frame,
)
from trailingedge.websocket.response_parser import read_order

_REQUESTS: Final = (">", "!>")
_EXIT_KIND_NAMES: Final = {kind.value: name for kind, name in EXIT_NAMES.items()}
_EXIT_KIND_FIELDS: Final = ("kind", "previous", "upgraded")


def describe_line(line: bytes, rules: SymbolRules | None = None) -> str:
    """A line in words. With the symbol's `rules`, amounts bear their assets; what has no words comes as it is."""
    try:
        entry = decode(line)
    except ValueError:  # no line, but a word about one
        return line.decode(errors="replace")
    match entry:
        case ("<" | "+", _, _, number, frame):
            return f"heard over line {number}: {_frame(frame, rules)}"
        case (">", number, text):
            return f"request over line {number}: {_request(text, rules)}"
        case ("!>", number, text, error):
            return f"request over line {number}, not written ({_failure(error)}): {_request(text, rules)}"
        case ("ask", number, what):
            return f"waits for {what} ({number})"
        case ("told", _, _, number, None):
            return f"what it waited for has come ({number})"
        case ("told", _, _, number, str(outcome)):
            return f"what it waited for has come ({number}): {outcome}"
        case ("told", _, _, number, outcome):
            return f"what it waited for has failed ({number}): {_failure(outcome)}"
        case ("alarm", number, seconds):
            return f"alarm {number} set, in {seconds:g} s"
        case ("ring", _, _, number, *_):
            return f"alarm {number} rang"
        case ("obey", _, _, instruction, who):
            return f"{who or 'somebody'} asked: {instruction}"
        case ("stop", _, _, reason, code):
            return f"told to stop: {reason} ({code})"
        case ("tick", *_):
            return "time passed"
        case ("stir", *_):
            return "stirred"
        case ("alert", _, text):
            return f"alert: {text}"
        case ("news", event, numbers):
            return f"event {event}: {_numbers(numbers)}"
        case ("decision", about, numbers):
            return f"decision: {_about(about)}{_judged(numbers)}"
        case ("over", int(code)):
            return f"ended with code {code}"
        case ("over", outcome):
            return f"ended by a failure: {_failure(outcome)}"
        case _:
            return line.decode(errors="replace")


def describe_request(line: bytes, rules: SymbolRules | None) -> str:
    """The request alone, for whoever need not know on which connection it went out. Raises ValueError for others."""
    _, _, text, *error = decode(line)
    asked = _describe_request_text(text, rules)
    head = "" if asked.startswith("order.") else "request "
    return f"{head}{asked}" + (f", not written ({_failure(error[0])})" if error else "")


def field_differences(recorded: bytes, now: bytes) -> Iterator[tuple[str, str, str]]:
    """Where two lines of the same kind say something else: the name of it, and both values. Nothing for others."""
    try:
        one, other = decode(recorded), decode(now)
    except ValueError:
        return
    if one[0] != other[0] or len(one) != len(other):
        return
    if one[0] in _REQUESTS:
        one, other = tuple(map(_parse_json, one)), tuple(map(_parse_json, other))
    for part, (mine, yours) in enumerate(zip(one[1:], other[1:], strict=True), 1):
        named = isinstance(mine, dict) and isinstance(yours, dict)
        yield from _field_differences("" if named else f"{one[0]} {part}", mine, yours)


def _field_differences(name: str, mine: object, yours: object) -> Iterator[tuple[str, str, str]]:
    if isinstance(mine, dict) and isinstance(yours, dict):
        for key in dict.fromkeys((*mine, *yours)):
            yield from _field_differences(f"{name}.{key}" if name else key, mine.get(key), yours.get(key))
    elif mine != yours:
        yield name, _format_value(mine), _format_value(yours)


# --- what is said ---


def _describe_request_text(text: str, rules: SymbolRules | None) -> str:
    """ "order.place SELL 1.2 ETH at 2500.01 FDUSD (TE-t-…)"; of other requests what matters of their parameters."""
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
    amount = "" if quantity is None else f" {_number(quantity)}{base}"
    return f"{side}{amount} at {'the best price' if price is None else f'{_number(price)}{quote}'}"


def _describe_decision_key(about: Sequence[Any]) -> str:
    """What it is about, from `record.watchman`."""
    try:
        acted, phase, regime, gate, exit_, hold, halted, armed = about
        words = [f"{phase}, holding {str(regime).lower()}" if regime else str(phase)]
        words += [f"gate shut by {gate}"] if gate else []
        if exit_ is not None:
            kind, side, ending = exit_
            words.append(f"{EXIT_NAMES[ExitKind(kind)]} {side}" + (f" ending: {ending}" if ending else ""))
        words += [name for name, holds in (("on hold", hold), ("halted", halted), ("trail armed", armed)) if holds]
    except (ValueError, TypeError):  # of a version that is about something else
        return _format_value(about)
    return ", ".join(words) + (f" (by the rule: {acted})" if acted else "")


def _describe_decision_price(numbers: object) -> str:
    """By which price."""
    memory = numbers.get("memory") if isinstance(numbers, dict) else None
    if not isinstance(numbers, dict) or not isinstance(memory, dict):
        return ""
    u, anchor, regime = numbers.get("u"), memory.get("anchor"), memory.get("regime")
    if not (isinstance(u, float) and isinstance(anchor, float) and u and anchor and regime):
        return ""
    price, from_price = (u, anchor) if regime == "BASE" else (1 / u, 1 / anchor)
    return f"; {'bid' if regime == 'BASE' else 'ask'} {price:.8g}, anchor {from_price:.8g}"


# --- what is heard ---


def _describe_frame(frame: str | bytes, rules: SymbolRules | None) -> str:
    """A frame, for what it tells."""
    for read in (read_api_frame, read_stream_frame):
        try:
            message = read(frame)
        except ProtocolViolation:
            continue
        match message:
            case BookUpdate():
                return f"book {_book(message.top)}"
            case KlineUpdate():
                return f"candle {message.interval} {_kline(message.kline)}"
            case ParsedReply():
                return f"answer to {message.request_id}: {_reply(message.reply, rules)}"
            case ExecutionReport():
                return _describe_report(message, rules)
            case AccountPosition():
                return f"balances {', '.join(map(_balance, message.balances))}"
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
    """From `record.failures`: its name and its text; what is behind them is for the replay."""
    return ": ".join(map(str, error[:2]))


def _describe_fields(numbers: object) -> str:
    """What an event bears, where it bears something; what leads to it is in the decision."""
    if not isinstance(numbers, Mapping):
        return _format_value(numbers)
    single = {key: value for key, value in numbers.items() if isinstance(value, str | int | float)}
    return ", ".join(f"{key.replace('_', ' ')} {_named(key, value)}" for key, value in single.items())


def _format_field(key: str, value: str | float) -> str:
    if not isinstance(value, str):
        return _format_value(value)
    return _EXIT_KIND_NAMES.get(value, value) if key in _EXIT_KIND_FIELDS else _format_number(value)


def _format_value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, str):
        return value
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False)


def _format_number(value: object) -> str:
    try:
        return format_plain(Decimal(str(value)))
    except InvalidOperation:
        return str(value)


def _parse_json(text: Any) -> Any:
    """JSON within JSON; whatever else it is, as it is."""
    try:
        return json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return text

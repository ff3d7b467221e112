"""Decoder of record lines: returns the kind of a line and its fields, and checks the types of the fields.

A record may come from another person. A line with a wrong field is therefore refused when it is read. A line of an
unknown kind is accepted: it may come from a later version.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from trailingedge.core import number_text
from trailingedge.core.foreign_json import parse
from trailingedge.eventlog.format import FRAME_PREFIXES, RecordEntry

Check = Callable[[object], bool]


def decode(line: bytes) -> RecordEntry:
    """Return the entry that `line` holds. Raises ValueError if it is not a line of a record.

    A frame is not parsed: it is the text between the third comma and the closing bracket.
    """
    if line.startswith(FRAME_PREFIXES):
        return _decode_frame(line)
    entry = parse(line)
    if not isinstance(entry, list) or not entry:
        raise ValueError("not a line of a record")
    check_shape(tuple(entry))
    return tuple(entry)


def _decode_frame(line: bytes) -> RecordEntry:
    head, at_ns, number, frame = line.split(b",", 3)
    kind = "<" if head[2] == 60 else "+"  # 60 is "<"
    raw: str | bytes = frame[:-1]
    if not frame.endswith(b"]"):
        raise ValueError("the line has no end")
    # 34 is a quotation mark: the frame was not JSON. The head has four bytes, `["<"`, unless it was a text frame.
    if frame[0] == 34:
        text = parse(raw)
        if not isinstance(text, str):
            raise ValueError("the frame is no text")
        raw = text.encode(errors="surrogateescape") if len(head) == 4 else text
    elif len(head) != 4:
        raw = frame[:-1].decode()
    return kind, _count(at_ns), _count(number), raw


def _count(digits: bytes) -> int:
    if not digits.isdigit():  # `int` takes signs, spaces and underscores, too
        raise ValueError(f"{digits[:20]!r} is no number")
    return number_text.parse_integer(digits.decode())


def _is_number(value: object) -> bool:
    """Whether `value` is a whole number that is not negative, such as a count, a time or an id."""
    try:
        return number_text.id_number(value) >= 0
    except ValueError:
        return False


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < number_text.LATEST_MS


def _is_age(value: object) -> bool:
    return value is None or value == "inf" or _is_number(value) or (isinstance(value, float) and _is_seconds(value))


def _is_offset(value: object) -> bool:
    try:
        return abs(number_text.integer(value)) < number_text.LATEST_MS
    except ValueError:
        return False


def _is_end(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and all(map(_is_text, value))
    return _is_number(value)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


_TICK: Final = (_is_number, _is_age, _is_offset, _is_object)

# A field that may follow the others: the sum of the decision, or the whole decision.
_OPTIONAL: Final[Mapping[str, Check]] = {"tick": _is_number, "shutdown tick": _is_number, "decision": _is_object}

# The fields after the kind.
_FIELDS: Final[Mapping[str, tuple[Check, ...]]] = {
    "core": (_is_number, _is_object),
    "call": (_is_number, _is_text, _is_object),
    "tick": _TICK,
    "shutdown tick": _TICK,
    "requote": (_is_number, _is_seconds, _is_number, _is_object),
    "command": (_is_text, lambda value: isinstance(value, dict | str)),
    "event": (_is_text, _is_object),
    "decision": (_is_number,),
    "raised": (_is_text, _is_text),
    ">": (_is_number, _is_number, _is_text),
    "!>": (_is_number, _is_number, _is_text, _is_text),
    "skipped": (_is_number, _is_number, _is_number),
    "dial": (_is_number, _is_number, _is_text),
    "closed": (_is_number, _is_number, _is_text),
    "alert": (_is_number, _is_number, _is_text),
    "over": (_is_number, _is_end),
    "session": (_is_object,),
    "part": (_is_number,),
    "hole": (_is_number,),
}


def check_shape(entry: tuple[Any, ...]) -> None:
    """Raise ValueError unless `entry` has as many fields as lines of its kind, with the right types."""
    kind, *values = entry
    if not isinstance(kind, str):
        raise ValueError("a line of a record begins with its kind")
    checks = _FIELDS.get(kind)
    if checks is None:
        return
    more = _OPTIONAL.get(kind)
    if more is not None and len(values) > len(checks):
        checks = (*checks, more)
    if len(values) != len(checks):
        raise ValueError(f"a line of kind {kind!r} cannot have {len(values)} fields")
    for value, is_right in zip(values, checks, strict=True):
        if not is_right(value):
            raise ValueError(f"a line of kind {kind!r} cannot have the field {number_text.shown(value)}")

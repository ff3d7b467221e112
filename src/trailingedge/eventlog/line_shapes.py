"""Line shapes: the types of the fields in each kind of line of a session record.

A record may come from somebody else, and a replay passes its fields to a real daemon. A line with a wrong field is
therefore refused when it is read. A line of an unknown kind is accepted: it may come from a later version.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from trailingedge.core import number_text

Check = Callable[[object], bool]


def _is_number(value: object) -> bool:
    """Whether `value` is a whole number that is not negative, such as a count or an id."""
    try:
        return number_text.id_number(value) >= 0
    except ValueError:
        return False


def _is_offset(value: object) -> bool:
    try:
        return abs(number_text.integer(value)) < number_text.LATEST_MS
    except ValueError:
        return False


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_seconds(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < number_text.LATEST_MS


def _is_outcome(value: object) -> bool:
    return value is None or isinstance(value, str) or _is_error(value)


def _is_error(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, str | int | float) for each in value)


def _is_end(value: object) -> bool:
    return _is_number(value) or _is_error(value)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


_MOMENT: Final = (_is_number, _is_number)  # the time, and the iteration of the event loop

# The fields after the kind. A field of the second tuple may be missing.
_FIELDS: Final[Mapping[str, tuple[tuple[Check, ...], tuple[Check, ...]]]] = {
    "begin": (_MOMENT, ()),
    "told": ((*_MOMENT, _is_number, _is_outcome), ()),
    "ring": ((*_MOMENT, _is_number), (_is_offset,)),
    "tick": (_MOMENT, ()),
    "obey": ((*_MOMENT, _is_text, _is_text), ()),
    "stop": ((*_MOMENT, _is_text, _is_number), ()),
    "stir": (_MOMENT, ()),
    ">": ((_is_number, _is_text), ()),
    "!>": ((_is_number, _is_text, _is_error), ()),
    "ask": ((_is_number, _is_text), ()),
    "alarm": ((_is_number, _is_seconds), ()),
    "alert": ((_is_number, _is_text), ()),
    "news": ((_is_text, _is_object), ()),
    "decision": ((_is_list, _is_object), ()),
    "over": ((_is_end,), ()),
    "session": ((_is_object,), ()),
    "part": ((_is_number,), ()),
    "hole": ((_is_number,), ()),
}


def check_shape(entry: tuple[Any, ...]) -> None:
    """Raise ValueError unless `entry` has as many fields as lines of its kind, with the right types."""
    kind, *values = entry
    if not isinstance(kind, str):
        raise ValueError("a line of a record begins with its kind")
    needed, optional = _FIELDS.get(kind, ((), ()))
    if kind not in _FIELDS:
        return
    if not len(needed) <= len(values) <= len(needed) + len(optional):
        raise ValueError(f"a line of kind {kind!r} cannot have {len(values)} fields")
    for value, is_right in zip(values, (*needed, *optional), strict=False):
        if not is_right(value):
            raise ValueError(f"a line of kind {kind!r} cannot have the field {number_text.shown(value)}")

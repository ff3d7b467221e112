"""JSON field readers: each returns a value of the type in its name, or raises ProtocolViolation.

An order and its replies have a hundred fields. To save time, a reader checks the usual form of a value itself, and
calls `number_text` only for other forms.
"""

from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from trailingedge.core import foreign_json, number_text
from trailingedge.core.errors import ProtocolViolation
from trailingedge.core.foreign_json import UnreadableJson
from trailingedge.core.number_text import LATEST_MS
from trailingedge.core.number_text import shown as _shown
from trailingedge.core.printable import LONGEST_MESSAGE, printable
from trailingedge.model.market_names import is_market_name

_LONGEST_TEXT: Final = 200  # characters; the words and ids of the exchange have at most 50
_LONGEST_KEPT: Final = 20  # characters of an amount that is remembered
_AMOUNTS_KEPT: Final = 256
_INT64: Final = 1 << 63

Fields = dict[str, Any]


def decode(frame: str | bytes) -> Any:
    """Return the JSON value in `frame`."""
    try:
        return foreign_json.parse(frame, _DECODER)
    except UnreadableJson as error:
        raise ProtocolViolation(str(error)) from error


def fields(raw: object, what: str = "message") -> Fields:
    """Return `raw` if it is a JSON object."""
    if not isinstance(raw, dict):
        raise ProtocolViolation(f"{what}: expected an object, got {_shown(raw)}")
    return raw


def items(raw: object, what: str) -> list[Any]:
    """Return `raw` if it is a JSON array."""
    if not isinstance(raw, list):
        raise ProtocolViolation(f"{what}: expected an array, got {_shown(raw)}")
    return raw


def text(raw: Fields, name: str) -> str:
    """Return the text in the field `name`: a word or an id, printable and not long."""
    value = raw.get(name)
    if type(value) is not str or not value.isprintable() or len(value) > _LONGEST_TEXT:
        raise ProtocolViolation(f"{name}: expected text, got {_shown(value)}")
    return value


def asset(raw: Fields, name: str) -> str:
    """Return the asset name or symbol in the field `name`."""
    value = raw.get(name)
    if not isinstance(value, str) or not is_market_name(value):
        raise ProtocolViolation(f"{name}: expected the name of an asset or a symbol, got {_shown(value)}")
    return value


def message_or(raw: Fields, name: str, otherwise: str) -> str:
    """Return the message for people in the field `name`, made printable; `otherwise` if the field is missing."""
    value = raw.get(name, otherwise)
    if not isinstance(value, str):
        raise ProtocolViolation(f"{name}: expected text, got {_shown(value)}")
    return printable(value, LONGEST_MESSAGE)


def flag(raw: Fields, name: str) -> bool:
    """Return the boolean in the field `name`."""
    value = raw.get(name)
    if not isinstance(value, bool):
        raise ProtocolViolation(f"{name}: expected true or false, got {_shown(value)}")
    return value


def integer(raw: Fields, name: str) -> int:
    """Return the integer in the field `name`."""
    value = raw.get(name)
    return value if type(value) is int and -_INT64 <= value < _INT64 else as_integer(value, name)


def id_number(raw: Fields, name: str) -> int:
    """Return the order id or trade id in the field `name`."""
    return _id(raw, name, number_text.id_number)


def id_or_none(raw: Fields, name: str) -> int:
    """Return the order id or trade id in the field `name`; -1 if there is none."""
    return _id(raw, name, number_text.id_or_none)


def _id(raw: Fields, name: str, read: Callable[[object], int]) -> int:
    value = raw.get(name)
    if type(value) is int and 0 <= value < _INT64:
        return value
    try:
        return read(value)
    except ValueError as error:
        raise ProtocolViolation(f"{name}: expected an id, got {_shown(value)}") from error


def time_ms(raw: Fields, name: str) -> int:
    """Return the time in the field `name`, in milliseconds."""
    value = raw.get(name)
    return value if type(value) is int and 0 <= value < LATEST_MS else as_time_ms(value, name)


def amount(raw: Fields, name: str) -> Decimal:
    """Return the amount in the field `name`."""
    value = raw.get(name)
    if type(value) is str and len(value) <= _LONGEST_KEPT:
        try:
            return _amount_of(value)
        except ValueError:
            pass  # below, with the name of the field
    return as_amount(value, name)


# A report has ten amounts, most of them zero or that of the last report: a tenth of the time of reading the text again.
_amount_of: Final = lru_cache(_AMOUNTS_KEPT)(number_text.parse_amount)


def amount_or(raw: Fields, name: str, otherwise: Decimal) -> Decimal:
    """Return the amount in the field `name`, or `otherwise` if the field is missing."""
    return amount(raw, name) if name in raw else otherwise


def text_or(raw: Fields, name: str, otherwise: str) -> str:
    """Return the text in the field `name`, or `otherwise` if the field is missing."""
    return text(raw, name) if name in raw else otherwise


def integer_or(raw: Fields, name: str, otherwise: int) -> int:
    """Return the integer in the field `name`, or `otherwise` if the field is missing."""
    return integer(raw, name) if name in raw else otherwise


def as_integer(value: object, name: str) -> int:
    """Return `value` if it is a 64-bit integer. JSON's `true` and `false` are refused, though `bool` is an `int`."""
    try:
        return number_text.integer(value)
    except ValueError as error:
        raise ProtocolViolation(f"{name}: expected an integer, got {_shown(value)}") from error


def as_time_ms(value: object, name: str) -> int:
    """Return a time in milliseconds before the year 2100; -1 means no time."""
    try:
        return number_text.time_ms(value)
    except ValueError as error:
        raise ProtocolViolation(f"{name}: expected a time in milliseconds, got {_shown(value)}") from error


def as_amount(value: object, name: str) -> Decimal:
    """Return a finite decimal, from a string or a number."""
    try:
        if isinstance(value, str):
            return number_text.parse_amount(value)
        return Decimal(number_text.integer(value))
    except ValueError as error:
        raise ProtocolViolation(f"{name}: expected an amount, got {_shown(value)}") from error


# Fractions keep their text, so that no amount passes through a float.
_DECODER: Final = foreign_json.decoder(parse_float=str)

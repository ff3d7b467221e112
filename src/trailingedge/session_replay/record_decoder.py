"""Deserialization of settings and values from a session record.

`decode_value` makes a value of a given type from JSON that `eventlog.json_values` wrote. A field that the record lacks,
because an older version wrote it, gets its default. A record may come from another person, so numbers have the same
bounds as in frames of the exchange.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from decimal import Decimal
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

from trailingedge.config import OPTIONS, LoadedSettings, read_settings
from trailingedge.core import number_text
from trailingedge.eventlog.json_values import TYPE_KEY
from trailingedge.eventlog.reader import RecordHeader

_NOT_FINITE: Final = ("inf", "-inf", "nan")
# What a value of a damaged record, or one of another version, may raise.
DECODE_ERRORS: Final = (ValueError, TypeError, LookupError, ArithmeticError, RecursionError)


def settings_from_header(header: RecordHeader, overrides: Mapping[str, str]) -> LoadedSettings:
    """Return the recorded settings, with `overrides` applied.

    Settings that this version does not know are ignored.
    """
    known = {name: value for name, value in header.settings.items() if name in OPTIONS}
    return read_settings(known | dict(overrides), {}, Path(os.devnull))


def decode_value(kind: Any, encoded: Any, name: str = "") -> Any:
    """Return a value of type `kind`. `name` is the name of its field; times are recognised by that name.

    Raises one of DECODE_ERRORS.
    """
    if isinstance(kind, UnionType):
        return _decode_member(kind, encoded, name)
    if get_origin(kind) is tuple:
        return _decode_tuple(get_args(kind), encoded)
    if get_origin(kind) is not None:  # a mapping with text keys
        if not isinstance(encoded, dict):
            raise TypeError(f"{number_text.shown(encoded)} is no {kind}")
        _, values = get_args(kind)
        return {str(key): decode_value(values, each, name) for key, each in encoded.items()}
    if _is_record(kind):
        if not isinstance(encoded, dict):
            raise TypeError(f"{number_text.shown(encoded)} has no fields of a {kind.__name__}")
        hints = field_types(kind)
        needed = [key for key in hints if _is_needed(kind, key, encoded)]
        return kind(**{key: decode_value(hints[key], encoded[key], key) for key in needed})
    if issubclass(kind, Enum):
        return kind(encoded)
    return _decode_plain(kind, encoded, name)


def _decode_member(kind: UnionType, encoded: Any, name: str) -> Any:
    """Decode a member of a union.

    Its type is the one that `TYPE_KEY` names; without `TYPE_KEY` the tuple for a list, else the only type.
    """
    members = [each for each in get_args(kind) if each is not NoneType]
    if encoded is None and len(members) < len(get_args(kind)):
        return None
    if len(members) > 1 and isinstance(encoded, list):
        members = [each for each in members if get_origin(each) is tuple]
    elif len(members) > 1:
        members = [each for each in members if getattr(each, "__name__", "") == encoded[TYPE_KEY]]
    if len(members) != 1:
        raise ValueError(f"{number_text.shown(encoded)} is no {kind}")
    return decode_value(members[0], encoded, name)


def _decode_tuple(members: tuple[Any, ...], encoded: Any) -> Any:
    if not isinstance(encoded, list):
        raise TypeError(f"{number_text.shown(encoded)} is no list")
    if members[-1:] == (Ellipsis,):
        return tuple(decode_value(members[0], each) for each in encoded)
    return tuple(decode_value(kind, each) for kind, each in zip(members, encoded, strict=True))


def _decode_plain(kind: type, encoded: Any, name: str) -> Any:
    if kind is Decimal and isinstance(encoded, str):
        return number_text.parse_calculated(encoded)
    if kind is float:
        return _decode_float(encoded, name)
    if kind is int:
        number = number_text.integer(encoded)
        if name.endswith("_ms") and abs(number) >= number_text.LATEST_MS:
            raise ValueError(f"{number} is no time in milliseconds before 2100")
        return number
    if kind in (bool, str) and isinstance(encoded, kind):
        return encoded
    raise TypeError(f"{number_text.shown(encoded)} is no {kind.__name__}")


def _decode_float(encoded: Any, name: str) -> float:
    if isinstance(encoded, str) and encoded in _NOT_FINITE:
        return float(encoded)
    if not isinstance(encoded, int | float) or isinstance(encoded, bool):
        raise TypeError(f"{number_text.shown(encoded)} is no number")
    if (name.endswith("_s") and abs(encoded) >= number_text.LATEST_MS) or not math.isfinite(encoded):
        raise ValueError(f"{number_text.shown(encoded)} is no time in seconds")
    return float(encoded)


def _is_record(kind: Any) -> bool:
    return is_dataclass(kind) or hasattr(kind, "_fields")


@cache
def field_types(kind: Any) -> Mapping[str, Any]:
    """Return the types of the fields of a dataclass or named tuple, by name. Resolves annotations that are text."""
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)] if is_dataclass(kind) else kind._fields
    return {name: hints[name] for name in names}


def _is_needed(kind: Any, name: str, encoded: Mapping[str, Any]) -> bool:
    """Whether the field must be decoded: it is recorded, or it has no default.

    If it is neither recorded nor has a default, decoding raises LookupError.
    """
    return name in encoded or name not in _defaults(kind)


@cache
def _defaults(kind: Any) -> frozenset[str]:
    if not is_dataclass(kind):
        return frozenset(kind._field_defaults)
    return frozenset(field.name for field in fields(kind) if _has_default(field))


def _has_default(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING

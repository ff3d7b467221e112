"""Deserialization of settings and decisions from a session record.

A field that the record lacks, because an older version wrote it, gets its default.
"""

import json
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
from trailingedge.eventlog.format import recorded_name
from trailingedge.eventlog.reader import RecordHeader
from trailingedge.strategy.blocks import exit_blocks
from trailingedge.strategy.decide import Decision

_DECISION: Final = b'["decision",'
_BARE: Final = (bool, int, str)
# The types of the fields of a class. It resolves annotations that are text, which takes long.
_hints: Final = cache(get_type_hints)


def settings_from_header(header: RecordHeader, overrides: Mapping[str, str]) -> LoadedSettings:
    """Return the recorded settings, with `overrides` applied.

    Settings that this version does not know are ignored.
    """
    known = {name: value for name, value in header.settings.items() if name in OPTIONS}
    return read_settings(known | dict(overrides), {}, Path(os.devnull))


def decode_decision(line: bytes | None) -> Decision | None:
    """Return the decision in a record line.

    Returns None if the line is not a decision, or if it lacks a field that has no default.
    """
    if line is None or not line.startswith(_DECISION):
        return None
    try:
        recorded = json.loads(line)[2]
        decision: Decision = _deserialize(Decision, recorded)
    except (ValueError, ArithmeticError, LookupError, TypeError):  # written by another version
        return None
    if "exit_blocks" in recorded:
        return decision
    # Version 0.2.0 and those before it did not record the blocks: all that they knew follow from the other fields.
    blocks = exit_blocks(
        decision.state,
        halted=decision.halted,
        has_book=decision.unit_value is not None,
        paused=decision.trading_paused,
    )
    return decision._replace(exit_blocks=blocks)


def _deserialize(kind: Any, encoded: Any) -> Any:
    """Convert JSON that `eventlog.format` wrote to a value of type `kind`.

    Raises ValueError, TypeError or LookupError.
    """
    if isinstance(kind, UnionType):
        (kind,) = (each for each in get_args(kind) if each is not NoneType)
        return None if encoded is None else _deserialize(kind, encoded)
    if is_dataclass(kind) and isinstance(kind, type):
        hints = _hints(kind)
        return kind(
            **{
                field.name: _deserialize(hints[field.name], encoded[recorded_name(field.name)])
                for field in fields(kind)
                if recorded_name(field.name) in encoded or not _has_default(field)
            }
        )
    if get_origin(kind) is tuple:  # of any length, as in tuple[int, ...]
        return tuple(_deserialize(get_args(kind)[0], each) for each in encoded)
    if hasattr(kind, "_fields"):
        hints = _hints(kind)
        return kind(
            **{
                name: _deserialize(hints[name], encoded[recorded_name(name)])
                for name in kind._fields
                if recorded_name(name) in encoded or name not in kind._field_defaults
            }
        )
    # Decimals were written as text, and floats that JSON cannot express ("inf", "nan"), too.
    if issubclass(kind, Enum) or kind in (Decimal, float):
        return kind(encoded)
    if kind in _BARE and isinstance(encoded, kind):
        return encoded
    raise TypeError(f"{encoded!r} is not a {kind}")


def _has_default(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING

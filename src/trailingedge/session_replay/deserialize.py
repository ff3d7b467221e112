"""Values of ours out of a record: the settings of a session, and what it decided."""

import json
import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, get_args, get_type_hints

from trailingedge.config import OPTIONS, LoadedSettings, read_settings
from trailingedge.eventlog.format import recorded_name
from trailingedge.eventlog.reader import RecordHeader
from trailingedge.strategy.decide import Decision

_DECISION: Final = b'["decision",'
_BARE: Final = (bool, int, str)


def settings_from_header(head: RecordHeader, overrides: Mapping[str, str]) -> LoadedSettings:
    """The recorded settings, but for these. What a version that knew more has set is left aside."""
    known = {name: value for name, value in head.settings.items() if name in OPTIONS}
    return read_settings(known | dict(overrides), {}, Path(os.devnull))


def decode_decision(line: bytes | None) -> Decision | None:
    """The decision that a line of a record tells of; None where it tells of something else, or in another way."""
    if line is None or not line.startswith(_DECISION):
        return None
    try:
        decision: Decision = _deserialize(Decision, json.loads(line)[2])
    except (ValueError, ArithmeticError, LookupError, TypeError):  # of a version that decided by other numbers
        return None
    return decision


def _deserialize(kind: Any, told: Any) -> Any:
    """What became JSON in `record.lines`, as the type that it had. Raises ValueError and its like."""
    if isinstance(kind, UnionType):
        (kind,) = (each for each in get_args(kind) if each is not NoneType)
        return None if told is None else _deserialize(kind, told)
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(
            **{field.name: _deserialize(hints[field.name], told[recorded_name(field.name)]) for field in fields(kind)}
        )
    if hasattr(kind, "_fields"):
        hints = get_type_hints(kind)
        return kind(*(_deserialize(hints[name], told[recorded_name(name)]) for name in kind._fields))
    if issubclass(kind, Enum) or kind in (Decimal, float):
        return kind(told)
    if kind in _BARE and isinstance(told, kind):
        return told
    raise TypeError(f"{told!r} is no {kind}")

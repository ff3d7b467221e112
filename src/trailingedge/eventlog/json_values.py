"""Values of a session record as JSON: views, reports, decisions and events, in full or as a change.

`to_text` writes a value, `changes` only the fields that differ from an earlier value of the same type. Numbers keep all
their digits: a `Decimal` is written as text, with its exponent, and a float as `repr` writes it. A dataclass becomes an
object with its fields. If the field that contains it may have several types, as in the reply to a request, the member
`"is"` names the type.

The text is built directly, with the field names prepared for each type. Building dicts and lists first, for `json` to
encode, takes 1.5 times as long.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from decimal import Decimal
from enum import Enum
from json.encoder import encode_basestring_ascii
from math import isfinite
from operator import attrgetter
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Final, get_args, get_type_hints

from trailingedge.model.order_commands import ListedOrders, OrderInput
from trailingedge.model.order_outcomes import OrderOutcome

TYPE_KEY: Final = "is"
_AS_IT_IS: Final = frozenset({str, int, bool, NoneType})
_MAPPINGS: Final = frozenset({dict, MappingProxyType})

dumps: Final[Callable[[object], str]] = json.JSONEncoder(
    separators=(",", ":"), ensure_ascii=True, allow_nan=False
).encode


def _members(*unions: UnionType) -> frozenset[type]:
    return frozenset(each for union in unions for each in get_args(union) if isinstance(each, type))


# Members of a union: only `TYPE_KEY` tells which of them a value is.
_NAMED: Final = _members(OrderInput, OrderOutcome, ListedOrders)

KnownFields = Mapping[str, Sequence[str]]
"""The names of the fields of some types, by the name of the type."""


Getter = Callable[[Any], tuple[Any, ...]]
Converter = Callable[[Any], str]


class _Fields(dict[Any, tuple[tuple[str, ...], Getter]]):
    """The names of the fields of dataclasses and named tuples, by type, and a function that reads them all.

    Other types have no names. If `known` names a type, only the fields that it lists are used. This class is a dict of
    tuples, because it is read for every value.
    """

    def __init__(self, known: KnownFields) -> None:
        super().__init__()
        self._known = known

    def __missing__(self, kind: Any) -> tuple[tuple[str, ...], Getter]:
        names = field_names(kind)
        if names and (known := self._known.get(kind.__name__)) is not None:
            names = tuple(name for name in names if name in known)
        # `attrgetter` returns no tuple for a single name.
        many = attrgetter(*names) if len(names) > 1 else lambda value: tuple(getattr(value, name) for name in names)
        self[kind] = names, many
        return names, many


_LITERALS: Final[Mapping[Any, str]] = {True: "true", False: "false", None: "null"}


class _Converters(dict[Any, Converter]):
    """The functions that convert values to JSON text, by type. The function for a type is searched only once."""

    def __init__(self, known_fields: _Fields) -> None:
        super().__init__(
            {
                str: encode_basestring_ascii,
                int: int.__repr__,
                bool: _LITERALS.__getitem__,
                NoneType: _LITERALS.__getitem__,
            }
        )
        self[float] = _number
        self[Decimal] = _decimal
        self._fields = known_fields

    def __missing__(self, kind: Any) -> Converter:
        self[kind] = found = self._converter(kind)
        return found

    def _converter(self, kind: Any) -> Converter:
        if issubclass(kind, Enum):
            texts = {member.value: dumps(member.value) for member in kind}
            return lambda member: texts[member._value_]  # `value` is a slow property, and so is the hash of a member
        names, many = self._fields[kind]
        if names or kind in _NAMED:
            return self._of_fields(kind, names, many)
        if issubclass(kind, Mapping):
            return self._of_mapping
        if issubclass(kind, Iterable):
            return lambda value: f"[{','.join([self[type(each)](each) for each in value])}]"
        name = dumps(kind.__name__)
        return lambda _: name

    def _of_mapping(self, value: Any) -> str:
        return f"{{{','.join([f'{dumps(str(name))}:{self[type(each)](each)}' for name, each in value.items()])}}}"

    def _of_fields(self, kind: Any, names: Sequence[str], many: Getter) -> Converter:
        # Each value follows on a piece of the text that ends with its name.
        begin = f'{{"{TYPE_KEY}":{dumps(kind.__name__)}' if kind in _NAMED else "{"
        if not names:
            return lambda _: f"{begin}}}"
        first = f"{begin}," if kind in _NAMED else begin
        labels = [f'{"," if number else first}"{name}":' for number, name in enumerate(names)]

        def convert(value: Any) -> str:
            pieces = [label + self[type(each)](each) for label, each in zip(labels, many(value), strict=True)]
            return f"{''.join(pieces)}}}"

        return convert


def _decimal(value: Decimal) -> str:
    text = str(value)
    # With an exponent, such as 0E-8 for a zero with eight decimals, a person could not read it.
    return f'"{value:f}"' if "E" in text else f'"{text}"'


def _number(value: float) -> str:
    return repr(value) if isfinite(value) else f'"{value}"'  # JSON has no infinity and no NaN


def field_names(kind: Any) -> tuple[str, ...]:
    """Return the names of the fields of a dataclass or a named tuple; an empty tuple for any other type."""
    if is_dataclass(kind) and isinstance(kind, type):
        return tuple(field.name for field in fields(kind))
    return tuple(getattr(kind, "_fields", ()))


def fields_within(kind: Any) -> dict[str, list[str]]:
    """Return the field names of `kind` and of all types within it, by the name of the type."""
    found: dict[str, list[str]] = {}
    waiting = [kind]
    while waiting:
        each = waiting.pop()
        waiting += get_args(each)
        if (names := field_names(each)) and each.__name__ not in found:
            found[each.__name__] = list(names)
            waiting += [hint for name, hint in get_type_hints(each).items() if name in names]
    return dict(sorted(found.items()))


class JsonValues:
    """Converts values to JSON. `known` has the field names that an older version wrote; other fields are left out."""

    def __init__(self, known: KnownFields | None = None) -> None:
        self._fields = _Fields(known or {})
        self._converters = _Converters(self._fields)

    def to_text(self, value: Any) -> str:
        """Return `value` as JSON text. `value` is immutable, so a thread may call this."""
        return self._converters[type(value)](value)

    def changes(self, before: Any, after: Any) -> str:
        """Return the fields of `after` that differ from `before`, which is a value of the same type or None.

        They are returned as the members of a JSON object without its braces; "" if there are none. If a field is a
        dataclass or a mapping in both values, only the changes within it are written.
        """
        kind, converters = type(after), self._converters
        names, many = self._fields[kind]
        if type(before) is not kind:
            return ",".join([f'"{name}":{self.to_text(each)}' for name, each in zip(names, many(after), strict=True)])
        found: list[str] = []
        for name, then, now in zip(names, many(before), many(after), strict=True):
            if then is now:
                continue
            now_type = type(now)
            if now_type is float and type(then) is float:  # most of them
                if then != now:
                    found.append(f'"{name}":{converters[float](now)}')
            elif type(then) is now_type and self._fields[now_type][0]:
                if nested := self.changes(then, now):
                    found.append(f'"{name}":{{{nested}}}')
            elif not self._is_same(then, now):
                found.append(f'"{name}":{self._change(then, now)}')
        return ",".join(found)

    def _change(self, then: Any, now: Any) -> str:
        if type(now) in _MAPPINGS and type(then) in _MAPPINGS and not then.keys() - now.keys():
            new = {key: each for key, each in now.items() if key not in then or not self._is_same(then[key], each)}
            return self.to_text(new)
        return self.to_text(now)

    def _is_same(self, then: Any, now: Any) -> bool:
        """Whether both values have the same JSON text. `==` does not show that: 1 equals 1.0, and 2.50 equals 2.5."""
        kind = type(now)
        if then is now:
            return True
        if type(then) is not kind or then != now:
            return False
        if kind in _AS_IT_IS or kind is float:
            return True
        if kind is Decimal:
            return bool(now.same_quantum(then))
        if kind is tuple:
            return all(map(self._is_same, then, now))
        if kind in _MAPPINGS:
            return all(self._is_same(then[key], each) for key, each in now.items())
        _, many = self._fields[kind]
        return all(map(self._is_same, many(then), many(now)))


def merged(before: Any, change: Any) -> Any:
    """Return the JSON value `before` after applying `change`, which `changes` has written."""
    if not isinstance(before, dict) or not isinstance(change, dict):
        return change
    return before | {name: merged(before.get(name), each) for name, each in change.items()}

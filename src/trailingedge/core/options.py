"""Options: the settings that the fields of a dataclass declare, and how the value of each is read and written.

A field whose default is `option(...)` declares a setting. `options_of` returns an `Option` for each: the type comes
from the annotation of the field, all else from the declaration. `Option.read` parses a text by that type, and each of
its error texts names the fault and the remedy. `Option.shown` is its inverse.

Whether a value is within its limit is not checked here: `config_validator` does that for all settings at once.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

from trailingedge.core.misplaced_secrets import UnshownValueError, refuse_misplaced_secret

T = TypeVar("T")

_LONGEST_QUOTED: Final = 40  # characters; a longer value may be anything, and no setting that can be misread is so long
_SYNONYMS: Final = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}
# At most 40 digits on either side of the point: Python does not write out an integer of thousands of digits.
_NUMBER: Final = re.compile(r"[+-]?(\d{1,40}\.?\d{0,40}|\.\d{1,40})(e[+-]?\d{1,3})?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Limit:
    """The range of a value: `words` describes it after "it must be …", `holds` checks a value.

    `fraction` says that the value is a share of one, so that a percentage is a likely mistake.
    """

    words: str
    holds: Callable[[Any], bool]
    fraction: bool = False


def option(
    default: T,
    comment: str,
    limit: Limit | None = None,
    *,
    shareable: bool,
    heading: str | None = None,
    secret: bool = False,
) -> T:
    """Declare one setting. `heading` opens a group, which also contains the settings after it.

    `shareable` says whether reports, summaries and saved runs show the setting. Users may give
    these files to others. `shareable` is True for settings that decide the traded pair, the
    times and the prices. It is False for settings that name the person or the machine, and for
    settings of the program (logs, reconnects), which the reader of a report does not need.
    """
    declared = {"comment": comment, "limit": limit, "heading": heading, "secret": secret, "shareable": shareable}
    declaration: T = field(default=default, metadata=declared, repr=not secret)
    return declaration


@dataclass(frozen=True, slots=True)
class Option:
    """One declared setting. `kind` is its type, without None.

    `choices` has all values that the setting can have; it is empty if other values are possible.
    """

    name: str
    kind: Any
    choices: Mapping[str, object]
    default: Any
    comment: str
    limit: Limit | None
    heading: str | None
    secret: bool
    shareable: bool

    def of(self, settings: object) -> Any:
        """The value of this setting in `settings`."""
        return getattr(settings, self.name.lower())

    def shown(self, value: object) -> str:
        """Return `value` as a person would write it: "(secret)" for a secret, "" for None."""
        if value is None:
            return ""
        if self.secret:
            return "(secret)"
        if isinstance(value, bool):
            return str(value).lower()
        return str(value.value) if isinstance(value, Enum) else str(value).removesuffix(".0")

    def read(self, text: str) -> object:
        """Parse `text` and return the value.

        Raises ValueError, which names the fault and the remedy; UnshownValueError if `text` must not be shown.
        """
        refuse_misplaced_secret(text, self.name, secret=self.secret)
        if self.choices:
            return self._choose(text)
        if self.kind is str:
            return text
        if self.kind is Path:
            return _path(text)
        number = self._number(text)
        if self.kind is Decimal:
            return number
        if self.kind is float:
            if not math.isfinite(float(number)):
                raise ValueError(f"this is too large; write a plain number, such as {self.example}")
            return float(number)
        if number != number.to_integral_value():
            raise ValueError(f"this is not a whole number; write one, such as {self.example}")
        return int(number)

    @property
    def example(self) -> str:
        """A valid value of a setting that is a number, for an error message."""
        return "0.01" if self.default is None else self.shown(self.default)

    def _number(self, text: str) -> Decimal:
        if _NUMBER.fullmatch(text):
            return Decimal(text)
        if text.endswith("%") and self.limit is not None and self.limit.fraction:
            example = Decimal(self.example) or Decimal("0.01")
            percent = f"{(example * 100).normalize():f}"
            raise ValueError(f"this is a percentage; write a fraction, such as {example} for {percent} percent")
        if "," in text:
            raise ValueError(f"this has a comma; write a plain number with a point, such as {self.example}")
        raise ValueError(f"this is not a number; write a plain one, such as {self.example}")

    def _choose(self, text: str) -> object:
        # Upper and lower case are the same except in an interval: 1m is a minute and 1M a month.
        wanted = text if text[0].isdigit() and self.kind is not bool else _SYNONYMS.get(text.lower(), text.lower())
        for choice, value in self.choices.items():
            if wanted in (choice, choice.lower()):
                return value
        raise ValueError(f"it must be one of {', '.join(self.choices)}")


def options_of(settings_type: type) -> Mapping[str, Option]:
    """Return the options that a dataclass declares with `option`, by the name of the setting."""
    found = _declared(settings_type)
    return MappingProxyType({each.name: each for each in found})


def _declared(settings_type: type) -> Iterator[Option]:
    kinds = get_type_hints(settings_type)
    for declared in fields(settings_type):
        kind = kinds[declared.name]
        if type(None) in get_args(kind):
            (kind,) = (part for part in get_args(kind) if part is not type(None))
        yield Option(declared.name.upper(), kind, _choices(kind), declared.default, **declared.metadata)


def _choices(kind: Any) -> Mapping[str, object]:
    if kind is bool:
        return {"true": True, "false": False}
    if get_origin(kind) is Literal:
        return {choice: choice for choice in get_args(kind)}
    return {member.value: member for member in kind} if issubclass(kind, Enum) else {}


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as unknown:
        raise ValueError("this begins with ~ and the name of an unknown user; write the whole path") from unknown


@dataclass(frozen=True, slots=True)
class OptionValues:
    """Values by the name of the field, for all options that had a text which could be parsed.

    `sources` has the place that each option's text came from, "default" if there was none. `unread` names the options
    whose text could not be parsed, and `problems` says why.
    """

    values: Mapping[str, object]
    sources: Mapping[str, str]
    unread: frozenset[str]
    problems: tuple[str, ...]


def read_values(options: Mapping[str, Option], places: Sequence[tuple[str, Mapping[str, str]]]) -> OptionValues:
    """Parse the texts of `options`. Each option's text is taken from the first place where it is not empty."""
    values: dict[str, object] = {}
    sources = dict.fromkeys(options, "default")
    unread = set()
    problems = []
    for name, option in options.items():
        for source, place in places:
            text = place.get(name, "").strip()
            if not text:
                continue
            sources[name] = source
            try:
                values[name.lower()] = option.read(text)
            except UnshownValueError as wrong:
                unread.add(name)
                problems.append(f"{name} ({source}): {wrong}")
            except ValueError as wrong:
                unread.add(name)
                problems.append(f"{name} is {_quoted(text)} ({source}): {wrong}")
            break
    return OptionValues(values, sources, frozenset(unread), tuple(problems))


def _quoted(text: str) -> str:
    """Return `text` in quotes for an error message, or only its length if it is long."""
    return repr(text) if len(text) <= _LONGEST_QUOTED else f"a text of {len(text)} characters"

"""Which settings are tried: every combination of lists, or so many drawn by chance."""

import dataclasses
import itertools
import math
from argparse import ArgumentTypeError
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Final

from trailingedge.config import OPTIONS, Option, Settings
from trailingedge.config_validator import problems
from trailingedge.core.errors import ConfigError, UsageError

MAX_COMBINATIONS: Final = 100_000  # combinations; whoever asks for more has forgotten how they multiply
_MAX_REPEATED_DRAWS: Final = 1000  # in a row, before a space counts as exhausted
_DIGITS: Final = 4  # of a number drawn by chance: no market knows more of it

Combination = Mapping[str, str]
"""Settings by name, as text; empty for those that were set anyway."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One setting that is varied: over `values`, or (where these are empty) over all numbers of a range."""

    name: str
    values: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0

    @property
    def is_range(self) -> bool:
        return not self.values

    def draw(self, dice: Random) -> str:
        """One value by chance."""
        if self.values:
            return dice.choice(self.values)
        if OPTIONS[self.name].kind is int:
            return str(dice.randint(math.ceil(self.low), math.floor(self.high)))
        return f"{Decimal(repr(dice.uniform(self.low, self.high))):.{_DIGITS}g}"


@dataclass(frozen=True, slots=True)
class InvalidCombination:
    """A combination that is not tried, and why: its settings contradict each other."""

    combination: Combination
    reason: str


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """What is tried, and what is not."""

    combinations: tuple[Combination, ...]
    invalid: tuple[InvalidCombination, ...]


def parse_axis(text: str) -> Axis:
    """`NAME=a,b,c` or `NAME=lo..hi`, as an argparse type."""
    name, equals, values = text.partition("=")
    if not equals or not values.strip(","):
        raise ArgumentTypeError(f"{text!r} is not NAME=a,b,c or NAME=lo..hi")
    low, dots, high = values.partition("..")
    if not dots:
        listed = tuple(dict.fromkeys(value.strip() for value in values.split(",") if value.strip()))
        return Axis(name, listed)
    try:
        edges = float(low), float(high)
    except ValueError:
        raise ArgumentTypeError(f"{values!r} is no range of numbers such as 0.001..0.02") from None
    if not edges[0] < edges[1] < math.inf:
        raise ArgumentTypeError(f"{values!r} is no range: its second number must be the larger one")
    return Axis(name, (), *edges)


def build_search_space(axes: Sequence[Axis], settings: Settings, draws: int | None, seed: int) -> SearchSpace:
    """The combinations of `axes`: all of them, or `draws` by chance, each once. The first changes nothing.

    Raises UsageError for what cannot be varied, with everything that is wrong, and ConfigError where the settings
    are wrong, or nothing is left to vary with them.
    """
    _check(axes, settings, draws)
    found: dict[tuple[str, ...], Combination] = {}
    left_out: list[InvalidCombination] = []
    for values in _random_values(axes, draws, seed) if draws is not None else _all_values(axes):
        combination = dict(zip((each.name for each in axes), values, strict=True))
        changed = apply_combination(settings, combination)
        if changed != settings and (wrong := problems(changed)):
            left_out.append(InvalidCombination(combination, wrong[0]))
        elif changed != settings:
            found.setdefault(values, combination)
        if draws is not None and len(found) >= draws:
            break
    if not found:
        first = f": {left_out[0].reason}" if left_out else ""
        raise ConfigError([f"no combination is left that changes anything and does not contradict itself{first}"])
    return SearchSpace(({}, *found.values()), tuple(left_out))


def apply_combination(settings: Settings, combination: Combination) -> Settings:
    """`settings`, but for what the combination says. Raises ValueError for text that is no value."""
    changes = {name.lower(): OPTIONS[name].read(text) for name, text in combination.items()}
    return dataclasses.replace(settings, **changes)  # type: ignore[arg-type]  # each was read by its field's own type


def _all_values(axes: Sequence[Axis]) -> Iterator[tuple[str, ...]]:
    return itertools.product(*(each.values for each in axes))


def _random_values(axes: Sequence[Axis], draws: int, seed: int) -> Iterator[tuple[str, ...]]:
    """Ever new ones, until they cannot be found any more."""
    dice, seen, in_vain = Random(f"sweep {seed}"), set[tuple[str, ...]](), 0
    while in_vain < _MAX_REPEATED_DRAWS and len(seen) < 100 * draws:
        values = tuple(each.draw(dice) for each in axes)
        in_vain = in_vain + 1 if values in seen else 0
        if values not in seen:
            seen.add(values)
            yield values


def _check(axes: Sequence[Axis], settings: Settings, draws: int | None) -> None:
    names = [each.name for each in axes]
    wrong = [f"--vary {name} is given twice; give all its values at once" for name in names if names.count(name) > 1]
    for each in axes:
        option = OPTIONS.get(each.name)
        if option is None:
            wrong.append(f"--vary {each.name}: this is no setting; see .env.example")
        elif option.secret or option.name in _FIXED:
            wrong.append(f"--vary {each.name}: this is not a matter of strategy, and cannot be varied")
        else:
            wrong += _wrong_values(each, option)
    if draws is None:
        wrong += [
            f"--vary {each.name}: a range has no end of values; say how many with --random"
            for each in axes
            if each.is_range
        ]
        count = math.prod(len(each.values) or 1 for each in axes)
        if count > MAX_COMBINATIONS:
            wrong.append(f"these are {count} combinations, more than {MOST}; vary less, or draw some with --random")
    elif draws > MAX_COMBINATIONS:
        wrong.append(f"--random {draws}: more than {MOST}")
    if wrong:
        raise UsageError(list(dict.fromkeys(wrong)))
    if problems(settings):
        raise ConfigError(problems(settings))


def _wrong_values(each: Axis, option: Option) -> Iterator[str]:
    if each.is_range and option.kind not in (int, float, Decimal):
        yield f"--vary {each.name}: only numbers have ranges; list its values"
        return
    for text in each.values or (f"{each.low:g}", f"{each.high:g}"):
        try:
            value = option.read(text)
        except ValueError as error:
            if not each.is_range:
                yield f"--vary {each.name}={text}: {error}"
            continue
        if option.limit is not None and not option.limit.holds(value):
            yield f"--vary {each.name}={text}: it must be {option.limit.words}"


_FIXED: Final = frozenset({"TRADING_MODE", "CONFIRM_LIVE", "SYMBOL", "BASE_ASSET", "QUOTE_ASSET", "LOG_DIR"})

"""Search space of a sweep: all combinations of listed values, or a number of random ones."""

import itertools
import math
import re
from argparse import ArgumentTypeError
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Final

from trailingedge.config import OPTIONS, changed_settings, settings_from_values
from trailingedge.config_validator import cut_values, problems
from trailingedge.core.errors import ConfigError, UsageError
from trailingedge.core.options import Option
from trailingedge.core.setting_names import unknown_setting

MAX_COMBINATIONS: Final = 100_000  # more is a mistake on the command line: values multiply quickly
_MAX_REPEATED_DRAWS: Final = 1000  # in a row, before the space counts as exhausted
_LOG: Final = ":log"  # after a range
_SETTING_NAME: Final = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", re.ASCII)
_DIGITS: Final = 4  # significant digits of a random number: a result cannot depend on more

Combination = Mapping[str, str]
"""Settings by name, as text; empty for the unchanged settings."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One setting that a sweep varies.

    Its values are `values` or, if `values` is empty, all numbers from `low` to `high`. If it `is_log`, draws are
    uniform in the logarithm: about as many lie between 0.001 and 0.01 as between 0.01 and 0.1. A tied axis has no
    values of its own: in each combination it takes the value of the setting `tied_to`.
    """

    name: str
    values: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    is_log: bool = False
    tied_to: str = ""

    @property
    def is_range(self) -> bool:
        return not self.values and not self.tied_to

    def draw(self, rng: Random) -> str:
        """Draw a random value: one of `values`, or a number from the range."""
        if self.values:
            return rng.choice(self.values)
        # Integers within the range; rounding a float would make its ends half as likely.
        if OPTIONS[self.name].kind is int:
            least, most = math.ceil(self.low), math.floor(self.high)
            return str(min(most, int(_log_uniform(rng, least, most + 1))) if self.is_log else rng.randint(least, most))
        drawn = (_log_uniform if self.is_log else Random.uniform)(rng, self.low, self.high)
        return f"{Decimal(repr(drawn)):.{_DIGITS}g}"


@dataclass(frozen=True, slots=True)
class InvalidCombination:
    """A combination that is not tested because its settings contradict each other, and the reason."""

    combination: Combination
    reason: str


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """The combinations to test, and the invalid ones.

    `unchanged_point` has the values of the unchanged settings if the search contains them; else it is empty.
    """

    combinations: tuple[Combination, ...]
    invalid: tuple[InvalidCombination, ...]
    unchanged_point: Combination = field(default_factory=dict)


def parse_axis(text: str) -> Axis:
    """Parse `NAME=a,b,c`, `NAME=lo..hi`, `NAME=lo..hi:log` or `NAME=OTHER_NAME`; used as an argparse type."""
    name, equals, values = text.partition("=")
    if not equals or not values.strip(","):
        raise ArgumentTypeError(f"{text!r} is not NAME=a,b,c or NAME=lo..hi or NAME=lo..hi:log or NAME=OTHER_NAME")
    if values in OPTIONS or _SETTING_NAME.fullmatch(values):
        return Axis(name, tied_to=values)
    low, dots, high = values.removesuffix(_LOG).partition("..")
    if not dots:
        listed = tuple(dict.fromkeys(value.strip() for value in values.split(",") if value.strip()))
        return Axis(name, listed)
    try:
        edges = float(low), float(high)
    except ValueError:
        raise ArgumentTypeError(f"{values!r} is not a range of numbers such as 0.001..0.02") from None
    if not edges[0] < edges[1] < math.inf:
        raise ArgumentTypeError(f"{values!r} is not a range: the second number must be the larger one")
    is_log = values.endswith(_LOG)
    if is_log and edges[0] <= 0:
        raise ArgumentTypeError(f"{values!r}: a range in factors begins above 0; begin it there, or leave {_LOG} out")
    return Axis(name, (), *edges, is_log=is_log)


def build_search_space(axes: Sequence[Axis], settings: Mapping[str, str], draws: int | None, seed: int) -> SearchSpace:
    """Return the combinations of `axes`, each once. The first one leaves all settings unchanged.

    The others are all valid combinations or, if `draws` is given, that many random ones. `settings` has the unchanged
    settings by name, as text. Raises UsageError with all problems of the axes. Raises ConfigError if the settings are
    invalid, or if no valid combination changes them.
    """
    _check(axes, draws)
    unchanged = settings_from_values(settings)
    if errors := problems(unchanged):
        raise ConfigError(errors)
    # Keyed by settings: two texts of one value, as 0.10 and 0.1, are one combination.
    found: dict[object, Combination] = {}
    left_out: list[InvalidCombination] = []
    unchanged_point: Combination = {}
    free = [each for each in axes if not each.tied_to]
    for values in _random_values(free, draws, seed) if draws is not None else _all_values(free):
        drawn = dict(zip((each.name for each in free), values, strict=True))
        combination = {each.name: drawn[each.tied_to or each.name] for each in axes}
        try:
            changed = changed_settings(unchanged, combination)
            # A value that another setting cuts would be a second test of the smaller one.
            reasons = [] if changed == unchanged else [*problems(changed), *cut_values(changed)]
        except ValueError as error:  # a tied setting may not take each value of the other
            changed, reasons = unchanged, [str(error)]
        if reasons:
            left_out.append(InvalidCombination(combination, reasons[0]))
        elif changed == unchanged:
            unchanged_point = combination
        else:
            found.setdefault(changed, combination)
        if draws is not None and len(found) >= draws:
            break
    if not found:
        first = f": {left_out[0].reason}" if left_out else ""
        raise ConfigError([f"no combination is valid and changes a setting{first}"])
    return SearchSpace(({}, *found.values()), tuple(left_out), unchanged_point)


def _log_uniform(rng: Random, low: float, high: float) -> float:
    drawn = math.exp(rng.uniform(math.log(low), math.log(high)))
    return min(max(drawn, low), high)  # the exponential of a logarithm is not exactly the number


def _all_values(axes: Sequence[Axis]) -> Iterator[tuple[str, ...]]:
    return itertools.product(*(each.values for each in axes))


def _random_values(axes: Sequence[Axis], draws: int, seed: int) -> Iterator[tuple[str, ...]]:
    """Yield random combinations of values, without repetition.

    Yields at most 100 times `draws`, because some may be invalid. Ends earlier if too many draws in a row repeat
    earlier ones.
    """
    # A text seed: the same seed gives the same draws in every Python version and process.
    rng, seen, repeated = Random(f"sweep {seed}"), set[tuple[str, ...]](), 0
    while repeated < _MAX_REPEATED_DRAWS and len(seen) < 100 * draws:
        values = tuple(each.draw(rng) for each in axes)
        repeated = repeated + 1 if values in seen else 0
        if values not in seen:
            seen.add(values)
            yield values


def _check(axes: Sequence[Axis], draws: int | None) -> None:
    names = [each.name for each in axes]
    errors = [f"--vary {name} is given twice; give all its values at once" for name in names if names.count(name) > 1]
    for each in axes:
        option = OPTIONS.get(each.name)
        if option is None:
            errors.append(
                f"--vary: {unknown_setting(each.name, OPTIONS)}; trailing-edge check --explain lists all settings"
            )
        elif option.secret or option.name in _FIXED:
            errors.append(f"--vary {each.name}: this setting is not part of the strategy and cannot be varied")
        elif each.tied_to:
            errors += _wrong_tie(each, option, axes)
        else:
            errors += _wrong_values(each, option)
    if draws is None:
        errors += [
            f"--vary {each.name}: a range has no list of values; give the number of combinations with --random"
            for each in axes
            if each.is_range
        ]
        count = math.prod(len(each.values) or 1 for each in axes)  # a tied one adds none
        if count > MAX_COMBINATIONS:
            errors.append(
                f"{count} combinations are more than {MAX_COMBINATIONS}; vary less, or test some with --random"
            )
    elif draws > MAX_COMBINATIONS:
        errors.append(f"--random {draws}: more than {MAX_COMBINATIONS}")
    if errors:
        raise UsageError(list(dict.fromkeys(errors)))


def _wrong_tie(each: Axis, option: Option, axes: Sequence[Axis]) -> Iterator[str]:
    """Yield each problem of a tied axis."""
    said, other = f"--vary {each.name}={each.tied_to}", OPTIONS.get(each.tied_to)
    if other is None:
        yield f"{said}: {unknown_setting(each.tied_to, OPTIONS)}; trailing-edge check --explain lists all settings"
    elif not any(axis.name == each.tied_to and not axis.tied_to for axis in axes):
        yield f"{said}: {each.tied_to} has no values of its own; give them with --vary {each.tied_to}=a,b,c"
    elif option.kind is not other.kind and not {option.kind, other.kind} <= {int, float, Decimal}:
        yield f"{said}: {each.name} does not take the values of {each.tied_to}; list its own"


def _wrong_values(each: Axis, option: Option) -> Iterator[str]:
    if each.is_range and option.kind not in (int, float, Decimal):
        yield f"--vary {each.name}: only numbers have ranges; list the values"
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

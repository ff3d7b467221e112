"""Foreign JSON: parses JSON that another program wrote. Only this module does so, so that every fault raises the same
error.

`json.loads` raises ValueError for most faults, but RecursionError for deep nesting; and if it accepts a deeply nested
value, the code that walks through the value later fails instead. It also accepts NaN and Infinity, which JSON does not
allow, and turns 1e999 into infinity.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

DEEPEST: Final = 64  # arrays and objects within each other; the deepest that we expect is ten


_STRING_OR_BRACKET: Final = re.compile(r'"(?:[^"\\]|\\.)*"?|[][{}]', re.DOTALL)


class UnreadableJson(ValueError):
    """A text is not JSON, is nested too deeply, or has a number that is too large. The message says which."""


def decoder(
    parse_float: Callable[[str], object] | None = None, parse_int: Callable[[str], object] | None = None
) -> json.JSONDecoder:
    """Return a decoder for `parse` that reads numbers by these functions; None keeps finite floats and integers."""
    return json.JSONDecoder(parse_float=parse_float or _finite, parse_int=parse_int, parse_constant=_refuse)


def parse(text: str | bytes, by: json.JSONDecoder | None = None) -> Any:
    """Return the JSON value in `text`; bytes are UTF-8. Raises UnreadableJson and no other error."""
    try:
        value = (by or _DECODER).decode(text if isinstance(text, str) else text.decode())
    except UnreadableJson:
        raise
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError as error:
        raise UnreadableJson(f"not UTF-8, at byte {error.start}") from error
    except json.JSONDecodeError as error:
        # How deep the decoder follows before it gives up differs between versions of Python; our limit does not.
        if _deepest_level(error.doc[: error.pos]) > DEEPEST:
            raise _too_deep() from None
        raise UnreadableJson(f"not JSON: {error}") from error
    except ValueError as error:  # the limit of Python for the digits of an integer
        raise UnreadableJson("a number is too large") from error
    _check_depth(value, text)
    return value


def _check_depth(value: object, text: str | bytes) -> None:
    """Raise UnreadableJson if `value`, which was read from `text`, has more than `DEEPEST` levels."""
    # Most frames end here: a text with few opening brackets cannot be deep.
    brackets = text.count("[") + text.count("{") if isinstance(text, str) else text.count(b"[") + text.count(b"{")
    if brackets <= DEEPEST:
        return
    level = [value]
    for _ in range(DEEPEST):
        level = [child for each in level for child in _children(each) if isinstance(child, list | dict)]
        if not level:
            return
    raise _too_deep()


def _deepest_level(text: str) -> int:
    """Return the deepest nesting of arrays and objects in `text`, which may be cut off at any place."""
    level = deepest = 0
    for token in _STRING_OR_BRACKET.findall(text):
        if token in "[{":
            level += 1
            deepest = max(deepest, level)
        elif token in "]}":
            level -= 1
    return deepest


def _children(value: object) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _too_deep() -> UnreadableJson:
    return UnreadableJson(f"nested more than {DEEPEST} levels deep")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise UnreadableJson("a number is too large")
    return number


def _refuse(constant: str) -> NoReturn:
    raise UnreadableJson(f"{constant} is not a number of JSON")


_DECODER: Final = decoder()

"""Numbers in foreign text: the same bounds for a frame of the exchange, a market file, a record and a saved report.

Each function returns a value that the program can calculate with, or raises ValueError. Exponents, `NaN`, spaces,
underscores and digits of other scripts are refused, although `int`, `float` and `Decimal` accept them.
"""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

# Amounts of the exchange have at most 20 digits on either side of the point.
_AMOUNT: Final = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?", re.ASCII)
# What we have calculated from amounts has more decimals, at most those of `Decimal` behind leading zeros.
_CALCULATED: Final = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,60})?", re.ASCII)
# Amounts of a whole column, joined by commas and with one at its end. `++` does not go back to try again.
_AMOUNTS: Final = re.compile(r"(?:[0-9]{1,20}+(?:\.[0-9]{1,20}+)?+,)*+", re.ASCII)
_INTEGER: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_INT64: Final = 1 << 63
LATEST_MS: Final = 4_102_444_800_000  # the year 2100: a later time is a mistake, and so is all that follows from it
LARGEST: Final = 10**20  # an amount is smaller
_SHOWN: Final = 80


is_amount: Final = _AMOUNT.fullmatch
"""Is true for a text that `parse_amount` accepts."""


def parse_amount(text: str) -> Decimal:
    """Return the decimal number in `text`: digits, with or without minus sign and point. Raises ValueError."""
    if is_amount(text) is None:
        raise ValueError(f"{shown(text)} is no number with at most 20 digits on either side of the point")
    return Decimal(text)


def parse_calculated(text: str) -> Decimal:
    """Return the decimal number in `text`, with up to 60 decimals, as our own results have. Raises ValueError."""
    if _CALCULATED.fullmatch(text) is None:
        raise ValueError(f"{shown(text)} is no number with at most 20 digits before the point")
    return Decimal(text)


def are_amounts(texts: Iterable[str]) -> bool:
    """Whether `parse_amount` accepts each of `texts` and none is negative. Fast, for a whole column of a file."""
    return _AMOUNTS.fullmatch(",".join([*texts, ""])) is not None


def parse_integer(text: str) -> int:
    """Return the 64-bit integer in `text`. Raises ValueError."""
    if _INTEGER.fullmatch(text) is None:
        raise ValueError(f"{shown(text)} is no whole number")
    return integer(int(text))


def integer(value: object) -> int:
    """Return `value` if it is a 64-bit integer, else raise ValueError. `True` and `False` are refused."""
    if type(value) is not int or not -_INT64 <= value < _INT64:  # `bool` is another type
        raise ValueError(f"{shown(value)} is no whole number of 64 bits")
    return value


def id_number(value: object) -> int:
    """Return `value` if it can be the id of an order or a trade: a whole number that is not negative."""
    number = integer(value)
    if number < 0:
        raise ValueError(f"{shown(value)} is no id: it is negative")
    return number


def id_or_none(value: object) -> int:
    """Return `value` if it is an id or -1, which means "no id": a rejected order has none."""
    return -1 if value == -1 and integer(value) == -1 else id_number(value)


def time_ms(value: object) -> int:
    """Return `value` if it is a time in milliseconds since 1970, before the year 2100; -1 means no time."""
    number = integer(value)
    if not -1 <= number < LATEST_MS:
        raise ValueError(f"{shown(value)} is no time in milliseconds between 1970 and 2100")
    return number


def finite(value: object) -> float:
    """Return `value` if it is a number smaller than `LARGEST` and larger than its negative, else raise ValueError."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not -LARGEST < value < LARGEST:
        raise ValueError(f"{shown(value)} is no number")
    return float(value)


def shown(value: object) -> str:
    """Return a value as text for an error message, at most 80 characters. For a list or dict, return only its type."""
    return type(value).__name__ if isinstance(value, list | dict) else ascii(value)[:_SHOWN]

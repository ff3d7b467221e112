"""Long columns of numbers as one short text, for a page that has to carry a year of minutes by itself.

Each column is a row of whole multiples of its unit, told as differences, for a price moves little and an
anchor hardly ever. A difference is four bytes; all first bytes of a column come before all second ones, so
that deflate finds the zeros together. `page.js` undoes this.
"""

import base64
import json
import math
import sys
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_LARGEST: Final = 2**30  # a difference of so many units fits into four bytes with its sign
_NONE: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Column:
    """Numbers, and how finely they are told. What is None or not finite is told as missing."""

    values: Sequence[float | None]
    unit: float


def packed(header: Mapping[str, object], columns: Mapping[str, Column]) -> str:
    """Header and columns in base 64: of the deflated bytes, four are the header's length, then it comes as JSON.

    The header gets an entry "columns": of each its name, length, unit and first value in units.
    """
    listed, data = [], []
    for name, column in columns.items():
        unit = _coarse_enough(column)
        first, planes = _planes(column.values, unit)
        listed.append({"name": name, "length": len(column.values), "unit": unit, "first": first})
        data.append(planes)
    head = json.dumps({**header, "columns": listed}, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.b64encode(zlib.compress(b"".join([len(head).to_bytes(4, "little"), head, *data]), 9)).decode()


def _coarse_enough(column: Column) -> float:
    """The unit, or the next power of ten of it with which every difference is small enough."""
    known = [value for value in column.values if value is not None and math.isfinite(value)]
    widest = max(known) - min(known) if known else 0.0
    if widest <= _LARGEST * column.unit:
        return column.unit
    return column.unit * 10.0 ** math.ceil(math.log10(widest / (_LARGEST * column.unit)))


def _planes(values: Iterable[float | None], unit: float) -> tuple[int, bytes]:
    differences = array("I")
    first = before = None
    for value in values:
        if value is None or not math.isfinite(value):
            differences.append(_NONE)
            continue
        number = round(value / unit)
        if before is None:
            first = before = number
        difference, before = number - before, number
        differences.append(2 * difference if difference >= 0 else -2 * difference - 1)
    if sys.byteorder == "big":
        differences.byteswap()
    raw = differences.tobytes()
    return first or 0, b"".join(raw[plane::4] for plane in range(4))

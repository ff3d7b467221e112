"""Column codec: packs long columns of numbers into one short text that the report page carries.

A year of minutes must fit into one HTML file. Each value becomes a whole multiple of the column's unit, and each
column a sequence of differences, because a price moves little and an anchor hardly ever. A difference takes four
bytes. All first bytes of a column come first, then all second bytes and so on: most high bytes are zero, and deflate
packs long runs of zeros best. `page.js` decodes this.
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

_LARGEST: Final = 2**30  # the largest difference, in units, that fits into four bytes with its sign
_NONE: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Column:
    """Numbers and their resolution. A value that is None or not finite is encoded as missing."""

    values: Sequence[float | None]
    unit: float


def pack_columns(header: Mapping[str, object], columns: Mapping[str, Column]) -> str:
    """Return `header` and `columns` as one text: deflated, then encoded in base 64.

    The deflated bytes begin with the header's length (four bytes, little-endian) and the header as
    JSON; its entry "columns" lists name, length, unit and first value (in units) of each column.
    The columns follow.
    """
    listed, data = [], []
    for name, column in columns.items():
        unit = _unit_that_fits(column)
        first, planes = _byte_planes(column.values, unit)
        listed.append({"name": name, "length": len(column.values), "unit": unit, "first": first})
        data.append(planes)
    head = json.dumps({**header, "columns": listed}, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.b64encode(zlib.compress(b"".join([len(head).to_bytes(4, "little"), head, *data]), 9)).decode()


def _unit_that_fits(column: Column) -> float:
    """The column's unit, or the smallest power-of-ten multiple of it that keeps every difference within `_LARGEST`."""
    known = [value for value in column.values if value is not None and math.isfinite(value)]
    widest = max(known) - min(known) if known else 0.0
    if widest <= _LARGEST * column.unit:
        return column.unit
    return column.unit * 10.0 ** math.ceil(math.log10(widest / (_LARGEST * column.unit)))


def _byte_planes(values: Iterable[float | None], unit: float) -> tuple[int, bytes]:
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

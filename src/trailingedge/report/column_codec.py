"""Column codec: numbers as short JSON for the report page.

A year of minutes is half a million rows. A dozen such columns, written in full, make a page of 60 MB. Each value is a
whole multiple of the column's unit, and only the difference to the value before is written. A price changes little from
row to row, and an anchor hardly ever, so most differences have one or two digits, and the page has a third of that
size. `page.js` adds up the differences.
"""

import math
from collections.abc import Iterable


def encode_column(values: Iterable[float | None], unit: float) -> dict[str, object]:
    """Return `unit` and the differences between successive values, in units.

    A value that is None or not finite is null.
    """
    steps: list[int | None] = []
    before = 0
    for value in values:
        if value is None or not math.isfinite(value):
            steps.append(None)
            continue
        number = round(value / unit)
        steps.append(number - before)
        before = number
    return {"unit": unit, "steps": steps}

"""Column codec: numbers as short JSON for the report page.

A year of minutes is half a million rows. Written in full, a dozen columns of them make a page of 60 MB. A value is a
whole multiple of the column's unit, and what is written is the difference to the value before: a price moves little and
an anchor hardly ever. So most entries have one or two digits, and the page has a third of the size. `page.js` adds the
differences up.
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

"""Days to choose on and days to judge on: the second always after the first, and never the same.

Each combination goes through all days once, and is cut at the splits: what it holds there goes on, as it would in
a daemon that was left alone with those settings. Chosen is by the parts before a split alone.
"""

from dataclasses import dataclass
from typing import Final

from trailingedge.core.time_units import DAY_MS

_MAX_FOLDS: Final = 4
_DAYS_PER_FOLD: Final = 3


@dataclass(frozen=True, slots=True)
class Folds:
    """The market in parts of whole days, from `from_ms` to `to_ms`, cut at `splits`.

    Fold k is chosen on the parts up to k, all of them, and judged on the part after it.
    """

    from_ms: int
    to_ms: int
    splits: tuple[int, ...]

    @property
    def count(self) -> int:
        return len(self.splits)

    def part_bounds(self, part: int) -> tuple[int, int]:
        """When a part begins and ends."""
        times = (self.from_ms, *self.splits, self.to_ms)
        return times[part], times[part + 1]


def split_folds(from_ms: int, to_ms: int) -> Folds:
    """As many folds as the days allow, up to four; none where there are fewer than two days.

    The first part is the longest, for the first choice is to stand on something too.
    """
    first_day = -(-from_ms // DAY_MS)  # whole ones; what comes before and after them belongs to their neighbours
    days = to_ms // DAY_MS - first_day
    if days < 2:
        return Folds(from_ms, to_ms, ())
    count = max(1, min(_MAX_FOLDS, days // _DAYS_PER_FOLD - 1))
    judged = max(1, days // (count + 2)) if count > 1 else max(1, days // 3)
    begin = first_day + days - count * judged
    return Folds(from_ms, to_ms, tuple((begin + judged * number) * DAY_MS for number in range(count)))

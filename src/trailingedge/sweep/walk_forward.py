"""Walk-forward folds: split the days so that each winner is tested on days after its choice.

Each combination runs through all days once, and its result is cut at the splits. Its position is
carried over a split, as in a daemon that keeps running with these settings. A winner is chosen by
the parts before a split only.
"""

from dataclasses import dataclass
from typing import Final

from trailingedge.core.time_units import DAY_MS

_MAX_FOLDS: Final = 4
_DAYS_PER_FOLD: Final = 3


@dataclass(frozen=True, slots=True)
class Folds:
    """A market from `from_ms` to `to_ms`, cut at `splits` (midnights) into parts.

    Fold k chooses its winner on the parts 0 to k and tests it on part k + 1.
    """

    from_ms: int
    to_ms: int
    splits: tuple[int, ...]

    @property
    def count(self) -> int:
        return len(self.splits)

    def part_bounds(self, part: int) -> tuple[int, int]:
        """Return start and end of a part, in ms since 1970."""
        times = (self.from_ms, *self.splits, self.to_ms)
        return times[part], times[part + 1]


def split_folds(from_ms: int, to_ms: int) -> Folds:
    """Split the days into as many folds as they allow, up to four; none if there are fewer than two whole days.

    The days before the first fold are the longest part, so that the first choice of settings has enough data, too.
    """
    first_day = -(-from_ms // DAY_MS)  # the first whole day; partial days belong to the part beside them
    days = to_ms // DAY_MS - first_day
    if days < 2:
        return Folds(from_ms, to_ms, ())
    # The days are divided into n + 2 shares: each fold is tested on one, and the first part gets at least two.
    count = max(1, min(_MAX_FOLDS, days // _DAYS_PER_FOLD - 1))
    judged = max(1, days // (count + 2)) if count > 1 else max(1, days // 3)
    begin = first_day + days - count * judged
    return Folds(from_ms, to_ms, tuple((begin + judged * number) * DAY_MS for number in range(count)))

"""Walk-forward folds: split the days so that each winner is tested on days after its choice.

Each combination runs through all days once, and its result is cut at the splits. A position that is open at a split is
kept, as in a daemon that keeps running with these settings. A winner is chosen only by the parts before a split. An
embargo leaves out the days right after the split, because the position that is open at the split was entered on days
before it.
"""

from dataclasses import dataclass
from typing import Final

from trailingedge.core.errors import ConfigError
from trailingedge.core.time_units import DAY_MS

_MAX_FOLDS: Final = 4
_DAYS_PER_FOLD: Final = 3


@dataclass(frozen=True, slots=True)
class Folds:
    """A market from `from_ms` to `to_ms`, cut at `splits` (midnights) into parts.

    Fold k chooses its winner on all parts before its split, and tests it on the part after the split. An embargo is a
    part of its own; if there is one, the winner is tested on the part after the embargo.
    """

    from_ms: int
    to_ms: int
    splits: tuple[int, ...]
    has_embargo: bool = False

    @property
    def count(self) -> int:
        return len(self.splits) // 2 if self.has_embargo else len(self.splits)

    def chosen_parts(self, fold: int) -> int:
        """Return the number of parts, counted from the first, on which a fold chooses its winner."""
        return 2 * fold + 1 if self.has_embargo else fold + 1

    def tested_part(self, fold: int) -> int:
        """Return the part that a fold tests its winner on."""
        return self.chosen_parts(fold) + self.has_embargo

    def part_bounds(self, part: int) -> tuple[int, int]:
        """Return start and end of a part, in ms since 1970."""
        times = (self.from_ms, *self.splits, self.to_ms)
        return times[part], times[part + 1]


def split_folds(from_ms: int, to_ms: int, wanted: int | None = None, embargo_days: int = 0) -> Folds:
    """Split the days into `wanted` folds; if None, into as many as the days allow, up to four.

    There are no folds if there are fewer than two whole days. The part before the first split is the longest, so that
    the first choice of a winner has enough data, too. Raises ConfigError if there are too few days for the wanted folds
    and the embargo.
    """
    first_day = -(-from_ms // DAY_MS)  # the first whole day; partial days belong to the part beside them
    days = to_ms // DAY_MS - first_day
    if days < 2 and wanted is None and not embargo_days:
        return Folds(from_ms, to_ms, ())
    # The days are divided into n + 2 shares: each fold is tested on one, and the first part gets at least two.
    count = wanted or max(1, min(_MAX_FOLDS, days // _DAYS_PER_FOLD - 1))
    judged = days // (count + 2) if count > 1 else days // 3
    judged = max(1, judged) if days > count else judged
    if judged <= embargo_days:
        least = (embargo_days + 1) * (count + 2)
        few = f"{days} whole days are too few for folds ({count}) with an embargo of {embargo_days} days"
        raise ConfigError([f"{few}: give {least} days, or lower --folds or --embargo"])
    begin = first_day + days - count * judged
    splits = [(begin + judged * number) * DAY_MS for number in range(count)]
    if embargo_days:
        splits = [time for split in splits for time in (split, split + embargo_days * DAY_MS)]
    return Folds(from_ms, to_ms, tuple(splits), has_embargo=embargo_days > 0)

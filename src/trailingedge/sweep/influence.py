"""Influence of each varied setting on the objective: rank correlation, and the mean for each of its values.

Both use all combinations and the days on which the last winner was chosen. The values of a setting that has many, such
as one drawn from a range, are divided into four groups with equally many combinations.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from statistics import correlation, fmean
from typing import Final

from trailingedge.sweep.objective import Objective
from trailingedge.sweep.ranking import FoldResult, RankedTrial

_MOST_VALUES: Final = 8  # of a setting that are told one by one
_SHARES: Final = 4


@dataclass(frozen=True, slots=True)
class Influence:
    """The influence of one setting. `means` are the mean objectives by value or range of values, smallest value first.

    `rank_correlation` is Spearman's, from -1 to 1. It is None if the values are words, or if all values or all
    objectives are equal.
    """

    name: str
    rank_correlation: float | None
    means: Mapping[str, float]

    @property
    def spread(self) -> float:
        """The difference between the best and the worst of the mean objectives."""
        return max(self.means.values()) - min(self.means.values())


def rated_trials(fold: FoldResult) -> list[RankedTrial]:
    """Return the trials of the search whose in-sample objective is a number."""
    return [row for row in fold.rows if row.point and isfinite(row.in_sample.score)]


def influences(fold: FoldResult) -> list[Influence]:
    """Return the influence of each setting with more than one value, the largest first."""
    rows = rated_trials(fold)
    found = [_influence(name, rows) for name in (rows[0].point if rows else ())]
    return sorted((each for each in found if len(each.means) > 1), key=lambda each: -each.spread)


def _influence(name: str, rows: Sequence[RankedTrial]) -> Influence:
    values, scores = [row.point[name] for row in rows], [row.in_sample.score for row in rows]
    groups, found = value_groups(values), defaultdict[str, list[float]](list)
    for value, score in zip(values, scores, strict=True):
        found[groups[value]].append(score)
    numbers = _numbers(values)
    return Influence(
        name,
        None if numbers is None else spearman(numbers, scores),
        {label: fmean(found[label]) for label in dict.fromkeys(groups.values())},
    )


def value_groups(values: Sequence[str]) -> dict[str, str]:
    """Return the name of each value's group, by value, smallest value first.

    A group is one value or, if there are many values, a range.
    """
    numbers = _numbers(values)
    if numbers is None:
        return {value: value for value in dict.fromkeys(values)}
    by_text = dict(zip(values, numbers, strict=True))
    distinct = sorted(by_text, key=by_text.__getitem__)
    if len(distinct) <= _MOST_VALUES:
        return {value: value for value in distinct}
    cuts = [len(distinct) * share // _SHARES for share in range(_SHARES + 1)]
    shares = [distinct[begin:end] for begin, end in pairwise(cuts)]
    return {value: f"{share[0]} to {share[-1]}" for share in shares for value in share}


def _numbers(values: Sequence[str]) -> list[float] | None:
    try:
        return list(map(float, values))
    except ValueError:
        return None


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return Pearson's correlation of the ranks, where equal numbers share their mean rank; None if one is constant.

    Source: C. Spearman, "The Proof and Measurement of Association between Two Things" (1904).
    """
    if len(set(first)) < 2 or len(set(second)) < 2:
        return None
    return correlation(_mean_ranks(first), _mean_ranks(second))


def _mean_ranks(numbers: Sequence[float]) -> list[float]:
    places = defaultdict[float, list[int]](list)
    for place, number in enumerate(sorted(numbers)):
        places[number].append(place)
    return [fmean(places[number]) for number in numbers]


def influence_lines(found: Sequence[Influence], objective: Objective) -> Iterator[str]:
    """Yield a line for each setting, the most influential first."""
    for each in found:
        related = "" if each.rank_correlation is None else f", correlation {each.rank_correlation:+.2f}"
        means = ", ".join(f"{label}: {objective.text(mean)}" for label, mean in each.means.items())
        yield f"{each.name}{related}; {means}"


def influence_json(found: Sequence[Influence]) -> list[dict[str, object]]:
    """Return the influences as JSON data."""
    return [
        {"setting": each.name, "rank_correlation": each.rank_correlation, "means": dict(each.means)} for each in found
    ]

"""Who won, and what that is worth: each fold's winner is judged on days that it was not chosen on.

The best of many has luck in it, and the more were tried, the more. So beside the winner stands where it came
out among all others on the days after, how the days before and after agree over all that was tried, and what the
settings that were there anyway did.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from statistics import correlation, mean, median

from trailingedge.sweep.search_space import Combination, InvalidCombination
from trailingedge.sweep.trial import TrialOutcome
from trailingedge.sweep.walk_forward import Folds


@dataclass(frozen=True, slots=True)
class RankedTrial:
    """One combination in one fold. Fractions are of the value at the beginning; ranks count from 1.

    `exits` and `drawdown_frac` are those of the days judged on. Without such days they are those of all days,
    and what was to be judged is None.
    """

    number: int
    combination: Combination
    in_sample_frac: float
    in_rank: int
    out_of_sample_frac: float | None
    out_rank: int | None
    exits: int
    drawdown_frac: float
    halted: bool


@dataclass(frozen=True, slots=True)
class FoldResult:
    """The winner of one fold first, then all others by what they were chosen by. `hold_*` is the base asset held."""

    number: int
    rows: tuple[RankedTrial, ...]
    hold_in_frac: float
    hold_out_frac: float | None

    @property
    def winner(self) -> RankedTrial:
        return self.rows[0]

    @property
    def tied_with_winner(self) -> tuple[RankedTrial, ...]:
        """Others that made exactly as much on the days the winner was chosen on: it is no better than they."""
        return tuple(row for row in self.rows[1:] if row.in_rank == self.winner.in_rank)

    @property
    def all_equal(self) -> bool:
        """Whatever was tried made the same, before and after."""
        return len({(row.in_sample_frac, row.out_of_sample_frac) for row in self.rows}) == 1

    @property
    def out_of_sample_ties(self) -> int:
        """How many others made exactly as much as the winner on the days judged on."""
        return sum(_out_frac(row) == _out_frac(self.winner) for row in self.rows) - 1

    @property
    def in_better_half(self) -> bool:
        """On the days judged on, fewer made more than the winner than made less: what its rank says, ties and all."""
        if self.winner.out_of_sample_frac is None:
            return False
        less = sum(_out_frac(row) < _out_frac(self.winner) for row in self.rows)
        return (self.winner.out_rank or 1) - 1 < less

    @property
    def unchanged(self) -> RankedTrial:
        """The settings that were there anyway."""
        return next(row for row in self.rows if row.number == 0)

    @property
    def median_out_frac(self) -> float:
        return median(row.out_of_sample_frac for row in self.rows if row.out_of_sample_frac is not None)

    @property
    def rank_agreement(self) -> float | None:
        """How the ranks before and after agree: 1 in the same order, -1 in the opposite; None without any."""
        ranks = [(row.in_rank, row.out_rank) for row in self.rows if row.out_rank is not None]
        before, after = [rank for rank, _ in ranks], [rank for _, rank in ranks]
        if len(set(before)) < 2 or len(set(after)) < 2:
            return None
        return correlation(before, after)


@dataclass(frozen=True, slots=True)
class SweepResult:
    """All folds, oldest first. The last one chooses on the most days; its winner is the sweep's."""

    folds: tuple[FoldResult, ...]
    tried: int
    invalid: tuple[InvalidCombination, ...] = ()

    @property
    def last(self) -> FoldResult:
        return self.folds[-1]

    @property
    def walk_forward_frac(self) -> float | None:
        """Each fold's winner, one after the other, on the days it was not chosen on; None without such days."""
        return _compound(fold.winner.out_of_sample_frac for fold in self.folds)

    @property
    def unchanged_frac(self) -> float | None:
        """The settings that were there anyway, on the same days."""
        return _compound(fold.unchanged.out_of_sample_frac for fold in self.folds)

    @property
    def hold_base_frac(self) -> float | None:
        """The base asset, on the same days."""
        return _compound(fold.hold_out_frac for fold in self.folds)

    @property
    def folds_below_median(self) -> int:
        """In how many folds the winner did no better than half of all that was tried."""
        return sum(fold.winner.out_of_sample_frac is not None and not fold.in_better_half for fold in self.folds)

    @property
    def rank_agreement(self) -> float | None:
        found = [fold.rank_agreement for fold in self.folds if fold.rank_agreement is not None]
        return mean(found) if found else None


def rank_trials(
    combinations: Sequence[Combination],
    outcomes: Mapping[int, TrialOutcome],
    folds: Folds,
    left_out: tuple[InvalidCombination, ...] = (),
) -> SweepResult:
    """What `outcomes`, by number of the combination, come to."""
    if not folds.count:
        return SweepResult((_judge_fold(0, combinations, outcomes, None),), len(outcomes), left_out)
    told = tuple(_judge_fold(number, combinations, outcomes, number + 1) for number in range(folds.count))
    return SweepResult(told, len(outcomes), left_out)


def _judge_fold(
    number: int, combinations: Sequence[Combination], outcomes: Mapping[int, TrialOutcome], judged: int | None
) -> FoldResult:
    """Chosen on all parts before `judged`, and judged on that one; on all parts and not at all where that is None."""
    before = {each: prod(part.growth for part in outcome.parts[:judged]) for each, outcome in outcomes.items()}
    after = {} if judged is None else {each: outcome.parts[judged].growth for each, outcome in outcomes.items()}
    in_ranks, out_ranks = _ranks(before), _ranks(after)
    rows = []
    for each, outcome in outcomes.items():
        shown = outcome.parts if judged is None else outcome.parts[judged : judged + 1]
        rows.append(
            RankedTrial(
                number=each,
                combination=combinations[each],
                in_sample_frac=before[each] - 1.0,
                in_rank=in_ranks[each],
                out_of_sample_frac=after[each] - 1.0 if after else None,
                out_rank=out_ranks.get(each),
                exits=sum(part.exits for part in shown),
                drawdown_frac=max(part.drawdown_frac for part in shown),
                halted=outcome.halted,
            )
        )
    # Of those that are as good, the one that was named first: the settings as they were before any change.
    rows.sort(key=lambda row: (row.in_rank, row.number))
    parts = next(iter(outcomes.values())).parts
    hold_in = prod(part.hold for part in parts[:judged]) - 1.0
    hold_out = None if judged is None else parts[judged].hold - 1.0
    return FoldResult(number, tuple(rows), hold_in, hold_out)


def _out_frac(row: RankedTrial) -> float:
    return row.out_of_sample_frac or 0.0


def _ranks(growths: Mapping[int, float]) -> dict[int, int]:
    """The best is 1; equals share the better rank."""
    ordered = sorted(growths.values(), reverse=True)
    first: dict[float, int] = {}
    for place, growth in enumerate(ordered, 1):
        first.setdefault(growth, place)
    return {each: first[growth] for each, growth in growths.items()}


def _compound(fractions: Iterable[float | None]) -> float | None:
    known = list(fractions)
    if not known or any(fraction is None for fraction in known):
        return None
    return prod(1.0 + fraction for fraction in known if fraction is not None) - 1.0

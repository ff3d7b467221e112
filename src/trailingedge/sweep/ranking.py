"""Ranking of trials in walk-forward folds: a winner is tested on days on which it was not chosen.

The best of many combinations is partly luck, and luck counts for more if more combinations are
tested. The result therefore has three checks: the winner's rank on the days after, the correlation
of all ranks before and after, and the result of the unchanged settings.
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
    """Result of one combination in one fold. Fractions are gains of the account's value.

    In-sample values are of the days on which winners are chosen, out-of-sample values of the days
    on which they are tested. `exits` and `drawdown_frac` are out of sample, or of all days if
    there are no out-of-sample days. The other out-of-sample values are then None. Ranks count from 1.
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
    """Result of one fold. `rows` has the winner first, then all others by in-sample result.

    `hold_in_frac` and `hold_out_frac` are the gains of holding the base asset.
    """

    number: int
    rows: tuple[RankedTrial, ...]
    hold_in_frac: float
    hold_out_frac: float | None

    @property
    def winner(self) -> RankedTrial:
        return self.rows[0]

    @property
    def tied_with_winner(self) -> tuple[RankedTrial, ...]:
        """The other trials with exactly the winner's in-sample result: the winner is no better than they."""
        return tuple(row for row in self.rows[1:] if row.in_rank == self.winner.in_rank)

    @property
    def all_equal(self) -> bool:
        """Whether all trials have the same results, in and out of sample."""
        return len({(row.in_sample_frac, row.out_of_sample_frac) for row in self.rows}) == 1

    @property
    def out_of_sample_ties(self) -> int:
        """The number of other trials with exactly the winner's out-of-sample result."""
        return sum(_out_frac(row) == _out_frac(self.winner) for row in self.rows) - 1

    @property
    def in_better_half(self) -> bool:
        """Return whether, out of sample, the winner beats more trials than beat the winner."""
        if self.winner.out_of_sample_frac is None:
            return False
        # Counted instead of compared with the median, because many trials may share one result.
        less = sum(_out_frac(row) < _out_frac(self.winner) for row in self.rows)
        return (self.winner.out_rank or 1) - 1 < less

    @property
    def unchanged(self) -> RankedTrial:
        """Return the trial of the unchanged settings."""
        return next(row for row in self.rows if row.number == 0)

    @property
    def median_out_frac(self) -> float:
        return median(row.out_of_sample_frac for row in self.rows if row.out_of_sample_frac is not None)

    @property
    def rank_agreement(self) -> float | None:
        """Return the correlation of in-sample and out-of-sample ranks, from -1 to 1.

        None if all in-sample or all out-of-sample ranks are equal, or if there are no out-of-sample days.
        """
        ranks = [(row.in_rank, row.out_rank) for row in self.rows if row.out_rank is not None]
        before, after = [rank for rank, _ in ranks], [rank for _, rank in ranks]
        # Pearson's correlation of ranks is Spearman's; it is not defined if all ranks on one side are equal.
        if len(set(before)) < 2 or len(set(after)) < 2:
            return None
        return correlation(before, after)


@dataclass(frozen=True, slots=True)
class SweepResult:
    """Results of all folds, oldest first. The last fold chooses on the most days: its winner is that of the sweep."""

    folds: tuple[FoldResult, ...]
    tried: int
    invalid: tuple[InvalidCombination, ...] = ()

    @property
    def last(self) -> FoldResult:
        return self.folds[-1]

    @property
    def walk_forward_frac(self) -> float | None:
        """The compound out-of-sample gain of the folds' winners; None without out-of-sample days."""
        return _compound(fold.winner.out_of_sample_frac for fold in self.folds)

    @property
    def unchanged_frac(self) -> float | None:
        """Return the compound out-of-sample gain of the unchanged settings; None without out-of-sample days."""
        return _compound(fold.unchanged.out_of_sample_frac for fold in self.folds)

    @property
    def hold_base_frac(self) -> float | None:
        """Return the compound gain of holding base on the out-of-sample days; None if there are none."""
        return _compound(fold.hold_out_frac for fold in self.folds)

    @property
    def folds_below_median(self) -> int:
        """Return the number of folds whose winner was not in the better half out of sample."""
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
    """Rank the trials in each fold. The keys of `outcomes` are the numbers of the combinations."""
    if not folds.count:
        return SweepResult((_judge_fold(0, combinations, outcomes, None),), len(outcomes), left_out)
    judged = tuple(_judge_fold(number, combinations, outcomes, number + 1) for number in range(folds.count))
    return SweepResult(judged, len(outcomes), left_out)


def _judge_fold(
    number: int, combinations: Sequence[Combination], outcomes: Mapping[int, TrialOutcome], judged: int | None
) -> FoldResult:
    """Choose the winner on all parts before part `judged`, and test it on part `judged`.

    If `judged` is None, the winner is chosen on all parts and tested on none.
    """
    before = {each: prod(part.growth for part in outcome.parts[:judged]) for each, outcome in outcomes.items()}
    after = {} if judged is None else {each: outcome.parts[judged].growth for each, outcome in outcomes.items()}
    # Gains compound: the growth over several parts is the product of theirs.
    in_ranks, out_ranks = _ranks(before), _ranks(after)
    rows = []
    for each, outcome in outcomes.items():
        # A halted trial keeps the results up to the halt: it is ranked by them, and marked in the table.
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
    # Among equals the first combination wins, so number 0 (the unchanged settings) comes before all others.
    rows.sort(key=lambda row: (row.in_rank, row.number))
    parts = next(iter(outcomes.values())).parts
    hold_in = prod(part.hold for part in parts[:judged]) - 1.0
    hold_out = None if judged is None else parts[judged].hold - 1.0
    return FoldResult(number, tuple(rows), hold_in, hold_out)


def _out_frac(row: RankedTrial) -> float:
    return row.out_of_sample_frac or 0.0


def _ranks(growths: Mapping[int, float]) -> dict[int, int]:
    """Return each trial's rank by growth: the best has rank 1, equal ones share the better rank."""
    ordered = sorted(growths.values(), reverse=True)
    first: dict[float, int] = {}
    for rank, growth in enumerate(ordered, 1):
        first.setdefault(growth, rank)
    return {each: first[growth] for each, growth in growths.items()}


def _compound(fractions: Iterable[float | None]) -> float | None:
    known = list(fractions)
    # If a fold has no value, the product would cover fewer days than the results that it is compared with.
    if not known or any(fraction is None for fraction in known):
        return None
    return prod(1.0 + fraction for fraction in known if fraction is not None) - 1.0

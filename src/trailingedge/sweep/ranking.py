"""Ranking of trials in walk-forward folds: each winner is tested on days that were not used to choose it.

The best of many combinations is best partly by luck, and the more combinations are tested, the larger is the part of
luck. So the result has three checks: the winner's rank on the later days, the correlation between the ranks on the
earlier and on the later days, and the result of the unchanged settings.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from statistics import correlation, mean, median
from typing import Final

from trailingedge.sweep.objective import USUAL_JUDGEMENT, Judgement, SpanFigures
from trailingedge.sweep.search_space import Combination, InvalidCombination
from trailingedge.sweep.trial import TrialOutcome
from trailingedge.sweep.walk_forward import Folds

NO_POINT: Final[Combination] = {}


@dataclass(frozen=True, slots=True)
class RankedTrial:
    """Result of one combination in one fold. Fractions are gains of the account's value.

    In-sample values are those of the days on which the winner is chosen, out-of-sample values those of the days on
    which it is tested. If there are no days for the test, out-of-sample values are None. Ranks are by the objective,
    from 1. `point` has the values of the varied settings. The trial of the unchanged settings has a point only if the
    search contains it.
    """

    number: int
    combination: Combination
    point: Combination
    in_sample: SpanFigures
    in_rank: int
    out_of_sample: SpanFigures | None
    out_rank: int | None
    halted: bool

    @property
    def shown(self) -> SpanFigures:
        """The figures of the days on which the winner is tested, or of all days if there are none."""
        return self.out_of_sample or self.in_sample

    @property
    def in_sample_frac(self) -> float:
        return self.in_sample.result_frac

    @property
    def out_of_sample_frac(self) -> float | None:
        return None if self.out_of_sample is None else self.out_of_sample.result_frac

    @property
    def out_score(self) -> float | None:
        return None if self.out_of_sample is None else self.out_of_sample.score


@dataclass(frozen=True, slots=True)
class FoldResult:
    """Result of one fold. `rows` has the winner first, then all others by the in-sample objective.

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
        """The other trials with exactly the winner's in-sample objective. The winner is not better than they are."""
        return tuple(row for row in self.rows[1:] if row.in_rank == self.winner.in_rank)

    @property
    def all_equal(self) -> bool:
        """Whether all trials have the same results, both in sample and out of sample."""
        return len({(row.in_sample_frac, row.in_rank, row.out_of_sample_frac, row.out_rank) for row in self.rows}) == 1

    @property
    def out_of_sample_ties(self) -> int:
        """The number of other trials with exactly the winner's out-of-sample objective."""
        return sum(row.out_rank == self.winner.out_rank for row in self.rows) - 1

    @property
    def in_better_half(self) -> bool:
        """Return whether, out of sample, more trials are worse than the winner than are better."""
        if self.winner.out_rank is None:
            return False
        # Counted instead of compared with the median, because many trials may share one result.
        less = sum((row.out_rank or 0) > self.winner.out_rank for row in self.rows)
        return self.winner.out_rank - 1 < less

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
    """Results of all folds, oldest first.

    The winner of the last fold is that of the sweep, because it is chosen on the most days.
    """

    folds: tuple[FoldResult, ...]
    tried: int
    invalid: tuple[InvalidCombination, ...] = ()
    judgement: Judgement = USUAL_JUDGEMENT

    @property
    def last(self) -> FoldResult:
        return self.folds[-1]

    @property
    def walk_forward_frac(self) -> float | None:
        """The compound out-of-sample gain of the winners of all folds; None without out-of-sample days."""
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
    judgement: Judgement = USUAL_JUDGEMENT,
    unchanged_point: Combination = NO_POINT,
) -> SweepResult:
    """Rank the trials in each fold. The keys of `outcomes` are the numbers of the combinations."""
    spans: list[tuple[int | None, int | None]] = [(None, None)]
    if folds.count:
        spans = [(folds.chosen_parts(number), folds.tested_part(number)) for number in range(folds.count)]
    found = tuple(
        _judge_fold(number, combinations, outcomes, *span, judgement, unchanged_point)
        for number, span in enumerate(spans)
    )
    return SweepResult(found, len(outcomes), left_out, judgement)


def _judge_fold(
    number: int,
    combinations: Sequence[Combination],
    outcomes: Mapping[int, TrialOutcome],
    chosen: int | None,
    judged: int | None,
    judgement: Judgement,
    unchanged_point: Combination,
) -> FoldResult:
    """Choose the winner on the first `chosen` parts, and test it on the part with the number `judged`.

    If both are None, the winner is chosen on all parts and not tested.
    """
    before = {each: judgement.over(outcome, 0, chosen) for each, outcome in outcomes.items()}
    after = {}
    if judged is not None:
        after = {each: judgement.over(outcome, judged, judged + 1) for each, outcome in outcomes.items()}
    in_ranks, out_ranks = _ranks(before), _ranks(after)
    # A halted trial keeps the results up to the halt: it is ranked by them, and marked in the table.
    rows = [
        RankedTrial(
            number=each,
            combination=combinations[each],
            point=combinations[each] or unchanged_point,
            in_sample=before[each],
            in_rank=in_ranks[each],
            out_of_sample=after.get(each),
            out_rank=out_ranks.get(each),
            halted=outcome.halted,
        )
        for each, outcome in outcomes.items()
    ]
    # Among equals the first combination wins, so number 0 (the unchanged settings) comes before all others.
    rows.sort(key=lambda row: (row.in_rank, row.number))
    first = next(iter(outcomes))
    return FoldResult(number, tuple(rows), before[first].hold_frac, None if judged is None else after[first].hold_frac)


def _ranks(figures: Mapping[int, SpanFigures]) -> dict[int, int]:
    """Return each trial's rank by its objective: the best trial has rank 1, and equal trials share the better rank."""
    scores = {each: figure.score for each, figure in figures.items()}
    first: dict[float, int] = {}
    for rank, score in enumerate(sorted(scores.values(), reverse=True), 1):
        first.setdefault(score, rank)
    return {each: first[score] for each, score in scores.items()}


def _compound(fractions: Iterable[float | None]) -> float | None:
    known = list(fractions)
    # If a fold has no value, the product would cover fewer days than the results that it is compared with.
    if not known or any(fraction is None for fraction in known):
        return None
    return prod(1.0 + fraction for fraction in known if fraction is not None) - 1.0

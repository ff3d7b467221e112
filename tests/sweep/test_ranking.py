"""Tests of ranking in walk-forward folds."""

import pytest

from trailingedge.sweep.ranking import SweepResult, rank_trials
from trailingedge.sweep.search_space import InvalidCombination
from trailingedge.sweep.trial import PartResult, RunOutcome, TrialOutcome
from trailingedge.sweep.walk_forward import Folds, split_folds

DAY_MS = 86_400_000
FORTNIGHT = split_folds(20_000 * DAY_MS, 20_014 * DAY_MS)
COMBINATIONS = [{}, {"BUFFER": "0.001"}, {"BUFFER": "0.003"}]


def outcome(*growths: float, drawdown: float = 0.01) -> TrialOutcome:
    parts = tuple(PartResult(growth, 1.1, drawdown, exits=2) for growth in growths)
    return TrialOutcome((RunOutcome(0, parts),))


def judged(
    outcomes: dict[int, TrialOutcome], cut: Folds = FORTNIGHT, left_out: tuple[InvalidCombination, ...] = ()
) -> SweepResult:
    return rank_trials(COMBINATIONS, outcomes, cut, left_out)


def test_each_winner_is_chosen_on_the_days_before_only() -> None:
    verdict = judged(
        {0: outcome(1.00, 1.00, 1.00, 1.00), 1: outcome(1.10, 0.80, 0.90, 1.50), 2: outcome(1.05, 1.02, 1.02, 0.70)}
    )
    assert [fold.winner.number for fold in verdict.folds] == [1, 2, 2]
    assert [fold.winner.out_of_sample_frac for fold in verdict.folds] == pytest.approx([-0.2, 0.02, -0.3])
    assert verdict.last.winner.in_sample_frac == pytest.approx(1.05 * 1.02 * 1.02 - 1)
    assert verdict.walk_forward_frac == pytest.approx(0.8 * 1.02 * 0.7 - 1)
    assert verdict.unchanged_frac == 0.0
    assert verdict.hold_base_frac == pytest.approx(1.1**3 - 1)


def test_out_of_sample_days_do_not_affect_the_choice() -> None:
    before = {0: outcome(1.0, 1.0, 1.0, 1.0), 1: outcome(1.2, 1.2, 1.2, 1.0), 2: outcome(1.1, 1.1, 1.1, 1.0)}
    after = {**before, 2: outcome(1.1, 1.1, 1.1, 99.0)}
    assert [fold.winner.number for fold in judged(before).folds] == [fold.winner.number for fold in judged(after).folds]


def test_a_winner_that_falls_behind_is_counted() -> None:
    lucky = judged({0: outcome(1, 1, 1, 1), 1: outcome(1.5, 0.9, 0.9, 0.9), 2: outcome(0.9, 1.1, 1.1, 1.1)})
    assert lucky.folds_below_median == 3
    assert lucky.rank_agreement is not None
    assert lucky.rank_agreement < 0
    steady = judged({0: outcome(1, 1, 1, 1), 1: outcome(1.5, 1.5, 1.5, 1.5), 2: outcome(0.9, 0.9, 0.9, 0.9)})
    assert steady.folds_below_median == 0
    assert steady.rank_agreement == pytest.approx(1.0)


def test_among_equals_the_unchanged_settings_win_and_ranks_are_shared() -> None:
    verdict = judged({0: outcome(1, 1, 1, 1), 1: outcome(1, 1, 1, 1), 2: outcome(0.9, 1, 1, 1)})
    assert verdict.last.winner.number == 0
    assert [row.in_rank for row in verdict.last.rows] == [1, 1, 3]
    assert verdict.last.rank_agreement is None


def test_without_out_of_sample_days_nothing_is_tested() -> None:
    verdict = judged({0: outcome(1.0), 1: outcome(1.3), 2: outcome(1.2)}, split_folds(0, DAY_MS))
    assert (verdict.last.winner.number, verdict.last.winner.out_of_sample_frac) == (1, None)
    assert (verdict.walk_forward_frac, verdict.rank_agreement, verdict.invalid) == (None, None, ())


def test_the_days_of_an_embargo_neither_choose_nor_test() -> None:
    cut = split_folds(20_000 * DAY_MS, 20_006 * DAY_MS, 1, 1)
    verdict = judged({0: outcome(1.0, 9.0, 1.0), 1: outcome(1.2, 1.0, 1.1), 2: outcome(1.1, 9.0, 1.2)}, cut)
    assert verdict.last.winner.number == 1
    assert verdict.last.winner.out_of_sample_frac == pytest.approx(0.1)

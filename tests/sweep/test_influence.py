"""Tests of the influence of each setting in a sweep."""

import pytest
from tests.sweep.test_ranking import FORTNIGHT, outcome

from trailingedge.sweep.influence import Influence, influence_json, influence_lines, influences, spearman, value_groups
from trailingedge.sweep.objective import Judgement, Objective
from trailingedge.sweep.ranking import rank_trials


def of(combinations: list[dict[str, str]], growths: list[float]) -> list[Influence]:
    outcomes = {number: outcome(growth, 1, 1, 1) for number, growth in enumerate((1.0, *growths))}
    result = rank_trials([{}, *combinations], outcomes, FORTNIGHT, (), Judgement(Objective.RESULT))
    return influences(result.last)


def test_the_setting_that_mattered_comes_first_with_its_means() -> None:
    points = [{"BUFFER": buffer, "EXIT_PRICING": pricing} for buffer in ("0.01", "0.1") for pricing in ("join", "peg")]
    buffer, pricing = of(points, [1.1, 1.12, 1.3, 1.32])
    assert buffer.name == "BUFFER"
    assert dict(buffer.means) == pytest.approx({"0.01": 0.11, "0.1": 0.31})
    assert buffer.rank_correlation == pytest.approx(0.8944, abs=1e-4)
    assert dict(pricing.means) == pytest.approx({"join": 0.2, "peg": 0.22})
    assert pricing.rank_correlation is None
    assert influence_json([buffer])[0]["setting"] == "BUFFER"
    (line,) = influence_lines([buffer], Objective.RESULT)
    assert line == "BUFFER, correlation +0.89; 0.01: +11.00 %, 0.1: +31.00 %"


def test_the_unchanged_settings_count_where_they_are_a_point_of_the_search() -> None:
    outcomes = {0: outcome(1.1, 1, 1, 1), 1: outcome(1.2, 1, 1, 1)}
    judgement = Judgement(Objective.RESULT)
    result = rank_trials([{}, {"BUFFER": "0.1"}], outcomes, FORTNIGHT, (), judgement, {"BUFFER": "0.002"})
    (buffer,) = influences(result.last)
    assert dict(buffer.means) == pytest.approx({"0.002": 0.1, "0.1": 0.2})


def test_many_values_are_told_in_quarters() -> None:
    groups = value_groups([str(number) for number in (12, *range(1, 12))])
    assert list(dict.fromkeys(groups.values())) == ["1 to 3", "4 to 6", "7 to 9", "10 to 12"]


def test_equal_numbers_share_their_mean_rank() -> None:
    # As scipy.stats.spearmanr gives it.
    assert spearman([1, 2, 2, 4], [10, 20, 30, 40]) == pytest.approx(0.9486832980505138)
    assert spearman([1, 1], [1, 2]) is None


def test_without_rated_trials_nothing_mattered() -> None:
    assert of([], []) == []

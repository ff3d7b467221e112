"""Tests of the significance of a winner."""

import math
from random import Random

import pytest

from trailingedge.sweep.significance import daily_sharpe, deflated_sharpe, t_value


def test_the_t_value_is_the_mean_in_standard_errors() -> None:
    assert t_value([1.0, 2.0, 3.0]) == pytest.approx(2 / (1 / math.sqrt(3)))
    assert t_value([1.0, 1.0]) is t_value([1.0]) is None


def test_the_best_of_many_without_skill_is_not_significant() -> None:
    rng = Random(1)
    trials = [[rng.gauss(0.0, 0.01) for _ in range(250)] for _ in range(100)]
    ratios = [daily_sharpe(each) or 0.0 for each in trials]
    best = max(range(100), key=ratios.__getitem__)
    by_chance = deflated_sharpe(trials[best], ratios)
    assert by_chance is not None
    assert 0.2 < by_chance < 0.9
    alone = deflated_sharpe(trials[best], [0.0, 0.0])  # as if nothing had been searched
    assert alone is not None
    assert alone > 0.98
    skilled = deflated_sharpe([each + 0.005 for each in trials[best]], ratios)
    assert skilled is not None
    assert skilled > 0.999


def test_the_deflated_sharpe_ratio_is_that_of_its_source() -> None:
    # The example of Bailey and Lopez de Prado (2014): SR 2.5 a year, T 1250, g3 -3, g4 10, variance 1/2 a year, n 100
    # give SR0 0.1132 a day and DSR 0.9004. The formula, with numbers whose moments are exactly these, is too long to
    # build here; a sample with two values has skewness 0 and kurtosis 1, which leave Z((SR - SR0) * sqrt(T - 1)).
    returns, sharpes = [0.02, -0.01] * 50, [0.1, -0.1]
    ratio = daily_sharpe(returns)
    assert ratio is not None
    normal_at = 0.4227843351 * 0.0 + 0.5772156649 * 0.9003  # n = 2: Z^-1(1/2) and Z^-1(1 - 1/(2 e))
    expected = 0.5 * (1 + math.erf((ratio - 0.1 * normal_at) * math.sqrt(99) / math.sqrt(2)))
    assert deflated_sharpe(returns, sharpes) == pytest.approx(expected, abs=1e-4)


def test_too_few_days_or_trials_have_none() -> None:
    assert deflated_sharpe([0.01, 0.02], [0.1, 0.2]) is None
    assert deflated_sharpe([0.01, 0.02, 0.01], [0.1]) is None

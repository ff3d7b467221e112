"""Significance of a winner: the t value of its daily gains, and the deflated Sharpe ratio, which allows for the number
of trials.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, pvariance, stdev
from typing import Final

from trailingedge.accounting.metrics import DAYS_A_YEAR, sharpe
from trailingedge.sweep.ranking import SweepResult

_LEAST_SPREAD: Final = 1e-15  # of daily returns; a smaller one is rounding
_EULER: Final = 0.5772156649015329  # the Euler-Mascheroni constant
_NORMAL: Final = NormalDist()


def t_value(numbers: Sequence[float]) -> float | None:
    """Return how many standard errors the mean is from zero: mean / (stdev / sqrt(n)).

    Source: Student, "The Probable Error of a Mean", Biometrika 6 (1908). None for fewer than two numbers, or if all
    are equal.
    """
    spread = stdev(numbers) if len(numbers) > 1 else 0.0
    return fmean(numbers) / (spread / math.sqrt(len(numbers))) if spread > _LEAST_SPREAD else None


def deflated_sharpe(returns: Sequence[float], sharpes: Sequence[float]) -> float | None:
    """Return the probability that the true Sharpe ratio of `returns` exceeds the highest ratio expected from n trials
    without any skill.

    `sharpes` are the daily Sharpe ratios of all n trials, not annualised. SR is the daily ratio of `returns`, T their
    number, g3 their skewness, g4 their kurtosis, Z the normal distribution and c the Euler-Mascheroni constant:

        SR0 = sqrt(variance(sharpes)) * ((1 - c) * Z^-1(1 - 1/n) + c * Z^-1(1 - 1/(n e)))
        DSR = Z((SR - SR0) * sqrt(T - 1) / sqrt(1 - g3 * SR + (g4 - 1) / 4 * SR^2))

    Source: D. H. Bailey and M. López de Prado, "The Deflated Sharpe Ratio", Journal of Portfolio Management 40 (2014).
    The formula assumes independent trials; for similar trials it is too strict. Returns None for fewer than three days
    or two trials, or if the ratio is not defined.
    """
    number, days, ratio = len(sharpes), len(returns), daily_sharpe(returns)
    if number < 2 or days < 3 or ratio is None:
        return None
    mean, spread = fmean(returns), math.sqrt(pvariance(returns))
    skewness, kurtosis = (fmean(((each - mean) / spread) ** power for each in returns) for power in (3, 4))
    highest = (1 - _EULER) * _NORMAL.inv_cdf(1 - 1 / number) + _EULER * _NORMAL.inv_cdf(1 - 1 / (number * math.e))
    chance = math.sqrt(pvariance(sharpes)) * highest
    uncertain = 1 - skewness * ratio + (kurtosis - 1) / 4 * ratio**2
    if uncertain <= 0.0:
        return None
    return _NORMAL.cdf((ratio - chance) * math.sqrt(days - 1) / math.sqrt(uncertain))


def daily_sharpe(returns: Sequence[float]) -> float | None:
    """Return the daily Sharpe ratio of `returns`, not annualised."""
    yearly = sharpe(returns)
    return None if yearly is None else yearly / math.sqrt(DAYS_A_YEAR)


def deflated_sharpe_of(result: SweepResult) -> float | None:
    """Return the deflated Sharpe ratio of the winner, on the days on which it was chosen."""
    ratios = (daily_sharpe(row.in_sample.returns) for row in result.last.rows)
    return deflated_sharpe(result.last.winner.in_sample.returns, [each for each in ratios if each is not None])


def daily_gains(result: SweepResult) -> list[float]:
    """Return the daily gains of each fold's winner minus those of the unchanged settings.

    The days are those on which the winner was tested.
    """
    found = []
    for fold in result.folds:
        winner, unchanged = fold.winner.out_of_sample, fold.unchanged.out_of_sample
        if winner is not None and unchanged is not None:
            found += [ours - theirs for ours, theirs in zip(winner.returns, unchanged.returns, strict=False)]
    return found

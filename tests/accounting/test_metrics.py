"""Metrics: small cases that can be checked by hand, and what is not defined."""

import math

import pytest

from trailingedge.accounting import metrics
from trailingedge.accounting.metrics import DrawdownTracker

CLOSES = (100.0, 110.0, 99.0, 108.9)  # +10 %, -10 %, +10 %
RETURNS = metrics.daily_returns(CLOSES)
TRADES = (0.02, -0.01, -0.01, 0.0, 0.03)


def test_returns_and_their_spread() -> None:
    assert pytest.approx([0.1, -0.1, 0.1]) == RETURNS
    assert metrics.total_return(CLOSES) == pytest.approx(0.089)
    assert metrics.volatility(RETURNS) == pytest.approx(math.sqrt(0.04 / 3) * math.sqrt(365))
    assert metrics.annualised(0.089, 365) == pytest.approx(0.089)


def test_ratios() -> None:
    assert metrics.sharpe(RETURNS) == pytest.approx(0.1 / 3 / math.sqrt(0.04 / 3) * math.sqrt(365))
    assert metrics.sortino(RETURNS) == pytest.approx(0.1 / 3 / math.sqrt(0.01 / 3) * math.sqrt(365))
    assert metrics.calmar(CLOSES) == pytest.approx((1.089 ** (365 / 3) - 1) / 0.1)


def test_trades() -> None:
    assert metrics.profit_factor(TRADES) == pytest.approx(2.5)
    assert metrics.expectancy(TRADES) == pytest.approx(0.006)
    assert metrics.losing_streak(TRADES) == 3


def test_what_is_not_defined_is_none() -> None:
    assert (metrics.sharpe([0.1]), metrics.sortino([0.1]), metrics.volatility([])) == (None, None, None)
    assert (metrics.sharpe([0.1, 0.1]), metrics.sortino([0.1, 0.2]), metrics.calmar([1.0, 2.0])) == (None, None, None)
    assert (metrics.profit_factor([0.1]), metrics.expectancy([]), metrics.losing_streak([])) == (None, None, 0)
    assert metrics.annualised(1e6, 0.001) is None
    assert (metrics.annualised(0.1, 0), metrics.total_return([]), metrics.max_drawdown([])) == (None, 0.0, 0.0)


def test_a_close_of_nothing_ends_the_returns() -> None:
    assert metrics.daily_returns([100.0, 0.0, 5.0]) == [-1.0]


def test_a_drawdown_that_has_not_ended_counts_until_the_last_point() -> None:
    tracker = DrawdownTracker()
    for time_ms, value in enumerate((1.0, 0.9, 1.0, 0.8, 0.9)):
        tracker.add(time_ms, value)
    found = tracker.drawdown()
    assert found.max_frac == pytest.approx(0.2)
    assert (found.longest_ms, found.under_water_ms) == (2, 4)


def test_the_longest_drawdown_says_when_it_began() -> None:
    tracker = DrawdownTracker()
    for time_ms, value in ((10, 1.0), (20, 0.9), (50, 1.1), (60, 1.0), (80, 1.05)):
        tracker.add(time_ms, value)
    ended = tracker.drawdown()
    tracker.add(95, 1.05)  # the second one, from 50 on, has become the longest
    assert (ended.longest_from_ms, ended.longest_ms) == (10, 40)
    assert (tracker.drawdown().longest_from_ms, tracker.drawdown().longest_ms) == (50, 45)

"""The trail: its callback decays, and its exit waits for three conditions."""

from math import exp, inf

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trailingedge.strategy.trailing_take_profit import MinGain, Trail, callback_factor, compute_trail

fractions = st.floats(0.001, 0.999)
gains = st.floats(0, 1)


def hundred(u: float, high: float, least: float = 1.0, fee: float = 0.0) -> Trail:
    """A trail from an anchor of 100."""
    min_gain = MinGain(static=least, fees=0.0, donchian=0.0)
    return compute_trail(u, 100.0, high, min_gain, fee, start_factor=0.5, min_factor=0.1, gain_scale_frac=0.005)


@given(low=fractions, high=fractions, scale=st.floats(0.0001, 0.5), less=gains, more=gains)
def test_the_factor_falls_monotonically_from_start_to_min(
    low: float, high: float, scale: float, less: float, more: float
) -> None:
    assume(low <= high)
    less, more = sorted((less, more))
    at_less, at_more = (callback_factor(gain, high, low, scale) for gain in (less, more))
    assert at_more <= at_less
    assert low <= at_more
    assert at_less <= high * (1 + 1e-15)
    assert callback_factor(0.0, high, low, scale) == high
    assert callback_factor(1000 * scale, high, low, scale) == pytest.approx(low)


def test_the_factor_is_the_formula() -> None:
    assert callback_factor(0.005, 0.5, 0.1, 0.005) == pytest.approx(0.1 + 0.4 * exp(-1))


def test_a_scale_of_zero_decays_at_once() -> None:
    assert callback_factor(0.0, 0.5, 0.1, 0.0) == 0.5
    assert callback_factor(1e-9, 0.5, 0.1, 0.0) == 0.1


def test_a_worked_example() -> None:
    now = hundred(u=101.5, high=102.0)
    assert now.gain == 2.0
    assert now.drawdown == 0.5
    assert now.factor == pytest.approx(0.1 + 0.4 * exp(-4))
    assert now.callback == pytest.approx(2 * (0.1 + 0.4 * exp(-4)))
    assert now.trigger_value == pytest.approx(102.0 - now.callback)
    assert now.due


@pytest.mark.parametrize(
    ("now", "due"),
    [
        pytest.param(hundred(u=101.5, high=102.0), True, id="far enough up, far enough back"),
        pytest.param(hundred(u=101.9, high=102.0), False, id="not far enough back"),
        pytest.param(hundred(u=100.2, high=100.9), False, id="not far enough up"),
        pytest.param(hundred(u=99.9, high=102.0), False, id="a gap below the anchor is no profit"),
        pytest.param(hundred(u=100.1, high=102.0, fee=0.001), False, id="a gap below the fees is no profit"),
        pytest.param(hundred(u=100.2, high=102.0, fee=0.001), True, id="a gap to just the fees is one"),
        pytest.param(hundred(u=101.5, high=102.0, least=inf), False, id="no gain would do"),
    ],
)
def test_the_exit_waits_for_all_three_conditions(now: Trail, due: bool) -> None:
    assert now.due is due


def test_before_it_is_armed_the_trail_has_no_level_but_knows_where_it_arms() -> None:
    now = hundred(u=100.4, high=100.5)
    assert now.trigger_value is None
    assert now.arming_value == 101.0
    assert hundred(u=100.4, high=100.5, least=inf).arming_value is None


def test_a_level_that_would_not_pay_the_fees_is_none() -> None:
    now = hundred(u=101.0, high=101.0, fee=0.0049)
    assert now.armed
    assert now.trigger_value is None

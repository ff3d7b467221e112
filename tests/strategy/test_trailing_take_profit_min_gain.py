"""The least gain: three terms, of which the largest counts."""

from math import inf, isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.strategy.strategy_harness import full_channel, params

from trailingedge.indicators.donchian import Channel
from trailingedge.model.market import Regime
from trailingedge.strategy.trailing_take_profit import MinGain, compute_min_gain


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"donchian_gain_multiplier": 0.25}, 25.0, id="static: 1 % of 2500"),
        pytest.param({"fee": 0.006}, 2500 * 0.014, id="both fees and the buffer"),
        pytest.param({"donchian_gain_multiplier": 1.0}, 60.0, id="the channel's width"),
    ],
)
def test_the_largest_of_three_terms_counts_in_base(changes: dict[str, float], expected: float) -> None:
    least = compute_min_gain(Regime.BASE, 2500.0, 2500.0, full_channel(2470, 2530), params(**changes))
    assert least.value == pytest.approx(expected)


def test_base_and_quote_have_their_own_fraction() -> None:
    settings = params(min_gain_trigger_frac_base=0.02, min_gain_trigger_frac_quote=0.03)
    assert compute_min_gain(Regime.BASE, 100.0, 100.0, None, settings).static == 2.0
    assert compute_min_gain(Regime.QUOTE, 0.01, 100.0, None, settings).static == pytest.approx(0.0003)


@pytest.mark.parametrize(
    "channel", [pytest.param(None, id="no channel"), pytest.param(Channel(3000.0, 2000.0, full=False), id="not full")]
)
@pytest.mark.parametrize("regime", Regime)
def test_a_channel_that_is_not_full_has_no_say(regime: Regime, channel: Channel | None) -> None:
    assert compute_min_gain(regime, 1.0, 2500.0, channel, params()).donchian == 0.0


@given(ask=st.floats(100, 5000), swing=st.floats(0.01, 0.9))
def test_the_quote_term_is_what_a_fall_by_the_swing_would_gain(ask: float, swing: float) -> None:
    width = ask * swing
    least = compute_min_gain(
        Regime.QUOTE, 1 / ask, ask, full_channel(ask, ask + width), params(donchian_gain_multiplier=1.0)
    )
    assert isclose(least.donchian, 1 / (ask - width) - 1 / ask, rel_tol=1e-6)


@pytest.mark.parametrize("width", [pytest.param(200.0, id="as wide"), pytest.param(300.0, id="wider")])
def test_a_swing_as_large_as_the_price_can_never_arm(width: float) -> None:
    assert compute_min_gain(Regime.QUOTE, 0.01, 100.0, full_channel(1, 1 + width), params()).value == inf


def test_the_value_is_the_maximum() -> None:
    assert MinGain(1.0, 3.0, 2.0).value == 3.0

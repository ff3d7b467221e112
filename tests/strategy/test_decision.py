"""Every question the operator may ask has a number for an answer."""

import pytest
from tests.strategy.stage import Life, full_channel, gated, in_base, in_quote, params

from trailingedge.model.market import Regime
from trailingedge.strategy.memory import Phase


def test_in_base_before_the_trail_is_armed() -> None:
    now = in_base("2500").beat("2510").decision
    assert (now.phase, now.regime, now.acted) == (Phase.WATCHING, Regime.BASE, None)
    assert (now.anchor_price, now.high_price, now.u) == (2500.0, 2510.0, 2510.0)
    assert now.arming_price == 2525.0
    assert now.trigger_price is None
    assert now.stop_price == pytest.approx(2487.5)
    assert now.value == 2510.0
    assert now.gate_price is None


def test_in_base_with_the_trail_armed() -> None:
    now = in_base("2500").beat("2560").decision
    assert now.trail is not None
    assert now.trigger_price == pytest.approx(2560 - now.trail.callback)


def test_in_quote_prices_run_the_other_way() -> None:
    life = in_quote("2500")
    now = life.beat("2439.99", "2440").decision
    assert now.trail is not None
    assert now.anchor_price == pytest.approx(2500)
    assert now.high_price == pytest.approx(2440)
    assert now.arming_price == pytest.approx(2500 / 1.01)
    assert now.trigger_price is not None
    assert 2440 < now.trigger_price < 2460
    assert now.stop_price == pytest.approx(2500 / 0.995)
    assert now.value == pytest.approx(2500 / 2440)


def test_under_a_shut_gate_the_gate_is_what_counts() -> None:
    life = gated("2500")
    assert life.beat("2475").decision.gate_price is None  # the channel is not full yet
    now = life.beat("2475", channel=full_channel(2460, 2500)).decision
    assert now.gate_price == 2480.0
    assert now.stop_price is None


def test_a_take_profit_that_can_never_arm_has_no_price() -> None:
    life = in_quote("2500", settings=params(donchian_gain_multiplier=1.0))
    now = life.beat("2499", channel=full_channel(1, 9000)).decision
    assert now.arming_price is None


def test_before_anything_is_known_there_are_no_numbers() -> None:
    now = Life().beat(None).decision
    assert (now.u, now.trail, now.anchor, now.high, now.stop_price, now.value) == (None,) * 6
    assert (now.arming_price, now.trigger_price, now.anchor_price) == (None, None, None)


def test_while_the_market_is_stale_the_remembered_numbers_stay() -> None:
    life = in_base("2500")
    now = life.beat(None).decision
    assert (now.u, now.value) == (None, None)
    assert now.anchor == 2500.0
    assert now.stop_price == pytest.approx(2487.5)


def test_a_breach_is_counted_in_market_time() -> None:
    life = in_base("2500", settings=params(hard_stop_confirm_s=5.0))
    life.beat("2480")
    assert life.beat("2480", seconds=2.5).decision.stop_breach_ms == 2500

"""Each part takes its own small values, and each value is the setting of its name."""

import dataclasses
from decimal import Decimal
from random import Random

import pytest
from tests.execution.order_builders import RULES, D

from trailingedge.config import Settings
from trailingedge.core.errors import ExchangeUnreachable
from trailingedge.live import factory
from trailingedge.model.pricing import Pricing

# Numbers that occur nowhere else: a field that took another's setting would show.
SETTINGS = dataclasses.replace(
    Settings(),
    start_factor=0.41,
    min_factor=0.11,
    gain_scale_frac_base=0.0051,
    gain_scale_frac_quote=0.0052,
    min_gain_trigger_frac_base=0.011,
    min_gain_trigger_frac_quote=0.012,
    buffer=0.0021,
    donchian_gain_multiplier=0.51,
    donchian_squeeze_frac=0.13,
    hard_stop_threshold_frac=0.0053,
    hard_stop_donchian_multiplier=0.52,
    hard_stop_max_frac=0.031,
    hard_stop_confirm_sec=1.1,
    breakout_entry=True,
    exit_pricing=Pricing.JOIN,
    hard_stop_pricing=Pricing.PEG,
    anchor_price=D(2400),
)


def test_the_strategy_has_the_settings_of_the_same_names() -> None:
    params = factory.strategy_params(SETTINGS, RULES, fee=0.00075)
    for field in dataclasses.fields(params):
        if hasattr(SETTINGS, field.name) and field.name not in ("fee", "min_notional"):  # in force, not as set
            assert getattr(params, field.name) == getattr(SETTINGS, field.name), field.name
    assert (params.squeeze_frac, params.hard_stop_confirm_s, params.fee) == (0.13, 1.1, 0.00075)
    assert (params.min_quantity, params.min_notional, params.step_size) == (
        RULES.min_quantity,
        RULES.min_notional,
        RULES.step_size,
    )


def test_the_trader_and_the_chaser_have_theirs() -> None:
    settings = dataclasses.replace(
        Settings(),
        stale_after_sec=11.0,
        manual_exit_ttl_sec=31.0,
        exit_age_alert_sec=61.0,
        reserve_base=D("0.1"),
        reserve_quote=D(10),
        taker_escape_after_sec=120.0,
        taker_escape_max_slippage_frac=D("0.003"),
    )
    assert dataclasses.astuple(factory.trader_params(settings)) == (11.0, 31.0, 61.0, D("0.1"), D(10))
    chase = factory.chase_params(settings)
    assert (chase.escape_after_s, chase.escape_slippage_frac) == (120.0, D("0.003"))


@pytest.mark.parametrize("recv_window_ms", [1, 5000, 60_000])
def test_a_request_is_absent_only_after_its_window(recv_window_ms: int) -> None:
    settings = dataclasses.replace(Settings(), recv_window_ms=recv_window_ms)
    assert factory.chase_params(settings).absent_after_s == factory.absent_after_s(settings) > recv_window_ms / 1000


def test_the_channel_has_window_shift_and_source() -> None:
    settings = dataclasses.replace(Settings(), donchian_window=3, donchian_shift=1, donchian_source="high_low")
    channel = factory.channel(settings)
    assert channel.current is None


def test_the_back_off_gives_up_after_the_attempts_allowed() -> None:
    settings = dataclasses.replace(Settings(), reconnect_base_sec=2.0, reconnect_max_sec=4.0, reconnect_max_retries=3)
    backoff = factory.backoff(settings, Random(1))
    for longest_s in (2.0, 4.0, 4.0):
        assert 0 <= backoff.delay_s(0.0, "closed") <= longest_s
    with pytest.raises(ExchangeUnreachable):
        backoff.delay_s(0.0, "closed")


def test_amounts_stay_decimal() -> None:
    params = factory.strategy_params(SETTINGS, RULES, fee=0.0)
    assert isinstance(params.min_notional, Decimal)
    assert isinstance(params.anchor_price, Decimal)

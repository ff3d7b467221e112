"""Parameter factory: each parameter has the value of the setting of its name."""

import dataclasses
from decimal import Decimal
from random import Random
from typing import get_type_hints

import pytest
from tests.execution.order_builders import RULES, D

from trailingedge.config import OPTIONS, Settings
from trailingedge.core.errors import ExchangeUnreachable
from trailingedge.core.options import Option
from trailingedge.live import factory
from trailingedge.strategy.inputs import StrategyParams

# Groups of settings that the strategy reads, and what in them makes the channel instead.
OF_THE_STRATEGY = {"Fees", "Trailing", "Hard stop", "Channel"}
OF_THE_CHANNEL = {
    "KLINE_INTERVAL",
    "ROLLING_KLINES_MAXLEN",
    "DONCHIAN_WINDOW",
    "DONCHIAN_SHIFT",
    "DONCHIAN_SOURCE",
}
LIMITS = ("step_size", "min_quantity", "max_quantity", "min_notional", "max_notional")
IN_FORCE = {"fee", *LIMITS}  # as the exchange has them, not as they are set


def another(option: Option, number: int) -> object:
    """A value of the setting's type that is not its default and, among numbers, occurs nowhere else."""
    if option.choices:
        return next(value for value in option.choices.values() if value != option.default)
    if option.kind in (float, Decimal):
        return option.kind(f"0.0{number}")
    return number if option.kind is int else option.kind(str(number))


def settings_all_different() -> Settings:
    """Every setting with a value of its own: a parameter that took another's would show."""
    return Settings(**{name.lower(): another(option, 100 + i) for i, (name, option) in enumerate(OPTIONS.items())})  # type: ignore[arg-type]  # each is of its field's type


def test_every_parameter_of_the_strategy_is_the_setting_of_its_name_and_type() -> None:
    settings = settings_all_different()
    params = factory.strategy_params(settings, RULES, fee=0.00075)
    kinds, kinds_set = get_type_hints(StrategyParams), get_type_hints(Settings)
    copied = [field.name for field in dataclasses.fields(StrategyParams) if field.name not in IN_FORCE]
    assert [getattr(params, name) for name in copied] == [getattr(settings, name) for name in copied]
    assert [kinds[name] for name in copied] == [kinds_set[name] for name in copied]
    assert params.fee == 0.00075
    rules = dataclasses.replace(RULES, max_quantity=D(9), max_notional=D(10**6))
    params = factory.strategy_params(settings, rules, fee=0.0)
    assert [getattr(params, name) for name in LIMITS] == [getattr(rules, name) for name in LIMITS]


def test_every_setting_of_the_strategy_reaches_it() -> None:
    reached = {field.name.upper() for field in dataclasses.fields(StrategyParams)}
    group, declared = "", set()
    for name, option in OPTIONS.items():
        group = option.heading or group
        if group in OF_THE_STRATEGY:
            declared.add(name)
    assert len(declared) > len(OF_THE_CHANNEL)
    assert declared - OF_THE_CHANNEL <= reached
    assert not OF_THE_CHANNEL & reached


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
    assert dataclasses.astuple(factory.trading_params(settings)) == (11.0, 31.0, 61.0, D("0.1"), D(10))
    chase = factory.maker_exit_params(settings)
    assert (chase.escape_after_s, chase.escape_slippage_frac) == (120.0, D("0.003"))


@pytest.mark.parametrize("recv_window_ms", [1, 5000, 60_000])
def test_a_request_is_absent_only_after_its_window(recv_window_ms: int) -> None:
    settings = dataclasses.replace(Settings(), recv_window_ms=recv_window_ms)
    assert (
        factory.maker_exit_params(settings).request_expires_s
        == factory.request_expires_s(settings)
        > recv_window_ms / 1000
    )


def test_the_channel_has_window_shift_and_source() -> None:
    settings = dataclasses.replace(Settings(), donchian_window=3, donchian_shift=1, donchian_source="high_low")
    channel = factory.donchian_channel(settings)
    assert channel.current is None


def test_the_back_off_gives_up_after_the_attempts_allowed() -> None:
    settings = dataclasses.replace(Settings(), reconnect_base_sec=2.0, reconnect_max_sec=4.0, reconnect_max_retries=3)
    backoff = factory.reconnect_params(settings).backoff(Random(1))
    for longest_s in (2.0, 4.0, 4.0):
        assert 0 <= backoff.next_delay_s(0.0, "closed") <= longest_s
    with pytest.raises(ExchangeUnreachable):
        backoff.next_delay_s(0.0, "closed")

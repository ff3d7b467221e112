"""The trading core that is built from settings and from what the start has found out."""

from decimal import Decimal

import pytest
from tests.execution.order_builders import RULES

from trailingedge.config import Settings
from trailingedge.execution.order_rate_budget import OrderRateBudget
from trailingedge.indicators.donchian import Breakout
from trailingedge.live.core_factory import CoreStart, build_core
from trailingedge.live.factory import services_params
from trailingedge.strategy.state import StrategyState


@pytest.mark.parametrize(("closes", "last"), [((100, 100, 100, 101), Breakout.UP), ((100, 101, 100, 100), None)])
def test_a_close_beyond_the_channel_before_the_start_is_known(closes: tuple[int, ...], last: Breakout | None) -> None:
    params = services_params(Settings(donchian_window=2, donchian_shift=1, rolling_klines_maxlen=10))
    history = tuple((float(close), float(close), float(close)) for close in closes)
    start = CoreStart(RULES, RULES, Decimal(0), 1, history, ())
    core = build_core(params, start, OrderRateBudget(0.2))
    core.restore(StrategyState(), None, 0.0)
    assert core.state.broken_out is last
    core.restore(StrategyState(last_close=1.0, last_close_ms=1, broken_out=Breakout.DOWN), None, 0.0)
    assert core.state.broken_out is Breakout.DOWN  # recovery has seen newer candles

"""Chart levels: what all reports draw at one moment."""

from dataclasses import replace

import pytest
from tests.strategy.strategy_harness import DEFAULTS

from trailingedge.indicators.donchian import Channel
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Regime
from trailingedge.strategy.chart_levels import ChartLevels, chart_levels
from trailingedge.strategy.state import ReentryGate, ShutBy, StrategyState

IN_BASE = StrategyState(regime=Regime.BASE, anchor=100.0, high=110.0)
FULL = Channel(101.0, 99.0, full=True)


def levels(state: StrategyState = IN_BASE, kind: ExitKind | None = None, channel: Channel | None = FULL) -> ChartLevels:
    return chart_levels(state, kind, state.high, 109.9, channel, DEFAULTS)


def test_anchor_high_trail_and_stop_are_prices() -> None:
    now = levels()
    assert (now.anchor, now.high, now.channel) == (100.0, 110.0, FULL)
    assert now.trail is not None
    assert now.stop is not None
    assert now.stop < 100.0 < now.trail < 110.0


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        pytest.param(replace(IN_BASE, gate=ReentryGate(ShutBy.HARD_STOP, 100.0, 1)), None, id="gate shut"),
        pytest.param(IN_BASE, ExitKind.FLUSH, id="a hard stop sells"),
    ],
)
def test_levels_that_cannot_act_are_not_drawn(state: StrategyState, kind: ExitKind | None) -> None:
    now = levels(state, kind)
    assert (now.trail, now.stop, now.anchor) == (None, None, 100.0)


def test_a_channel_that_is_not_full_is_not_drawn() -> None:
    assert levels(channel=Channel(101.0, 99.0, full=False)).channel is None


def test_without_a_regime_there_is_the_channel_alone() -> None:
    assert levels(StrategyState()) == ChartLevels(channel=FULL)

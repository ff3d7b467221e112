"""A fold that skips quiet klines ends where a fold of all of them ends."""

from dataclasses import replace

import pytest
from tests.strategy.strategy_harness import START_MS, full_channel, kline, params

from trailingedge.model.market import Regime
from trailingedge.strategy.bar_close import apply_closed_bars
from trailingedge.strategy.closed_bar_catch_up import BarFold
from trailingedge.strategy.inputs import ClosedKline
from trailingedge.strategy.state import ReentryGate, ShutBy, StrategyState

CHANNEL = full_channel(99.0, 101.0)
IN_QUOTE = StrategyState(regime=Regime.QUOTE, funded=True, anchor=0.01, high=1.0, anchor_ms=START_MS - 1)
SHUT = replace(IN_QUOTE, gate=ReentryGate(ShutBy.HARD_STOP, 99.0, START_MS - 1))


def closed(minute: int, close: float) -> ClosedKline:
    return ClosedKline(kline(minute, close), CHANNEL)


def skipping(state: StrategyState, klines: list[ClosedKline]) -> tuple[StrategyState, int]:
    """The state after a fold as the backtest does it, and how many klines it skipped."""
    fold, skipped = BarFold(params()), 0
    for bar in klines:
        close, close_ms = float(bar.kline.close), bar.kline.close_ms
        if fold.changes_nothing(state, close, close_ms, bar.channel):
            fold.skip(close, close_ms, bar.channel)
            skipped += 1
        else:
            state = fold.apply(state, bar)
    return fold.catch_up(state), skipped


@pytest.mark.parametrize("state", [pytest.param(IN_QUOTE, id="open gate"), pytest.param(SHUT, id="shut gate")])
@pytest.mark.parametrize(
    "closes",
    [
        pytest.param([100.0, 100.1, 99.9], id="within the channel"),
        pytest.param([99.5, 99.9, 100.1, 100.2], id="through the mid price"),
        pytest.param([100.0, 103.0, 102.0, 99.0, 100.5], id="beyond both edges"),
    ],
)
def test_skipping_quiet_klines_leads_to_the_same_state(state: StrategyState, closes: list[float]) -> None:
    klines = [closed(minute, close) for minute, close in enumerate(closes)]
    whole, _ = apply_closed_bars(state, klines, params())
    found, skipped = skipping(state, klines)
    assert replace(found, high=0.0) == replace(whole, high=0.0)  # a backtest has the high from its ticks
    assert skipped > 0


def test_only_the_newest_skipped_close_is_entered_and_only_once() -> None:
    fold = BarFold(params())
    fold.skip(100.0, START_MS + 1, CHANNEL)
    fold.skip(100.5, START_MS + 2, CHANNEL)
    state = fold.catch_up(IN_QUOTE)
    assert (state.last_close, state.last_close_ms) == (100.5, START_MS + 2)
    assert fold.catch_up(IN_QUOTE) == IN_QUOTE

"""Closed klines: gate, QUOTE stop and high, live and in a catch-up."""

from dataclasses import replace

import pytest
from tests.strategy.strategy_harness import START_MS, full_channel, kline, params

from trailingedge.core.time_units import MINUTE_MS
from trailingedge.indicators.donchian import Breakout, Channel
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import Regime, Side
from trailingedge.strategy.bar_close import apply_closed_bars, on_bar_close
from trailingedge.strategy.inputs import ClosedKline
from trailingedge.strategy.state import ActiveExit, ReentryGate, ShutBy, StrategyState
from trailingedge.strategy.strategy_events import BrokeOut, ExitEnding, GateOpened, GateShut

CHANNEL = full_channel(99.9, 100.1)  # mid 100, so narrow that the stop lies at its threshold of 0.5 %
IN_QUOTE = StrategyState(regime=Regime.QUOTE, funded=True, anchor=0.01, high=0.01, anchor_ms=START_MS - 1)
IN_BASE = StrategyState(regime=Regime.BASE, funded=True, anchor=100.0, high=100.0, anchor_ms=START_MS - 1)
FLUSHED = replace(IN_QUOTE, gate=ReentryGate(ShutBy.HARD_STOP, 99.0, START_MS - 1))
STOPPED = replace(IN_QUOTE, gate=ReentryGate(ShutBy.QUOTE_STOP, 101.0, START_MS - 1))


def closed(minute: int, close: float, channel: Channel | None = CHANNEL) -> ClosedKline:
    return ClosedKline(kline(minute, close), channel)


def buying(kind: ExitKind, ending: ExitEndReason | None = None) -> StrategyState:
    return replace(IN_QUOTE, exit=ActiveExit(kind, Side.BUY, 7, START_MS, ending=ending))


def test_a_close_above_the_stop_shuts_the_gate() -> None:
    state, events = on_bar_close(IN_QUOTE, closed(0, 101.0), params())
    assert state.gate == ReentryGate(ShutBy.QUOTE_STOP, 101.0, START_MS + MINUTE_MS - 1)
    assert events[0] == GateShut(ShutBy.QUOTE_STOP, 101.0, 100.0)


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(IN_BASE, id="in base"),
        pytest.param(replace(IN_QUOTE, funded=False), id="unfunded"),
        pytest.param(replace(IN_QUOTE, anchor_ms=START_MS + MINUTE_MS), id="a close from before the anchor"),
        pytest.param(buying(ExitKind.MANUAL), id="a manual buy"),
        pytest.param(buying(ExitKind.BREAKOUT), id="a breakout buy"),
        pytest.param(buying(ExitKind.TAKE_PROFIT, ExitEndReason.CANCELLED), id="a buy that is ending already"),
        pytest.param(StrategyState(), id="no regime yet"),
    ],
)
def test_the_quote_stop_leaves_alone(state: StrategyState) -> None:
    after, events = on_bar_close(state, closed(0, 101.0, None), params())
    assert after.gate is None
    assert after.exit == state.exit
    assert events == ()


def test_a_close_within_the_distance_shuts_nothing() -> None:
    state, events = on_bar_close(IN_QUOTE, closed(0, 100.1), params())
    assert state.gate is None
    assert events == ()


def test_a_wide_channel_moves_the_stop_away() -> None:
    state, _ = on_bar_close(IN_QUOTE, closed(0, 101.0, full_channel(97.0, 103.0)), params())
    assert state.gate is None


def test_the_quote_stop_cancels_a_take_profit_buy() -> None:
    state, events = on_bar_close(buying(ExitKind.TAKE_PROFIT), closed(0, 101.0, None), params())
    assert state.exit is not None
    assert state.exit.ending is ExitEndReason.STOPPED
    assert events == (
        GateShut(ShutBy.QUOTE_STOP, 101.0, None),
        ExitEnding(ExitKind.TAKE_PROFIT, Side.BUY, 7, ExitEndReason.STOPPED),
    )


def test_a_gate_after_a_hard_stop_opens_at_the_crossing_with_a_new_anchor() -> None:
    state, _ = apply_closed_bars(FLUSHED, [closed(0, 99.5), closed(1, 99.8)], params())
    assert state.gate is not None
    state, events = apply_closed_bars(state, [closed(2, 100.05)], params())
    assert state.gate is None
    assert state.anchor == state.high == 1 / 100.05
    assert state.anchor_ms == START_MS + 3 * MINUTE_MS - 1
    assert events == (GateOpened(ShutBy.HARD_STOP, 100.05, 100.0),)


def test_the_shutting_price_stands_in_for_the_close_before() -> None:
    earlier = replace(FLUSHED, last_close=105.0, last_close_ms=START_MS - 1)
    state, _ = on_bar_close(earlier, closed(0, 100.05), params())
    assert state.gate is None


def test_a_close_from_before_the_shut_opens_nothing() -> None:
    late = replace(FLUSHED, gate=ReentryGate(ShutBy.HARD_STOP, 99.0, START_MS + MINUTE_MS - 1))
    state, _ = on_bar_close(late, closed(0, 100.05), params())
    assert state.gate is not None


def test_a_stop_gate_opens_downwards() -> None:
    state, _ = apply_closed_bars(STOPPED, [closed(0, 100.5), closed(1, 99.95)], params())
    assert state.gate is None


def test_a_channel_that_is_not_full_keeps_the_gate_shut() -> None:
    state, _ = on_bar_close(FLUSHED, closed(0, 100.05, Channel(100.1, 99.9, full=False)), params())
    assert state.gate is not None


def test_the_same_close_counts_once() -> None:
    once, _ = on_bar_close(IN_QUOTE, closed(0, 100.05), params())
    twice, events = on_bar_close(once, closed(0, 120.0), params())
    assert twice == once
    assert events == ()


def test_a_fold_raises_the_high_to_the_best_that_traded() -> None:
    base, _ = apply_closed_bars(IN_BASE, [ClosedKline(kline(0, 100.0, high=104.0, low=90.0), CHANNEL)], params())
    quote, _ = apply_closed_bars(IN_QUOTE, [ClosedKline(kline(0, 100.0, high=104.0, low=80.0), CHANNEL)], params())
    assert (base.high, base.anchor) == (104.0, 100.0)
    assert (quote.high, quote.anchor) == (1 / 80.0, 0.01)


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(replace(IN_BASE, anchor_ms=START_MS + 1), id="it began before the anchor"),
        pytest.param(replace(IN_BASE, funded=False), id="unfunded"),
        pytest.param(StrategyState(), id="no regime yet"),
        pytest.param(replace(IN_BASE, high=200.0), id="the high is higher"),
    ],
)
def test_a_fold_leaves_the_high(state: StrategyState) -> None:
    after, _ = apply_closed_bars(state, [ClosedKline(kline(0, 100.0, high=150.0), None)], params())
    assert after.high == state.high


def test_a_watched_kline_does_not_move_the_high() -> None:
    watched = ClosedKline(kline(0, 100.0, high=104.0), None)
    assert on_bar_close(IN_BASE, watched, params())[0].high == 100.0
    blind = replace(IN_BASE, untrusted_book_ms=START_MS)
    assert on_bar_close(blind, watched, params())[0].high == 104.0


def test_a_fold_never_starts_an_exit() -> None:
    down = [closed(minute, 100.0 - 5 * minute) for minute in range(10)]
    state, _ = apply_closed_bars(IN_BASE, down, params(breakout_exit=True))
    assert state.exit is None
    assert state.regime is Regime.BASE


def test_only_the_first_close_beyond_an_edge_is_news() -> None:
    state, events = apply_closed_bars(IN_BASE, [closed(0, 100.0), closed(1, 101.0), closed(2, 102.0)], params())
    assert events == (BrokeOut(Breakout.UP, 101.0, 100.1, 99.9),)
    _, events = apply_closed_bars(state, [closed(3, 99.0)], params())
    assert events == (BrokeOut(Breakout.DOWN, 99.0, 100.1, 99.9),)

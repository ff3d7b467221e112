"""TRIGGER_ON=close: take-profit, hard stop and high follow the closes of candles alone."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.strategy.strategy_harness import MINUTE_MS, StrategyRun, held, in_base, in_quote, kline, params
from tests.strategy.test_properties import Moment, Walk, wild

from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Regime, Side
from trailingedge.model.trigger_mode import TriggerOn
from trailingedge.strategy.bar_close import apply_closed_bars
from trailingedge.strategy.decide import Rule
from trailingedge.strategy.inputs import ClosedKline
from trailingedge.strategy.state import ShutBy, StrategyState
from trailingedge.strategy.strategy_events import ExitStarted, HardStopTriggered

ON_CLOSE = params(trigger_on=TriggerOn.CLOSE, hard_stop_confirm_sec=600.0)


def base(anchor: str = "2500") -> StrategyRun:
    return in_base(anchor, settings=ON_CLOSE)


def test_no_price_between_two_closes_moves_anything() -> None:
    run = base()
    before = run.state
    for bid in ("2600", "2570", "2000", "1000", "2700", "2500"):
        step = run.tick(bid, highest_bid=Decimal(2800), seconds=700)
        assert (step.decision.acted, step.intent) == (None, None)
    assert (run.state.high, run.state.anchor) == (before.high, before.anchor)
    assert run.state.stop_breach_since_ms is None


def test_the_take_profit_is_judged_at_the_close_whatever_the_bid() -> None:
    run = base()
    run.close("2600", bid="2400")
    assert run.state.high == 2600.0
    step = run.close("2580", bid="2610")
    assert step.decision.acted is Rule.TAKE_PROFIT
    assert step.decision.judged_close == 2580.0
    assert step.decision.trail is not None
    assert step.decision.trail.unit_value == 2580.0
    assert [type(event) for event in step.events] == [ExitStarted]


def test_the_buy_back_is_judged_at_the_close() -> None:
    run = in_quote(settings=ON_CLOSE)
    run.close("2400", bid="2500")
    assert run.state.high == pytest.approx(1 / 2400)
    step = run.close("2420", bid="2390")
    assert step.intent is not None
    assert (step.intent.side, step.intent.kind) == (Side.BUY, ExitKind.TAKE_PROFIT)


def test_the_hard_stop_needs_no_confirmation_but_the_close() -> None:
    run = base()
    step = run.close("2487.5", bid="2495")
    assert step.decision.acted is Rule.BASE_STOP
    (event,) = step.events
    assert isinstance(event, HardStopTriggered)
    assert event.price == Decimal("2487.5")


def test_the_hard_stop_takes_over_a_sale_at_a_close_only() -> None:
    run = base()
    run.flip("2500")
    assert run.tick("2000", seconds=700).decision.acted is None
    assert run.close("2400").decision.acted is Rule.BASE_STOP


@pytest.mark.parametrize(
    ("bid", "settled"), [pytest.param(None, True, id="no book"), pytest.param("2580", False, id="balances on the way")]
)
def test_a_close_that_cannot_be_judged_yet_is_judged_as_soon_as_it_can(bid: str | None, settled: bool) -> None:
    run = base()
    run.close("2600")
    assert run.tick(bid, closes=[kline(1, "2580")], settled=settled).intent is None
    assert run.tick("2700").decision.acted is Rule.TAKE_PROFIT


def test_a_hard_stop_at_a_close_waits_for_a_trusted_book() -> None:
    run = base()
    assert run.tick(None, closes=[kline(0, "2400")]).intent is None
    assert run.tick("2450").decision.acted is Rule.BASE_STOP


def test_a_close_is_judged_once() -> None:
    run = base()
    run.close("2600")
    assert run.close("2580", trading_paused=True).intent is None
    assert run.tick("2580").intent is None  # the pause is over, and so is the close
    assert run.close("2570").decision.acted is Rule.TAKE_PROFIT


def test_of_several_closes_the_newest_is_judged_and_all_raise_the_high() -> None:
    run = base()
    run.market_ms += 3 * MINUTE_MS
    step = run.tick("2599", closes=[kline(0, "2400"), kline(1, "2600"), kline(2, "2599")])
    assert (step.decision.acted, run.state.high) == (None, 2600.0)


def test_a_close_heard_with_a_fill_is_not_judged_for_the_new_side() -> None:
    run = base()
    run.flip("2500")
    run.fill("2500")
    run.close("2300")
    assert (run.regime(), run.state.high) == (Regime.QUOTE, 1 / 2500)
    assert run.tick("2350").intent is None


def test_the_quote_stop_and_the_gate_are_what_they_were() -> None:
    run = in_quote(settings=ON_CLOSE)
    run.close("2600")
    gate = run.gate()
    assert gate is not None
    assert gate.shut_by is ShutBy.QUOTE_STOP


def test_after_a_restart_the_first_fresh_tick_judges_the_newest_close() -> None:
    closes = [ClosedKline(kline(minute, close), None) for minute, close in enumerate(("2600", "2580"))]
    anchored = StrategyState().anchored(Regime.BASE, 2500.0, kline(0, 1).open_ms)
    state, _ = apply_closed_bars(anchored, closes, ON_CLOSE)
    assert state.high == 2600.0  # and not the best price within a candle
    run = StrategyRun(ON_CLOSE, state=state)
    run.market_ms += 3 * MINUTE_MS
    assert run.tick("2700").decision.acted is Rule.TAKE_PROFIT


@given(moments=st.lists(wild, max_size=60), quote=st.sampled_from([0, 2500]))
def test_the_state_that_closes_lead_to_is_that_of_a_run(moments: list[Moment], quote: int) -> None:
    """A restart folds the closes since the anchor, and reaches the high of a daemon that never stopped."""
    walk = Walk(ON_CLOSE, quote=quote)
    walk.run.tick("2500")
    since, closes = walk.run.state, list[ClosedKline]()
    for moment in moments:
        step = walk.step(moment)
        assert walk.run.last_inputs is not None
        if step.state.anchor_ms != since.anchor_ms or step.state.regime is not since.regime or not step.state.funded:
            since, closes = step.state, []
            continue
        closes += walk.run.last_inputs.closed_klines
        folded, _ = apply_closed_bars(since, closes, ON_CLOSE)
        if folded.anchor_ms == since.anchor_ms:  # no gate opened in between
            assert folded.high == step.state.high


def test_nothing_is_judged_without_enough_to_trade() -> None:
    run = base()
    run.holdings = held()
    run.tick("2500")
    assert run.close("2000").decision.judged_close is None

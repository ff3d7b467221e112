"""A finished exit means the same side, anchor and gate, live and after a restart."""

import pytest
from tests.execution.order_builders import NUMBER, D
from tests.reconciliation.account_histories import Past, at, position_now
from tests.strategy.strategy_harness import START_MS

from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Regime, Side
from trailingedge.reconciliation.anchor_timeline import reconstruct
from trailingedge.strategy.side_change import (
    NewAnchor,
    after_filled_exit,
    after_partial_exit,
    side_after_partial_exit,
    with_new_anchor,
)
from trailingedge.strategy.state import ReentryGate, ShutBy, StrategyState
from trailingedge.strategy.strategy_events import Origin

BASE, QUOTE = Regime.BASE, Regime.QUOTE


@pytest.mark.parametrize(
    ("kind", "side", "regime", "shuts_gate"),
    [
        pytest.param(ExitKind.TAKE_PROFIT, Side.SELL, QUOTE, False, id="take-profit"),
        pytest.param(ExitKind.FLUSH, Side.SELL, QUOTE, True, id="hard stop"),
        pytest.param(ExitKind.TAKE_PROFIT, Side.BUY, BASE, False, id="buy-back"),
    ],
)
def test_a_filled_exit_sets_the_other_side_at_its_average(
    kind: ExitKind, side: Side, regime: Regime, shuts_gate: bool
) -> None:
    new = NewAnchor(START_MS, regime, 101.5, Origin.EXIT, shuts_gate)
    assert after_filled_exit(kind, side, D("101.5"), START_MS) == new


@pytest.mark.parametrize("kind", [ExitKind.TAKE_PROFIT, ExitKind.FLUSH])
def test_the_restart_reads_the_same_change_from_the_account(kind: ExitKind) -> None:
    past = Past()
    past.sell(0, "101.50", NUMBER, kind)
    timeline = reconstruct(past.history(), position_now("0", "101.5"))
    assert timeline.changes == (after_filled_exit(kind, Side.SELL, D("101.50"), at(1)),)


def test_a_hard_stop_that_sold_a_part_does_not_shut_the_gate() -> None:
    assert after_partial_exit(BASE, QUOTE, D(99), START_MS) == NewAnchor(START_MS, QUOTE, 99.0, Origin.EXIT)
    assert after_partial_exit(BASE, BASE, D(99), START_MS) is None


def test_a_partial_exit_leads_to_the_side_worth_more() -> None:
    for base, quote, regime in (("0.9", "10", BASE), ("0.1", "90", QUOTE), ("0", "0", BASE)):
        now = position_now(base, quote)
        assert side_after_partial_exit(BASE, now.holdings, now.top, now.params) is regime


def test_a_new_anchor_of_a_hard_stop_shuts_the_gate() -> None:
    state = with_new_anchor(StrategyState(), NewAnchor(START_MS, QUOTE, 99.0, Origin.EXIT, shuts_gate=True))
    assert (state.regime, state.anchor_ms) == (QUOTE, START_MS)
    assert state.gate == ReentryGate(ShutBy.HARD_STOP, 99.0, START_MS)
    assert with_new_anchor(state, NewAnchor(START_MS, BASE, 98.0, Origin.MARKET)).gate is None

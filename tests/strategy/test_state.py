"""Phases, and what a new anchor keeps."""

from dataclasses import replace

import pytest

from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Regime, Side
from trailingedge.strategy.state import ActiveExit, Phase, ReentryGate, ShutBy, StrategyState

GATE = ReentryGate(ShutBy.QUOTE_STOP, 2500.0, 0)
SELLING = ActiveExit(ExitKind.TAKE_PROFIT, Side.SELL, 1, 0)
FLUSHING = ActiveExit(ExitKind.FLUSH, Side.SELL, 1, 0)
BUYING = ActiveExit(ExitKind.MANUAL, Side.BUY, 1, 0)


@pytest.mark.parametrize(
    ("state", "phase"),
    [
        pytest.param(StrategyState(), Phase.UNFUNDED, id="nothing known yet"),
        pytest.param(StrategyState(regime=Regime.BASE, funded=False), Phase.UNFUNDED, id="too little of everything"),
        pytest.param(StrategyState(regime=Regime.BASE, funded=True), Phase.WATCHING, id="funded"),
        pytest.param(StrategyState(regime=Regime.BASE, funded=True, exit=SELLING), Phase.EXITING, id="an exit"),
        pytest.param(StrategyState(regime=Regime.BASE, funded=True, exit=FLUSHING), Phase.FLUSHING, id="a flush"),
        pytest.param(StrategyState(regime=Regime.QUOTE, funded=True, gate=GATE), Phase.GATED, id="a shut gate"),
        pytest.param(
            StrategyState(regime=Regime.QUOTE, funded=True, gate=GATE, exit=BUYING),
            Phase.EXITING,
            id="a buy under a gate",
        ),
        pytest.param(
            StrategyState(regime=Regime.QUOTE, funded=False, gate=GATE), Phase.UNFUNDED, id="a gate with no funds"
        ),
    ],
)
def test_the_phase_follows_from_what_is_remembered(state: StrategyState, phase: Phase) -> None:
    assert state.phase is phase


def test_a_new_anchor_starts_the_high_afresh_and_forgets_a_breach() -> None:
    before = StrategyState(regime=Regime.BASE, anchor=2500.0, high=2600.0, stop_breach_since_ms=5)
    after = before.anchored(Regime.QUOTE, 2000.0, 7)
    assert (after.regime, after.anchor, after.high, after.anchor_ms) == (Regime.QUOTE, 1 / 2000, 1 / 2000, 7)
    assert after.stop_breach_since_ms is None


@pytest.mark.parametrize(
    ("regime", "gate"),
    [pytest.param(Regime.BASE, None, id="base has none"), pytest.param(Regime.QUOTE, GATE, id="quote keeps it")],
)
def test_becoming_base_discards_the_gate(regime: Regime, gate: ReentryGate | None) -> None:
    before = replace(StrategyState(regime=Regime.QUOTE, funded=True), gate=GATE)
    assert before.anchored(regime, 2500.0, 0).gate is gate

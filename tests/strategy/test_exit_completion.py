"""The end of an exit, and the regime after it."""

from decimal import Decimal
from typing import Any

import pytest
from tests.strategy.strategy_harness import StrategyRun, gated, held, in_base, in_quote, kline

from trailingedge.model.intent import ExitEndReason
from trailingedge.model.market import Regime
from trailingedge.strategy.state import Phase, ReentryGate, ShutBy
from trailingedge.strategy.strategy_events import ExitEnded, ExitStarted, GateShut, Origin, RegimeSet


def ended(run: StrategyRun) -> ExitEnded:
    """The one exit that ended."""
    told = [event for event in run.events if isinstance(event, ExitEnded)]
    assert len(told) == 1
    return told[0]


def test_a_completed_sell_is_quote_at_its_own_average() -> None:
    run = in_base("2500")
    run.flip("2500")
    run.fill("2501", "0.5")
    run.tick("2500")
    run.fill("2503")
    run.tick("2500")
    assert run.phase() is Phase.WATCHING
    assert (run.regime(), run.state.anchor, run.gate()) == (Regime.QUOTE, 1 / 2502, None)
    end = ended(run)
    assert (end.cause, end.average, end.filled_base, end.regime) == (
        ExitEndReason.FILLED,
        Decimal(2502),
        Decimal(1),
        Regime.QUOTE,
    )
    assert RegimeSet(Regime.BASE, Regime.QUOTE, 2502.0, Origin.EXIT) in run.events


def test_a_completed_buy_is_base_at_its_own_average() -> None:
    run = in_quote("2500")
    run.flip("2500")
    run.fill("2499")
    run.tick("2500")
    assert (run.regime(), run.state.anchor) == (Regime.BASE, 2499.0)
    assert run.state.high == 2500.0


def test_a_finished_flush_shuts_the_gate() -> None:
    run = gated("2500")
    assert run.phase() is Phase.GATED
    assert run.gate() == ReentryGate(ShutBy.HARD_STOP, 2475.0, run.market_ms)
    assert run.state.anchor == 1 / 2475
    assert run.signals(GateShut) == [GateShut(ShutBy.HARD_STOP, 2475.0, None)]


def test_an_exit_that_vanished_leaves_the_side_to_the_balances() -> None:
    run = in_base("2500")
    run.flip("2500")
    run.holdings = held("0", "2490")
    run.report(idle=True, complete=ExitEndReason.FUNDS_GONE)
    run.tick("2500")
    assert ended(run).cause is ExitEndReason.FUNDS_GONE
    assert ended(run).average is None
    assert run.regime() is Regime.QUOTE
    assert run.exit() is None


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        pytest.param({"trading_paused": True}, ExitEndReason.PAUSED, id="held"),
        pytest.param({"command_expired": True}, ExitEndReason.EXPIRED, id="expired"),
        pytest.param({"halted": True}, ExitEndReason.HALTED, id="halted"),
    ],
)
def test_an_exit_that_never_filled_leaves_everything_as_it_was(given: dict[str, Any], cause: ExitEndReason) -> None:
    run = in_quote("2500")
    run.tick("2480")
    before = (run.regime(), run.state.anchor, run.state.high)
    run.flip("2490")
    assert run.tick("2490", **given).intent is None
    assert run.tick("2490").intent is None
    assert ended(run).cause is cause
    assert (run.regime(), run.state.anchor, run.state.high) == before
    assert run.phase() is Phase.WATCHING


@pytest.mark.parametrize(
    ("share", "regime", "anchor", "idle"),
    [
        pytest.param("0.25", Regime.QUOTE, 1 / 2500, Decimal("0.25"), id="little bought: still quote, anchor kept"),
        pytest.param("0.75", Regime.BASE, 2490.0, Decimal(625), id="most bought: base, at the exit's average"),
    ],
)
def test_after_a_part_filled_exit_the_regime_is_the_asset_worth_more(
    share: str, regime: Regime, anchor: float, idle: Decimal
) -> None:
    run = in_quote("2500")
    run.tick("2480")
    high = run.state.high
    run.flip("2490")
    run.fill("2490", share)
    run.tick("2490", trading_paused=True)
    run.tick("2490", trading_paused=True)
    assert (run.regime(), run.state.anchor) == (regime, anchor)
    assert run.state.high == (high if regime is Regime.QUOTE else anchor)
    end = ended(run)
    assert end.regime is regime
    assert end.idle is not None
    assert end.idle == pytest.approx(idle * (1 if regime is Regime.BASE else Decimal(2500) / 2490))


@pytest.mark.parametrize(
    ("share", "regime", "price"),
    [
        pytest.param(None, Regime.BASE, 2480.0, id="nothing sold: base"),
        pytest.param("0.25", Regime.BASE, 2480.0, id="little sold: base"),
        pytest.param("0.75", Regime.QUOTE, 2480.01, id="most sold: quote"),
    ],
)
def test_a_cancelled_exit_is_anchored_at_the_market(share: str | None, regime: Regime, price: float) -> None:
    run = in_base("2500")
    run.flip("2500")
    if share is not None:
        run.fill("2500", share)
    run.cancel("2480")
    run.tick("2480")
    assert ended(run).cause is ExitEndReason.CANCELLED
    assert RegimeSet(Regime.BASE, regime, price, Origin.MARKET) in run.events
    assert run.state.anchor == run.state.high
    assert run.phase() is Phase.WATCHING


def test_a_cancelled_flush_shuts_no_gate() -> None:
    run = in_base("2500")
    run.tick("2480")
    run.tick("2480")
    assert run.phase() is Phase.FLUSHING
    run.fill("2480", "0.9")
    run.cancel("2480")
    run.tick("2480")
    assert (run.regime(), run.gate(), run.phase()) == (Regime.QUOTE, None, Phase.WATCHING)


def test_a_cancelled_manual_buy_leaves_a_shut_gate_shut() -> None:
    run = gated("2500")
    gate = run.gate()
    run.flip("2470")
    assert run.phase() is Phase.EXITING
    run.cancel("2470")
    run.tick("2470")
    assert run.phase() is Phase.GATED
    assert run.gate() == gate


def test_a_cancelled_exit_waits_for_a_price_before_it_is_over() -> None:
    run = in_base("2500")
    run.flip("2500")
    run.cancel(None)
    assert run.tick(None).intent is None
    assert run.exit() is not None
    run.tick("2500")
    assert run.exit() is None


def test_a_fill_that_crosses_the_cancel_completes_the_exit() -> None:
    run = in_base("2500")
    run.flip("2500")
    run.fill("2501")
    run.cancel("2500")
    assert ended(run).cause is ExitEndReason.FILLED
    assert run.regime() is Regime.QUOTE


def test_a_buy_that_beats_the_quote_stop_is_base_without_a_gate() -> None:
    run = in_quote("2500")
    run.tick("2440")
    run.tick("2455")
    assert run.signals(ExitStarted)
    run.tick("2515", seconds=60, closes=[kline(0, 2515)])
    assert run.gate() is not None
    run.report(filled_base=Decimal(1), filled_quote=Decimal(2450), idle=True, complete=ExitEndReason.FILLED)
    run.holdings = held("1")
    run.tick("2515")
    assert (run.regime(), run.gate(), run.phase()) == (Regime.BASE, None, Phase.WATCHING)
    assert ended(run).cause is ExitEndReason.FILLED


def test_an_exit_is_not_over_while_an_order_of_it_may_be_open() -> None:
    run = in_base("2500")
    run.flip("2500")
    run.tick("2500", command_expired=True)
    run.report(idle=False)
    run.tick("2500")
    assert run.exit() is not None
    run.report(idle=True)
    run.tick("2500")
    assert run.exit() is None


def test_progress_of_another_exit_is_none_of_ours() -> None:
    run = in_base("2500")
    run.flip("2500")
    run.fill("2501")
    run.report(number=1)
    run.tick("2500")
    assert run.exit() is not None

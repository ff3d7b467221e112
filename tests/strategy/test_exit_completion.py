"""How exits end, and what is held then."""

from decimal import Decimal
from typing import Any

import pytest
from tests.strategy.strategy_harness import StrategyRun, gated, held, in_base, in_quote, kline

from trailingedge.model.intent import ExitEndReason
from trailingedge.model.market import Regime
from trailingedge.strategy.signals import ExitEnded, ExitStarted, GateShut, Origin, RegimeSet
from trailingedge.strategy.state import Phase, ReentryGate, ShutBy


def ended(life: StrategyRun) -> ExitEnded:
    """The one exit that ended."""
    told = [event for event in life.events if isinstance(event, ExitEnded)]
    assert len(told) == 1
    return told[0]


def test_a_completed_sell_is_quote_at_its_own_average() -> None:
    life = in_base("2500")
    life.flip("2500")
    life.fill("2501", "0.5")
    life.tick("2500")
    life.fill("2503")
    life.tick("2500")
    assert life.phase() is Phase.WATCHING
    assert (life.regime(), life.state.anchor, life.gate()) == (Regime.QUOTE, 1 / 2502, None)
    end = ended(life)
    assert (end.cause, end.average, end.filled_base, end.regime) == (
        ExitEndReason.FILLED,
        Decimal(2502),
        Decimal(1),
        Regime.QUOTE,
    )
    assert RegimeSet(Regime.BASE, Regime.QUOTE, 2502.0, Origin.EXIT) in life.events


def test_a_completed_buy_is_base_at_its_own_average() -> None:
    life = in_quote("2500")
    life.flip("2500")
    life.fill("2499")
    life.tick("2500")
    assert (life.regime(), life.state.anchor) == (Regime.BASE, 2499.0)
    assert life.state.high == 2500.0


def test_a_finished_flush_shuts_the_gate() -> None:
    life = gated("2500")
    assert life.phase() is Phase.GATED
    assert life.gate() == ReentryGate(ShutBy.HARD_STOP, 2475.0, life.market_ms)
    assert life.state.anchor == 1 / 2475
    assert life.signals(GateShut) == [GateShut(ShutBy.HARD_STOP, 2475.0, None)]


def test_an_exit_that_vanished_leaves_the_side_to_the_balances() -> None:
    life = in_base("2500")
    life.flip("2500")
    life.holdings = held("0", "2490")
    life.report(idle=True, complete=ExitEndReason.FUNDS_GONE)
    life.tick("2500")
    assert ended(life).cause is ExitEndReason.FUNDS_GONE
    assert ended(life).average is None
    assert life.regime() is Regime.QUOTE
    assert life.exit() is None


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        pytest.param({"trading_paused": True}, ExitEndReason.PAUSED, id="held"),
        pytest.param({"expire": True}, ExitEndReason.EXPIRED, id="expired"),
        pytest.param({"halted": True}, ExitEndReason.HALTED, id="halted"),
    ],
)
def test_an_exit_that_never_filled_leaves_everything_as_it_was(given: dict[str, Any], cause: ExitEndReason) -> None:
    life = in_quote("2500")
    life.tick("2480")
    before = (life.regime(), life.state.anchor, life.state.high)
    life.flip("2490")
    assert life.tick("2490", **given).intent is None
    assert life.tick("2490").intent is None
    assert ended(life).cause is cause
    assert (life.regime(), life.state.anchor, life.state.high) == before
    assert life.phase() is Phase.WATCHING


@pytest.mark.parametrize(
    ("share", "regime", "anchor", "idle"),
    [
        pytest.param("0.25", Regime.QUOTE, 1 / 2500, Decimal("0.25"), id="little bought: still quote, anchor kept"),
        pytest.param("0.75", Regime.BASE, 2490.0, Decimal(625), id="most bought: base, at the exit's average"),
    ],
)
def test_an_exit_that_ends_half_way_is_whatever_is_worth_more(
    share: str, regime: Regime, anchor: float, idle: Decimal
) -> None:
    life = in_quote("2500")
    life.tick("2480")
    high = life.state.high
    life.flip("2490")
    life.fill("2490", share)
    life.tick("2490", trading_paused=True)
    life.tick("2490", trading_paused=True)
    assert (life.regime(), life.state.anchor) == (regime, anchor)
    assert life.state.high == (high if regime is Regime.QUOTE else anchor)
    end = ended(life)
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
def test_a_withdrawn_exit_is_anchored_where_the_market_is(share: str | None, regime: Regime, price: float) -> None:
    life = in_base("2500")
    life.flip("2500")
    if share is not None:
        life.fill("2500", share)
    life.cancel("2480")
    life.tick("2480")
    assert ended(life).cause is ExitEndReason.CANCELLED
    assert RegimeSet(Regime.BASE, regime, price, Origin.MARKET) in life.events
    assert life.state.anchor == life.state.high
    assert life.phase() is Phase.WATCHING


def test_a_withdrawn_flush_shuts_no_gate() -> None:
    life = in_base("2500")
    life.tick("2480")
    life.tick("2480")
    assert life.phase() is Phase.FLUSHING
    life.fill("2480", "0.9")
    life.cancel("2480")
    life.tick("2480")
    assert (life.regime(), life.gate(), life.phase()) == (Regime.QUOTE, None, Phase.WATCHING)


def test_a_withdrawn_manual_buy_leaves_a_shut_gate_shut() -> None:
    life = gated("2500")
    gate = life.gate()
    life.flip("2470")
    assert life.phase() is Phase.EXITING
    life.cancel("2470")
    life.tick("2470")
    assert life.phase() is Phase.GATED
    assert life.gate() == gate


def test_a_withdrawn_exit_waits_for_a_price_before_it_is_closed() -> None:
    life = in_base("2500")
    life.flip("2500")
    life.cancel(None)
    assert life.tick(None).intent is None
    assert life.exit() is not None
    life.tick("2500")
    assert life.exit() is None


def test_a_fill_that_wins_the_race_against_the_withdrawal_completes_the_exit() -> None:
    life = in_base("2500")
    life.flip("2500")
    life.fill("2501")
    life.cancel("2500")
    assert ended(life).cause is ExitEndReason.FILLED
    assert life.regime() is Regime.QUOTE


def test_a_buy_that_beats_the_quote_stop_is_base_without_a_gate() -> None:
    life = in_quote("2500")
    life.tick("2440")
    life.tick("2455")
    assert life.signals(ExitStarted)
    life.tick("2515", seconds=60, closes=[kline(0, 2515)])
    assert life.gate() is not None
    life.report(filled_base=Decimal(1), filled_quote=Decimal(2450), idle=True, complete=ExitEndReason.FILLED)
    life.holdings = held("1")
    life.tick("2515")
    assert (life.regime(), life.gate(), life.phase()) == (Regime.BASE, None, Phase.WATCHING)
    assert ended(life).cause is ExitEndReason.FILLED


def test_an_exit_is_not_over_while_an_order_of_it_may_be_open() -> None:
    life = in_base("2500")
    life.flip("2500")
    life.tick("2500", expire=True)
    life.report(idle=False)
    life.tick("2500")
    assert life.exit() is not None
    life.report(idle=True)
    life.tick("2500")
    assert life.exit() is None


def test_progress_of_another_exit_is_none_of_ours() -> None:
    life = in_base("2500")
    life.flip("2500")
    life.fill("2501")
    life.report(number=1)
    life.tick("2500")
    assert life.exit() is not None

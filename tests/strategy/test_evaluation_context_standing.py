"""Regime and holdings, from balances and trades that are not ours."""

from dataclasses import replace
from decimal import Decimal

import pytest
from tests.strategy.strategy_harness import START_MS, StrategyRun, gated, held, in_base, in_quote, kline, params

from trailingedge.model.market import Regime
from trailingedge.strategy.inputs import StrategyParams
from trailingedge.strategy.state import Phase
from trailingedge.strategy.strategy_events import Funded, Origin, RegimeSet, Unfunded


@pytest.mark.parametrize(
    ("base", "quote", "regime", "price"),
    [
        pytest.param("1", "0", Regime.BASE, 2500.0, id="base, anchored at the bid"),
        pytest.param("0", "100", Regime.QUOTE, 2500.01, id="quote, anchored at the ask"),
        pytest.param("1", "2600", Regime.QUOTE, 2500.01, id="both: the side worth more"),
    ],
)
def test_at_first_the_side_worth_more(base: str, quote: str, regime: Regime, price: float) -> None:
    run = StrategyRun(base=base, quote=quote)
    assert run.tick("2500").events == (RegimeSet(None, regime, price, Origin.MARKET),)
    assert run.phase() is Phase.WATCHING


@pytest.mark.parametrize(
    ("settings", "outside", "expected"),
    [
        pytest.param(params(), Decimal(2400), RegimeSet(None, Regime.BASE, 2400.0, Origin.OUTSIDE), id="last fill"),
        pytest.param(
            params(anchor_price=Decimal(2300)),
            Decimal(2400),
            RegimeSet(None, Regime.BASE, 2300.0, Origin.SETTING),
            id="the setting wins at the first start",
        ),
    ],
)
def test_the_first_anchor_can_be_given(settings: StrategyParams, outside: Decimal, expected: RegimeSet) -> None:
    run = StrategyRun(settings)
    assert run.tick("2500", outside_price=outside).events == (expected,)
    assert run.state.high == 2500.0  # already the best since


def test_unfunded_is_signalled_once() -> None:
    run = StrategyRun(base="0.0001", quote="1")
    run.tick("2500")
    run.tick("2501")
    assert run.events == [Unfunded(None, held("0.0001", "1"))]
    assert run.phase() is Phase.UNFUNDED


def test_unfunded_keeps_regime_anchor_and_high() -> None:
    run = in_base("2500")
    run.holdings = held()
    run.tick("2600")
    assert run.phase() is Phase.UNFUNDED
    assert (run.regime(), run.state.anchor, run.state.high) == (Regime.BASE, 2500.0, 2500.0)
    run.holdings = held("1")
    assert run.tick("2510").events == (Funded(Regime.BASE, held("1")),)
    assert (run.phase(), run.state.anchor, run.state.high) == (Phase.WATCHING, 2500.0, 2510.0)


def test_the_side_held_is_sticky_while_it_is_tradable() -> None:
    run = in_base("2500")
    run.holdings = held("0.01", "90000")
    assert run.tick("2500").events == ()
    assert run.regime() is Regime.BASE


@pytest.mark.parametrize(
    ("outside", "price", "origin"),
    [
        pytest.param(Decimal("2495.5"), 2495.5, Origin.OUTSIDE, id="at the price of that fill"),
        pytest.param(None, 2490.01, Origin.MARKET, id="else at the market"),
    ],
)
def test_another_hand_can_change_the_side(outside: Decimal | None, price: float, origin: Origin) -> None:
    run = in_base("2500")
    run.holdings = held("0", "2495")
    assert run.tick("2490", outside_price=outside).events == (RegimeSet(Regime.BASE, Regime.QUOTE, price, origin),)
    assert run.state.anchor == 1 / price


def test_the_setting_is_for_the_first_start_only() -> None:
    run = in_base("2500", settings=params(anchor_price=Decimal(2300)))
    run.holdings = held("0", "2495")
    run.tick("2490")
    assert run.state.anchor == 1 / 2490.01


def test_becoming_base_by_another_hand_discards_the_gate() -> None:
    run = gated()
    run.holdings = held("1")
    run.tick("2480")
    assert (run.regime(), run.gate()) == (Regime.BASE, None)


def test_unsettled_balances_change_no_side() -> None:
    run = in_base("2500")
    run.holdings = held("0", "2500")
    run.tick("2500", settled=False)
    assert run.regime() is Regime.BASE
    assert run.state.holdings == held("1")


def test_a_stale_market_changes_no_side() -> None:
    run = in_base("2500")
    run.holdings = held("0", "2500")
    run.tick(None)
    assert run.regime() is Regime.BASE


def test_the_high_follows_the_best_unit_value() -> None:
    base, quote = in_base("2500"), in_quote("2500")
    for bid in ("2510", "2505", "2512", "2490"):
        base.tick(bid)
        quote.tick(bid)
    assert base.state.high == 2512.0
    assert quote.state.high == 1 / 2490.01


def test_the_high_of_an_unwatched_time_is_read_from_the_kline() -> None:
    run = in_base("2500")
    run.state = replace(run.state, anchor_ms=START_MS)
    run.tick(None)
    run.tick("2500", closes=[kline(0, 2500, high=2520)])
    assert run.state.high == 2520.0
    run.tick("2500", seconds=60, closes=[kline(1, 2500, high=2530)])
    assert run.state.high == 2520.0

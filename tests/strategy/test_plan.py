"""Price limits: at every price within them, a full evaluation does nothing but raise the high."""

import dataclasses
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.execution.order_builders import D
from tests.model.test_order_size import limits
from tests.strategy.strategy_harness import StrategyRun, full_channel, held, params, top
from tests.strategy.test_properties import TICK, Moment, Walk, wild

from trailingedge.model.market import BookTop, Regime, SymbolRules
from trailingedge.model.order_size import size_limits_of
from trailingedge.model.trigger_mode import TriggerOn
from trailingedge.strategy.decide import StrategyStep, decide
from trailingedge.strategy.inputs import Holdings, StrategyCommand
from trailingedge.strategy.plan import PriceLimits, PriceRange, funded_limits, price_limits
from trailingedge.strategy.unit_value import is_tradable, unit_value


def next_step(run: StrategyRun, step: StrategyStep, book: BookTop) -> StrategyStep:
    """The evaluation after `step`, with nothing changed but the best prices."""
    assert run.last_inputs is not None
    inputs = run.last_inputs._replace(
        market_ms=run.market_ms + 1,
        closed_klines=(),
        command=None,
        top=book,
        highest_bid=book.bid,
        lowest_ask=book.ask,
    )
    return decide(inputs, step.state, run.params)


def near(ranges: PriceLimits) -> list[Decimal]:
    """Bids around the ends of the ranges."""
    ends = [end for one in ranges for end in one if 1 < end < 1e9]
    return [D(str(round(end, 2))) + TICK * ticks for end in ends for ticks in range(-3, 3)]


@settings(max_examples=80)
@given(
    moments=st.lists(wild, max_size=40),
    quote=st.sampled_from([0, 2500]),
    fee=st.sampled_from([0.0, 0.001]),
    multiplier=st.sampled_from([0.0, 0.5, 1.3]),
    bids=st.lists(st.integers(-300, 300), max_size=6),
    spread=st.sampled_from([1, 1, 7]),
    trigger_on=st.sampled_from(TriggerOn),
)
def test_the_limits_and_the_full_evaluation_agree_on_every_next_price(
    moments: list[Moment],
    quote: int,
    fee: float,
    multiplier: float,
    bids: list[int],
    spread: int,
    trigger_on: TriggerOn,
) -> None:
    chosen = params(fee=fee, donchian_gain_multiplier=multiplier, breakout_entry=True, trigger_on=trigger_on)
    walk = Walk(chosen, quote=quote)
    for moment in moments:
        step = walk.step(moment)
        found = price_limits(step.decision, walk.run.params)
        if found is None:
            continue
        for bid in [*near(found), *(walk.price + TICK * ticks for ticks in bids)]:
            book = top(max(bid, TICK), max(bid, TICK) + TICK * spread)
            if not found.contain(float(book.bid), float(book.ask)):
                continue
            then = next_step(walk.run, step, book)
            assert then.decision.acted is None
            assert then.events == ()
            assert then.intent == step.intent
            assert step.state.regime is not None
            price = book.bid if step.state.regime is Regime.BASE else book.ask
            high = step.state.high
            if trigger_on is TriggerOn.TICK:
                high = max(high, unit_value(step.state.regime, float(price)))
            assert replace(then.state, high=high, holdings=step.state.holdings) == replace(step.state, high=high)
            assert then.state.high == high


CHANNEL = full_channel(2450, 2550)


@pytest.mark.parametrize(
    ("start", "high", "inside", "outside"),
    [
        pytest.param("2500", None, ["2463", "2549"], ["2462", "2550.50"], id="not armed: between stop and arming"),
        pytest.param("2500", "2600", ["2577", "2600"], ["2575", "2600.01"], id="armed: between trigger and high"),
    ],
)
def test_base_is_evaluated_only_where_something_is_due(
    start: str, high: str | None, inside: list[str], outside: list[str]
) -> None:
    run = StrategyRun(
        params(
            fee=0.0,
            min_gain_trigger_frac_base=0.02,
            hard_stop_threshold_frac=0.015,
            hard_stop_donchian_multiplier=0.0,
            hard_stop_max_frac=0.015,
            gain_scale_frac_base=0.02,
            start_factor=0.5,
            min_factor=0.2,
            donchian_gain_multiplier=0.2,
        )
    )
    step = run.tick(start, channel=CHANNEL)
    step = run.tick(start if high is None else high, channel=CHANNEL)
    found = price_limits(step.decision, run.params)
    assert found is not None
    assert [found.bids.contains(float(bid)) for bid in inside] == [True] * len(inside)
    assert [found.bids.contains(float(bid)) for bid in outside] == [False] * len(outside)


def test_between_two_closes_no_price_matters_where_closes_alone_are_judged() -> None:
    run = StrategyRun(params(trigger_on=TriggerOn.CLOSE))
    run.tick("2500")
    step = run.close("2600", bid="2500")
    found = price_limits(step.decision, run.params)
    assert found is not None
    assert found.contain(6.0, 1e9)  # an order is possible at all of them
    # A close that waits for the balances is judged by the next evaluation.
    assert price_limits(run.close("2610", settled=False).decision, run.params) is None


def test_a_shut_gate_and_a_pause_leave_the_prices_free() -> None:
    run = StrategyRun(base="0", quote="2500")
    run.tick("2500")
    step = run.tick("2500", trading_paused=True)
    found = price_limits(step.decision, run.params)
    assert found is not None
    assert found.contain(1.0, 1.01)


def test_an_action_and_a_missing_book_leave_none() -> None:
    run = StrategyRun(params(hard_stop_confirm_sec=60.0))
    run.tick("2500")
    for step in (run.tick(None), run.flip("2500")):
        assert price_limits(step.decision, run.params) is None


@pytest.mark.parametrize(
    ("bid", "inside", "outside"),
    [
        pytest.param("2400", ["2299", "2449"], ["2298", "2451"], id="until it ends or the largest loss is reached"),
        pytest.param("2200", ["6", "2297"], ["2300"], id="the largest loss: until it is smaller"),
    ],
)
def test_during_a_breach_only_bids_that_end_or_change_it_are_evaluated(
    bid: str, inside: list[str], outside: list[str]
) -> None:
    run = StrategyRun(
        params(
            hard_stop_confirm_sec=60.0,
            hard_stop_threshold_frac=0.02,
            hard_stop_donchian_multiplier=0.0,
            hard_stop_max_frac=0.0806,  # 2298.50
        )
    )
    run.tick("2500")
    found = price_limits(run.tick(bid).decision, run.params)
    assert found is not None
    assert [found.bids.contains(float(each)) for each in inside] == [True] * len(inside)
    assert [found.bids.contains(float(each)) for each in outside] == [False] * len(outside)


def test_during_a_breach_and_an_exit_every_price_is_evaluated() -> None:
    """A price above the stop ends the breach, so that a later one has the whole confirmation before it."""
    run = StrategyRun(params(hard_stop_confirm_sec=60.0, hard_stop_threshold_frac=0.02))
    run.tick("2500")
    run.tick("2500", command=StrategyCommand.FLIP)
    step = run.tick("2440")
    assert (step.state.exit is not None, step.state.stop_breach_since_ms is not None) == (True, True)
    assert price_limits(step.decision, run.params) is None


@given(limits(), st.sampled_from(Regime), st.integers(0, 10**6), st.integers(1, 10**5), st.integers(1, 10**4))
def test_within_the_funded_limits_the_holdings_are_tradable(
    rules: SymbolRules, regime: Regime, amount: int, bid: int, spread: int
) -> None:
    given_params = dataclasses.replace(params(), **size_limits_of(rules))
    holdings = Holdings(Decimal(amount) / 1000, Decimal(amount) / 10)
    book = BookTop(Decimal(bid) / 100, Decimal(bid + spread) / 100)
    if funded_limits(regime, holdings, given_params).contain(float(book.bid), float(book.ask)):
        assert is_tradable(regime, holdings, book, given_params)


def test_ample_funds_are_tradable_at_nearly_all_prices() -> None:
    bids = funded_limits(Regime.BASE, held("1"), params()).bids
    assert (bids.contains(5.01), bids.contains(4.99), bids.contains(1e12)) == (True, False, True)
    assert funded_limits(Regime.QUOTE, held(quote="1000"), params()).asks.contains(1e6)


def test_a_range_leaves_out_its_ends() -> None:
    assert [PriceRange(1.0, 2.0).contains(price) for price in (1.0, 1.5, 2.0)] == [False, True, False]

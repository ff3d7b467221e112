"""Bounds of a backtest: within them the strategy's own judgement holds."""

import dataclasses
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from tests.execution.order_builders import D
from tests.model.test_order_size import limits
from tests.strategy.strategy_harness import params

from trailingedge.backtest.no_action_bounds import FAR, funded_range
from trailingedge.model.market import BookTop, Regime, SymbolRules
from trailingedge.model.order_size import size_limits_of
from trailingedge.strategy.inputs import Holdings
from trailingedge.strategy.unit_value import is_tradable

SCALE = 100


@given(limits(), st.sampled_from(Regime), st.integers(0, 10**6), st.integers(1, 10**5), st.integers(1, 10**4))
def test_within_the_funded_range_the_holdings_are_tradable(
    rules: SymbolRules, regime: Regime, held: int, bid: int, spread: int
) -> None:
    given_params = dataclasses.replace(params(), **size_limits_of(rules))
    holdings = Holdings(Decimal(held) / 1000, Decimal(held) / 10)
    found = funded_range(regime, holdings, given_params, SCALE)
    if found.above_bid < bid and bid + spread < found.below_ask:
        book = BookTop(Decimal(bid) / SCALE, Decimal(bid + spread) / SCALE)
        assert is_tradable(regime, holdings, book, given_params)


def test_ample_funds_are_tradable_at_nearly_all_prices() -> None:
    assert funded_range(Regime.BASE, Holdings(D(1), D(0)), params(), SCALE) == (501, FAR)
    assert funded_range(Regime.QUOTE, Holdings(D(0), D(1000)), params(), SCALE).below_ask > 10**8

"""Order sizes: what is called tradable can be placed, at each price and within all limits."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.execution.order_builders import RULES, D

from trailingedge.model.market import SIZE_FILTERS, ZERO, Side, SymbolRules
from trailingedge.model.order_size import (
    can_order,
    largest_order_is_too_small,
    order_quantity,
    size_limits_of,
    surely_orderable,
)

maybe = st.none()


@st.composite
def limits(draw: st.DrawFn) -> SymbolRules:
    """Size limits of any kind, also ones that no order can meet."""
    step = draw(st.sampled_from([D("0.0001"), D("0.03"), D(1), D(7)]))
    quantities = st.integers(1, 60).map(lambda steps: steps * step)
    amounts = st.integers(1, 4000).map(lambda tenths: D(tenths) / 10)
    return replace(
        RULES,
        step_size=step,
        min_quantity=draw(quantities),
        max_quantity=draw(maybe | quantities),
        min_notional=draw(amounts),
        max_notional=draw(maybe | amounts),
    )


@given(limits(), st.sampled_from(Side), st.integers(0, 10**6), st.integers(1, 3000), st.integers(0, 60))
@example(RULES, Side.BUY, 52_000, 2_499, 1)
def test_what_can_be_ordered_passes_at_every_price_of_the_book(
    rules: SymbolRules, side: Side, funds: int, bid: int, spread: int
) -> None:
    tick = D("0.01")
    amount, low, high = D(funds) / 10_000, bid * tick, (bid + spread) * tick
    prices = [price * tick for price in range(bid, bid + spread + 1)]
    passes = [
        rules.failed_filter(price, order_quantity(rules, side, amount, price)) not in SIZE_FILTERS for price in prices
    ]
    if can_order(rules, side, amount, low, high):
        assert all(passes)
    # At one price it is exact: no exit is refused that could be placed.
    assert can_order(rules, side, amount, low, low) is passes[0]


@given(limits(), st.sampled_from(Side), st.integers(0, 10**6), st.data())
def test_what_is_surely_orderable_can_be_ordered(
    rules: SymbolRules, side: Side, funds: int, data: st.DataObject
) -> None:
    amount = D(funds) / 10_000
    sure = surely_orderable(rules, side, amount)
    if sure.low > sure.high:
        return
    low = max(sure.low, D("0.01"))
    high = min(sure.high, low + 100)
    between = [low, high, *(low + (high - low) * share / 7 for share in range(1, 7))]
    bid, ask = sorted(data.draw(st.tuples(st.sampled_from(between), st.sampled_from(between))))
    if bid > ZERO and ask <= sure.high:
        assert can_order(rules, side, amount, bid, ask)


@pytest.mark.parametrize("side", Side)
def test_an_ordinary_amount_is_surely_orderable_at_ordinary_prices(side: Side) -> None:
    sure = surely_orderable(RULES, side, D(1) if side is Side.SELL else D(2500))
    assert sure.low < 100
    assert sure.high > 100_000


@pytest.mark.parametrize(
    ("side", "funds", "quantity"),
    [
        pytest.param(Side.SELL, "1.23456", "1.2345", id="floored to the step"),
        pytest.param(Side.SELL, "9", "0.5000", id="no more than the largest quantity"),
        pytest.param(Side.BUY, "40", "0.4000", id="what the quote pays for"),
        pytest.param(Side.SELL, "-1", "0", id="never negative"),
    ],
)
def test_the_quantity_of_an_amount(side: Side, funds: str, quantity: str) -> None:
    largest = D("0.50005") if funds == "9" else None
    assert order_quantity(replace(RULES, max_quantity=largest), side, D(funds), D(100)) == D(quantity)


def test_no_more_than_the_largest_notional() -> None:
    assert order_quantity(replace(RULES, max_notional=D(10)), Side.SELL, D(1), D(300)) == D("0.0333")


@pytest.mark.parametrize(
    ("changes", "too_small"),
    [
        pytest.param({}, False, id="no maximum"),
        pytest.param({"max_quantity": D("0.04")}, True, id="the largest lot is worth too little"),
        pytest.param({"max_quantity": D("0.05")}, False, id="just enough"),
        pytest.param({"max_notional": D("4")}, True, id="the largest notional is below the least"),
    ],
)
def test_rules_that_no_order_can_meet(changes: dict[str, Decimal], too_small: bool) -> None:
    assert largest_order_is_too_small(replace(RULES, **changes), D(100)) is too_small  # type: ignore[arg-type]  # names of amounts


def test_the_limits_of_the_rules_by_name() -> None:
    assert all(getattr(RULES, name) == value for name, value in size_limits_of(RULES).items())
    assert len(size_limits_of(RULES)) == 5

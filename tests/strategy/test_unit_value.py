"""Tradable assets, and which is worth more."""

import pytest
from tests.strategy.strategy_harness import held, params, top

from trailingedge.model.market import Regime
from trailingedge.strategy.unit_value import is_tradable, more_valuable_regime, price_at, unit_value


@pytest.mark.parametrize(
    ("base", "enough"),
    [
        pytest.param("0.0020", True, id="exactly the minimum notional"),
        pytest.param("0.00209999", True, id="a rest below the step does not matter"),
        pytest.param("0.0019", False, id="one step too little"),
        pytest.param("0.00199999", False, id="only the rest below the step would make it enough"),
        pytest.param("0", False, id="nothing"),
        pytest.param("-0.5", False, id="less than the reserve"),
    ],
)
def test_base_is_tradable_from_the_minimum_notional_at_the_bid(base: str, enough: bool) -> None:
    assert is_tradable(Regime.BASE, held(base=base), top("2500"), params()) is enough


@pytest.mark.parametrize(
    ("quote", "enough"),
    [
        pytest.param("5.25", True, id="an order at the ask, at the bid and between them"),
        pytest.param("5.00", False, id="enough at the ask, where no order of ours can rest"),
        pytest.param("5.20", False, id="also where it is floored to the step"),
        pytest.param("4.99", False, id="too little at any price"),
        pytest.param("0", False, id="nothing"),
        pytest.param("-3", False, id="less than the reserve"),
    ],
)
def test_quote_is_tradable_where_an_order_can_rest_anywhere_within_the_book(quote: str, enough: bool) -> None:
    assert is_tradable(Regime.QUOTE, held(quote=quote), top("2499.99", "2500"), params()) is enough


def test_the_largest_order_may_be_below_the_least_notional() -> None:
    limits = {"max_quantity": held("0.0019").base}
    assert not is_tradable(Regime.BASE, held(base="1"), top("2500"), params(**limits))
    assert not is_tradable(Regime.QUOTE, held(quote="5000"), top("2500"), params(**limits))
    assert is_tradable(Regime.BASE, held(base="1"), top("2700"), params(**limits))


def test_with_a_margin_the_book_may_move_by_it_either_way() -> None:
    def tradable(base: str, quote: str, margin: str) -> tuple[bool, bool]:
        both = (is_tradable(side, held(base, quote), top("2500"), params(), held(margin).base) for side in Regime)
        base_side, quote_side = both
        return base_side, quote_side

    assert tradable("0.0020", "5.2501", "0") == (True, True)
    assert tradable("0.0020", "5.2501", "0.01") == (False, False)
    assert tradable("0.0021", "5.51", "0.01") == (True, True)


def test_the_minimum_quantity_counts_by_itself() -> None:
    assert not is_tradable(Regime.BASE, held(base="0.5"), top("2500"), params(min_quantity=held("1").base))


@pytest.mark.parametrize(
    ("base", "quote", "side"),
    [
        pytest.param("1", "0", Regime.BASE, id="base only"),
        pytest.param("0", "100", Regime.QUOTE, id="quote only"),
        pytest.param("1", "2400", Regime.BASE, id="both, base worth more"),
        pytest.param("1", "2600", Regime.QUOTE, id="both, quote worth more"),
        pytest.param("1", "2500", Regime.BASE, id="both worth the same"),
        pytest.param("0.001", "4", None, id="neither"),
        pytest.param("0.0021", "4.99", Regime.BASE, id="what is not tradable does not count"),
    ],
)
def test_the_tradable_side_worth_more(base: str, quote: str, side: Regime | None) -> None:
    assert more_valuable_regime(held(base, quote), top("2500"), params()) is side


@pytest.mark.parametrize("regime", Regime)
def test_a_unit_value_and_its_price_belong_together(regime: Regime) -> None:
    assert price_at(regime, unit_value(regime, 2048.0)) == 2048.0


def test_in_quote_a_unit_is_worth_more_when_the_price_falls() -> None:
    assert unit_value(Regime.QUOTE, 2000.0) > unit_value(Regime.QUOTE, 2500.0)

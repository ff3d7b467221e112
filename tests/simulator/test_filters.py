from decimal import Decimal

import pytest
from tests.simulator.exchange_builders import sell

from trailingedge.model.market import Side
from trailingedge.simulator.errors import ExchangeError
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.filters import check_filters
from trailingedge.simulator.orders import NewOrder, OrderType

TERMS = ExchangeSpec(max_price=Decimal(300), max_quantity=Decimal(50), max_notional=Decimal(4000))
AVERAGE = Decimal(100)


@pytest.mark.parametrize(
    ("price", "quantity", "failed"),
    [
        pytest.param("100.001", "1", "PRICE_FILTER", id="a price off the tick"),
        pytest.param("0.00", "1", "PRICE_FILTER", id="a price below the least"),
        pytest.param("300.01", "1", "PRICE_FILTER", id="a price above the most"),
        pytest.param("19.99", "1", "PERCENT_PRICE_BY_SIDE", id="a price too far below the average"),
        pytest.param("100", "1.00001", "LOT_SIZE", id="a quantity off the step"),
        pytest.param("100", "0", "LOT_SIZE", id="no quantity"),
        pytest.param("100", "50.0001", "LOT_SIZE", id="a quantity above the most"),
        pytest.param("100", "0.0499", "NOTIONAL", id="a notional below the least"),
        pytest.param("100", "40.0001", "NOTIONAL", id="a notional above the most"),
    ],
)
def test_an_order_is_rejected_with_the_name_of_its_filter(price: str, quantity: str, failed: str) -> None:
    with pytest.raises(ExchangeError) as refusal:
        check_filters(TERMS, sell(price, quantity), Decimal(price), Decimal(quantity), AVERAGE)
    assert (refusal.value.code, refusal.value.text) == (-1013, f"Filter failure: {failed}")


@pytest.mark.parametrize(
    ("price", "quantity"),
    [
        pytest.param("20.00", "1", id="the lowest price"),
        pytest.param("300.00", "1", id="the highest price"),
        pytest.param("100.00", "0.0500", id="the least notional"),
        pytest.param("100.00", "40.0000", id="the greatest notional"),
        pytest.param("100.010", "1.00000", id="more zeros than the grid has"),
    ],
)
def test_an_order_exactly_at_a_bound_passes(price: str, quantity: str) -> None:
    check_filters(TERMS, sell(price, quantity), Decimal(price), Decimal(quantity), AVERAGE)


def test_the_percent_bound_above_holds_too() -> None:
    spec = ExchangeSpec(bid_multiplier_up=Decimal(2))
    check_filters(spec, sell("200.00"), Decimal(200), Decimal(1), AVERAGE)
    with pytest.raises(ExchangeError, match="PERCENT_PRICE_BY_SIDE"):
        check_filters(spec, sell("200.01"), Decimal("200.01"), Decimal(1), AVERAGE)


def test_a_price_sent_along_with_a_peg_must_pass_as_well() -> None:
    with pytest.raises(ExchangeError, match="PRICE_FILTER"):
        check_filters(TERMS, sell("100.001"), Decimal(100), Decimal(1), AVERAGE)


def test_a_market_order_has_a_minimum_notional_but_no_maximum() -> None:
    request = NewOrder(Side.BUY, OrderType.MARKET, Decimal(45))
    check_filters(TERMS, request, AVERAGE, Decimal(45), AVERAGE)
    with pytest.raises(ExchangeError, match="NOTIONAL"):
        check_filters(TERMS, request, AVERAGE, Decimal("0.01"), AVERAGE)


@pytest.mark.parametrize(
    ("side", "price", "passes"),
    [
        (Side.BUY, "80.00", True),
        (Side.BUY, "79.99", False),
        (Side.BUY, "110.01", False),
        (Side.SELL, "90.00", True),
        (Side.SELL, "89.99", False),
        (Side.SELL, "120.00", True),
        (Side.SELL, "120.01", False),
    ],
)
def test_each_side_has_its_own_percent_bounds(side: Side, price: str, passes: bool) -> None:
    spec = ExchangeSpec(
        bid_multiplier_down=Decimal("0.8"),
        bid_multiplier_up=Decimal("1.1"),
        ask_multiplier_down=Decimal("0.9"),
        ask_multiplier_up=Decimal("1.2"),
    )
    request = NewOrder(side, OrderType.LIMIT_MAKER, Decimal(1), Decimal(price))
    if passes:
        check_filters(spec, request, Decimal(price), Decimal(1), AVERAGE)
    else:
        with pytest.raises(ExchangeError, match="PERCENT_PRICE_BY_SIDE"):
            check_filters(spec, request, Decimal(price), Decimal(1), AVERAGE)

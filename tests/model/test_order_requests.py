"""Order requests: methods and parameters as the exchange documents them."""

from decimal import Decimal

import pytest

from trailingedge.model.market import Side
from trailingedge.model.order_requests import (
    NewOrderRequest,
    OrderStyle,
    all_orders_params,
    cancel_params,
    place_params,
    replace_params,
    status_params,
)

BUY = NewOrderRequest("TE-t-1", Side.BUY, Decimal("0.00100000"), Decimal("6E+4"))
BUY_PARAMS = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "type": "LIMIT_MAKER",
    "quantity": "0.001",
    "price": "60000",
    "newClientOrderId": "TE-t-1",
    "newOrderRespType": "RESULT",
}


def test_a_maker_order_is_post_only_without_a_time_in_force() -> None:
    assert place_params("BTCUSDT", BUY) == BUY_PARAMS


def test_a_pegged_order_leaves_the_price_to_the_exchange() -> None:
    pegged = NewOrderRequest("TE-t-1", Side.SELL, Decimal(1), None, OrderStyle.PEGGED)
    params = place_params("BTCUSDT", pegged)
    assert (params["type"], params["pegPriceType"]) == ("LIMIT_MAKER", "PRIMARY_PEG")
    assert not {"price", "timeInForce", "pegOffsetType"} & params.keys()


def test_the_escape_takes_at_once_or_not_at_all() -> None:
    escape = NewOrderRequest("TE-e-1", Side.SELL, Decimal(1), Decimal("2500.5"), OrderStyle.IMMEDIATE)
    params = place_params("BTCUSDT", escape)
    assert (params["type"], params["timeInForce"], params["price"]) == ("LIMIT", "IOC", "2500.5")


def test_small_amounts_are_never_written_with_an_exponent() -> None:
    dust = NewOrderRequest("TE-t-1", Side.SELL, Decimal("5E-8"), Decimal("1E-8"))
    params = place_params("BTCUSDT", dust)
    assert (params["quantity"], params["price"]) == ("0.00000005", "0.00000001")


def test_a_replace_places_only_if_the_cancel_worked_and_cancels_only_what_is_unfilled() -> None:
    assert replace_params("BTCUSDT", 501, "TE-t-1", BUY) == BUY_PARAMS | {
        "cancelReplaceMode": "STOP_ON_FAILURE",
        "cancelRestrictions": "ONLY_NEW",
        "cancelOrderId": 501,
    }


def test_a_replace_goes_by_client_id_only_where_no_order_id_is_known() -> None:
    params = replace_params("BTCUSDT", None, "TE-t-1", BUY)
    assert params["cancelOrigClientOrderId"] == "TE-t-1"
    assert "cancelOrderId" not in params


def test_orders_are_named_by_order_id_where_it_is_known() -> None:
    for build in (cancel_params, status_params):
        assert build("BTCUSDT", 501, "TE-t-1") == {"symbol": "BTCUSDT", "orderId": 501}
        assert build("BTCUSDT", None, "TE-t-1") == {"symbol": "BTCUSDT", "origClientOrderId": "TE-t-1"}


def test_all_orders_are_asked_for_from_one_on() -> None:
    assert all_orders_params("BTCUSDT", 501) == {"symbol": "BTCUSDT", "orderId": 501, "limit": 1000}


@pytest.mark.parametrize(
    ("quantity", "price", "manner"),
    [
        pytest.param(Decimal(0), Decimal(1), OrderStyle.MAKER, id="no quantity"),
        pytest.param(Decimal(1), None, OrderStyle.MAKER, id="no price"),
        pytest.param(Decimal(1), Decimal(0), OrderStyle.IMMEDIATE, id="a price of zero"),
    ],
)
def test_an_order_without_price_or_quantity_cannot_be_made(
    quantity: Decimal, price: Decimal | None, manner: OrderStyle
) -> None:
    with pytest.raises(ValueError, match="TE-t-1"):
        NewOrderRequest("TE-t-1", Side.BUY, quantity, price, manner)

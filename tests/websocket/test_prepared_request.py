"""Prepared replace: equal to the request that is encoded at once, and used only where it fits."""

from dataclasses import replace
from decimal import Decimal

import pytest

from trailingedge.model.market import Side
from trailingedge.model.order_requests import CANCEL_REPLACE, NewOrderRequest, OrderStyle, replace_params
from trailingedge.websocket.prepared_request import PreparedReplace
from trailingedge.websocket.request_tracker import json_request

ORDER = NewOrderRequest("TE-t-mwqbk24b", Side.SELL, Decimal("1.0000"), Decimal("2558.32"))


@pytest.mark.parametrize(
    ("price", "quantity"), [("2557.88", "1"), ("0.00001234", "123456.789"), ("3000", "0.0001")], ids=str
)
@pytest.mark.parametrize("side", Side)
def test_the_prepared_request_equals_one_that_is_encoded_at_once(price: str, quantity: str, side: Side) -> None:
    price_, quantity_ = Decimal(price), Decimal(quantity)
    order = NewOrderRequest(ORDER.client_order_id, side, quantity_, price_)
    params = replace_params("ETHFDUSD", 501, order.client_order_id, order)
    params.update(timestamp=1_783_000_000_004, recvWindow=5000)
    like = NewOrderRequest(ORDER.client_order_id, side, Decimal(7), Decimal(9))
    prepared = PreparedReplace("ETHFDUSD", like, 5000)
    encoded = prepared.encode(17, 501, quantity_, price_, 1_783_000_000_004)
    assert encoded == json_request(CANCEL_REPLACE, params)(17)


@pytest.mark.parametrize(
    ("order", "fits"),
    [
        pytest.param(replace(ORDER, price=Decimal(1), quantity=Decimal(2)), True, id="another price and quantity"),
        pytest.param(replace(ORDER, client_order_id="TE-f-mwqbk24b"), False, id="another client order id"),
        pytest.param(replace(ORDER, side=Side.BUY), False, id="the other side"),
        pytest.param(replace(ORDER, style=OrderStyle.PEGGED, price=None), False, id="another style"),
    ],
)
def test_it_fits_the_same_request_with_other_numbers(order: NewOrderRequest, fits: bool) -> None:
    assert PreparedReplace("ETHFDUSD", ORDER, 5000).fits(order) is fits

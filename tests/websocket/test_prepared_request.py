"""PreparedRequest: equal to the request that RequestTracker encodes."""

from decimal import Decimal

import pytest

from trailingedge.model.market import Side, format_plain
from trailingedge.model.order_requests import CANCEL_REPLACE, NewOrderRequest, replace_params
from trailingedge.websocket.prepared_request import PreparedRequest, SentRequest
from trailingedge.websocket.request_tracker import NotSent, RequestOutcome, RequestTracker

ORDER = NewOrderRequest("TE-t-mwqbk24b", Side.SELL, Decimal("1.0000"), Decimal("2558.32"))


@pytest.mark.parametrize(
    ("price", "quantity"), [("2557.88", "1"), ("0.00001234", "123456.789"), ("3000", "0.0001")], ids=str
)
@pytest.mark.parametrize("side", Side)
def test_the_encoded_request_equals_that_of_the_tracker(price: str, quantity: str, side: Side) -> None:
    price_, quantity_ = Decimal(price), Decimal(quantity)
    order = NewOrderRequest(ORDER.client_order_id, side, quantity_, price_)
    params = replace_params("ETHFDUSD", 501, order.client_order_id, order)
    params.update(timestamp=1_783_000_000_004, recvWindow=5000)
    worded = RequestTracker().encode_request(CANCEL_REPLACE, params, 0.0, 3.0, lambda _: None)
    like = NewOrderRequest(ORDER.client_order_id, side, Decimal(7), Decimal(9))
    draft = PreparedRequest("ETHFDUSD", 501, like, 5000)
    assert draft.encode(1, format_plain(price_), format_plain(quantity_), 1_783_000_000_004) == worded


def test_not_sent_goes_to_the_reply_handler() -> None:
    heard: list[RequestOutcome] = []
    SentRequest(None, NotSent("not connected")).on_reply("order.cancelReplace", 3.0, heard.append)
    assert heard == [NotSent("not connected")]

"""Prepared cancel-replace request: its JSON is encoded before the price of the new order is known.

When the best price changes, our order should be replaced at once. `PreparedReplace` has the JSON of
`order.cancelReplace` ready except for the numbers: ids of request and old order, price, quantity and timestamp. It
serves all requests of an exit.
"""

import json
import re
from decimal import Decimal
from typing import Final

from trailingedge.model.market import format_plain
from trailingedge.model.order_requests import CANCEL_REPLACE, NewOrderRequest, RequestParams, replace_params

# The mark of each number. A number in JSON is replaced together with the quotes of its mark.
_QUANTITY, _PRICE, _CANCELLED, _TIME = "<quantity>", "<price>", '"<order id>"', '"<time>"'
_MARKS: Final = re.compile(f"{_QUANTITY}|{_PRICE}|{_CANCELLED}|{_TIME}")


class PreparedReplace:
    """Encodes cancel-replaces whose new order is like `like`, to the same bytes as `json_request` would."""

    __slots__ = ("_client_order_id", "_parts", "_side", "_style")

    def __init__(self, symbol: str, like: NewOrderRequest, recv_window_ms: int) -> None:
        self._client_order_id, self._side, self._style = like.client_order_id, like.side, like.style
        params: RequestParams = replace_params(symbol, 0, like.client_order_id, like)
        params.update(quantity=_QUANTITY, price=_PRICE, cancelOrderId=_CANCELLED[1:-1], timestamp=_TIME[1:-1])
        params["recvWindow"] = recv_window_ms
        text = json.dumps({"method": CANCEL_REPLACE, "params": params}, ensure_ascii=False, separators=(",", ":"))
        self._parts = _MARKS.split(text[1:])

    def fits(self, order: NewOrderRequest) -> bool:
        """Whether this object can encode a request that places `order`; price and quantity do not matter."""
        return (
            self._client_order_id == order.client_order_id and self._side is order.side and self._style is order.style
        )

    def encode(
        self, request_id: int, cancel_order_id: int, quantity: Decimal, price: Decimal, timestamp_ms: int
    ) -> str:
        """Return the frame of the request that cancels one order and places another."""
        begin, after_quantity, after_price, after_cancelled, end = self._parts
        return (
            f'{{"id":{request_id},{begin}{format_plain(quantity)}{after_quantity}{format_plain(price)}{after_price}'
            f"{cancel_order_id}{after_cancelled}{timestamp_ms}{end}"
        )

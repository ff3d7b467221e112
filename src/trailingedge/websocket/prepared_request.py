"""Prepared cancel-replace request: its JSON is encoded before the price of the new order is known.

When the best price changes, our order should be replaced at once. `PreparedReplace` has the JSON of
`order.cancelReplace` ready except for id, price, quantity and timestamp.
"""

import json
from typing import Final

from trailingedge.model.order_requests import CANCEL_REPLACE, NewOrderRequest, replace_params

_PRICE_MARK: Final = "<price>"
_QUANTITY_MARK: Final = "<quantity>"
_TIME_MARK: Final = '"<time>"'


class PreparedReplace:
    """Encodes one cancel-replace into the same bytes as `json_request` with the same parameters."""

    __slots__ = ("_after_price", "_after_quantity", "_after_time", "_before", "_cancel_order_id", "_like")

    def __init__(self, symbol: str, cancel_order_id: int, like: NewOrderRequest, recv_window_ms: int) -> None:
        """`like` is the new order but for its price and quantity."""
        self._cancel_order_id, self._like = cancel_order_id, like
        params = replace_params(symbol, cancel_order_id, like.client_order_id, like)
        params.update(
            price=_PRICE_MARK, quantity=_QUANTITY_MARK, timestamp=_TIME_MARK.strip('"'), recvWindow=recv_window_ms
        )
        text = json.dumps({"method": CANCEL_REPLACE, "params": params}, ensure_ascii=False, separators=(",", ":"))
        self._before, rest = text[1:].split(_QUANTITY_MARK)
        self._after_quantity, rest = rest.split(_PRICE_MARK)
        # The timestamp is a number in JSON: its mark is replaced together with the quotes.
        self._after_price, self._after_time = rest.split(_TIME_MARK)

    def fits(self, cancel_order_id: int | None, order: NewOrderRequest) -> bool:
        """Whether this is the request that cancels that order and places `order`, but for price and quantity."""
        like = self._like
        return (
            self._cancel_order_id == cancel_order_id
            and like.client_order_id == order.client_order_id
            and like.side is order.side
            and like.style is order.style
        )

    def encode(self, request_id: int, price: str, quantity: str, timestamp_ms: int) -> str:
        """Return the frame. `price` and `quantity` are plain decimals, without exponent, as the exchange reads them."""
        return (
            f'{{"id":{request_id},{self._before}{quantity}{self._after_quantity}{price}{self._after_price}'
            f"{timestamp_ms}{self._after_time}"
        )

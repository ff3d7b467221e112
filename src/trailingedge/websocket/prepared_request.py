"""A cancel-replace written out beforehand but for its numbers; and a request that is sent before anybody listens."""

import json
from collections.abc import Callable
from typing import Final

from trailingedge.model.order_requests import CANCEL_REPLACE, NewOrderRequest, replace_params
from trailingedge.websocket.request_tracker import NotSent, ReplyHandler

_PRICE_MARK: Final = "<price>"
_QUANTITY_MARK: Final = "<quantity>"
_TIME_MARK: Final = '"<time>"'


class PreparedRequest:
    """The text of one request, to the letter what `Session.ask` makes of the same parameters."""

    __slots__ = ("_after_price", "_after_quantity", "_after_time", "_before")

    def __init__(self, symbol: str, cancel_order_id: int, replacing: NewOrderRequest, recv_window_ms: int) -> None:
        params = replace_params(symbol, cancel_order_id, replacing.client_order_id, replacing)
        params.update(
            price=_PRICE_MARK, quantity=_QUANTITY_MARK, timestamp=_TIME_MARK.strip('"'), recvWindow=recv_window_ms
        )
        text = json.dumps({"method": CANCEL_REPLACE, "params": params}, ensure_ascii=False, separators=(",", ":"))
        self._before, rest = text[1:].split(_QUANTITY_MARK)
        self._after_quantity, rest = rest.split(_PRICE_MARK)
        self._after_price, self._after_time = rest.split(_TIME_MARK)

    def encode(self, number: int, price: str, quantity: str, timestamp_ms: int) -> str:
        """The request of that number; price and quantity plain, as the exchange accepts them."""
        return (
            f'{{"id":{number},{self._before}{quantity}{self._after_quantity}{price}{self._after_price}'
            f"{timestamp_ms}{self._after_time}"
        )


class SentRequest:
    """A request that went out, or did not, before anybody listens for its answer."""

    def __init__(
        self, listen: Callable[[str, float, ReplyHandler], None] | None, refused: NotSent | None = None
    ) -> None:
        self._track = listen
        self._not_sent = refused

    def on_reply(self, method: str, patience_s: float, heard: ReplyHandler) -> None:
        """Once: `heard` gets the answer, as after `post`."""
        if self._track is not None:
            self._track(method, patience_s, heard)
        elif self._not_sent is not None:
            heard(self._not_sent)

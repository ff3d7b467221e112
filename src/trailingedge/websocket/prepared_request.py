"""Prepared cancel-replace request: its JSON is encoded before the price of the new order is known.

When the best price changes, our order should be replaced at once. `PreparedRequest` has the JSON of
`order.cancelReplace` ready except for id, price, quantity and timestamp. The caller writes the
frame first, and gets a `SentRequest`. After that it updates its records, writes the log and calls
`SentRequest.on_reply`, which registers the reply handler.
"""

import json
from collections.abc import Callable
from typing import Final

from trailingedge.model.order_requests import CANCEL_REPLACE, NewOrderRequest, replace_params
from trailingedge.websocket.request_tracker import NotSent, ReplyHandler

_PRICE_MARK: Final = "<price>"
_QUANTITY_MARK: Final = "<quantity>"
_TIME_MARK: Final = '"<time>"'


class PreparedRequest:
    """Encodes one cancel-replace into the same bytes as `RequestTracker.encode_request` with the same parameters."""

    __slots__ = ("_after_price", "_after_quantity", "_after_time", "_before")

    def __init__(self, symbol: str, cancel_order_id: int, replacing: NewOrderRequest, recv_window_ms: int) -> None:
        params = replace_params(symbol, cancel_order_id, replacing.client_order_id, replacing)
        params.update(
            price=_PRICE_MARK, quantity=_QUANTITY_MARK, timestamp=_TIME_MARK.strip('"'), recvWindow=recv_window_ms
        )
        text = json.dumps({"method": CANCEL_REPLACE, "params": params}, ensure_ascii=False, separators=(",", ":"))
        self._before, rest = text[1:].split(_QUANTITY_MARK)
        self._after_quantity, rest = rest.split(_PRICE_MARK)
        # The timestamp is a number in JSON: its mark is replaced together with the quotes.
        self._after_price, self._after_time = rest.split(_TIME_MARK)

    def encode(self, request_id: int, price: str, quantity: str, timestamp_ms: int) -> str:
        """Return the frame. `price` and `quantity` are plain decimals, without exponent, as the exchange reads them."""
        return (
            f'{{"id":{request_id},{self._before}{quantity}{self._after_quantity}{price}{self._after_price}'
            f"{timestamp_ms}{self._after_time}"
        )


class SentRequest:
    """A request that was written, or refused with `not_sent`, and has no reply handler yet.

    No reply is missed: the caller registers its handler in the same event-loop iteration as it
    writes the request, and replies are read in later ones.
    """

    def __init__(
        self, track: Callable[[str, float, ReplyHandler], None] | None, not_sent: NotSent | None = None
    ) -> None:
        self._track = track
        self._not_sent = not_sent

    def on_reply(self, method: str, timeout_s: float, handler: ReplyHandler) -> None:
        """Register the handler. Call this once; the handler gets the same outcomes as after `RequestSender.send`."""
        if self._track is not None:
            self._track(method, timeout_s, handler)
        elif self._not_sent is not None:
            handler(self._not_sent)

"""Order requests: the methods and parameters of the WebSocket API, with amounts as plain decimal strings."""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Final

from trailingedge.model.market import Side, format_plain

PLACE: Final = "order.place"
CANCEL: Final = "order.cancel"
CANCEL_REPLACE: Final = "order.cancelReplace"
STATUS: Final = "order.status"
ALL_ORDERS: Final = "allOrders"

ALL_ORDERS_LIMIT: Final = 1000

RequestParams = dict[str, str | int]


class OrderStyle(Enum):
    """How an order enters the book."""

    MAKER = "maker"  # rests at its price or is rejected
    PEGGED = "pegged"  # rests at the best of its own side, priced by the exchange at entry
    IMMEDIATE = "immediate"  # takes what its price allows at once and leaves nothing on the book: the taker escape


@dataclass(frozen=True, slots=True)
class NewOrderRequest:
    """A new order. Raises ValueError without a positive quantity, or without a price where its style needs one."""

    client_order_id: str
    side: Side
    quantity: Decimal
    price: Decimal | None
    style: OrderStyle = OrderStyle.MAKER

    def __post_init__(self) -> None:
        if self.quantity <= 0:
            raise ValueError(f"{self.client_order_id}: the quantity must be above 0, not {self.quantity}")
        if self.style is not OrderStyle.PEGGED and (self.price is None or self.price <= 0):
            raise ValueError(f"{self.client_order_id}: the price must be above 0, not {self.price}")


def place_params(symbol: str, order: NewOrderRequest) -> RequestParams:
    """Return the parameters of `order.place`.

    They request a reply of type RESULT, because the default ACK does not contain the order's status.
    """
    params: RequestParams = {
        "symbol": symbol,
        "side": order.side.value,
        "type": "LIMIT_MAKER",
        "quantity": format_plain(order.quantity),
        "newClientOrderId": order.client_order_id,
        "newOrderRespType": "RESULT",
    }
    if order.style is OrderStyle.PEGGED:
        params["pegPriceType"] = "PRIMARY_PEG"
    elif order.price is not None:
        params["price"] = format_plain(order.price)
    if order.style is OrderStyle.IMMEDIATE:
        # Only here: the exchange rejects a post-only order that has a timeInForce.
        params.update(type="LIMIT", timeInForce="IOC")
    return params


def replace_params(
    symbol: str, cancel_order_id: int | None, cancel_client_order_id: str, order: NewOrderRequest
) -> RequestParams:
    """Return the parameters of `order.cancelReplace`.

    The exchange cancels the old order only if nothing of it is filled (ONLY_NEW), and places the
    new order only if the cancel worked. A part-filled order keeps its place in the queue, and its
    fill changes the quantity to place.
    """
    return {
        **place_params(symbol, order),
        "cancelReplaceMode": "STOP_ON_FAILURE",
        "cancelRestrictions": "ONLY_NEW",
        **_order_reference("cancelOrderId", cancel_order_id, "cancelOrigClientOrderId", cancel_client_order_id),
    }


def cancel_params(symbol: str, order_id: int | None, client_order_id: str) -> RequestParams:
    """Return the parameters of `order.cancel`."""
    return {"symbol": symbol, **_order_reference("orderId", order_id, "origClientOrderId", client_order_id)}


def status_params(symbol: str, order_id: int | None, client_order_id: str) -> RequestParams:
    """Return the parameters of `order.status`."""
    return {"symbol": symbol, **_order_reference("orderId", order_id, "origClientOrderId", client_order_id)}


def all_orders_params(symbol: str, from_order_id: int | None = None) -> RequestParams:
    """Return the parameters of `allOrders`: from `from_order_id` on, or the newest orders."""
    params: RequestParams = {"symbol": symbol, "limit": ALL_ORDERS_LIMIT}
    return params if from_order_id is None else params | {"orderId": from_order_id}


def _order_reference(id_name: str, order_id: int | None, client_name: str, client_order_id: str) -> RequestParams:
    """Return the parameter that names an order.

    The order id is used if it is known, because it is unambiguous and the fastest to process.
    """
    return {client_name: client_order_id} if order_id is None else {id_name: order_id}

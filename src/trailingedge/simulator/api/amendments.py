"""Amendment methods of the WebSocket API: reduce an order, list its amendments, and list the filters it must pass."""

from collections.abc import Mapping
from typing import Final

from trailingedge.simulator.api.method_types import AccountMethod, RequestWeight, Result, SignedCall
from trailingedge.simulator.errors import missing_parameter
from trailingedge.simulator.orders import AmendOrder
from trailingedge.simulator.payloads import amended_json, amendment_json

AMEND_WEIGHT: Final = 4


def amend(call: SignedCall) -> Result:
    """Handle `order.amend.keepPriority`: reduce an order's quantity.

    The request weight is refunded if the reduction ends the order.
    """
    symbol, parameters = call.symbol(), call.parameters
    request = AmendOrder(
        new_quantity=parameters.required_amount("newQty"),
        order_id=parameters.integer("orderId"),
        orig_client_order_id=parameters.text("origClientOrderId"),
        new_client_order_id=parameters.client_order_id("newClientOrderId"),
    )
    if request.order_id is None and request.orig_client_order_id is None:
        raise missing_parameter("orderId")
    parameters.check_all_read()
    order, amendment = call.exchange.order_entry.amend(call.account, request)
    if order.status.final:
        call.exchange.weight_limiter.refund(call.now_ms, AMEND_WEIGHT)
    return amended_json(order, amendment, symbol)


def amendments(call: SignedCall) -> Result:
    """Handle `order.amendments`: return the amendments of an order, oldest first; none for an unknown order."""
    symbol, parameters = call.symbol(), call.parameters
    order_id, from_id = parameters.integer("orderId"), parameters.integer("fromExecutionId")
    limit = parameters.limit(500)
    parameters.check_all_read()
    if order_id is None:
        raise missing_parameter("orderId")
    order = call.records.orders.get(order_id)
    if order is None:
        return []
    found = [each for each in order.amendments if from_id is None or each.execution_id >= from_id]
    page = found[-limit:] if from_id is None else found[:limit]
    return [amendment_json(order, each, symbol) for each in page]


def my_filters(call: SignedCall) -> Result:
    """Handle `myFilters`: return the filters that the account's orders for the symbol must pass."""
    call.symbol()
    call.parameters.check_all_read()
    return {"exchangeFilters": [], "symbolFilters": call.exchange.spec.filters_json(), "assetFilters": []}


AMENDMENT_METHODS: Final[Mapping[str, AccountMethod]] = {
    "order.amend.keepPriority": AccountMethod(amend, RequestWeight(AMEND_WEIGHT)),
    "order.amendments": AccountMethod(amendments, RequestWeight(4)),
    "myFilters": AccountMethod(my_filters, RequestWeight(40)),
}

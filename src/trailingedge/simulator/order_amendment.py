"""Checks of an amendment: it reduces an order's quantity, and the order keeps its place in the queue.

An amendment does not count as an unfilled order. The funds locked for the removed quantity are unlocked.
"""

from trailingedge.simulator.accounts import SimAccount
from trailingedge.simulator.errors import (
    AMEND_FORBIDDEN,
    AMEND_INCREASE,
    AMEND_NO_CHANGE,
    AMEND_REJECTED_CODE,
    DUPLICATE_ORDER,
    UNKNOWN_ORDER,
    amend_rejected,
    filter_failure,
    wrong_client_order_id,
)
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.orders import AmendOrder, SimOrder


def find_order_to_amend(account: SimAccount, request: AmendOrder) -> SimOrder:
    """Return the open order that the request names. Raises ExchangeError if there is none, or if its ids disagree."""
    if request.order_id is None:
        order = account.find_open_order(request.orig_client_order_id or "")
    else:
        order = account.orders.get(request.order_id)
    if order is None or order.status.final:
        raise amend_rejected(UNKNOWN_ORDER)
    if request.orig_client_order_id not in {None, order.client_order_id}:
        raise wrong_client_order_id()
    return order


def check_amendment(spec: ExchangeSpec, account: SimAccount, order: SimOrder, request: AmendOrder) -> None:
    """Raise ExchangeError unless the engine accepts the amendment."""
    if not spec.amends_allowed:
        raise amend_rejected(AMEND_FORBIDDEN)
    if request.new_quantity > order.quantity:
        raise amend_rejected(AMEND_INCREASE)
    if request.new_quantity == order.quantity:
        raise amend_rejected(AMEND_NO_CHANGE)
    if len(order.amendments) >= spec.max_amends:
        raise filter_failure("MAX_NUM_ORDER_AMENDS", code=AMEND_REJECTED_CODE)
    # The order may keep its own client order id.
    named = account.find_open_order(request.new_client_order_id or "")
    if named is not None and named is not order:
        raise amend_rejected(DUPLICATE_ORDER)

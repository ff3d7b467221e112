"""Foreign orders: tells the orders of our exit from those of another instance that uses the same client order id.

Two instances that start an exit in the same millisecond give their orders the same client order id. The exchange
refuses the second open order with that id, but both instances receive the execution reports of the first one. A report
does not say which request led to its order. So an order id from a report is only assumed to belong to our request, and
the reply confirms or refutes it. An accepted request has the order id of its reply, a refused request has none, and a
request without a reply may have any. Any further order id belongs to another instance. We leave that order alone, and
the node stops.
"""

from trailingedge.execution.exit_order_set import ExitOrders
from trailingedge.execution.order import Order, OrderState
from trailingedge.execution.order_events import OrderEvent, UnknownOrderWithOurId
from trailingedge.execution.pending_requests import PendingRequest
from trailingedge.execution.replace_attempt import AttemptState, AttemptTrigger, ReplaceAttempt
from trailingedge.model.market import OrderRecord


class ForeignOrders:
    """Finds orders of another instance among `orders`, and publishes the first one to `events`.

    Until `inherits_until_s`, a request of an earlier session of ours may still lead to an order.
    """

    def __init__(self, orders: ExitOrders, events: list[OrderEvent]) -> None:
        self.inherits_until_s = float("-inf")
        self._orders = orders
        self._events = events
        self._published = False

    def inherits(self, now_s: float) -> bool:
        """Return whether an order that an earlier session requested may still reach the book."""
        return now_s < self.inherits_until_s

    def publish(self, client_order_id: str, order_id: int) -> None:
        """Publish that an order of another instance was found. Only the first call has an effect."""
        if not self._published:
            self._published = True
            self._events.append(UnknownOrderWithOurId(client_order_id, order_id))

    def on_wrong_order_id(self, attempt: ReplaceAttempt, now_s: float) -> None:
        """Handle a reply that contradicts an earlier report.

        The report gave an order id to our new order, but that id is another order's.
        """
        order = attempt.new
        if order.state is OrderState.REJECTED or order.order_id is None:
            return  # a report of the rejection had the id
        if attempt.state is not AttemptState.REPORTED:
            attempt.apply(AttemptTrigger.REFUSED)  # another request of ours led to it
            return
        earlier = self._orders.unanswered(order.client_order_id, besides=attempt)
        if earlier:
            # An earlier request without a reply led to it. `order` stands for that order from now on.
            earlier[0].apply(AttemptTrigger.RULED_OUT)
            attempt.apply(AttemptTrigger.CONFIRMED)
        elif not self.inherits(now_s):
            self.publish(order.client_order_id, order.order_id)
            self._orders.disown(attempt)

    def owner_of_answer(self, request: PendingRequest, record: OrderRecord, now_s: float) -> Order | None:
        """Return our order that `record` describes, or None if it is not ours. `record` answers the query `request`."""
        order, attempt = request.order, request.attempt
        earlier = self._orders.unanswered(order.client_order_id)
        known = self._orders.by_order_id(record.order_id) is not None
        if attempt is None or not attempt.refused or known or (not earlier and self.inherits(now_s)):
            return self._orders.find_answered(order, record, attempt)
        # The exchange refused `order` because an order with its client order id is open. `record` is that order.
        attempt.apply(AttemptTrigger.REFUSED)
        if earlier:
            return earlier[0].new
        self.publish(record.client_order_id or order.client_order_id, record.order_id)
        return None

    def drop_foreign(self, unknown: list[OrderRecord], request: PendingRequest, now_s: float) -> list[OrderRecord]:
        """Return those of `unknown` that can be ours: the newest, at most one for each request without an order id.

        If `unknown` has more orders than that, publish that another instance's order was found. `unknown` are the
        orders, not known here, in the answer to the query `request`.
        """
        surplus = len(unknown) - len(self._orders.unanswered(request.order.client_order_id))
        if surplus <= 0 or self.inherits(now_s):
            return unknown
        self.publish(unknown[0].client_order_id, unknown[0].order_id)
        if request.attempt is not None and request.attempt.refused:  # the order that it was a duplicate of is found
            request.attempt.apply(AttemptTrigger.REFUSED)
        return unknown[surplus:]

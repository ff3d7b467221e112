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

    def on_wrong_order_id(self, order: Order, now_s: float) -> None:
        """Handle a reply that contradicts a report: the order id that `order` got belongs to another order."""
        if order.state is OrderState.REJECTED or order.order_id is None:
            return  # a report of the rejection had the id
        if order.answered or order.had_rival:
            order.had_rival, order.answered = False, True
            return  # another request of ours led to it
        requests = self._orders.unanswered_requests(order.client_order_id, besides=order)
        if requests:
            # An earlier request without a reply led to it. `order` stands for that order from now on.
            self._orders.confirm_rejected(requests[0])
            order.answered = True
        elif not self.inherits(now_s):
            self.publish(order.client_order_id, order.order_id)
            self._orders.disown(order)

    def owner_of_answer(self, order: Order, record: OrderRecord, now_s: float) -> Order | None:
        """Return our order that `record` describes, or None if it is not ours. `record` answers a query of `order`."""
        if not order.refused or self._orders.by_order_id(record.order_id) is not None:
            return self._orders.find_answered(order, record)
        # The exchange refused `order` because an order with its client order id is open. `record` is that order.
        requests = self._orders.unanswered_requests(order.client_order_id)
        if not requests and self.inherits(now_s):
            return self._orders.find_answered(order, record)
        self._orders.confirm_rejected(order)
        if requests:
            return requests[0]
        self.publish(record.client_order_id or order.client_order_id, record.order_id)
        return None

    def drop_foreign(self, unknown: list[OrderRecord], queried: Order, now_s: float) -> list[OrderRecord]:
        """Return the orders in `unknown` that can be ours: the newest, one for each request without an order id.

        If there are more, publish that another instance's order was found.
        """
        surplus = len(unknown) - len(self._orders.unanswered_requests(queried.client_order_id))
        if surplus <= 0 or self.inherits(now_s):
            return unknown
        self.publish(unknown[0].client_order_id, unknown[0].order_id)
        if queried.refused:  # what the exchange refused as a duplicate has been found
            self._orders.confirm_rejected(queried)
        return unknown[surplus:]

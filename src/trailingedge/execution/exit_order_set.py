"""Keeps the orders of one exit: the order on the book, its successor, and earlier orders with possible late reports.

An exit has one order at a time. During a cancel-replace it also has a successor, whose existence is not yet confirmed.
An order that two queries did not find is presumed rejected, but it is kept, because the exchange may still report it.
All orders of an exit have the same client order id, so only order ids tell them apart. An order without an order id is
matched by the request that created it. Order events for log, console and alerts are also collected here.
"""

from collections import OrderedDict
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from trailingedge.execution.order import Order, OrderState, OrderTrigger
from trailingedge.execution.order_events import OrderCancelled, OrderEvent, OrderFilled, OrderPlaced, OrderReplaced
from trailingedge.model.market import ZERO, ExecutionReport, OrderRecord, Side
from trailingedge.reconciliation.history_types import HistoricalExit

# A long exit requotes a thousand times. Late reports concern the last few orders; the fills of the others are kept as
# a sum.
_FINISHED_KEPT: Final = 200
_PRESUMED_DEAD_KEPT: Final = 5


class ExitOrders:
    """Keeps the orders of exit `number`. `events` collects an event for each change.

    `order` is the newest order that is or was on the book. `successor` is the new order of an open cancel-replace.
    `rested` tells whether any order of the exit was ever on the book.
    """

    def __init__(self, number: int, events: list[OrderEvent]) -> None:
        self.number = number
        self._events = events
        self.order: Order | None = None
        self.successor: Order | None = None
        self.rested = False
        self._presumed_dead: list[Order] = []  # all other orders: presumed rejected, or found unexpectedly
        self._finished: OrderedDict[int, Order] = OrderedDict()
        self._finished_filled: dict[int, Order] = {}  # the finished orders with fills: few, so quick to add up
        self._forgotten_base = ZERO
        self._forgotten_quote = ZERO
        self._filled: tuple[Decimal, Decimal] | None = None

    @property
    def alive(self) -> bool:
        """Whether any order of this exit is, or might be, on the book."""
        return any(order.alive for order in self._tracked())

    @property
    def may_fill(self) -> bool:
        """Whether any order of this exit can still fill.

        If the old order of a cancel-replace has filled, its new order cannot fill: the exchange refuses the cancel and
        does not try the new order.
        """
        order = self.order
        untried = self.successor if order is not None and order.state is OrderState.FILLED else None
        return any(
            candidate.alive and not (candidate is untried and candidate.without_order_id)
            for candidate in self._tracked()
        )

    def alive_orders(self) -> list[Order]:
        """All orders that are, or might be, on the book, the newest request first."""
        return [order for order in self._tracked() if order.alive]

    @property
    def unknown_order(self) -> Order | None:
        """The UNKNOWN order to query first: current order, then successor, then others. None if no order is UNKNOWN."""
        for order in (self.order, self.successor, *self._presumed_dead):
            if order is not None and order.state is OrderState.UNKNOWN:
                return order
        return None

    def unknown_without_order_id(self, client_order_id: str) -> list[Order]:
        """The UNKNOWN orders with this client order id whose order id the exchange has not reported."""
        return [
            order
            for order in self._tracked()
            if order.without_order_id and order.state is OrderState.UNKNOWN and order.client_order_id == client_order_id
        ]

    def unanswered_requests(self, client_order_id: str, besides: Order | None = None) -> list[Order]:
        """The orders without an order id that may still get one. `besides` is left out."""
        return [
            order
            for order in self._tracked()
            if order.may_get_order_id and order is not besides and order.client_order_id == client_order_id
        ]

    @property
    def duplicate(self) -> Order | None:
        """A second order that rests beside the current one and must be cancelled; None if there is none."""
        if self.order is None or self.order.state is not OrderState.WORKING:
            return None
        return next((candidate for candidate in self._presumed_dead if candidate.state is OrderState.WORKING), None)

    @property
    def highest_order_id(self) -> int | None:
        """The highest order id of this exit that the exchange has reported."""
        order_ids = [
            order.order_id for order in (*self._tracked(), *self._finished.values()) if order.order_id is not None
        ]
        return max(order_ids, default=None)

    def filled(self) -> tuple[Decimal, Decimal]:
        """Return the amounts of base and quote that all fills of the exit add up to."""
        if self._filled is None:
            self._filled = self._sum_fills()
        return self._filled

    def _sum_fills(self) -> tuple[Decimal, Decimal]:
        orders = (*self._finished_filled.values(), *self._tracked())
        base = sum((order.filled_quantity for order in orders), self._forgotten_base)
        quote = sum((order.filled_quote for order in orders), self._forgotten_quote)
        return base, quote

    def max_locked(self, in_quote: bool) -> Decimal | None:
        """Return the most that our orders can have locked of the asset that they sell.

        Returns None if that is unknown, because a pegged buy order has no known price yet.
        """
        most = ZERO
        for order in self._tracked():
            if not order.alive:
                continue
            if in_quote and order.price is None:
                return None
            locked = order.remaining * order.price if in_quote and order.price else order.remaining
            most = max(most, locked)
        return most

    def find_reported(self, report: ExecutionReport | OrderRecord) -> Order | None:
        """Find our order that an execution report or an entry of the open orders describes; None if it matches none."""
        known = self.by_order_id(report.order_id)
        if known is not None:
            return known
        # The newest request comes first: while it has no order id, a new order id is most likely its own.
        requests = self.unanswered_requests(report.client_order_id)
        return next((order for order in requests if order.side is report.side), None)

    def find_answered(self, order: Order, record: OrderRecord) -> Order:
        """Find the order that `record` describes. `record` answers a request about `order`.

        The order found is usually `order` itself. But an earlier report may have assigned the
        record's order id to another request of ours, or a different order id to `order`. So the
        order id decides.
        """
        known = self.by_order_id(record.order_id)
        if known is order:
            return order
        if known is not None:
            if order.without_order_id:
                self.confirm_rejected(order)
            known.answered = True
            return known
        if order.without_order_id or record.order_id < 0:
            if order not in self._tracked():
                self._presumed_dead.append(order)
            return order
        # The request is known under another order id, so this record is a second order of ours.
        return self.add_found(record, order)

    def by_order_id(self, order_id: int) -> Order | None:
        """Return the order with this order id, present or finished; None if there is none."""
        if order_id < 0:
            return None
        present = (order for order in self._tracked() if order.order_id == order_id)
        return self._finished.get(order_id) or next(present, None)

    def add_found(self, record: OrderRecord, like: Order) -> Order:
        """Add a second order of ours, discovered by `record`; it has the client order id and the side of `like`."""
        order = Order(like.client_order_id, like.side, record.price, record.quantity or like.quantity, like.sent_s)
        self._presumed_dead.append(order)
        return order

    def add_inherited(self, source: ExecutionReport | OrderRecord, side: Side, now_s: float) -> Order:
        """Add an order that an earlier session requested and the exchange reports only now."""
        order = Order(source.client_order_id, side, source.price, source.quantity, now_s)
        self._presumed_dead.append(order)
        return order

    def adopt(self, exit_: HistoricalExit, now_s: float) -> None:
        """Continue an exit of an earlier session: its fills count, and its open order is the current one."""
        self._filled = None
        for record in exit_.orders:
            order = Order(record.client_order_id, exit_.side, record.price, record.quantity, now_s)
            order.apply_record(record)
            order.placed_published = True  # the earlier session published it
            if order.alive:
                self.set_current(order)
            else:
                self._retire(order)
        self.rested = True

    def set_current(self, order: Order) -> None:
        """Make `order` the current order. The previous one becomes a finished order."""
        self._retire(self.order)
        self.order = order

    def apply(self, order: Order, update: Callable[[], None]) -> None:
        """Call `update`, which changes `order`, and publish what it changed."""
        # Compare before and after: the same fill comes in the reply, in the report and in a query, and must be
        # published once.
        base, quote = order.filled_quantity, order.filled_quote
        update()
        self._filled = None
        if order.order_id is None or order.price is None:
            return
        # A late fill of a finished order counts for the exit, for example a fill that came just before our cancel.
        if order.order_id in self._finished and order.filled_quantity:
            self._finished_filled[order.order_id] = order
        if order.order_id in self._finished and order.alive:  # we took it for finished, but it is on the book
            self._forget_finished(order.order_id)
            self._presumed_dead.append(order)
        identity = (order.client_order_id, order.order_id, order.side)
        if not order.placed_published and (order.state is OrderState.WORKING or order.filled_quantity > ZERO):
            order.placed_published = True
            if order.replaces_price is None:
                self._events.append(OrderPlaced(*identity, order.price, order.quantity))
            else:
                self._events.append(OrderReplaced(*identity, order.replaces_price, order.price, order.quantity))
        if order.filled_quantity > base:
            new_quantity, new_quote = order.filled_quantity - base, order.filled_quote - quote
            self._events.append(OrderFilled(*identity, order.price, new_quantity, new_quote, order.remaining))

    def mark_unknown(self, now_s: float) -> None:
        """Mark every order that may be on the book as UNKNOWN: the connection was lost."""
        for order in self._tracked():
            if order.alive:
                order.mark_unknown(now_s)

    def presume_rejected(self, order: Order) -> None:
        """Presume that `order` was never accepted: repeated queries did not find it."""
        order.apply(OrderTrigger.REJECTED)
        # The exchange carries out both halves of a cancel-replace together. If the old order has left the book already,
        # a successor that queries have not found will not appear later, so it need not be reopened.
        order.reopened = order.reopened or (self.order is not None and not self.order.alive)
        if order.without_order_id and order not in self._presumed_dead:
            self._presumed_dead.append(order)

    def confirm_rejected(self, order: Order) -> None:
        """Mark `order` as rejected: the exchange confirmed that it was never accepted."""
        order.apply(OrderTrigger.REJECTED)
        order.refused = True
        if order in self._presumed_dead:
            self._presumed_dead.remove(order)
            self._filled = None

    def disown(self, order: Order) -> None:
        """Remove the order id and the fills from `order`: they belong to another instance's order."""
        if order.order_id is not None and order.order_id in self._finished:
            self._forget_finished(order.order_id)
        order.disown()
        if order in self._presumed_dead:
            self._presumed_dead.remove(order)
        self._filled = None

    def on_cancelled_by(self, order: Order, successor: Order | None) -> None:
        """Mark the pending replacements of the cancelled `order` as rejected, except `successor`.

        `successor` comes from the request that cancelled `order`. It is None if that request was a
        plain cancel.
        """
        for late in self._tracked():
            if late.without_order_id and late is not successor and late.replaces_order_id == order.order_id:
                self.confirm_rejected(late)

    def reconcile(self) -> None:
        """Make the states of all orders of the exit consistent, after one of them has changed."""
        self._filled = None
        if any(order.state is OrderState.WORKING or order.filled_quantity for order in self._tracked()):
            self.rested = True
        # The order of these steps matters: an order may be promoted only once it is known not to be a duplicate, and
        # OrderCancelled is published only if nothing took the place.
        self._reject_other_successors()
        self._presume_untried_rejected()
        self._promote_successor()
        self._reopen_presumed_dead()
        self._sort_presumed_dead()
        self._publish_cancelled()

    def _reject_other_successors(self) -> None:
        """Once one of several requests to replace the same order has succeeded, mark the others as rejected."""
        taken = {order.replaces_order_id: order for order in self._tracked() if not order.without_order_id}
        for rival in self._tracked():
            if rival.without_order_id and rival.replaces_order_id is not None and rival.replaces_order_id in taken:
                # A report does not say which request led to its order: it may have been the rival.
                taken[rival.replaces_order_id].had_rival = True
                self.confirm_rejected(rival)

    def _presume_untried_rejected(self) -> None:
        """Presume the successor rejected if the cancel-replace did not cancel the old order.

        With STOP_ON_FAILURE the exchange then does not try the new order.
        """
        order, successor = self.order, self.successor
        if (
            order is None
            or successor is None
            or not successor.without_order_id
            or successor.state is not OrderState.UNKNOWN
        ):
            return
        # CANCELED is missing from this list, because this very request may have cancelled the order.
        if order.state in (OrderState.WORKING, OrderState.FILLED, OrderState.EXPIRED):
            self.presume_rejected(successor)

    def _promote_successor(self) -> None:
        """Make the successor the current order once the old one is off the book."""
        successor = self.successor
        if successor is None:
            return
        if successor.state is OrderState.REJECTED:
            self.successor = None
        elif not successor.without_order_id and self.order is not None and self.order.state is OrderState.WORKING:
            # Both are reported as on the book, which is impossible: one of the two messages is out of date. The
            # queries that follow settle it.
            self.successor = None
            self._presumed_dead.append(successor)
        elif (self.order is None or not self.order.alive) and not successor.without_order_id:
            self.successor = None
            self.set_current(successor)

    def _reopen_presumed_dead(self) -> None:
        """Make a presumed-rejected replacement UNKNOWN again if the old order was cancelled.

        The cancel-replace may have been executed after all, and then the new order may exist. A
        query will tell.
        """
        order = self.order
        if order is None or order.state is not OrderState.CANCELED or order.order_id is None:
            return
        for candidate in self._presumed_dead:
            if (
                candidate.replaces_order_id == order.order_id
                and candidate.state is OrderState.REJECTED
                and not candidate.reopened
            ):
                candidate.reopened = True
                candidate.apply(OrderTrigger.REOPENED)

    def _sort_presumed_dead(self) -> None:
        """Go through the orders that were presumed rejected, and take out those that turned out to exist.

        An open order becomes the current order, unless another is on the book. An order that has ended becomes a
        finished order.
        """
        for candidate in list(self._presumed_dead):
            if candidate.state is OrderState.REJECTED and candidate.without_order_id:
                continue
            if candidate is self.order or candidate is self.successor:
                self._presumed_dead.remove(candidate)
            elif not candidate.alive:
                self._presumed_dead.remove(candidate)
                self._retire(candidate)
            elif (
                not candidate.without_order_id
                and self.successor is None
                and (self.order is None or not self.order.alive)
            ):
                self._presumed_dead.remove(candidate)
                self.set_current(candidate)
        rejected = [candidate for candidate in self._presumed_dead if candidate.state is OrderState.REJECTED]
        for candidate in rejected[:-_PRESUMED_DEAD_KEPT]:
            self._presumed_dead.remove(candidate)

    def _publish_cancelled(self) -> None:
        """Publish OrderCancelled once an order left the book and nothing took its place."""
        order = self.order
        if order is None or self.successor is not None or order.state not in (OrderState.CANCELED, OrderState.EXPIRED):
            return
        # One of them may still turn out to be the replacement; then OrderReplaced is published instead.
        if any(candidate.alive for candidate in self._presumed_dead):
            return
        if (
            order.placed_published
            and not order.cancel_published
            and order.order_id is not None
            and order.price is not None
        ):
            order.cancel_published = True
            identity = (order.client_order_id, order.order_id, order.side)
            self._events.append(OrderCancelled(*identity, order.price, order.filled_quantity, order.quantity))

    def _tracked(self) -> list[Order]:
        """Return all orders that are not finished, the newest request first."""
        current = [order for order in (self.successor, self.order) if order is not None]
        return current + [candidate for candidate in self._presumed_dead if candidate not in current]

    def _retire(self, order: Order | None) -> None:
        """Move `order` to the finished orders: its fills still count, and a late report can still be matched to it."""
        if order is None or order.order_id is None:
            return
        self._finished[order.order_id] = order
        if order.filled_quantity:
            self._finished_filled[order.order_id] = order
        # The sums stay exact; only the ability to match a very late report to this order is given up.
        while len(self._finished) > _FINISHED_KEPT:
            oldest = self._forget_finished(next(iter(self._finished)))
            self._forgotten_base += oldest.filled_quantity
            self._forgotten_quote += oldest.filled_quote

    def _forget_finished(self, order_id: int) -> Order:
        self._finished_filled.pop(order_id, None)
        return self._finished.pop(order_id)

"""Exit order set: keeps the current order of one exit, the replace attempts that may lead to further orders, and the
finished orders.

An exit has one order at a time. Each request for a new order is a ReplaceAttempt, kept until its order is the current
one, has ended, or is known not to exist. An order that appears beside the current one is kept as an attempt as well,
until it has ended or takes the place of the current one. All orders of an exit have the same client order id, so only
order ids tell them apart. Order events for log, console and alerts are also collected here.
"""

from collections import OrderedDict
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from trailingedge.execution.order import Order, OrderState, OrderTrigger
from trailingedge.execution.order_events import OrderCancelled, OrderEvent, OrderFilled, OrderPlaced, OrderReplaced
from trailingedge.execution.replace_attempt import AttemptState, AttemptTrigger, ReplaceAttempt
from trailingedge.model.market import ZERO, ExecutionReport, OrderRecord
from trailingedge.reconciliation.history_types import HistoricalExit

# A long exit requotes a thousand times. Late reports concern the last few orders.
_ORDERS_KEPT: Final = 200
_PRESUMED_FAILED_KEPT: Final = 5


class ExitOrders:
    """Keeps the orders of exit `number`. `events` collects an event for each change.

    `order` is the newest order that is or was on the book. `rested` tells whether any order of the exit was ever on
    the book.
    """

    def __init__(self, number: int, events: list[OrderEvent]) -> None:
        self.number = number
        self.order: Order | None = None
        self.rested = False
        self._events = events
        self._attempts: list[ReplaceAttempt] = []  # the oldest request first
        self._by_order_id: OrderedDict[int, Order] = OrderedDict()
        self._filled_base = ZERO
        self._filled_quote = ZERO

    @property
    def alive(self) -> bool:
        """Whether any order of this exit is, or might be, on the book."""
        order = self.order
        return (order is not None and order.alive) or any(attempt.new.alive for attempt in self._attempts)

    @property
    def may_fill(self) -> bool:
        """Whether any order of this exit can still fill.

        If the old order of a cancel-replace has filled, its new order cannot fill: the exchange refuses the cancel and
        does not try the new order.
        """
        untried = [each.new for each in self._attempts if each.old and each.old.state is OrderState.FILLED]
        if not untried:
            return self.alive
        return any(not order.without_order_id or order not in untried for order in self.alive_orders())

    def alive_orders(self) -> list[Order]:
        """All orders that are, or might be, on the book, the newest request first."""
        return [order for order in self._tracked() if order.alive]

    @property
    def unknown_order(self) -> Order | None:
        """The UNKNOWN order to query first: the current order, else its successor, else another one.

        None if no order is UNKNOWN.
        """
        if self.order is not None and self.order.state is OrderState.UNKNOWN:
            return self.order
        return next((order for order in self._tracked() if order.state is OrderState.UNKNOWN), None)

    def unanswered(self, client_order_id: str, besides: ReplaceAttempt | None = None) -> list[ReplaceAttempt]:
        """The attempts with this client order id, except `besides`, that may have led to an order we do not know."""
        attempts = [self.attempt_of(order) for order in self._tracked() if order.client_order_id == client_order_id]
        return [each for each in attempts if each is not None and each.may_be_reported and each is not besides]

    @property
    def duplicate(self) -> Order | None:
        """A second order that rests beside the current one and must be cancelled; None if there is none."""
        if self.order is None or self.order.state is not OrderState.WORKING:
            return None
        others = (attempt.new for attempt in self._attempts if attempt.new is not self.order)
        return next((order for order in others if order.state is OrderState.WORKING), None)

    @property
    def highest_order_id(self) -> int | None:
        """The highest order id of this exit that the exchange has reported."""
        return max(self._by_order_id, default=None)

    def filled(self) -> tuple[Decimal, Decimal]:
        """Return the amounts of base and quote that all fills of the exit add up to."""
        return self._filled_base, self._filled_quote

    def max_locked(self, in_quote: bool) -> Decimal | None:
        """Return the largest amount that our orders can have locked, in the asset that they sell.

        Returns None if that is unknown, because a pegged buy order has no known price yet.
        """
        most = ZERO
        for order in self.alive_orders():
            if in_quote and order.price is None:
                return None
            locked = order.remaining * order.price if in_quote and order.price else order.remaining
            most = max(most, locked)
        return most

    def find_reported(self, report: ExecutionReport | OrderRecord) -> Order | None:
        """Find our order that an execution report or an entry of the open orders describes; None if there is none."""
        known = self.by_order_id(report.order_id)
        if known is not None:
            return known
        # The newest request comes first: while it has no order id, a new order id is most likely its own.
        attempts = self.unanswered(report.client_order_id)
        return next((attempt.new for attempt in attempts if attempt.new.side is report.side), None)

    def find_answered(self, order: Order, record: OrderRecord, attempt: ReplaceAttempt | None) -> Order:
        """Find the order that `record` describes.

        `record` answers a request about `order`, which is the new order of `attempt`.

        The order found is usually `order` itself. But an earlier report may have assigned the
        record's order id to another request of ours, or a different order id to `order`. So the
        order id decides.
        """
        known = self.by_order_id(record.order_id)
        if known is None and not order.without_order_id and record.order_id >= 0:
            # The request is known under another order id, so this record is a second order of ours.
            return self.add_found(record, order)
        if attempt is not None and order.without_order_id:
            if known is not None:
                attempt.apply(AttemptTrigger.REFUSED)
            elif attempt not in self._attempts:
                self._attempts.append(attempt)
        return known or order

    def by_order_id(self, order_id: int) -> Order | None:
        """Return the order with this order id, present or finished; None if there is none."""
        return self._by_order_id.get(order_id)

    def attempt_of(self, order: Order) -> ReplaceAttempt | None:
        """Return the attempt whose new order is `order`; None if it is no longer kept."""
        return next((attempt for attempt in self._attempts if attempt.new is order), None)

    def begin(self, attempt: ReplaceAttempt) -> None:
        """Keep an attempt whose request is being sent. The order of a plain placement is current from now on."""
        self._attempts.append(attempt)
        if attempt.old is None:
            self.order = attempt.new

    def add_found(self, record: OrderRecord, like: Order) -> Order:
        """Add a second order of ours, discovered by `record`; it has the client order id and the side of `like`."""
        quantity = record.quantity or like.quantity
        return self.add(Order(like.client_order_id, like.side, record.price, quantity, like.sent_s))

    def add(self, order: Order) -> Order:
        """Keep an order as an attempt beside the current order, although we know no request of ours that led to it."""
        self._attempts.append(ReplaceAttempt(order, state=AttemptState.DONE))
        return order

    def adopt(self, exit_: HistoricalExit, now_s: float) -> None:
        """Continue an exit of an earlier session: its fills count, and its open order is the current one."""
        for record in exit_.orders:
            order = Order(record.client_order_id, exit_.side, record.price, record.quantity, now_s)
            order.apply_record(record)
            order.placed_published = True  # the earlier session published it
            self._count(order.filled_quantity, order.filled_quote)
            self._by_order_id[record.order_id] = order
            if order.alive:
                self.order = order
        self.rested = True

    def apply(self, order: Order, update: Callable[[], None]) -> None:
        """Call `update`, which changes `order`, and publish what it changed."""
        # Compare before and after: the same fill comes in the reply, in the report and in a query, and must be
        # counted and published once.
        known, base, quote = order.order_id, order.filled_quantity, order.filled_quote
        update()
        new_quantity, new_quote = order.filled_quantity - base, order.filled_quote - quote
        self._count(new_quantity, new_quote)
        attempt = self.attempt_of(order)
        if known is None:
            self._on_reported(order, attempt)
        rested = order.state is OrderState.WORKING or order.filled_quantity > ZERO
        self.rested = self.rested or rested
        if order.order_id is None or order.price is None:
            return
        if order.alive and attempt is None and order is not self.order:
            self.add(order)  # we took it for finished, but it is on the book
        identity = (order.client_order_id, order.order_id, order.side)
        if rested and not order.placed_published:
            order.placed_published = True
            old_price = None if attempt is None or attempt.old is None else attempt.old.price
            if old_price is None:
                self._events.append(OrderPlaced(*identity, order.price, order.quantity))
            else:
                self._events.append(OrderReplaced(*identity, old_price, order.price, order.quantity))
        if new_quantity > ZERO:
            self._events.append(OrderFilled(*identity, order.price, new_quantity, new_quote, order.remaining))

    def _on_reported(self, order: Order, attempt: ReplaceAttempt | None) -> None:
        """Handle a message that describes `order`.

        Note its order id, and rule out the other attempts to replace the same old order.
        """
        if order.order_id is not None:
            self._by_order_id[order.order_id] = order
            # Sums stay exact; only the ability to match a very late report to an old order is given up.
            while len(self._by_order_id) > _ORDERS_KEPT:
                self._by_order_id.popitem(last=False)
        if attempt is None:
            return
        if order.state is OrderState.REJECTED:
            attempt.apply(AttemptTrigger.REFUSED)
        elif order.order_id is not None:
            attempt.apply(AttemptTrigger.REPORTED)
            for rival in self._attempts:
                if attempt.old is not None and rival.old is attempt.old and rival.new.without_order_id:
                    # A report does not say which request led to its order: it may have been the rival.
                    rival.apply(AttemptTrigger.RULED_OUT)
                    attempt.apply(AttemptTrigger.RIVAL_RULED_OUT)

    def mark_unknown(self, order: Order, now_s: float) -> None:
        """Mark `order` as UNKNOWN unless it is final: no reply came, or the connection was lost."""
        attempt = self.attempt_of(order)
        if attempt is not None and order.without_order_id:
            attempt.apply(AttemptTrigger.UNANSWERED)
        order.mark_unknown(now_s)

    def presume_rejected(self, order: Order) -> None:
        """Presume that `order` was never accepted: repeated queries did not find it."""
        attempt = self.attempt_of(order)
        if attempt is not None and order.without_order_id:
            attempt.apply(AttemptTrigger.NOT_FOUND)
        else:
            order.apply(OrderTrigger.REJECTED)

    def disown(self, attempt: ReplaceAttempt) -> None:
        """Remove order id and fills from the new order of `attempt`: they belong to another instance's order."""
        order = attempt.new
        self._by_order_id.pop(order.order_id or 0, None)
        self._count(-order.filled_quantity, -order.filled_quote)
        attempt.apply(AttemptTrigger.REFUSED)
        order.disown()

    def on_cancelled_by(self, order: Order, attempt: ReplaceAttempt | None) -> None:
        """Rule out the other attempts to replace `order`, which has been cancelled.

        `attempt` is the cancel-replace that cancelled it; None if a plain cancel did.
        """
        for late in self._attempts:
            if late is not attempt and late.old is order and late.new.without_order_id:
                late.apply(AttemptTrigger.RULED_OUT)

    def reconcile(self) -> None:
        """Make the states of all orders of the exit consistent, after one of them has changed."""
        if not self._attempts:  # as at the reports of an order whose reply has come
            self._publish_cancelled()
            return
        for attempt in self._attempts:
            attempt.follow_old_order()
        # A successor has the first claim to the place of the current order.
        for attempt in sorted(self._attempts, key=lambda attempt: attempt is not self._successor):
            if self._settle(attempt):
                self._attempts.remove(attempt)
        for attempt in [attempt for attempt in self._attempts if attempt.presumed_failed][:-_PRESUMED_FAILED_KEPT]:
            self._attempts.remove(attempt)
        self._publish_cancelled()

    @property
    def _successor(self) -> ReplaceAttempt | None:
        """The newest attempt to replace the current order that has not failed and is not presumed to have failed."""
        for attempt in reversed(self._attempts):
            replaces_current = attempt.old is not None and attempt.old is self.order
            if replaces_current and not attempt.failed and not attempt.presumed_failed:
                return attempt
        return None

    def _settle(self, attempt: ReplaceAttempt) -> bool:
        """Make the new order of `attempt` the current one if that is possible.

        Returns whether `attempt` need not be kept any longer.
        """
        order, current, successor = attempt.new, self.order, self._successor
        if attempt.failed or order is current or order.without_order_id:
            return attempt.failed or not order.without_order_id
        if current is not None and current.alive:
            # While the old order is being cancelled or is in question, the new one waits for its place.
            waits = attempt is successor and current.state is not OrderState.WORKING
            return not order.alive and not waits
        ended_in_place = attempt is successor and order.state is not OrderState.REJECTED
        if successor in (attempt, None) and (order.alive or ended_in_place):
            self.order = order
        return order is self.order or not order.alive

    def _publish_cancelled(self) -> None:
        """Publish OrderCancelled if an order has left the book and no other order has taken its place."""
        order = self.order
        if order is None or order.state not in (OrderState.CANCELED, OrderState.EXPIRED):
            return
        # One of the others may still turn out to be the replacement; then OrderReplaced is published instead.
        if self.alive or not order.placed_published or order.cancel_published:
            return
        if order.order_id is not None and order.price is not None:
            order.cancel_published = True
            identity = (order.client_order_id, order.order_id, order.side)
            self._events.append(OrderCancelled(*identity, order.price, order.filled_quantity, order.quantity))

    def _tracked(self) -> list[Order]:
        """Return all unfinished orders: the order of the newest attempt, then the current order, then the others."""
        successor = self._successor
        newest = None if successor is None else successor.new
        first = [order for order in (newest, self.order) if order is not None]
        return first + [attempt.new for attempt in self._attempts if attempt.new not in first]

    def _count(self, base: Decimal, quote: Decimal) -> None:
        self._filled_base += base
        self._filled_quote += quote

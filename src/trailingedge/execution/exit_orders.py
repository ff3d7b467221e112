"""The orders of one exit: which report belongs to which, and what all of them filled.

There is one order at a time, and during a cancel-replace its successor, not yet known to exist. A
request that was given up as never carried out leaves a ghost, for the exchange may know better. All of
them bear the same client order id, so order ids tell them apart once known. What people should be told
of them is collected here, where it is seen first.
"""

from collections import OrderedDict
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from trailingedge.execution.order import Order, OrderState, OrderTrigger
from trailingedge.execution.order_events import OrderCancelled, OrderEvent, OrderFilled, OrderPlaced, OrderReplaced
from trailingedge.model.market import ZERO, ExecutionReport, OrderRecord, Side
from trailingedge.reconciliation.exit_history import HistoricalExit

_FINISHED_KEPT: Final = 200
_PRESUMED_DEAD_KEPT: Final = 5


class ExitOrders:
    """`order` is the newest that is or was on the book; `successor` the new half of a cancel-replace."""

    def __init__(self, number: int, happened: list[OrderEvent]) -> None:
        self.number = number
        self._events = happened
        self.order: Order | None = None
        self.successor: Order | None = None
        self.rested = False
        self._presumed_dead: list[Order] = []  # beside these two: given up, or found to exist without our knowing
        self._finished: OrderedDict[int, Order] = OrderedDict()
        self._finished_filled: dict[int, Order] = {}  # those among them that filled: few, and asked for in every beat
        self._forgotten_base = ZERO
        self._forgotten_quote = ZERO
        self._filled: tuple[Decimal, Decimal] | None = None

    # What there is ---------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """Something of this exit is, or might be, on the book."""
        return any(order.alive for order in self._tracked())

    def alive_orders(self) -> list[Order]:
        """Everything of this exit that is, or might be, on the book; the newest request first."""
        return [order for order in self._tracked() if order.alive]

    @property
    def unknown_order(self) -> Order | None:
        """The order to ask about first: the one on the book before the one that may have come after it."""
        for order in (self.order, self.successor, *self._presumed_dead):
            if order is not None and order.state is OrderState.UNKNOWN:
                return order
        return None

    def unknown_without_order_id(self, client_order_id: str) -> list[Order]:
        """Those of this client order id that may exist, though the exchange told no order id of them."""
        return [
            order
            for order in self._tracked()
            if order.without_order_id and order.state is OrderState.UNKNOWN and order.client_order_id == client_order_id
        ]

    @property
    def duplicate(self) -> Order | None:
        """An order that rests where it should not: beside the current one."""
        if self.order is None or self.order.state is not OrderState.WORKING:
            return None
        return next((ghost for ghost in self._presumed_dead if ghost.state is OrderState.WORKING), None)

    @property
    def highest_order_id(self) -> int | None:
        """The highest order id of this exit that we have heard of."""
        known = [order.order_id for order in (*self._tracked(), *self._finished.values()) if order.order_id is not None]
        return max(known, default=None)

    def filled(self) -> tuple[Decimal, Decimal]:
        """Base and quote of all fills of the whole chase."""
        if self._filled is None:
            self._filled = self._sum_fills()
        return self._filled

    def _sum_fills(self) -> tuple[Decimal, Decimal]:
        orders = (*self._finished_filled.values(), *self._tracked())
        base = sum((order.filled_quantity for order in orders), self._forgotten_base)
        quote = sum((order.filled_quote for order in orders), self._forgotten_quote)
        return base, quote

    def max_locked(self, in_quote: bool) -> Decimal | None:
        """The most that our orders can have locked of the asset they sell; None where that is not known."""
        most = ZERO
        for order in self._tracked():
            if not order.alive:
                continue
            if in_quote and order.price is None:
                return None
            locked = order.remaining * order.price if in_quote and order.price else order.remaining
            most = max(most, locked)
        return most

    # Which one is meant ----------------------------------------------------------------------

    def find_reported(self, report: ExecutionReport | OrderRecord) -> Order | None:
        """The order that `report`, unasked for, is about; None if none of ours can be it."""
        known = self.by_order_id(report.order_id)
        if known is not None:
            return known
        # The newest request comes first: while it has no id of its own, a new id is most likely its.
        nameless = (order for order in self._tracked() if order.without_order_id and order.side is report.side)
        return next((order for order in nameless if order.client_order_id == report.client_order_id), None)

    def find_answered(self, order: Order, record: OrderRecord) -> Order:
        """The order that `record` describes, which an answer about `order` brought.

        Mostly that is `order`. But a report may have given the same id to another request of ours
        before, or `order` the id of another; order ids are the truth.
        """
        known = self.by_order_id(record.order_id)
        if known is order:
            return order
        if known is not None:
            if order.without_order_id:
                self.confirm_rejected(order)
            return known
        if order.without_order_id or record.order_id < 0:
            if order not in self._tracked():
                self._presumed_dead.append(order)
            return order
        return self.add_found(record, order)

    def by_order_id(self, order_id: int) -> Order | None:
        """The order of this exit that bears `order_id`, present or past."""
        if order_id < 0:
            return None
        present = (order for order in self._tracked() if order.order_id == order_id)
        return self._finished.get(order_id) or next(present, None)

    def add_found(self, record: OrderRecord, like: Order) -> Order:
        """A new entry for an order of ours that was mistaken for another until now."""
        order = Order(like.client_order_id, like.side, record.price, record.quantity or like.quantity, like.sent_s)
        self._presumed_dead.append(order)
        return order

    def add_inherited(self, told: ExecutionReport | OrderRecord, side: Side, now_s: float) -> Order:
        """A new entry for an order that an earlier session had asked for, and that shows only now."""
        order = Order(told.client_order_id, side, told.price, told.quantity, now_s)
        self._presumed_dead.append(order)
        return order

    # What changes ----------------------------------------------------------------------------

    def adopt(self, past: HistoricalExit, now_s: float) -> None:
        """Go on with an exit of an earlier session: its fills count, and its open order is the current one."""
        self._filled = None
        for record in past.orders:
            order = Order(record.client_order_id, past.side, record.price, record.quantity, now_s)
            order.apply_record(record)
            order.placed_published = True  # by whoever placed it
            if order.alive:
                self.set_current(order)
            else:
                self._retire(order)
        self.rested = True

    def set_current(self, order: Order) -> None:
        """`order` is the current one now; what was there before is over."""
        self._retire(self.order)
        self.order = order

    def apply(self, order: Order, hear: Callable[[], None]) -> None:
        """Let `order` hear something, and tell what is new about it."""
        base, quote = order.filled_quantity, order.filled_quote
        hear()
        self._filled = None
        if order.order_id is None or order.price is None:
            return
        if order.order_id in self._finished and order.filled_quantity:
            self._finished_filled[order.order_id] = order
        if order.order_id in self._finished and order.alive:  # thought to be over, and is not
            self._forget_finished(order.order_id)
            self._presumed_dead.append(order)
        known = (order.client_order_id, order.order_id, order.side)
        if not order.placed_published and (order.state is OrderState.WORKING or order.filled_quantity > ZERO):
            order.placed_published = True
            if order.replaces_price is None:
                self._events.append(OrderPlaced(*known, order.price, order.quantity))
            else:
                self._events.append(OrderReplaced(*known, order.replaces_price, order.price, order.quantity))
        if order.filled_quantity > base:
            news, paid = order.filled_quantity - base, order.filled_quote - quote
            self._events.append(OrderFilled(*known, order.price, news, paid, order.remaining))

    def mark_unknown(self, now_s: float) -> None:
        """Whatever is, or might be, on the book may have changed unheard."""
        for order in self._tracked():
            if order.alive:
                order.mark_unknown(now_s)

    def presume_rejected(self, order: Order) -> None:
        """`order` was never taken, as far as can be known."""
        order.apply(OrderTrigger.REJECTED)
        # A successor that was not there when its predecessor was already gone can come no more.
        order.reopened = order.reopened or (self.order is not None and not self.order.alive)
        if order.without_order_id and order not in self._presumed_dead:
            self._presumed_dead.append(order)

    def confirm_rejected(self, order: Order) -> None:
        """`order` was certainly never taken."""
        order.apply(OrderTrigger.REJECTED)
        if order in self._presumed_dead:
            self._presumed_dead.remove(order)
            self._filled = None

    def on_cancelled_by(self, order: Order, successor: Order | None) -> None:
        """The exchange says that one request canceled `order`: no other can have put a successor in its place."""
        for late in self._tracked():
            if late.without_order_id and late is not successor and late.replaces_order_id == order.order_id:
                self.confirm_rejected(late)

    def reconcile(self) -> None:
        """After anything was heard: let each order find its place."""
        self._filled = None
        if any(order.state is OrderState.WORKING or order.filled_quantity for order in self._tracked()):
            self.rested = True
        self._reject_other_successors()
        self._presume_untried_rejected()
        self._promote_successor()
        self._reopen_presumed_dead()
        self._sort_presumed_dead()
        self._publish_cancelled()

    def _reject_other_successors(self) -> None:
        """Of all that wanted to take one order's place, only one can have."""
        taken = {order.replaces_order_id for order in self._tracked() if not order.without_order_id}
        for rival in self._tracked():
            if rival.without_order_id and rival.replaces_order_id is not None and rival.replaces_order_id in taken:
                self.confirm_rejected(rival)

    def _presume_untried_rejected(self) -> None:
        """What was on the book was not canceled, so STOP_ON_FAILURE kept the new order from being tried."""
        order, successor = self.order, self.successor
        if (
            order is None
            or successor is None
            or not successor.without_order_id
            or successor.state is not OrderState.UNKNOWN
        ):
            return
        if order.state in (OrderState.WORKING, OrderState.FILLED, OrderState.EXPIRED):
            self.presume_rejected(successor)

    def _promote_successor(self) -> None:
        successor = self.successor
        if successor is None:
            return
        if successor.state is OrderState.REJECTED:
            self.successor = None
        elif not successor.without_order_id and self.order is not None and self.order.state is OrderState.WORKING:
            # Both are said to exist, which cannot be: what we know of one of them is old.
            self.successor = None
            self._presumed_dead.append(successor)
        elif (self.order is None or not self.order.alive) and not successor.without_order_id:
            self.successor = None
            self.set_current(successor)

    def _reopen_presumed_dead(self) -> None:
        """A replace that was given up may be what canceled the order: its new half is in doubt again."""
        order = self.order
        if order is None or order.state is not OrderState.CANCELED or order.order_id is None:
            return
        for ghost in self._presumed_dead:
            if ghost.replaces_order_id == order.order_id and ghost.state is OrderState.REJECTED and not ghost.reopened:
                ghost.reopened = True
                ghost.apply(OrderTrigger.REOPENED)

    def _sort_presumed_dead(self) -> None:
        """A ghost that came alive is the current order where there is none, and one that is over is past."""
        for ghost in list(self._presumed_dead):
            if ghost.state is OrderState.REJECTED and ghost.without_order_id:
                continue
            if ghost is self.order or ghost is self.successor:
                self._presumed_dead.remove(ghost)
            elif not ghost.alive:
                self._presumed_dead.remove(ghost)
                self._retire(ghost)
            elif not ghost.without_order_id and self.successor is None and (self.order is None or not self.order.alive):
                self._presumed_dead.remove(ghost)
                self.set_current(ghost)
        forgettable = [ghost for ghost in self._presumed_dead if ghost.state is OrderState.REJECTED]
        for ghost in forgettable[:-_PRESUMED_DEAD_KEPT]:
            self._presumed_dead.remove(ghost)

    def _publish_cancelled(self) -> None:
        """An order left the book and nothing took its place."""
        order = self.order
        if order is None or self.successor is not None or order.state not in (OrderState.CANCELED, OrderState.EXPIRED):
            return
        if any(ghost.alive for ghost in self._presumed_dead):
            return
        if (
            order.placed_published
            and not order.cancel_published
            and order.order_id is not None
            and order.price is not None
        ):
            order.cancel_published = True
            known = (order.client_order_id, order.order_id, order.side)
            self._events.append(OrderCancelled(*known, order.price, order.filled_quantity, order.quantity))

    def _tracked(self) -> list[Order]:
        """Successor, order and ghosts: the newest request first."""
        current = [order for order in (self.successor, self.order) if order is not None]
        return current + [ghost for ghost in self._presumed_dead if ghost not in current]

    def _retire(self, order: Order | None) -> None:
        """Remember an order that is over: its fills count, and a late report finds it."""
        if order is None or order.order_id is None:
            return
        self._finished[order.order_id] = order
        if order.filled_quantity:
            self._finished_filled[order.order_id] = order
        while len(self._finished) > _FINISHED_KEPT:
            oldest = self._forget_finished(next(iter(self._finished)))
            self._forgotten_base += oldest.filled_quantity
            self._forgotten_quote += oldest.filled_quote

    def _forget_finished(self, order_id: int) -> Order:
        self._finished_filled.pop(order_id, None)
        return self._finished.pop(order_id)

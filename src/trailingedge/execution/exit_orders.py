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

_PAST_KEPT: Final = 200
_GHOSTS_KEPT: Final = 5


class ExitOrders:
    """`order` is the newest that is or was on the book; `successor` the new half of a cancel-replace."""

    def __init__(self, number: int, happened: list[OrderEvent]) -> None:
        self.number = number
        self._happened = happened
        self.order: Order | None = None
        self.successor: Order | None = None
        self.rested = False
        self._ghosts: list[Order] = []  # beside these two: given up, or found to exist without our knowing
        self._past: OrderedDict[int, Order] = OrderedDict()
        self._past_filled: dict[int, Order] = {}  # those among them that filled: few, and asked for in every beat
        self._older_base = ZERO
        self._older_quote = ZERO
        self._filled: tuple[Decimal, Decimal] | None = None

    # What there is ---------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """Something of this exit is, or might be, on the book."""
        return any(order.alive for order in self._each())

    def all_alive(self) -> list[Order]:
        """Everything of this exit that is, or might be, on the book; the newest request first."""
        return [order for order in self._each() if order.alive]

    @property
    def doubtful(self) -> Order | None:
        """The order to ask about first: the one on the book before the one that may have come after it."""
        for order in (self.order, self.successor, *self._ghosts):
            if order is not None and order.state is OrderState.UNKNOWN:
                return order
        return None

    def nameless_in_doubt(self, client_order_id: str) -> list[Order]:
        """Those of this client order id that may exist, though the exchange told no order id of them."""
        return [
            order
            for order in self._each()
            if order.nameless and order.state is OrderState.UNKNOWN and order.client_order_id == client_order_id
        ]

    @property
    def stray(self) -> Order | None:
        """An order that rests where it should not: beside the current one."""
        if self.order is None or self.order.state is not OrderState.WORKING:
            return None
        return next((ghost for ghost in self._ghosts if ghost.state is OrderState.WORKING), None)

    @property
    def newest_known_id(self) -> int | None:
        """The highest order id of this exit that we have heard of."""
        known = [order.order_id for order in (*self._each(), *self._past.values()) if order.order_id is not None]
        return max(known, default=None)

    def filled(self) -> tuple[Decimal, Decimal]:
        """Base and quote of all fills of the whole chase."""
        if self._filled is None:
            self._filled = self._add_up()
        return self._filled

    def _add_up(self) -> tuple[Decimal, Decimal]:
        orders = (*self._past_filled.values(), *self._each())
        base = sum((order.filled_quantity for order in orders), self._older_base)
        quote = sum((order.filled_quote for order in orders), self._older_quote)
        return base, quote

    def most_locked(self, in_quote: bool) -> Decimal | None:
        """The most that our orders can have locked of the asset they sell; None where that is not known."""
        most = ZERO
        for order in self._each():
            if not order.alive:
                continue
            if in_quote and order.price is None:
                return None
            locked = order.remaining * order.price if in_quote and order.price else order.remaining
            most = max(most, locked)
        return most

    # Which one is meant ----------------------------------------------------------------------

    def reported(self, report: ExecutionReport | OrderRecord) -> Order | None:
        """The order that `report`, unasked for, is about; None if none of ours can be it."""
        known = self.named(report.order_id)
        if known is not None:
            return known
        # The newest request comes first: while it has no id of its own, a new id is most likely its.
        nameless = (order for order in self._each() if order.nameless and order.side is report.side)
        return next((order for order in nameless if order.client_order_id == report.client_order_id), None)

    def answered(self, order: Order, record: OrderRecord) -> Order:
        """The order that `record` describes, which an answer about `order` brought.

        Mostly that is `order`. But a report may have given the same id to another request of ours
        before, or `order` the id of another; order ids are the truth.
        """
        known = self.named(record.order_id)
        if known is order:
            return order
        if known is not None:
            if order.nameless:
                self.dismiss(order)
            return known
        if order.nameless or record.order_id < 0:
            if order not in self._each():
                self._ghosts.append(order)
            return order
        return self.adopt(record, order)

    def named(self, order_id: int) -> Order | None:
        """The order of this exit that bears `order_id`, present or past."""
        if order_id < 0:
            return None
        present = (order for order in self._each() if order.order_id == order_id)
        return self._past.get(order_id) or next(present, None)

    def adopt(self, record: OrderRecord, like: Order) -> Order:
        """A new entry for an order of ours that was mistaken for another until now."""
        order = Order(like.client_order_id, like.side, record.price, record.quantity or like.quantity, like.sent_s)
        self._ghosts.append(order)
        return order

    def inherit(self, told: ExecutionReport | OrderRecord, side: Side, now_s: float) -> Order:
        """A new entry for an order that an earlier session had asked for, and that shows only now."""
        order = Order(told.client_order_id, side, told.price, told.quantity, now_s)
        self._ghosts.append(order)
        return order

    # What changes ----------------------------------------------------------------------------

    def take_up(self, past: HistoricalExit, now_s: float) -> None:
        """Go on with an exit of an earlier session: its fills count, and its open order is the current one."""
        self._filled = None
        for record in past.orders:
            order = Order(record.client_order_id, past.side, record.price, record.quantity, now_s)
            order.hear_record(record)
            order.announced = True  # by whoever placed it
            if order.alive:
                self.begin(order)
            else:
                self._retire(order)
        self.rested = True

    def begin(self, order: Order) -> None:
        """`order` is the current one now; what was there before is over."""
        self._retire(self.order)
        self.order = order

    def watch(self, order: Order, hear: Callable[[], None]) -> None:
        """Let `order` hear something, and tell what is new about it."""
        base, quote = order.filled_quantity, order.filled_quote
        hear()
        self._filled = None
        if order.order_id is None or order.price is None:
            return
        if order.order_id in self._past and order.filled_quantity:
            self._past_filled[order.order_id] = order
        if order.order_id in self._past and order.alive:  # thought to be over, and is not
            self._forget_past(order.order_id)
            self._ghosts.append(order)
        known = (order.client_order_id, order.order_id, order.side)
        if not order.announced and (order.state is OrderState.WORKING or order.filled_quantity > ZERO):
            order.announced = True
            if order.replaces is None:
                self._happened.append(OrderPlaced(*known, order.price, order.quantity))
            else:
                self._happened.append(OrderReplaced(*known, order.replaces, order.price, order.quantity))
        if order.filled_quantity > base:
            news, paid = order.filled_quantity - base, order.filled_quote - quote
            self._happened.append(OrderFilled(*known, order.price, news, paid, order.remaining))

    def doubt(self, now_s: float) -> None:
        """Whatever is, or might be, on the book may have changed unheard."""
        for order in self._each():
            if order.alive:
                order.doubt(now_s)

    def give_up(self, order: Order) -> None:
        """`order` was never taken, as far as can be known."""
        order.hear(OrderTrigger.REFUSED)
        # A successor that was not there when its predecessor was already gone can come no more.
        order.recalled = order.recalled or (self.order is not None and not self.order.alive)
        if order.nameless and order not in self._ghosts:
            self._ghosts.append(order)

    def dismiss(self, order: Order) -> None:
        """`order` was certainly never taken."""
        order.hear(OrderTrigger.REFUSED)
        if order in self._ghosts:
            self._ghosts.remove(order)
            self._filled = None

    def moved(self, order: Order, successor: Order | None) -> None:
        """The exchange says that one request canceled `order`: no other can have put a successor in its place."""
        for late in self._each():
            if late.nameless and late is not successor and late.in_place_of == order.order_id:
                self.dismiss(late)

    def tidy(self) -> None:
        """After anything was heard: let each order find its place."""
        self._filled = None
        if any(order.state is OrderState.WORKING or order.filled_quantity for order in self._each()):
            self.rested = True
        self._dismiss_rivals()
        self._give_up_untried()
        self._promote_successor()
        self._recall_ghosts()
        self._place_ghosts()
        self._tell_of_parting()

    def _dismiss_rivals(self) -> None:
        """Of all that wanted to take one order's place, only one can have."""
        taken = {order.in_place_of for order in self._each() if not order.nameless}
        for rival in self._each():
            if rival.nameless and rival.in_place_of is not None and rival.in_place_of in taken:
                self.dismiss(rival)

    def _give_up_untried(self) -> None:
        """What was on the book was not canceled, so STOP_ON_FAILURE kept the new order from being tried."""
        order, successor = self.order, self.successor
        if order is None or successor is None or not successor.nameless or successor.state is not OrderState.UNKNOWN:
            return
        if order.state in (OrderState.WORKING, OrderState.FILLED, OrderState.EXPIRED):
            self.give_up(successor)

    def _promote_successor(self) -> None:
        successor = self.successor
        if successor is None:
            return
        if successor.state is OrderState.REFUSED:
            self.successor = None
        elif not successor.nameless and self.order is not None and self.order.state is OrderState.WORKING:
            # Both are said to exist, which cannot be: what we know of one of them is old.
            self.successor = None
            self._ghosts.append(successor)
        elif (self.order is None or not self.order.alive) and not successor.nameless:
            self.successor = None
            self.begin(successor)

    def _recall_ghosts(self) -> None:
        """A replace that was given up may be what canceled the order: its new half is in doubt again."""
        order = self.order
        if order is None or order.state is not OrderState.CANCELED or order.order_id is None:
            return
        for ghost in self._ghosts:
            if ghost.in_place_of == order.order_id and ghost.state is OrderState.REFUSED and not ghost.recalled:
                ghost.recalled = True
                ghost.hear(OrderTrigger.RECALLED)

    def _place_ghosts(self) -> None:
        """A ghost that came alive is the current order where there is none, and one that is over is past."""
        for ghost in list(self._ghosts):
            if ghost.state is OrderState.REFUSED and ghost.nameless:
                continue
            if ghost is self.order or ghost is self.successor:
                self._ghosts.remove(ghost)
            elif not ghost.alive:
                self._ghosts.remove(ghost)
                self._retire(ghost)
            elif not ghost.nameless and self.successor is None and (self.order is None or not self.order.alive):
                self._ghosts.remove(ghost)
                self.begin(ghost)
        forgettable = [ghost for ghost in self._ghosts if ghost.state is OrderState.REFUSED]
        for ghost in forgettable[:-_GHOSTS_KEPT]:
            self._ghosts.remove(ghost)

    def _tell_of_parting(self) -> None:
        """An order left the book and nothing took its place."""
        order = self.order
        if order is None or self.successor is not None or order.state not in (OrderState.CANCELED, OrderState.EXPIRED):
            return
        if any(ghost.alive for ghost in self._ghosts):
            return
        if order.announced and not order.parted and order.order_id is not None and order.price is not None:
            order.parted = True
            known = (order.client_order_id, order.order_id, order.side)
            self._happened.append(OrderCancelled(*known, order.price, order.filled_quantity, order.quantity))

    def _each(self) -> list[Order]:
        """Successor, order and ghosts: the newest request first."""
        current = [order for order in (self.successor, self.order) if order is not None]
        return current + [ghost for ghost in self._ghosts if ghost not in current]

    def _retire(self, order: Order | None) -> None:
        """Remember an order that is over: its fills count, and a late report finds it."""
        if order is None or order.order_id is None:
            return
        self._past[order.order_id] = order
        if order.filled_quantity:
            self._past_filled[order.order_id] = order
        while len(self._past) > _PAST_KEPT:
            oldest = self._forget_past(next(iter(self._past)))
            self._older_base += oldest.filled_quantity
            self._older_quote += oldest.filled_quote

    def _forget_past(self, order_id: int) -> Order:
        self._past_filled.pop(order_id, None)
        return self._past.pop(order_id)

"""Duplicate instance: detects a second instance on the account, and cleans up orders that an earlier session left.

The number in a client order id is the exchange's time at the start of the exit. If a number is
later than our own start and we did not assign it, another process did, and trading stops. If a
number is earlier than our start, an earlier session sent the order and the exchange executed the
request late. Such an order is adopted or cancelled. An order whose number lies too far in the
future, or that has no order id, is ignored as implausible.
"""

import logging
from collections.abc import Collection, Iterable
from decimal import Decimal
from enum import Enum
from typing import Final

from trailingedge.core.time_units import DAY_MS
from trailingedge.model.market import ZERO, ExecutionReport, OrderRecord, OrderStatus
from trailingedge.model.order_commands import Cancel, OrderCommand, OrderInput, QueryOrder, Reconciled
from trailingedge.reconciliation.exit_ledger import exit_id
from trailingedge.reconciliation.history_types import HistoricalExit, exit_of_order, group_into_exits, is_open

logger = logging.getLogger(__name__)

_NO_TAG: Final = 0  # these requests belong to no exit: their replies concern the ledger of open orders only
_RETRY_S: Final = 1.0

OrderSighting = ExecutionReport | OrderRecord


class UnexpectedOrderAction(Enum):
    """The action on an order that a report or the list of open orders shows."""

    IGNORE = "an order that we know already, a final order, or an order of another program: do nothing"
    ADOPT = "an order of an earlier session, and no exit is in progress: adopt the order, even if it is filled already"
    CANCEL = "an order of an earlier session, but an exit is in progress: cancel the order"
    STOP = "an order of another running instance: trading stops"


class DuplicateInstanceCheck:
    """Tells our orders from those of another process.

    `started_ms` is the exchange's time at our start, as `ServerClock` estimates it.
    """

    def __init__(self, started_ms: int) -> None:
        self._started_ms = started_ms
        self._now_ms = started_ms
        self._ours: set[int] = set()
        self._counted: frozenset[int] = frozenset()

    def tick(self, server_ms: int) -> None:
        """Note the exchange's present time, in milliseconds."""
        if server_ms > self._now_ms:
            self._now_ms = server_ms

    def add_own(self, number: int) -> None:
        """Note that the exit `number` is ours: begun, resumed or adopted."""
        self._ours.add(number)

    def add_counted(self, order_ids: Iterable[int]) -> None:
        """Note that the fills of these orders were counted at our start.

        They must not be counted again.
        """
        self._counted = frozenset(order_ids)

    def drop_implausible(self, event: OrderInput) -> tuple[OrderInput, ...]:
        """Return `event` without implausible orders; return an empty tuple for a report of an implausible order."""
        if isinstance(event, Reconciled):
            return (Reconciled(tuple(order for order in event.open_orders if self._is_plausible(order))),)
        if isinstance(event, ExecutionReport) and not self._is_plausible(event):
            logger.warning(
                "implausible execution report ignored order_id=%d client_order_id=%s",
                event.order_id,
                event.client_order_id,
            )
            return ()
        return (event,)

    def classify(self, order: OrderSighting, *, busy: bool) -> UnexpectedOrderAction:
        """Decide what to do about an order that a report or the list of open orders shows.

        `busy` is True while an exit is in progress.
        """
        own = exit_id(order.client_order_id)
        if own is None or own.number in self._ours:
            return UnexpectedOrderAction.IGNORE
        if not self._is_plausible(order):
            return UnexpectedOrderAction.IGNORE
        # The number is the exchange's time when the exit began. We began after `_started_ms` too, but our own numbers
        # were caught above.
        if own.number > self._started_ms:
            return UnexpectedOrderAction.STOP
        # A final order needs nothing from us, unless it has a fill that was not counted and no exit is in progress:
        # then its exit is adopted, so that the fill changes our side.
        if order.status is not None and order.status.final and (busy or not self._is_uncounted_fill(order)):
            return UnexpectedOrderAction.IGNORE
        return UnexpectedOrderAction.CANCEL if busy else UnexpectedOrderAction.ADOPT

    def _is_plausible(self, order: OrderSighting) -> bool:
        """Whether the exit number of `order` is not in the future, and the order has an order id or was rejected."""
        own = exit_id(order.client_order_id)
        # Another process may estimate the time wrongly, but not by a day; a number beyond that is garbage.
        timely = own is None or own.number in self._ours or own.number <= self._now_ms + DAY_MS
        return timely and (order.order_id >= 0 or order.status is OrderStatus.REJECTED)

    def _is_uncounted_fill(self, order: OrderSighting) -> bool:
        """Whether `order` has fills that were not counted at our start, and changed after our start."""
        later = order.time_ms >= self._started_ms
        return later and order.filled_quantity > ZERO and order.order_id not in self._counted


def late_exits_of(sightings: Iterable[OrderSighting], open_ids: Collection[int]) -> tuple[HistoricalExit, ...]:
    """Group the orders of `sightings` into exits, newest exit first.

    A sighting is the state of an order in a report or a list. If an order has several sightings, the sighting with the
    most progress is used. A sighting of a resting order counts only if the order is among `open_ids`.
    """
    newest: dict[int, OrderRecord] = {}
    for sighting in sightings:
        (order,) = exit_of_order(sighting).orders
        # Reports and lists may show the same order several times, in any order of progress. The one that shows the most
        # is the newest.
        known = newest.get(order.order_id)
        if (order.order_id in open_ids or not is_open(order)) and (
            known is None or _progress(order) >= _progress(known)
        ):
            newest[order.order_id] = order
    return group_into_exits(newest.values(), ())[::-1]


def _progress(order: OrderRecord) -> tuple[Decimal, bool]:
    return order.filled_quantity, not is_open(order)


class OrphanOrders:
    """Keeps orders of earlier sessions that must be cancelled, until they are cancelled.

    An order is gone only once it is missing from the open orders.
    """

    def __init__(self) -> None:
        self._to_cancel: dict[int, str] = {}
        self._next_s = float("-inf")
        self._cancel = True

    def __contains__(self, order_id: int) -> bool:
        return order_id in self._to_cancel

    def __bool__(self) -> bool:
        return bool(self._to_cancel)

    @property
    def due_s(self) -> float:
        """When the next request about one of these orders may be sent."""
        return self._next_s

    def add(self, order_id: int, client_order_id: str) -> None:
        """Add an order that must be cancelled."""
        self._to_cancel[order_id] = client_order_id

    def any_open(self, open_ids: Collection[int]) -> bool:
        """Forget the kept orders that have left the book, and return whether any order is still kept.

        `open_ids` are the ids of all orders known to be on the book.
        """
        if not self._to_cancel:
            return False
        for order_id in self._to_cancel.keys() - set(open_ids):
            del self._to_cancel[order_id]
        return bool(self._to_cancel)

    def next_command(self, now_s: float) -> OrderCommand | None:
        """Return the next cancel or query of the first kept order; None if no request is due.

        Cancel and query alternate until the order is gone. At most one request a second is
        returned.
        """
        if not self._to_cancel or now_s < self._next_s:
            return None
        # One request a second: an orphan is rare, and the main exit must not lose its rate budget to it.
        self._next_s = now_s + _RETRY_S
        order_id, own = next(iter(self._to_cancel.items()))
        # Alternate: a cancel that came too late is answered with "unknown order", and only the query shows that the
        # order filled.
        cancel, self._cancel = self._cancel, not self._cancel
        return Cancel(_NO_TAG, order_id, own) if cancel else QueryOrder(_NO_TAG, order_id, own)

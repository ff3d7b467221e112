"""Is somebody else trading here under our name?

The number of an exit is the exchange's time at its start. One later than our own start that we did not
give was given by another process; an earlier one is our predecessor's, whose last request came late. What
no process can have given, a number of the day after tomorrow or an order without an id, is nobody's.
"""

import logging
from collections.abc import Collection, Iterable
from decimal import Decimal
from enum import Enum
from typing import Final

from trailingedge.core.time_units import DAY_MS
from trailingedge.model.market import ZERO, ExecutionReport, OrderRecord, OrderStatus
from trailingedge.model.order_commands import Cancel, OrderCommand, OrderInput, QueryOrder, Reconciled
from trailingedge.reconciliation.exit_history import HistoricalExit, exit_of_order, group_into_exits, is_open
from trailingedge.reconciliation.exit_ledger import exit_id

logger = logging.getLogger(__name__)


class UnexpectedOrderAction(Enum):
    """What to do about an order that was told of."""

    IGNORE = "ours, over, or none of our business"
    ADOPT = "our predecessor's, and we have none: go on with it, filled already or not"
    CANCEL = "our predecessor's, and we have one: cancel it"
    STOP = "another instance trades"


class DuplicateInstanceCheck:
    """`started_ms` is the exchange's clock at our start, as `ServerClock` tells it; the numbers we gave are noted."""

    def __init__(self, started_ms: int) -> None:
        self._started_ms = started_ms
        self._now_ms = started_ms
        self._ours: set[int] = set()
        self._counted: frozenset[int] = frozenset()

    def tick(self, server_ms: int) -> None:
        """Time passes, by the same clock."""
        self._now_ms = max(self._now_ms, server_ms)

    def add_own(self, number: int) -> None:
        """The exit `number` is ours: begun, resumed or adopted."""
        self._ours.add(number)

    def add_counted(self, order_ids: Iterable[int]) -> None:
        """What these orders came to was read at our start, and counted: that they have ended is no news."""
        self._counted = frozenset(order_ids)

    def drop_implausible(self, event: OrderInput) -> tuple[OrderInput, ...]:
        """What is left of `event` without orders that cannot be."""
        if isinstance(event, Reconciled):
            return (Reconciled(tuple(order for order in event.open_orders if self._is_plausible(order))),)
        if isinstance(event, ExecutionReport) and not self._is_plausible(event):
            logger.warning("report not believed order_id=%d client_order_id=%s", event.order_id, event.client_order_id)
            return ()
        return (event,)

    def classify(self, told: ExecutionReport | OrderRecord, *, busy: bool) -> UnexpectedOrderAction:
        """What an order means of which a report or the list of open orders tells. `busy`: an exit is in hand."""
        own = exit_id(told.client_order_id)
        if own is None or own.number in self._ours:
            return UnexpectedOrderAction.IGNORE
        if not self._is_plausible(told):
            return UnexpectedOrderAction.IGNORE
        if own.number > self._started_ms:
            return UnexpectedOrderAction.STOP
        if told.status is not None and told.status.final and (busy or not self._is_uncounted_fill(told)):
            return UnexpectedOrderAction.IGNORE
        return UnexpectedOrderAction.CANCEL if busy else UnexpectedOrderAction.ADOPT

    def _is_plausible(self, told: ExecutionReport | OrderRecord) -> bool:
        """It has an id, unless it never came to be, and a number that some process can have given by now."""
        own = exit_id(told.client_order_id)
        timely = own is None or own.number in self._ours or own.number <= self._now_ms + DAY_MS
        return timely and (told.order_id >= 0 or told.status is OrderStatus.REJECTED)

    def _is_uncounted_fill(self, ended: ExecutionReport | OrderRecord) -> bool:
        """It traded after we had begun, and nobody has counted that yet."""
        later = ended.time_ms >= self._started_ms
        return later and ended.filled_quantity > ZERO and ended.order_id not in self._counted


OrderSighting = ExecutionReport | OrderRecord

_NO_TAG: Final = 0  # the tag of a request whose answer tells the exchange's books alone
_RETRY_S: Final = 1.0


def late_exits_of(words: Iterable[OrderSighting], open_ids: Collection[int]) -> tuple[HistoricalExit, ...]:
    """The exits that these words tell of, the newest first: of each order the word that tells the most.

    A word that an order rests is none any more where the order is not among `open_ids`.
    """
    newest: dict[int, OrderRecord] = {}
    for word in words:
        (order,) = exit_of_order(word).orders
        known = newest.get(order.order_id)
        if (order.order_id in open_ids or not is_open(order)) and (
            known is None or _progress(order) >= _progress(known)
        ):
            newest[order.order_id] = order
    return group_into_exits(newest.values(), ())[::-1]


def _progress(order: OrderRecord) -> tuple[Decimal, bool]:
    return order.filled_quantity, not is_open(order)


class OrphanOrders:
    """What is to be taken away, by order id. Whether it is gone, the exchange's own words tell."""

    def __init__(self) -> None:
        self._to_cancel: dict[int, str] = {}
        self._next_s = float("-inf")
        self._cancel = True

    def __contains__(self, order_id: int) -> bool:
        return order_id in self._to_cancel

    def add(self, order_id: int, client_order_id: str) -> None:
        """It must go."""
        self._to_cancel[order_id] = client_order_id

    def any_open(self, open_ids: Collection[int]) -> bool:
        """Something is still to go. `open_ids` are the orders on the book, as far as was told."""
        for order_id in self._to_cancel.keys() - set(open_ids):
            del self._to_cancel[order_id]
        return bool(self._to_cancel)

    def next_command(self, now_s: float) -> OrderCommand | None:
        """Cancel the first, and where that brings no word of its end, ask for it; and so on, once a second."""
        if not self._to_cancel or now_s < self._next_s:
            return None
        self._next_s = now_s + _RETRY_S
        order_id, own = next(iter(self._to_cancel.items()))
        cancel, self._cancel = self._cancel, not self._cancel
        return Cancel(_NO_TAG, order_id, own) if cancel else QueryOrder(_NO_TAG, order_id, own)

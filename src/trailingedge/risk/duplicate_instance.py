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

from trailingedge.model.market import ZERO, ExecutionReport, OrderRecord, OrderStatus
from trailingedge.model.order_commands import Cancel, OrderCommand, OrderInput, QueryOrder, Reconciled
from trailingedge.reconciliation.exit_history import HistoricalExit, as_past_exit, is_open, past_exits
from trailingedge.reconciliation.exit_ledger import exit_id

logger = logging.getLogger(__name__)

_DAY_MS: Final = 86_400_000


class IdOwner(Enum):
    """What to do about an order that was told of."""

    NOTHING = "ours, over, or none of our business"
    ADOPT = "our predecessor's, and we have none: go on with it, filled already or not"
    CANCEL = "our predecessor's, and we have one: cancel it"
    STOP = "another instance trades"


class DuplicateInstanceCheck:
    """`started_ms` is the exchange's clock at our start, as `ServerClock` tells it; the numbers we gave are noted."""

    def __init__(self, started_ms: int) -> None:
        self._started_ms = started_ms
        self._now_ms = started_ms
        self._ours: set[int] = set()
        self._read: frozenset[int] = frozenset()

    def tick(self, server_ms: int) -> None:
        """Time passes, by the same clock."""
        self._now_ms = max(self._now_ms, server_ms)

    def own(self, number: int) -> None:
        """The exit `number` is ours: begun, resumed or adopted."""
        self._ours.add(number)

    def read(self, order_ids: Iterable[int]) -> None:
        """What these orders came to was read at our start, and counted: that they have ended is no news."""
        self._read = frozenset(order_ids)

    def sift(self, event: OrderInput) -> tuple[OrderInput, ...]:
        """What is left of `event` without orders that cannot be."""
        if isinstance(event, Reconciled):
            return (Reconciled(tuple(order for order in event.open_orders if self._credible(order))),)
        if isinstance(event, ExecutionReport) and not self._credible(event):
            logger.warning("report not believed order_id=%d client_order_id=%s", event.order_id, event.client_order_id)
            return ()
        return (event,)

    def judge(self, told: ExecutionReport | OrderRecord, *, busy: bool) -> IdOwner:
        """What an order means of which a report or the list of open orders tells. `busy`: an exit is in hand."""
        own = exit_id(told.client_order_id)
        if own is None or own.number in self._ours:
            return IdOwner.NOTHING
        if not self._credible(told):
            return IdOwner.NOTHING
        if own.number > self._started_ms:
            return IdOwner.STOP
        if told.status is not None and told.status.final and (busy or not self._is_news(told)):
            return IdOwner.NOTHING
        return IdOwner.CANCEL if busy else IdOwner.ADOPT

    def _credible(self, told: ExecutionReport | OrderRecord) -> bool:
        """It has an id, unless it never came to be, and a number that some process can have given by now."""
        own = exit_id(told.client_order_id)
        timely = own is None or own.number in self._ours or own.number <= self._now_ms + _DAY_MS
        return timely and (told.order_id >= 0 or told.status is OrderStatus.REJECTED)

    def _is_news(self, ended: ExecutionReport | OrderRecord) -> bool:
        """It traded after we had begun, and nobody has counted that yet."""
        later = ended.time_ms >= self._started_ms
        return later and ended.filled_quantity > ZERO and ended.order_id not in self._read


OrderSighting = ExecutionReport | OrderRecord

_OF_NO_EXIT: Final = 0  # the tag of a request whose answer tells the exchange's books alone
_AGAIN_S: Final = 1.0


def late_exits(words: Iterable[OrderSighting], open_ids: Collection[int]) -> tuple[HistoricalExit, ...]:
    """The exits that these words tell of, the newest first: of each order the word that tells the most.

    A word that an order rests is none any more where the order is not among `open_ids`.
    """
    newest: dict[int, OrderRecord] = {}
    for word in words:
        (order,) = as_past_exit(word).orders
        known = newest.get(order.order_id)
        if (order.order_id in open_ids or not is_open(order)) and (known is None or _told(order) >= _told(known)):
            newest[order.order_id] = order
    return past_exits(newest.values(), ())[::-1]


def _told(order: OrderRecord) -> tuple[Decimal, bool]:
    return order.filled_quantity, not is_open(order)


class OrphanOrders:
    """What is to be taken away, by order id. Whether it is gone, the exchange's own words tell."""

    def __init__(self) -> None:
        self._unwanted: dict[int, str] = {}
        self._next_s = float("-inf")
        self._cancel = True

    def __contains__(self, order_id: int) -> bool:
        return order_id in self._unwanted

    def take_away(self, order_id: int, client_order_id: str) -> None:
        """It must go."""
        self._unwanted[order_id] = client_order_id

    def any_on(self, open_ids: Collection[int]) -> bool:
        """Something is still to go. `open_ids` are the orders on the book, as far as was told."""
        for order_id in self._unwanted.keys() - set(open_ids):
            del self._unwanted[order_id]
        return bool(self._unwanted)

    def command(self, now_s: float) -> OrderCommand | None:
        """Cancel the first, and where that brings no word of its end, ask for it; and so on, once a second."""
        if not self._unwanted or now_s < self._next_s:
            return None
        self._next_s = now_s + _AGAIN_S
        order_id, own = next(iter(self._unwanted.items()))
        cancel, self._cancel = self._cancel, not self._cancel
        return Cancel(_OF_NO_EXIT, order_id, own) if cancel else QueryOrder(_OF_NO_EXIT, order_id, own)

"""Is somebody else trading here under our name?

The number of an exit is the exchange's time at its start. One later than our own start that we did not
give was given by another process; an earlier one is our predecessor's, whose last request came late. What
no process can have given, a number of the day after tomorrow or an order without an id, is nobody's.
"""

import logging
from collections.abc import Iterable
from enum import Enum
from typing import Final

from trailingedge.model.market import ZERO, ExecutionReport, OrderRecord, OrderStatus
from trailingedge.model.order_commands import Incoming, Reconciled
from trailingedge.reconciliation.exit_ledger import exit_id

logger = logging.getLogger(__name__)

_DAY_MS: Final = 86_400_000


class Verdict(Enum):
    """What to do about an order that was told of."""

    NOTHING = "ours, over, or none of our business"
    ADOPT = "our predecessor's, and we have none: go on with it, filled already or not"
    CANCEL = "our predecessor's, and we have one: cancel it"
    STOP = "another instance trades"


class SecondInstance:
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

    def sift(self, event: Incoming) -> tuple[Incoming, ...]:
        """What is left of `event` without orders that cannot be."""
        if isinstance(event, Reconciled):
            return (Reconciled(tuple(order for order in event.open_orders if self._credible(order))),)
        if isinstance(event, ExecutionReport) and not self._credible(event):
            logger.warning("report not believed order_id=%d client_order_id=%s", event.order_id, event.client_order_id)
            return ()
        return (event,)

    def judge(self, told: ExecutionReport | OrderRecord, *, busy: bool) -> Verdict:
        """What an order means of which a report or the list of open orders tells. `busy`: an exit is in hand."""
        own = exit_id(told.client_order_id)
        if own is None or own.number in self._ours:
            return Verdict.NOTHING
        if not self._credible(told):
            return Verdict.NOTHING
        if own.number > self._started_ms:
            return Verdict.STOP
        if told.status is not None and told.status.final and (busy or not self._is_news(told)):
            return Verdict.NOTHING
        return Verdict.CANCEL if busy else Verdict.ADOPT

    def _credible(self, told: ExecutionReport | OrderRecord) -> bool:
        """It has an id, unless it never came to be, and a number that some process can have given by now."""
        own = exit_id(told.client_order_id)
        timely = own is None or own.number in self._ours or own.number <= self._now_ms + _DAY_MS
        return timely and (told.order_id >= 0 or told.status is OrderStatus.REJECTED)

    def _is_news(self, ended: ExecutionReport | OrderRecord) -> bool:
        """It traded after we had begun, and nobody has counted that yet."""
        later = ended.time_ms >= self._started_ms
        return later and ended.filled_quantity > ZERO and ended.order_id not in self._read

"""Is somebody else trading here under our name?

The number of an exit is the exchange's time at its start. One later than our own start that we did not
give was given by another process; an earlier one is our predecessor's, whose last request came late.
"""

from enum import Enum

from trailingedge.execution.own_exits import exit_id
from trailingedge.market import ExecutionReport, OrderRecord


class Verdict(Enum):
    """What to do about an order that was told of."""

    NOTHING = "ours, over, or none of our business"
    ADOPT = "our predecessor's, and we have none: go on with it"
    CANCEL = "our predecessor's, and we have one: cancel it"
    STOP = "another instance trades"


class SecondInstance:
    """`started_ms` is the exchange's clock at our start, as `ServerClock` tells it; the numbers we gave are noted."""

    def __init__(self, started_ms: int) -> None:
        self._started_ms = started_ms
        self._ours: set[int] = set()

    def own(self, number: int) -> None:
        """The exit `number` is ours: begun, resumed or adopted."""
        self._ours.add(number)

    def judge(self, told: ExecutionReport | OrderRecord, *, busy: bool) -> Verdict:
        """What an order means of which a report or the list of open orders tells. `busy`: an exit is in hand."""
        own = exit_id(told.client_order_id)
        if own is None or own.number in self._ours:
            return Verdict.NOTHING
        if own.number > self._started_ms:
            return Verdict.STOP
        if told.status is not None and told.status.final:
            return Verdict.NOTHING
        return Verdict.CANCEL if busy else Verdict.ADOPT

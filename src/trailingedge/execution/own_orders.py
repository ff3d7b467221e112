"""Which exit orders of ours the exchange has told of, kept apart from the chaser's books so as to check them.

It believes only what was said: an order is open from the first word of it until a word of its end. It
knows nothing of why, and settles no doubt; where it does not know better than the chaser, it keeps still.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from trailingedge.model.market import ExecutionReport, OrderRecord, OrderStatus
from trailingedge.model.order_commands import (
    Answered,
    Cancel,
    Incoming,
    OrderCommand,
    OrdersListed,
    Place,
    QueryOrder,
    Reconciled,
    ReplaceAnswered,
)
from trailingedge.model.order_outcomes import Done, Outcome, Refusal, Refused, Unanswered
from trailingedge.reconciliation.exit_ledger import exit_id

_REQUESTS_KEPT: Final = 64
_ORDERS_KEPT: Final = 1000
_ABSENCES: Final = 2  # "does not exist" may be lag: believed when repeated


class OwnOrders:
    """What is open by the exchange's own words. `absent_after_s`: an older request can no longer be executed."""

    def __init__(self, absent_after_s: float) -> None:
        self._absent_after_s = absent_after_s
        self._open: dict[int, int] = {}  # by order id: how often in a row it was said not to exist
        self._ours: OrderedDict[int, bool] = OrderedDict()  # every order id heard of, and whether it is over
        self._sent: OrderedDict[int, OrderCommand] = OrderedDict()
        self._awaited: tuple[int, float] | None = None  # tag of a placement not told of yet, and when it was sent

    @property
    def open(self) -> frozenset[int]:
        """Order ids that are on the book, as far as was told."""
        return frozenset(self._open)

    def knows(self, order_id: int) -> bool:
        """An exit of ours has, or had, this order."""
        return order_id in self._ours

    def awaited(self, now_s: float) -> bool:
        """A placement was sent of which nobody has told, and which may still be executed."""
        return self._awaited is not None and now_s - self._awaited[1] < self._absent_after_s

    def sent(self, command: OrderCommand, now_s: float) -> None:
        """`command` goes out."""
        self._sent[command.tag] = command
        if len(self._sent) > _REQUESTS_KEPT:
            self._sent.popitem(last=False)
        if isinstance(command, Place):
            self._awaited = (command.tag, now_s)  # an earlier one was told of, or comes no more

    def hear(self, event: Incoming) -> None:
        """An answer or an execution report."""
        match event:
            case ExecutionReport():
                if exit_id(event.client_order_id) is not None:
                    self._note(event.order_id, event.status)
            case Answered(tag, outcome):
                self._hear_answer(tag, outcome)
            case ReplaceAnswered(tag, outcome):
                self._hear_canceled(self._sent.get(tag), outcome.cancel)
                self._hear_placed(tag, outcome.place)
            case OrdersListed(_, found):
                self._hear_records(found if isinstance(found, tuple) else ())
            case Reconciled(open_orders):
                self.reconcile(open_orders)

    def reconcile(self, open_orders: Iterable[OrderRecord]) -> None:
        """All open orders of the symbol, as asked for: what is not among them is not open."""
        self._open.clear()
        self._hear_records(open_orders)

    def _hear_answer(self, tag: int, outcome: Outcome) -> None:
        command = self._sent.get(tag)
        match command:
            case Place():
                self._hear_placed(tag, outcome)
            case Cancel():
                self._hear_canceled(command, outcome)
            case QueryOrder():
                self._hear_query(command, outcome)
            case _:
                pass

    def _hear_placed(self, tag: int, outcome: Outcome) -> None:
        if self._awaited is not None and self._awaited[0] == tag and not isinstance(outcome, Unanswered):
            self._awaited = None
        if isinstance(outcome, Done):
            self._note(outcome.order.order_id, outcome.order.status)

    def _hear_canceled(self, command: OrderCommand | None, outcome: Outcome) -> None:
        """Canceled, whatever else the answer says of it."""
        if isinstance(outcome, Done) and command is not None and not isinstance(command, Place | QueryOrder):
            self._note(command.order_id, OrderStatus.CANCELED)

    def _hear_query(self, command: QueryOrder, outcome: Outcome) -> None:
        if isinstance(outcome, Done):
            self._hear_records([outcome.order])
        elif isinstance(outcome, Refused) and outcome.refusal is Refusal.UNKNOWN_ORDER:
            asked = command.order_id
            if asked is not None and asked in self._open:
                self._open[asked] += 1
                if self._open[asked] >= _ABSENCES:
                    del self._open[asked]

    def _hear_records(self, records: Iterable[OrderRecord]) -> None:
        for record in records:
            if exit_id(record.client_order_id) is not None:
                self._note(record.order_id, record.status)

    def _note(self, order_id: int, status: OrderStatus | None) -> None:
        """An order of ours exists. What is over stays over, however late an older word of it comes."""
        if order_id < 0:
            return
        if order_id not in self._ours:
            self._awaited = None  # an order not heard of before is what became of it
        over = self._ours.get(order_id, False) or (status is not None and status.final)
        self._ours[order_id] = over
        if over:
            self._open.pop(order_id, None)
        else:
            self._open[order_id] = 0
        while len(self._ours) > _ORDERS_KEPT:
            self._ours.popitem(last=False)

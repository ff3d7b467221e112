"""Whether the balances account for everything that our orders did to them.

The account's time settles that, but for changes of one and the same millisecond, and an exchange at rest
may have many of those. Then the order of telling does: the stream tells what became of an order first, and
the balances that follow from it after that. An answer may be earlier than both.
"""

from collections import OrderedDict

from trailingedge.execution.order import Order
from trailingedge.model.client_order_ids import is_own
from trailingedge.model.market import ExecutionReport
from trailingedge.model.market_state import StateView

_REMEMBERED = 1000

AccountTimeMark = tuple[int, int]


class BalanceSync:
    """`pushes` counts how often the stream has told balances."""

    def __init__(self) -> None:
        self._due = 0  # the push that accounts for the last report
        self._told: OrderedDict[int, bool] = OrderedDict()  # orders the stream has told of, and whether of their end
        self._last: Order | None = None
        self._asked: AccountTimeMark | None = None

    def hear_report(self, report: ExecutionReport, pushes: int) -> None:
        """The stream told something of an order after so many pushes."""
        if not is_own(report.client_order_id):
            return
        self._due = pushes + 1
        self._told[report.order_id] = report.status.final or self._told.get(report.order_id, False)
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)

    def mark(self, pushes: int) -> AccountTimeMark:
        """Where we stand before the balances are asked for."""
        return self._due, pushes

    def hear_asked(self, mark: AccountTimeMark, pushes: int) -> None:
        """The balances were asked for at `mark`. Of use only while nothing has been told since."""
        if mark == self.mark(pushes):
            self._asked = mark

    def holds(self, view: StateView, touched_ms: int, order: Order | None) -> bool:
        """Whether nothing is missing. `touched_ms` is when our orders last moved funds, `order` the newest of them."""
        # A new exit has no order yet, but the funds that the last one's had locked may still be on their way.
        self._last = order or self._last
        if view.balances_ms != touched_ms:
            return view.balances_ms > touched_ms
        if self.mark(view.pushes) == self._asked:
            return True
        return self._told_of(self._last) and view.pushes >= self._due

    def _told_of(self, order: Order | None) -> bool:
        """The stream has told where `order` is now: that it rests and locks funds, or that it has ended."""
        if order is None or order.order_id is None:
            return True
        ended = self._told.get(order.order_id)
        return ended is not None and (ended or order.alive)

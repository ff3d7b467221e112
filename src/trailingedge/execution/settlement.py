"""Whether the balances account for everything that our orders did to them.

The account's time settles that, but for changes of one and the same millisecond, and an exchange at rest
may have many of those. Then the order of telling does: the stream tells what became of an order first, and
the balances that follow from it after that. An answer may be earlier than both.
"""

from collections import OrderedDict

from trailingedge.execution.ids import is_own
from trailingedge.execution.order import Order
from trailingedge.market import ExecutionReport, OrderStatus
from trailingedge.snapshots import View

_REMEMBERED = 1000

Mark = tuple[int, int]


class Settlement:
    """`pushes` counts how often the stream has told balances."""

    def __init__(self) -> None:
        self._due = 0  # the push that accounts for the last report
        self._ended: OrderedDict[int, None] = OrderedDict()  # orders whose end the stream has told
        self._asked: Mark | None = None

    def hear_report(self, report: ExecutionReport, pushes: int) -> None:
        """The stream told something of an order after so many pushes."""
        if not is_own(report.client_order_id) or report.status is OrderStatus.NEW:
            return
        self._due = pushes + 1
        if report.status.final:
            self._ended[report.order_id] = None
            if len(self._ended) > _REMEMBERED:
                self._ended.popitem(last=False)

    def mark(self, pushes: int) -> Mark:
        """Where we stand before the balances are asked for."""
        return self._due, pushes

    def hear_asked(self, mark: Mark, pushes: int) -> None:
        """The balances were asked for at `mark`. Of use only while nothing has been told since."""
        if mark == self.mark(pushes):
            self._asked = mark

    def holds(self, view: View, touched_ms: int, order: Order | None) -> bool:
        """Whether nothing is missing. `touched_ms` is when our orders last moved funds, `order` the last of them."""
        if view.balances_ms != touched_ms:
            return view.balances_ms > touched_ms
        if self.mark(view.pushes) == self._asked:
            return True
        end_told = order is None or order.alive or order.order_id is None or order.order_id in self._ended
        return end_told and view.pushes >= self._due

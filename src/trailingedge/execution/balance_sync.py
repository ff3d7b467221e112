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

_ORDERS_KEPT = 1000

BalanceReadMark = tuple[int, int]


class BalanceSync:
    """`pushes` counts how often the stream has told balances."""

    def __init__(self) -> None:
        self._awaited_push = 0  # the push that accounts for the last report
        self._reported: OrderedDict[int, bool] = (
            OrderedDict()
        )  # orders the stream has told of, and whether of their end
        self._last_order: Order | None = None
        self._read_at: BalanceReadMark | None = None

    def on_report(self, report: ExecutionReport, pushes: int) -> None:
        """The stream told something of an order after so many pushes."""
        if not is_own(report.client_order_id):
            return
        self._awaited_push = pushes + 1
        self._reported[report.order_id] = report.status.final or self._reported.get(report.order_id, False)
        if len(self._reported) > _ORDERS_KEPT:
            self._reported.popitem(last=False)

    def mark(self, pushes: int) -> BalanceReadMark:
        """Where we stand before the balances are asked for."""
        return self._awaited_push, pushes

    def on_balances_read(self, mark: BalanceReadMark, pushes: int) -> None:
        """The balances were asked for at `mark`. Of use only while nothing has been told since."""
        if mark == self.mark(pushes):
            self._read_at = mark

    def is_current(self, view: StateView, touched_ms: int, order: Order | None) -> bool:
        """Whether nothing is missing. `touched_ms` is when our orders last moved funds, `order` the newest of them."""
        # A new exit has no order yet, but the funds that the last one's had locked may still be on their way.
        self._last_order = order or self._last_order
        if view.balances_ms != touched_ms:
            return view.balances_ms > touched_ms
        if self.mark(view.balance_updates) == self._read_at:
            return True
        return self._is_reported(self._last_order) and view.balance_updates >= self._awaited_push

    def _is_reported(self, order: Order | None) -> bool:
        """The stream has told where `order` is now: that it rests and locks funds, or that it has ended."""
        if order is None or order.order_id is None:
            return True
        ended = self._reported.get(order.order_id)
        return ended is not None and (ended or order.alive)

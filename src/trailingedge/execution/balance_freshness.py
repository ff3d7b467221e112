"""Whether the balances account for every fill and cancel of our orders, so that they may be traded on.

The account's update time decides, except for changes of the same millisecond, of which an exchange in a quiet market
has many. Then message order decides: the user data stream reports an order first and pushes the balances that follow
from it after that. The reply to a request may arrive before both.
"""

from collections import OrderedDict

from trailingedge.execution.order import Order
from trailingedge.model.client_order_ids import is_own
from trailingedge.model.market import ExecutionReport
from trailingedge.model.market_state import StateView

_ORDERS_KEPT = 1000

BalanceReadMark = tuple[int, int]


class BalanceSync:
    """Compares balances with order reports. `pushes` is how often the stream has pushed balances so far."""

    def __init__(self) -> None:
        self._awaited_push = 0  # the number of the push that accounts for the last report
        self._reported: OrderedDict[int, bool] = OrderedDict()  # order ids in reports, and whether one was final
        self._last_order: Order | None = None
        self._read_at: BalanceReadMark | None = None

    def on_report(self, report: ExecutionReport, pushes: int) -> None:
        """The stream reported an order. `pushes` is how often it had pushed balances before."""
        if not is_own(report.client_order_id):
            return
        # The push that follows from this report is the next one.
        self._awaited_push = pushes + 1
        self._reported[report.order_id] = report.status.final or self._reported.get(report.order_id, False)
        if len(self._reported) > _ORDERS_KEPT:
            self._reported.popitem(last=False)

    def mark(self, pushes: int) -> BalanceReadMark:
        """The state when the balances are requested; pass it to `on_balances_read` with the reply."""
        return self._awaited_push, pushes

    def on_balances_read(self, mark: BalanceReadMark, pushes: int) -> None:
        """The balances requested at `mark` have arrived. They count only if the stream reported nothing in between."""
        if mark == self.mark(pushes):
            self._read_at = mark

    def is_current(self, view: StateView, funds_changed_ms: int, order: Order | None) -> bool:
        """Whether the balances account for everything.

        `funds_changed_ms` is when our orders last moved funds, `order` the newest of them.
        """
        # A new exit has no order yet, but the push that frees the funds of the last exit's order may still be on its
        # way. So the last order is remembered.
        self._last_order = order or self._last_order
        # Different milliseconds: balances that are later than the move of funds include it.
        if view.balances_ms != funds_changed_ms:
            return view.balances_ms > funds_changed_ms
        # The balances were requested and nothing was reported in between, so no report of ours can be missing from
        # them.
        if self.mark(view.balance_updates) == self._read_at:
            return True
        return self._is_reported(self._last_order) and view.balance_updates >= self._awaited_push

    def _is_reported(self, order: Order | None) -> bool:
        """Whether the stream has reported where `order` is now: resting and locking funds, or ended."""
        if order is None or order.order_id is None:
            return True
        ended = self._reported.get(order.order_id)
        return ended is not None and (ended or order.alive)

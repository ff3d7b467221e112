"""Balance freshness: checks whether the balances include every fill and cancel of our orders.

We trade only on balances that include all of them. Balances include our last change if their update time is later than
that change. If both times are the same millisecond, the order of the messages decides: the user data stream first
reports an order and then pushes the balances that result from that report. The reply to a request may arrive before
both.
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
        """Note an order report of the stream. `pushes` counts the balance pushes that came before the report."""
        if not is_own(report.client_order_id):
            return
        # The push that follows from this report is the next one.
        self._awaited_push = pushes + 1
        self._reported[report.order_id] = report.status.final or self._reported.get(report.order_id, False)
        if len(self._reported) > _ORDERS_KEPT:
            self._reported.popitem(last=False)

    def mark(self, pushes: int) -> BalanceReadMark:
        """Return a mark for a balance request that is sent now; pass it to `on_balances_read` with the reply.

        The mark changes with each order report and each push of balances.
        """
        return self._awaited_push, pushes

    def on_balances_read(self, mark: BalanceReadMark, pushes: int) -> None:
        """Note the reply to a balance request. `mark` is what the method `mark` returned when the request was sent.

        The reply counts only if the stream has sent no order report and no balances since then.
        """
        if mark == self.mark(pushes):
            self._read_at = mark

    def is_current(self, view: StateView, funds_changed_ms: int, order: Order | None) -> bool:
        """Return whether the balances include every change that our orders made.

        `funds_changed_ms` is the time at which our orders last moved funds, `order` is the newest of our orders.
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
        """Return whether the stream has reported the present state of `order`: resting with funds locked, or ended."""
        if order is None or order.order_id is None:
            return True
        ended = self._reported.get(order.order_id)
        return ended is not None and (ended or order.alive)

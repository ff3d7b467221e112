"""Order entry of the simulated exchange: filters, limits and cancel-replace in front of the matching engine.

Theory of operation. One symbol, any number of accounts, no I/O: typed requests go in, results come back, events go to
the engine's sink. The order of checks and events matters to a client, so it is fixed:

1. filters (−1013) and pegs, which cost nothing; 2. unfilled-order limits (−1015): an order that gets this far counts as
unfilled, even if the engine then rejects it; 3. the engine: status, duplicate id, open-order limit, post-only, balance
(−2010); 4. events: execution reports in the order of the fills, then the accounts' balances, then the end of the
action.

A cancel-replace is two requests in one, not a transaction. Filters, the open-order limit (the old order still counts)
and, under DO_NOTHING, the unfilled-order limit are checked first; if one fails, the old order stays. After that the
cancel and the placement succeed or fail separately. The cancel and its CANCELED report come first. If the cancel fails,
STOP_ON_FAILURE does not try the placement and ALLOW_FAILURE does.

Not modelled: order lists, stop and iceberg orders.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from trailingedge.simulator.accounts import SimAccount
from trailingedge.simulator.engine import Engine
from trailingedge.simulator.engine_events import EventSink, HalfRejected
from trailingedge.simulator.errors import PEG_FORBIDDEN, ExchangeError, order_rejected
from trailingedge.simulator.filters import check_filters
from trailingedge.simulator.orders import Amendment, AmendOrder, CancelOrder, NewOrder, SimOrder, SimTrade


class ReplaceMode(Enum):
    """The behaviour of a cancel-replace when its cancel fails."""

    STOP_ON_FAILURE = "STOP_ON_FAILURE"
    ALLOW_FAILURE = "ALLOW_FAILURE"


class RateLimitExceededMode(Enum):
    """The behaviour of a cancel-replace when there are too many unfilled orders."""

    DO_NOTHING = "DO_NOTHING"
    CANCEL_ONLY = "CANCEL_ONLY"


@dataclass(frozen=True, slots=True)
class CancelReplaceRequest:
    """The parameters of a cancel-replace."""

    target: CancelOrder
    new_order: NewOrder
    mode: ReplaceMode
    exceeded_mode: RateLimitExceededMode = RateLimitExceededMode.DO_NOTHING


@dataclass(frozen=True, slots=True)
class CancelReplaceResult:
    """Result or error of the cancel and of the placement. `place` is None if no placement was tried."""

    cancel: tuple[SimOrder, str] | ExchangeError
    place: tuple[SimOrder, list[SimTrade]] | ExchangeError | None
    rate_limited: bool = False  # the account had too many unfilled orders

    @property
    def error(self) -> tuple[int, int, str] | None:
        """Status, code and text of the error reply; None if cancel and placement succeeded."""
        cancelled = not isinstance(self.cancel, ExchangeError)
        placed = isinstance(self.place, tuple)
        if cancelled and placed:
            return None
        if cancelled or placed:
            return 409, -2021, "Order cancel-replace partially failed."
        # Binance's table of outcomes: 429 only if the limit applied and the new order was not tried at all.
        status = 429 if self.rate_limited and self.place is None else 400
        return status, -2022, "Order cancel-replace failed."


class SimOrderEntry:
    """Takes the requests of all accounts: checks them, and passes them on to the engine.

    `wall_ms` returns the wall clock's time. It decides the interval in which an order counts towards the limit of
    unfilled orders.
    """

    def __init__(self, engine: Engine, sink: EventSink, wall_ms: Callable[[], int]) -> None:
        self._engine = engine
        self._sink = sink
        self._wall_ms = wall_ms

    def check_order(self, request: NewOrder) -> None:
        """Raise ExchangeError if the order fails a filter, or is pegged and the symbol allows no pegs."""
        engine = self._engine
        if request.peg is not None and not engine.spec.pegs_allowed:
            raise order_rejected(PEG_FORBIDDEN)
        if not engine.book.is_open:
            return  # no price yet, so no average to compare with; the engine rejects: the market is closed
        price = engine.working_price(request)
        check_filters(engine.spec, request, price, engine.base_quantity(request, price), engine.average_price())

    def place(self, account: SimAccount, request: NewOrder) -> tuple[SimOrder, list[SimTrade]]:
        """Place an order. Raises ExchangeError if the order is rejected.

        An order that passes the filters counts as an unfilled order, even if the engine rejects it.
        """
        self.check_order(request)
        self._count_order(account)
        try:
            return self._engine.place_order(account, request)
        finally:
            self._engine.end_action()

    def cancel(self, account: SimAccount, target: CancelOrder) -> tuple[SimOrder, str]:
        """Cancel an order. Returns the order and the cancel's client order id. Raises ExchangeError."""
        cancelled = self._engine.cancel_order(account, target)
        self._engine.end_action()
        return cancelled

    def amend(self, account: SimAccount, request: AmendOrder) -> tuple[SimOrder, Amendment]:
        """Reduce an order's quantity. Returns the order and the amendment. Raises ExchangeError."""
        amended = self._engine.amend_order(account, request)
        self._engine.end_action()
        return amended

    def cancel_all(self, account: SimAccount) -> list[tuple[SimOrder, str]]:
        """Cancel all open orders of the account, oldest first, manual ones included (as `openOrders.cancelAll`)."""
        # The targets are listed first: cancelling changes the account's open orders while we would iterate over them.
        found = [CancelOrder(order_id=order.order_id) for order in account.open_orders()]
        cancelled = [self._engine.cancel_order(account, target) for target in found]
        self._engine.end_action()
        return cancelled

    def replace(self, account: SimAccount, request: CancelReplaceRequest) -> CancelReplaceResult:
        """Cancel an order, then place another; see the top of the module. Raises ExchangeError if neither was tried."""
        self.check_order(request.new_order)
        # Checked before the cancel, although the cancel would free a place: the real exchange does so, and a bot at the
        # limit must therefore cancel and place separately.
        self._engine.check_open_order_limit(account)
        exceeded = account.order_counts.limit_error(self._wall_ms())
        if exceeded is not None and request.exceeded_mode is RateLimitExceededMode.DO_NOTHING:
            raise exceeded
        # The order counts once, as soon as it is attempted, whether or not the two halves succeed.
        if exceeded is None:
            account.order_counts.add(self._wall_ms())
        try:
            return self._replace(account, request, exceeded)
        finally:
            self._engine.end_action()

    def _replace(
        self, account: SimAccount, request: CancelReplaceRequest, exceeded: ExchangeError | None
    ) -> CancelReplaceResult:
        limited = exceeded is not None
        try:
            cancelled: tuple[SimOrder, str] | ExchangeError = self._engine.cancel_order(account, request.target)
        except ExchangeError as refusal:
            self._sink(HalfRejected(account, refusal))
            if request.mode is ReplaceMode.STOP_ON_FAILURE:
                return CancelReplaceResult(refusal, None, limited)
            cancelled = refusal
        if exceeded is not None:
            self._sink(HalfRejected(account, exceeded))
            return CancelReplaceResult(cancelled, exceeded, limited)
        try:
            return CancelReplaceResult(cancelled, self._engine.place_order(account, request.new_order))
        except ExchangeError as refusal:
            self._sink(HalfRejected(account, refusal))
            # Only this rejection is an event as well as a reply: the client may learn of the cancel by its event first,
            # and must not wait for a new order that does not come.
            self._engine.report_rejection(account, request.new_order, refusal)
            return CancelReplaceResult(cancelled, refusal)

    def _count_order(self, account: SimAccount) -> None:
        now_ms = self._wall_ms()
        exceeded = account.order_counts.limit_error(now_ms)
        if exceeded is not None:
            raise exceeded
        account.order_counts.add(now_ms)

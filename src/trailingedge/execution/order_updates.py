"""Order update handler of one exit: applies replies, execution reports and query answers to its orders.

Theory of operation. Updates arrive in any order, late, twice or never, over two channels: the reply to a request, and
the execution report of the user data stream. Each update is applied to the order that it belongs to (ExitOrders finds
it), then the orders are reconciled with each other. The handler sends nothing. MakerExit asks it which query is due.

How an order leaves the state UNKNOWN:
- An execution report or a reply that describes the order ends the state at once.
- Otherwise the order is queried once a second: by order id if that is known, else by listing all orders whose id is at
  least the highest known order id of this exit.
- The answer "does not exist" may come from a lagging database, or while the request is still on its way. So it counts
  only if it came twice, and after the request has become older than `request_expires_s`: the exchange then no longer
  executes the request, because its recvWindow is over. The order is then presumed rejected.

A cancel-replace has two halves with one outcome each. The outcome for the old order is applied first, because the
exchange cancels the old order before it tries the new one. If a cancel fails with "unknown order", the order either
filled or was cancelled. Its execution report usually arrives within half a second, so the query waits that long.
"""

from typing import Final

from trailingedge.execution.exit_order_set import ExitOrders
from trailingedge.execution.foreign_orders import ForeignOrders
from trailingedge.execution.order import Order, OrderState, OrderTrigger
from trailingedge.execution.order_events import OrderEvent, OrderInDoubt, OrderRejected
from trailingedge.execution.pending_requests import PendingRequest, PendingRequests
from trailingedge.execution.quote_prices import LeftOrders, RestingOrder
from trailingedge.execution.reject_policy import RejectBackoff
from trailingedge.execution.replace_attempt import AttemptTrigger
from trailingedge.model.market import ZERO, BookTop, ExecutionReport, OrderRecord, OrderStatus
from trailingedge.model.order_commands import (
    Cancel,
    ListedOrders,
    OrderCommand,
    OrderInput,
    OrderReply,
    OrdersListed,
    Place,
    QueryOrder,
    QueryOrdersFrom,
    Reconciled,
    ReplaceReply,
)
from trailingedge.model.order_outcomes import (
    Accepted,
    NotTried,
    OrderOutcome,
    Rejected,
    RejectReason,
    Unanswered,
)
from trailingedge.reconciliation.exit_ledger import exit_id

_QUERY_INTERVAL_S: Final = 1.0
_REPORT_GRACE_S: Final = 0.5  # after "unknown order": the execution report is usually on the way
_LEFT_ORDER_S: Final = 1.0  # market data may be this old: it still shows an order of ours that has left


class OrderUpdateHandler:
    """Keeps the state of one exit: its orders, its orders that just left the book, the backoff, and the time of the
    next query.

    A request without a reply for `timeout_s` has timed out. A request older than `request_expires_s` can no longer be
    executed. `funds_changed_ms` is the exchange's time at which one of our orders last moved or freed funds. `foreign`
    tells orders of another instance from ours. `left_orders` left the book within the last second.
    """

    def __init__(
        self,
        number: int,
        requests: PendingRequests,
        events: list[OrderEvent],
        timeout_s: float,
        request_expires_s: float,
        funds_changed_ms: int = 0,
    ) -> None:
        self.orders = ExitOrders(number, events)
        self.foreign = ForeignOrders(self.orders, events)
        self.backoff = RejectBackoff()
        self.funds_changed_ms = funds_changed_ms
        self._requests = requests
        self._events = events
        self._timeout_s = timeout_s
        self._request_expires_s = request_expires_s
        self._query_at_s = float("-inf")
        self.left_orders = LeftOrders()

    @property
    def idle(self) -> bool:
        """Whether no request is open and no order of ours is, or might be, on the book."""
        return self._requests.open is None and not self.orders.alive

    def waits(self, now_s: float, server_ms: int) -> tuple[float, ...]:
        """Return the times, in monotonic seconds, until which a command is held back. Some of them may be past."""
        if self._requests.open is not None:
            return (self._requests.times_out_s(self._timeout_s),)
        return self._query_at_s, *self.backoff.waits(now_s, server_ms)

    def query_for(self, order: Order, now_s: float) -> OrderCommand | None:
        """Return the query for the state of an UNKNOWN order; None while it is too early for another query.

        Query by order id if it is known. Else list all orders whose id is at least the exit's highest known order id,
        or query by client order id if no order id of the exit is known.
        """
        if now_s < self._query_at_s:
            return None
        newest = self.orders.highest_order_id
        if order.without_order_id and newest is not None:
            return QueryOrdersFrom(self._requests.next_tag, newest, order.client_order_id)
        return QueryOrder(self._requests.next_tag, order.order_id, order.client_order_id)

    def handle(self, event: OrderInput, now_s: float) -> None:
        """Apply a reply (even a late one) or an execution report. Replies and reports for other exits are ignored."""
        if isinstance(event, ExecutionReport):
            self._on_report(event, now_s)
            return
        if isinstance(event, Reconciled):
            self.backoff.clear(RejectReason.TIMESTAMP)  # a logon with the measured clock succeeded
            self._on_open_orders(event.open_orders, now_s)
            return
        request, in_time = self._requests.match_reply(event.tag)
        if request is None:
            return
        if not in_time and _is_unanswered(event):
            return  # our own timeout came first and marked the orders UNKNOWN
        match event:
            case OrderReply(outcome=outcome) if isinstance(request.command, Place):
                self._on_place_outcome(request, outcome, now_s)
            case OrderReply(outcome=outcome) if isinstance(request.command, Cancel):
                self._on_cancel_outcome(request, outcome, now_s)
            case OrderReply(outcome=outcome):
                self._on_query_outcome(request, outcome, now_s)
            case ReplaceReply(outcome=outcome):
                # The exchange cancels the old order first.
                self._on_cancel_outcome(request, outcome.cancel, now_s)
                self._on_place_outcome(request, outcome.place, now_s)
            case OrdersListed():
                self._on_order_list(request, event.orders, now_s)
        self.orders.reconcile()

    def on_disconnect(self, now_s: float) -> None:
        """Make all orders on the book UNKNOWN: reports missed until the reconnect are lost."""
        self._requests.abandon()
        for order in self.orders.alive_orders():
            self.orders.mark_unknown(order, now_s)
        self._query_at_s = now_s

    def expire_requests(self, now_s: float) -> None:
        """If the open request has timed out, mark its orders as UNKNOWN.

        An order whose state a report has given is not marked.
        """
        request = self._requests.expire(now_s, self._timeout_s)
        if request is None or isinstance(request.command, QueryOrder | QueryOrdersFrom):
            return
        new = None if request.attempt is None else request.attempt.new
        for order in (request.order, new):
            if order is not None and order.state in (OrderState.PENDING_NEW, OrderState.PENDING_CANCEL):
                self._mark_unknown(order, "no answer", now_s)
        self.orders.reconcile()

    def _on_report(self, report: ExecutionReport, now_s: float) -> None:
        order = self._order_of(report, now_s)
        if order is None:
            return
        self._apply(order, report, now_s)
        # A NEW report only locks funds that we count as ours anyway.
        if report.status is not OrderStatus.NEW:
            self.funds_changed_ms = max(self.funds_changed_ms, report.time_ms)
        self.orders.reconcile()

    def _on_open_orders(self, open_orders: tuple[OrderRecord, ...], now_s: float) -> None:
        """Apply the list of open orders.

        An order that the list lacks is left unchanged: it may have filled, or the list may lag.
        """
        for record in open_orders:
            order = self._order_of(record, now_s)
            if order is not None:
                self._apply_record(order, record, now_s)
        self.orders.reconcile()

    def _order_of(self, source: ExecutionReport | OrderRecord, now_s: float) -> Order | None:
        """Find our order that an execution report or an entry of the open orders describes; None if there is none.

        Publishes UnknownOrderWithOurId for an open order that has our client order id but cannot be
        ours.
        """
        own = exit_id(source.client_order_id)  # an anchor marker of the same millisecond has the same number
        if own is None or own.number != self.orders.number:
            return None
        if source.order_id < 0 and source.status is not OrderStatus.REJECTED:
            return None  # only a rejected order has no order id
        order = self.orders.find_reported(source)
        # Just after a restart, a request of the last session may still be executed. Later, an order with our id that we
        # did not send can only be another instance's.
        if order is None and source.side is not None and self.foreign.inherits(now_s):
            return self.orders.add(Order(source.client_order_id, source.side, source.price, source.quantity, now_s))
        if order is None and source.status in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED):
            self.foreign.publish(source.client_order_id, source.order_id)
        return order

    def _on_place_outcome(self, request: PendingRequest, outcome: OrderOutcome, now_s: float) -> None:
        attempt = request.attempt
        if attempt is None:
            return
        order = attempt.new
        match outcome:
            case Accepted(record):
                if record.order_id >= 0 and order.order_id not in (None, record.order_id):
                    self.foreign.on_wrong_order_id(attempt, now_s)
                owner = self.orders.find_answered(order, record, attempt)
                self._confirm(owner)
                self._apply_record(owner, record, now_s)
                self.backoff.on_accepted()
            case Rejected(reason=RejectReason.DUPLICATE) if order.without_order_id:
                # Binance refuses a client order id that is open. So one is: find it before placing anything.
                attempt.apply(AttemptTrigger.ID_TAKEN)
                self._mark_unknown(order, "duplicate client order id", now_s)
            case Rejected() | NotTried():
                # If a report gave the new order an order id, that id belongs to another order.
                if order.without_order_id:
                    attempt.apply(AttemptTrigger.REFUSED)
                else:
                    self.foreign.on_wrong_order_id(attempt, now_s)
                if isinstance(outcome, Rejected) and outcome.reason is not RejectReason.DUPLICATE:
                    self._back_off(order, outcome, request.top, now_s)
            case Unanswered(reason):
                self.backoff.on_unanswered(now_s)
                if order.without_order_id:
                    self._mark_unknown(order, reason, now_s)

    def _confirm(self, order: Order) -> None:
        """Note that a reply confirmed the order id of `order`, so that no other reply can contradict it."""
        attempt = self._requests.attempt_of(order)
        if attempt is not None:
            attempt.apply(AttemptTrigger.CONFIRMED)

    def _on_cancel_outcome(self, request: PendingRequest, outcome: OrderOutcome, now_s: float) -> None:
        order = request.order
        match outcome:
            case Accepted(record):
                self._apply_record(order, record, now_s)
                if order.alive:
                    order.apply(OrderTrigger.CANCELED)  # an ACK of the cancel has no status
                self.orders.on_cancelled_by(order, request.attempt)
                self.backoff.on_answered()
            case Rejected(reason=RejectReason.UNKNOWN_ORDER):
                order.unknown_since_s = now_s
                order.apply(OrderTrigger.NOT_FOUND)
                # A query at once would often find the order unchanged, because the database lags behind the matching
                # engine.
                self._query_at_s = now_s + _REPORT_GRACE_S
            # The exchange knows of a fill that we have not seen: the next move is a plain cancel, which is always
            # allowed.
            case Rejected(reason=RejectReason.CANCEL_RESTRICTED):
                order.cancel_restricted = True
                order.apply(OrderTrigger.CANCEL_REJECTED)
            case Rejected():
                order.apply(OrderTrigger.CANCEL_REJECTED)
                self.backoff.on_cancel_reject(outcome.reason, now_s, outcome.retry_at_ms)
                self._publish_rejected(order, outcome)
            case NotTried():
                order.apply(OrderTrigger.CANCEL_REJECTED)
            case Unanswered(reason):
                self.backoff.on_unanswered(now_s)
                self._mark_unknown(order, reason, now_s)

    def _on_query_outcome(self, request: PendingRequest, outcome: OrderOutcome, now_s: float) -> None:
        order = request.order
        self._query_at_s = now_s + _QUERY_INTERVAL_S
        match outcome:
            case Accepted(record):
                self._apply_answer(request, record, now_s)
            case Rejected(reason=RejectReason.UNKNOWN_ORDER):
                self._on_not_found(order, now_s)
            case Rejected():
                self._back_off(order, outcome, None, now_s)
            case _:
                pass  # no reply again: the query is repeated

    def _on_order_list(self, request: PendingRequest, found: ListedOrders, now_s: float) -> None:
        """Apply the reply to a QueryOrdersFrom, which lists all orders from a certain order id upwards.

        The list holds orders that are known here, and perhaps the order that was queried.
        """
        self._query_at_s = now_s + _QUERY_INTERVAL_S
        queried = request.order
        if isinstance(found, Rejected):
            self._back_off(queried, found, None, now_s)
        if not isinstance(found, tuple):
            return
        unknown = []
        for record in found:
            known = self.orders.by_order_id(record.order_id)
            if known is None:
                unknown.append(record)
            else:
                self._apply_record(known, record, now_s)
        # These orders of ours are listed but not known here. The last one is most likely the queried order, because the
        # request for that order was the newest.
        unknown = self.foreign.drop_foreign(unknown, request, now_s)
        for record in unknown[:-1]:
            self._apply_record(self.orders.add_found(record, queried), record, now_s)
        for record in unknown[-1:]:
            self._apply_answer(request, record, now_s)
        # Nothing came after the highest known order id, so none of the requests without an order id has been executed
        # so far.
        if not unknown:
            for order in self.orders.alive_orders():
                if order.without_order_id and order.client_order_id == queried.client_order_id:
                    self._on_not_found(order, now_s)

    def _on_not_found(self, order: Order, now_s: float) -> None:
        """Count a query that did not find `order`. After two, presume the order rejected.

        The order is presumed rejected only after `request_expires_s` since the request was sent, or, if the order was
        once on the book, since it became UNKNOWN.
        """
        if order.state is not OrderState.UNKNOWN:
            return
        order.not_found_count += 1
        # A request that is still on its way can create an order only within its recvWindow. An order that was once on
        # the book cannot be created again, so for this order we only wait until the database has caught up.
        since_s = order.sent_s if order.without_order_id else order.unknown_since_s
        if order.not_found_count >= 2 and now_s - since_s >= self._request_expires_s:
            self.orders.presume_rejected(order)

    def _apply_answer(self, request: PendingRequest, record: OrderRecord, now_s: float) -> None:
        """Apply the record that a query found to the order that the record describes."""
        owner = self.foreign.owner_of_answer(request, record, now_s)
        if owner is not None:
            if owner is not request.order and owner.order_id == record.order_id:
                self._confirm(owner)
            self._apply_record(owner, record, now_s)

    def _apply_record(self, order: Order, record: OrderRecord, now_s: float) -> None:
        self._apply(order, record, now_s)
        if order.state.final or record.filled_quantity > ZERO:
            self.funds_changed_ms = max(self.funds_changed_ms, record.time_ms)

    def _apply(self, order: Order, source: ExecutionReport | OrderRecord, now_s: float) -> None:
        was_alive, rest = order.alive, order.remaining
        if isinstance(source, ExecutionReport):
            self.orders.apply(order, lambda: order.apply_report(source))
        else:
            self.orders.apply(order, lambda: order.apply_record(source))
        # Market data lags behind the account stream. For a second its best price may still be our own order that is
        # gone.
        if was_alive and not order.alive and order.price is not None:
            self.left_orders.forget_old(now_s)
            self.left_orders.add(RestingOrder(order.price, rest), now_s + _LEFT_ORDER_S)

    def _mark_unknown(self, order: Order, reason: str, now_s: float) -> None:
        self.orders.mark_unknown(order, now_s)
        if order.state is not OrderState.UNKNOWN:
            return
        self._query_at_s = now_s
        # A replace without a reply is one event to people, not two: that of the old order.
        attempt = self.orders.attempt_of(order)
        if attempt is None or attempt.old is None or not order.without_order_id:
            self._events.append(OrderInDoubt(order.client_order_id, order.order_id, reason))

    def _back_off(self, order: Order, rejected: Rejected, top: BookTop | None, now_s: float) -> None:
        self.backoff.on_reject(rejected.reason, now_s, top, rejected.retry_at_ms)
        self._publish_rejected(order, rejected)

    def _publish_rejected(self, order: Order, rejected: Rejected) -> None:
        in_a_row = self.backoff.in_a_row
        self._events.append(
            OrderRejected(order.client_order_id, rejected.reason, rejected.code, rejected.text, in_a_row)
        )


def _is_unanswered(event: OrderReply | ReplaceReply | OrdersListed) -> bool:
    """Whether the reply has no outcome. Such a reply tells us as little as a timeout."""
    match event:
        case OrderReply():
            return isinstance(event.outcome, Unanswered)
        case ReplaceReply():
            return isinstance(event.outcome.cancel, Unanswered) and isinstance(event.outcome.place, Unanswered)
        case OrdersListed():
            return isinstance(event.orders, Unanswered)

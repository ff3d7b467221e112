"""What came back, entered into the books of one exit.

Answers and execution reports arrive in any order, late, twice or never. Each is entered where it
belongs and teaches what it can; nothing is sent from here. An order that might exist is in doubt until an
execution report or the answer to a question says otherwise; silence is never taken for a refusal.
"""

from decimal import Decimal
from typing import Final

from trailingedge.execution.exit_orders import ExitOrders
from trailingedge.execution.order import Order, OrderState, OrderTrigger
from trailingedge.execution.order_events import OrderEvent, OrderInDoubt, OrderRejected, UnknownOrderWithOurId
from trailingedge.execution.pending_requests import PendingRequest, PendingRequests
from trailingedge.execution.reject_policy import RejectBackoff
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
    ReplaceOutcome,
    Unanswered,
)
from trailingedge.reconciliation.exit_ledger import exit_id

_QUERY_INTERVAL_S: Final = 1.0
_REPORT_GRACE_S: Final = 0.5  # "unknown order": its execution report is usually on the way
_LEFT_PRICE_S: Final = 1.0  # so long may a frame show a price that we have left


class OrderUpdateHandler:
    """The books of one exit: its orders, the prices they left, what refusals taught, when to ask again.

    A request open for `patience_s` is silence. A request older than `request_expires_s` can no longer be
    carried out, so only then "does not exist", said twice, is believed. `touched_ms` is the exchange's
    time of the last change of ours that moved or freed funds.
    """

    def __init__(
        self,
        number: int,
        letters: PendingRequests,
        happened: list[OrderEvent],
        patience_s: float,
        request_expires_s: float,
        touched_ms: int = 0,
    ) -> None:
        self.orders = ExitOrders(number, happened)
        self.backoff = RejectBackoff()
        self.funds_changed_ms = touched_ms
        self.inherits_until_s = float("-inf")  # until then a request of an earlier session may still be carried out
        self._requests = letters
        self._events = happened
        self._timeout_s = patience_s
        self._request_expires_s = request_expires_s
        self._query_at_s = float("-inf")
        self._left_prices: list[tuple[Decimal, float]] = []

    # What there is to know -------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Nothing of ours is on the book, in flight or in doubt."""
        return self._requests.open is None and not self.orders.alive

    def left_prices(self, now_s: float) -> frozenset[Decimal]:
        """The prices that orders of ours had until a moment ago."""
        self._left_prices = [(price, left_s) for price, left_s in self._left_prices if now_s < left_s + _LEFT_PRICE_S]
        return frozenset(price for price, _ in self._left_prices)

    def left_prices_until(self, now_s: float) -> tuple[tuple[Decimal, float], ...]:
        """The same prices, and until when each counts as just left."""
        return tuple(
            (price, left_s + _LEFT_PRICE_S) for price, left_s in self._left_prices if now_s < left_s + _LEFT_PRICE_S
        )

    def query_for(self, doubtful: Order, now_s: float) -> OrderCommand | None:
        """How to settle doubt, once it is time to ask.

        By order id, by what came after the newest id we know, or by client id where none was ever known.
        """
        if now_s < self._query_at_s:
            return None
        newest = self.orders.highest_order_id
        if doubtful.without_order_id and newest is not None:
            return QueryOrdersFrom(self._requests.new_tag(), newest, doubtful.client_order_id)
        return QueryOrder(self._requests.new_tag(), doubtful.order_id, doubtful.client_order_id)

    # What came back --------------------------------------------------------------------------

    def handle(self, event: OrderInput, now_s: float) -> None:
        """An answer, in time or late, or an execution report. What is not of this exit is ignored."""
        if isinstance(event, ExecutionReport):
            self._on_report(event, now_s)
            return
        if isinstance(event, Reconciled):
            self.backoff.clear(RejectReason.TIMESTAMP)  # the clock was measured anew, and a logon was taken by it
            self._on_open_orders(event.open_orders, now_s)
            return
        request, in_time = self._requests.match_reply(event.tag)
        if request is None:
            return
        if not in_time and _is_unanswered(event):
            return  # we have long lost patience with it ourselves
        match event:
            case OrderReply():
                self._on_reply(request, event.outcome, now_s)
            case ReplaceReply():
                self._on_replace_outcome(request, event.outcome, now_s)
            case OrdersListed():
                self._on_order_list(request, event.orders, now_s)
        self.orders.reconcile()

    def on_disconnect(self, now_s: float) -> None:
        """The account connection was lost: whatever was on the book is in doubt until asked for."""
        self._requests.abandon()
        self.orders.mark_unknown(now_s)
        self._query_at_s = now_s

    def expire_requests(self, now_s: float) -> None:
        """A request open for too long is silence; what a report settled meanwhile is not in doubt."""
        request = self._requests.expire(now_s, self._timeout_s)
        if request is None or isinstance(request.command, QueryOrder | QueryOrdersFrom):
            return
        for order in (request.order, request.successor):
            if order is not None and order.state in (OrderState.PENDING_NEW, OrderState.PENDING_CANCEL):
                self._mark_unknown(order, "no answer", now_s)
        self.orders.reconcile()

    def _on_report(self, report: ExecutionReport, now_s: float) -> None:
        order = self._order_of(report, now_s)
        if order is None:
            return
        self._apply(order, report, now_s)
        if report.status is not OrderStatus.NEW:
            self.funds_changed_ms = max(self.funds_changed_ms, report.time_ms)
        self.orders.reconcile()

    def _on_open_orders(self, open_orders: tuple[OrderRecord, ...], now_s: float) -> None:
        """Those that are open are open; that one is missing proves nothing, for it may be filled or lag behind."""
        for record in open_orders:
            order = self._order_of(record, now_s)
            if order is not None:
                self._apply_record(order, record, now_s)
        self.orders.reconcile()

    def _order_of(self, told: ExecutionReport | OrderRecord, now_s: float) -> Order | None:
        """The order of this exit that something was told of unasked. One that cannot be ours is a stranger's."""
        own = exit_id(told.client_order_id)  # a note of the same millisecond bears the same number
        if own is None or own.number != self.orders.number:
            return None
        if told.order_id < 0 and told.status is not OrderStatus.REJECTED:
            return None  # only what never came to be has no id
        order = self.orders.find_reported(told)
        if order is None and told.side is not None and now_s < self.inherits_until_s:
            return self.orders.add_inherited(told, told.side, now_s)
        if order is None and told.status in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED):
            self._events.append(UnknownOrderWithOurId(told.client_order_id, told.order_id))
        return order

    def _on_reply(self, request: PendingRequest, outcome: OrderOutcome, now_s: float) -> None:
        match request.command:
            case Place():
                self._on_place_outcome(request.order, outcome, request.top, now_s)
            case Cancel():
                self._on_cancel_outcome(request, outcome, now_s)
            case _:
                self._on_query_outcome(request.order, outcome, now_s)

    def _on_place_outcome(self, order: Order, outcome: OrderOutcome, top: BookTop | None, now_s: float) -> None:
        match outcome:
            case Accepted(record):
                self._apply_record(self.orders.find_answered(order, record), record, now_s)
                self.backoff.on_accepted()
            case Rejected(reason=RejectReason.DUPLICATE):
                # An order of this id is open after all: find it before doing anything else.
                if order.without_order_id:
                    self._mark_unknown(order, "duplicate client order id", now_s)
            case Rejected():
                self._on_not_placed(order)
                self._back_off(order, outcome, top, now_s)
            case NotTried():
                self._on_not_placed(order)
            case Unanswered(reason):
                self.backoff.on_unanswered(now_s)
                if order.without_order_id:
                    self._mark_unknown(order, reason, now_s)

    def _on_not_placed(self, order: Order) -> None:
        """An order whose id a report told is none of this request's, whatever we thought."""
        if order.without_order_id:
            self.orders.confirm_rejected(order)

    def _on_cancel_outcome(self, request: PendingRequest, outcome: OrderOutcome, now_s: float) -> None:
        order = request.order
        match outcome:
            case Accepted(record):
                self._apply_record(order, record, now_s)
                if order.alive:
                    order.apply(OrderTrigger.CANCELED)  # whatever else the answer says of it
                self.orders.on_cancelled_by(order, request.successor)
                self.backoff.on_answered()
            case Rejected(reason=RejectReason.UNKNOWN_ORDER):
                order.unknown_since_s = now_s
                order.apply(OrderTrigger.NOT_FOUND)
                self._query_at_s = now_s + _REPORT_GRACE_S
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

    def _on_replace_outcome(self, request: PendingRequest, outcome: ReplaceOutcome, now_s: float) -> None:
        """Both halves, the old order first: it was canceled before the new one was tried."""
        self._on_cancel_outcome(request, outcome.cancel, now_s)
        if request.successor is not None:
            self._on_place_outcome(request.successor, outcome.place, request.top, now_s)

    def _on_query_outcome(self, order: Order, outcome: OrderOutcome, now_s: float) -> None:
        self._query_at_s = now_s + _QUERY_INTERVAL_S
        match outcome:
            case Accepted(record):
                self._apply_record(self.orders.find_answered(order, record), record, now_s)
            case Rejected(reason=RejectReason.UNKNOWN_ORDER):
                self._on_not_found(order, now_s)
            case Rejected():
                self._back_off(order, outcome, None, now_s)
            case _:
                pass  # silence again: the question is repeated

    def _on_order_list(self, request: PendingRequest, found: ListedOrders, now_s: float) -> None:
        """All orders of our id from some order on: those we know, and perhaps the one that was asked about."""
        self._query_at_s = now_s + _QUERY_INTERVAL_S
        asked = request.order
        if isinstance(found, Rejected):
            self._back_off(asked, found, None, now_s)
        if not isinstance(found, tuple):
            return
        unknown = []
        for record in found:
            known = self.orders.by_order_id(record.order_id)
            if known is None:
                unknown.append(record)
            else:
                self._apply_record(known, record, now_s)
        for record in unknown[:-1]:
            self._apply_record(self.orders.add_found(record, asked), record, now_s)
        for record in unknown[-1:]:
            self._apply_record(self.orders.find_answered(asked, record), record, now_s)
        if not unknown:
            for absent in self.orders.unknown_without_order_id(asked.client_order_id):
                self._on_not_found(absent, now_s)

    def _on_not_found(self, order: Order, now_s: float) -> None:
        """An absence may be lag, or a request still on its way: believed when repeated and old enough.

        Of an order that was once there only the time since we lost sight of it counts.
        """
        if order.state is not OrderState.UNKNOWN:
            return
        order.not_found_count += 1
        since_s = order.sent_s if order.without_order_id else order.unknown_since_s
        if order.not_found_count >= 2 and now_s - since_s >= self._request_expires_s:
            self.orders.presume_rejected(order)

    def _apply_record(self, order: Order, record: OrderRecord, now_s: float) -> None:
        self._apply(order, record, now_s)
        if order.state.final or record.filled_quantity > ZERO:
            self.funds_changed_ms = max(self.funds_changed_ms, record.time_ms)

    def _apply(self, order: Order, told: ExecutionReport | OrderRecord, now_s: float) -> None:
        was_alive = order.alive
        if isinstance(told, ExecutionReport):
            self.orders.apply(order, lambda: order.apply_report(told))
        else:
            self.orders.apply(order, lambda: order.apply_record(told))
        if was_alive and not order.alive and order.price is not None:
            self._left_prices.append((order.price, now_s))

    def _mark_unknown(self, order: Order, reason: str, now_s: float) -> None:
        order.mark_unknown(now_s)
        if order.state is not OrderState.UNKNOWN:
            return
        self._query_at_s = now_s
        if order is not self.orders.successor:  # a replace in doubt is one doubt to people, not two
            self._events.append(OrderInDoubt(order.client_order_id, order.order_id, reason))

    def _back_off(self, order: Order, refused: Rejected, top: BookTop | None, now_s: float) -> None:
        self.backoff.on_reject(refused.reason, now_s, top, refused.retry_at_ms)
        self._publish_rejected(order, refused)

    def _publish_rejected(self, order: Order, refused: Rejected) -> None:
        again = self.backoff.in_a_row
        self._events.append(OrderRejected(order.client_order_id, refused.reason, refused.code, refused.text, again))


def _is_unanswered(event: OrderReply | ReplaceReply | OrdersListed) -> bool:
    match event:
        case OrderReply():
            return isinstance(event.outcome, Unanswered)
        case ReplaceReply():
            return isinstance(event.outcome.cancel, Unanswered) and isinstance(event.outcome.place, Unanswered)
        case OrdersListed():
            return isinstance(event.orders, Unanswered)

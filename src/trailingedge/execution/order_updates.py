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
    Listed,
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

_ASK_AGAIN_S: Final = 1.0
_REPORT_GRACE_S: Final = 0.5  # "unknown order": its execution report is usually on the way
_LEFT_PRICE_S: Final = 1.0  # so long may a frame show a price that we have left


class OrderUpdateHandler:
    """The books of one exit: its orders, the prices they left, what refusals taught, when to ask again.

    A request open for `patience_s` is silence. A request older than `absent_after_s` can no longer be
    carried out, so only then "does not exist", said twice, is believed. `touched_ms` is the exchange's
    time of the last change of ours that moved or freed funds.
    """

    def __init__(
        self,
        number: int,
        letters: PendingRequests,
        happened: list[OrderEvent],
        patience_s: float,
        absent_after_s: float,
        touched_ms: int = 0,
    ) -> None:
        self.orders = ExitOrders(number, happened)
        self.restraint = RejectBackoff()
        self.touched_ms = touched_ms
        self.inherits_until_s = float("-inf")  # until then a request of an earlier session may still be carried out
        self._letters = letters
        self._happened = happened
        self._patience_s = patience_s
        self._absent_after_s = absent_after_s
        self._ask_at_s = float("-inf")
        self._left: list[tuple[Decimal, float]] = []

    # What there is to know -------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """Nothing of ours is on the book, in flight or in doubt."""
        return self._letters.open is None and not self.orders.alive

    def left(self, now_s: float) -> frozenset[Decimal]:
        """The prices that orders of ours had until a moment ago."""
        self._left = [(price, left_s) for price, left_s in self._left if now_s < left_s + _LEFT_PRICE_S]
        return frozenset(price for price, _ in self._left)

    def left_until(self, now_s: float) -> tuple[tuple[Decimal, float], ...]:
        """The same prices, and until when each counts as just left."""
        return tuple((price, left_s + _LEFT_PRICE_S) for price, left_s in self._left if now_s < left_s + _LEFT_PRICE_S)

    def question(self, doubtful: Order, now_s: float) -> OrderCommand | None:
        """How to settle doubt, once it is time to ask.

        By order id, by what came after the newest id we know, or by client id where none was ever known.
        """
        if now_s < self._ask_at_s:
            return None
        newest = self.orders.newest_known_id
        if doubtful.nameless and newest is not None:
            return QueryOrdersFrom(self._letters.new_tag(), newest, doubtful.client_order_id)
        return QueryOrder(self._letters.new_tag(), doubtful.order_id, doubtful.client_order_id)

    # What came back --------------------------------------------------------------------------

    def handle(self, event: OrderInput, now_s: float) -> None:
        """An answer, in time or late, or an execution report. What is not of this exit is ignored."""
        if isinstance(event, ExecutionReport):
            self._hear_report(event, now_s)
            return
        if isinstance(event, Reconciled):
            self.restraint.forgive(RejectReason.TIMESTAMP)  # the clock was measured anew, and a logon was taken by it
            self._hear_open(event.open_orders, now_s)
            return
        request, in_time = self._letters.answered(event.tag)
        if request is None:
            return
        if not in_time and _says_nothing(event):
            return  # we have long lost patience with it ourselves
        match event:
            case OrderReply():
                self._hear_answer(request, event.outcome, now_s)
            case ReplaceReply():
                self._hear_replaced(request, event.outcome, now_s)
            case OrdersListed():
                self._hear_list(request, event.found, now_s)
        self.orders.tidy()

    def lose_touch(self, now_s: float) -> None:
        """The account connection was lost: whatever was on the book is in doubt until asked for."""
        self._letters.drop()
        self.orders.doubt(now_s)
        self._ask_at_s = now_s

    def lose_patience(self, now_s: float) -> None:
        """A request open for too long is silence; what a report settled meanwhile is not in doubt."""
        request = self._letters.given_up(now_s, self._patience_s)
        if request is None or isinstance(request.command, QueryOrder | QueryOrdersFrom):
            return
        for order in (request.order, request.successor):
            if order is not None and order.state in (OrderState.IN_FLIGHT, OrderState.CANCELLING):
                self._doubt(order, "no answer", now_s)
        self.orders.tidy()

    def _hear_report(self, report: ExecutionReport, now_s: float) -> None:
        order = self._meant(report, now_s)
        if order is None:
            return
        self._enter(order, report, now_s)
        if report.status is not OrderStatus.NEW:
            self.touched_ms = max(self.touched_ms, report.time_ms)
        self.orders.tidy()

    def _hear_open(self, open_orders: tuple[OrderRecord, ...], now_s: float) -> None:
        """Those that are open are open; that one is missing proves nothing, for it may be filled or lag behind."""
        for record in open_orders:
            order = self._meant(record, now_s)
            if order is not None:
                self._hear_record(order, record, now_s)
        self.orders.tidy()

    def _meant(self, told: ExecutionReport | OrderRecord, now_s: float) -> Order | None:
        """The order of this exit that something was told of unasked. One that cannot be ours is a stranger's."""
        own = exit_id(told.client_order_id)  # a note of the same millisecond bears the same number
        if own is None or own.number != self.orders.number:
            return None
        if told.order_id < 0 and told.status is not OrderStatus.REJECTED:
            return None  # only what never came to be has no id
        order = self.orders.reported(told)
        if order is None and told.side is not None and now_s < self.inherits_until_s:
            return self.orders.inherit(told, told.side, now_s)
        if order is None and told.status in (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED):
            self._happened.append(UnknownOrderWithOurId(told.client_order_id, told.order_id))
        return order

    def _hear_answer(self, request: PendingRequest, outcome: OrderOutcome, now_s: float) -> None:
        match request.command:
            case Place():
                self._hear_placed(request.order, outcome, request.top, now_s)
            case Cancel():
                self._hear_canceled(request, outcome, now_s)
            case _:
                self._hear_query(request.order, outcome, now_s)

    def _hear_placed(self, order: Order, outcome: OrderOutcome, top: BookTop | None, now_s: float) -> None:
        match outcome:
            case Accepted(record):
                self._hear_record(self.orders.answered(order, record), record, now_s)
                self.restraint.succeeded()
            case Rejected(refusal=RejectReason.DUPLICATE):
                # An order of this id is open after all: find it before doing anything else.
                if order.nameless:
                    self._doubt(order, "duplicate client order id", now_s)
            case Rejected():
                self._hear_not_taken(order)
                self._learn_from(order, outcome, top, now_s)
            case NotTried():
                self._hear_not_taken(order)
            case Unanswered(reason):
                self.restraint.learn_of_silence(now_s)
                if order.nameless:
                    self._doubt(order, reason, now_s)

    def _hear_not_taken(self, order: Order) -> None:
        """An order whose id a report told is none of this request's, whatever we thought."""
        if order.nameless:
            self.orders.dismiss(order)

    def _hear_canceled(self, request: PendingRequest, outcome: OrderOutcome, now_s: float) -> None:
        order = request.order
        match outcome:
            case Accepted(record):
                self._hear_record(order, record, now_s)
                if order.alive:
                    order.hear(OrderTrigger.CANCELED)  # whatever else the answer says of it
                self.orders.moved(order, request.successor)
                self.restraint.answered()
            case Rejected(refusal=RejectReason.UNKNOWN_ORDER):
                order.doubted_s = now_s
                order.hear(OrderTrigger.GONE)
                self._ask_at_s = now_s + _REPORT_GRACE_S
            case Rejected(refusal=RejectReason.CANCEL_RESTRICTED):
                order.restricted = True
                order.hear(OrderTrigger.CANCEL_NOT_DONE)
            case Rejected():
                order.hear(OrderTrigger.CANCEL_NOT_DONE)
                self.restraint.learn_of_cancel(outcome.refusal, now_s, outcome.retry_at_ms)
                self._tell_refused(order, outcome)
            case NotTried():
                order.hear(OrderTrigger.CANCEL_NOT_DONE)
            case Unanswered(reason):
                self.restraint.learn_of_silence(now_s)
                self._doubt(order, reason, now_s)

    def _hear_replaced(self, request: PendingRequest, outcome: ReplaceOutcome, now_s: float) -> None:
        """Both halves, the old order first: it was canceled before the new one was tried."""
        self._hear_canceled(request, outcome.cancel, now_s)
        if request.successor is not None:
            self._hear_placed(request.successor, outcome.place, request.top, now_s)

    def _hear_query(self, order: Order, outcome: OrderOutcome, now_s: float) -> None:
        self._ask_at_s = now_s + _ASK_AGAIN_S
        match outcome:
            case Accepted(record):
                self._hear_record(self.orders.answered(order, record), record, now_s)
            case Rejected(refusal=RejectReason.UNKNOWN_ORDER):
                self._hear_absent(order, now_s)
            case Rejected():
                self._learn_from(order, outcome, None, now_s)
            case _:
                pass  # silence again: the question is repeated

    def _hear_list(self, request: PendingRequest, found: Listed, now_s: float) -> None:
        """All orders of our id from some order on: those we know, and perhaps the one that was asked about."""
        self._ask_at_s = now_s + _ASK_AGAIN_S
        asked = request.order
        if isinstance(found, Rejected):
            self._learn_from(asked, found, None, now_s)
        if not isinstance(found, tuple):
            return
        unknown = []
        for record in found:
            known = self.orders.named(record.order_id)
            if known is None:
                unknown.append(record)
            else:
                self._hear_record(known, record, now_s)
        for record in unknown[:-1]:
            self._hear_record(self.orders.adopt(record, asked), record, now_s)
        for record in unknown[-1:]:
            self._hear_record(self.orders.answered(asked, record), record, now_s)
        if not unknown:
            for absent in self.orders.nameless_in_doubt(asked.client_order_id):
                self._hear_absent(absent, now_s)

    def _hear_absent(self, order: Order, now_s: float) -> None:
        """An absence may be lag, or a request still on its way: believed when repeated and old enough.

        Of an order that was once there only the time since we lost sight of it counts.
        """
        if order.state is not OrderState.UNKNOWN:
            return
        order.absences += 1
        since_s = order.sent_s if order.nameless else order.doubted_s
        if order.absences >= 2 and now_s - since_s >= self._absent_after_s:
            self.orders.give_up(order)

    def _hear_record(self, order: Order, record: OrderRecord, now_s: float) -> None:
        self._enter(order, record, now_s)
        if order.state.final or record.filled_quantity > ZERO:
            self.touched_ms = max(self.touched_ms, record.time_ms)

    def _enter(self, order: Order, told: ExecutionReport | OrderRecord, now_s: float) -> None:
        was_alive = order.alive
        if isinstance(told, ExecutionReport):
            self.orders.watch(order, lambda: order.hear_report(told))
        else:
            self.orders.watch(order, lambda: order.hear_record(told))
        if was_alive and not order.alive and order.price is not None:
            self._left.append((order.price, now_s))

    def _doubt(self, order: Order, reason: str, now_s: float) -> None:
        order.doubt(now_s)
        if order.state is not OrderState.UNKNOWN:
            return
        self._ask_at_s = now_s
        if order is not self.orders.successor:  # a replace in doubt is one doubt to people, not two
            self._happened.append(OrderInDoubt(order.client_order_id, order.order_id, reason))

    def _learn_from(self, order: Order, refused: Rejected, top: BookTop | None, now_s: float) -> None:
        self.restraint.learn(refused.refusal, now_s, top, refused.retry_at_ms)
        self._tell_refused(order, refused)

    def _tell_refused(self, order: Order, refused: Rejected) -> None:
        again = self.restraint.in_a_row
        self._happened.append(OrderRejected(order.client_order_id, refused.refusal, refused.code, refused.text, again))


def _says_nothing(event: OrderReply | ReplaceReply | OrdersListed) -> bool:
    match event:
        case OrderReply():
            return isinstance(event.outcome, Unanswered)
        case ReplaceReply():
            return isinstance(event.outcome.cancel, Unanswered) and isinstance(event.outcome.place, Unanswered)
        case OrdersListed():
            return isinstance(event.found, Unanswered)

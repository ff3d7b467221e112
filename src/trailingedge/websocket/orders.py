"""Order requests: places, replaces, cancels and queries orders, and reads each outcome as a value.

Nothing here waits. A request is written, and the caller's handler gets the outcome when there is one. A handler may be
called twice: with Unanswered after the timeout, and with the outcome itself when the reply comes late.

A missing reply is no rejection. Unanswered means the order may be on the book: the caller queries it before anything
else and never places a second one. Rejected means that the exchange certainly did not execute the request; a request
that was not sent counts as rejected, with the reason BUSY.
"""

from collections.abc import Callable
from typing import Final, TypeVar

from trailingedge.core.errors import ProtocolViolation
from trailingedge.model.order_commands import ListedOrders
from trailingedge.model.order_outcomes import (
    Accepted,
    NotTried,
    OrderOutcome,
    Rejected,
    RejectReason,
    ReplaceOutcome,
    Unanswered,
)
from trailingedge.model.order_requests import (
    ALL_ORDERS,
    CANCEL,
    CANCEL_REPLACE,
    PLACE,
    STATUS,
    NewOrderRequest,
    RequestParams,
    all_orders_params,
    cancel_params,
    place_params,
    replace_params,
    status_params,
)
from trailingedge.websocket.account import ServerClock
from trailingedge.websocket.api_client import RequestSender
from trailingedge.websocket.error_codes import REPLACE_FAILED, REPLACE_PARTIALLY_FAILED, classify_error
from trailingedge.websocket.event_parser import Reply
from trailingedge.websocket.json_fields import Fields, fields, integer, message_or, text
from trailingedge.websocket.prepared_request import PreparedReplace
from trailingedge.websocket.request_tracker import NoResponse, NotSent, RequestOutcome, json_request
from trailingedge.websocket.result_parser import read_order, read_orders

_HALF_FAILED: Final = 400  # the status that the rejected half would have had as a request of its own

OutcomeT = TypeVar("OutcomeT")


def read_outcome(outcome: RequestOutcome) -> OrderOutcome:
    """Return the outcome of a placement, a cancel or a status query."""
    if not isinstance(outcome, Reply):
        return _no_reply(outcome)
    if not outcome.ok:
        return classify_error(outcome)
    try:
        return Accepted(read_order(outcome.result))
    except ProtocolViolation as violation:
        return Unanswered(f"unreadable reply: {violation}")


def read_replace_outcome(outcome: RequestOutcome) -> ReplaceOutcome:
    """Return the outcomes of both halves of a cancel-replace."""
    # The reply has both halves in three cases: status 200 (both done), 409 with −2021 (one done), 400 with −2022
    # (none done), see web-socket-api.md, "Cancel and replace order". Any other error came before a half was tried.
    if not isinstance(outcome, Reply):
        no_reply = _no_reply(outcome)
        return ReplaceOutcome(NotTried() if isinstance(no_reply, Rejected) else no_reply, no_reply)
    try:
        halves = _halves(outcome)
        if halves is not None:
            return ReplaceOutcome(
                _read_half(halves, "cancelResult", "cancelResponse"),
                _read_half(halves, "newOrderResult", "newOrderResponse"),
            )
    except ProtocolViolation as violation:
        unreadable = Unanswered(f"unreadable reply: {violation}")
        return ReplaceOutcome(unreadable, unreadable)
    error = classify_error(outcome)
    return ReplaceOutcome(error if isinstance(error, Unanswered) else NotTried(), error)


def read_order_list(outcome: RequestOutcome) -> ListedOrders:
    """Return the orders of an `allOrders` reply. If the query failed, return Rejected or Unanswered."""
    if not isinstance(outcome, Reply):
        return _no_reply(outcome)
    if not outcome.ok:
        return classify_error(outcome)
    try:
        return read_orders(outcome.result)
    except ProtocolViolation as violation:
        return Unanswered(f"unreadable reply: {violation}")


class OrderApi:
    """Order requests of one account and symbol. Each method returns as soon as the request is written."""

    def __init__(
        self,
        api: RequestSender,
        server_clock: ServerClock,
        symbol: str,
        recv_window_ms: int = 5000,
        timeout_s: float = 3.0,
    ) -> None:
        self._api = api
        self._server_clock = server_clock
        self._symbol = symbol
        self._recv_window_ms = recv_window_ms
        self._timeout_s = timeout_s
        self._prepared: PreparedReplace | None = None  # for an order like the last one

    def place(self, order: NewOrderRequest, on_outcome: Callable[[OrderOutcome], None]) -> None:
        """Place a new order."""
        self._send(PLACE, place_params(self._symbol, order), read_outcome, on_outcome)
        if order.price is not None:
            self._prepared = PreparedReplace(self._symbol, order, self._recv_window_ms)

    def replace(
        self,
        cancel_order_id: int | None,
        cancel_client_order_id: str,
        order: NewOrderRequest,
        on_outcome: Callable[[ReplaceOutcome], None],
    ) -> None:
        """Cancel one order and, only if the cancel succeeded, place another."""
        quantity, price = order.quantity, order.price
        if cancel_order_id is None or price is None:
            params = replace_params(self._symbol, cancel_order_id, cancel_client_order_id, order)
            self._send(CANCEL_REPLACE, params, read_replace_outcome, on_outcome)
            return
        prepared = self._prepared
        if prepared is None or not prepared.fits(order):
            prepared = self._prepared = PreparedReplace(self._symbol, order, self._recv_window_ms)
        timestamp_ms = self._server_clock.now_ms()
        self._api.send(
            CANCEL_REPLACE,
            lambda request_id: prepared.encode(request_id, cancel_order_id, quantity, price, timestamp_ms),
            self._timeout_s,
            lambda outcome: on_outcome(read_replace_outcome(outcome)),
        )

    def cancel(self, order_id: int | None, client_order_id: str, on_outcome: Callable[[OrderOutcome], None]) -> None:
        """Cancel an order, partially filled or not."""
        self._send(CANCEL, cancel_params(self._symbol, order_id, client_order_id), read_outcome, on_outcome)

    def status(self, order_id: int | None, client_order_id: str, on_outcome: Callable[[OrderOutcome], None]) -> None:
        """Query one order."""
        self._send(STATUS, status_params(self._symbol, order_id, client_order_id), read_outcome, on_outcome)

    def all_orders(self, from_order_id: int, on_outcome: Callable[[ListedOrders], None]) -> None:
        """Query all orders from `from_order_id` on, those of other programs included."""
        self._send(ALL_ORDERS, all_orders_params(self._symbol, from_order_id), read_order_list, on_outcome)

    def _send(
        self,
        method: str,
        params: RequestParams,
        read: Callable[[RequestOutcome], OutcomeT],
        on_outcome: Callable[[OutcomeT], None],
    ) -> None:
        params["timestamp"] = self._server_clock.now_ms()
        params["recvWindow"] = self._recv_window_ms
        self._api.send(method, json_request(method, params), self._timeout_s, lambda outcome: on_outcome(read(outcome)))


def _no_reply(outcome: NoResponse | NotSent) -> Rejected | Unanswered:
    if isinstance(outcome, NotSent):  # never written, so certainly not executed
        return Rejected(RejectReason.BUSY, 0, f"not sent: {outcome.reason}")
    return Unanswered(outcome.reason)


def _halves(reply: Reply) -> Fields | None:
    """Return the part of a cancel-replace reply that has the results of cancel and placement.

    None if the exchange rejected the request as a whole.
    """
    if reply.ok:
        return fields(reply.result)
    if reply.code in (REPLACE_PARTIALLY_FAILED, REPLACE_FAILED):
        return fields(reply.data)
    # Beyond the limit of unfilled orders the status may be 429, and the error still has both halves.
    return reply.data if reply.status < 500 and isinstance(reply.data, dict) and "cancelResult" in reply.data else None


def _read_half(halves: Fields, result_name: str, response_name: str) -> OrderOutcome:
    result = text(halves, result_name)
    if result == "NOT_ATTEMPTED":
        return NotTried()
    try:
        response = fields(halves.get(response_name), response_name)
        if result == "SUCCESS":
            return Accepted(read_order(response))
        if result == "FAILURE":
            return classify_error(
                Reply(_HALF_FAILED, code=integer(response, "code"), text=message_or(response, "msg", ""))
            )
    except ProtocolViolation as violation:
        return Unanswered(f"unreadable half: {violation}")
    return Unanswered(f"unreadable half: {result_name} {result}")

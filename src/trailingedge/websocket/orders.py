"""Order requests on their way out, and what became of them.

Nothing here waits: a request is written, and its outcome is handed to whoever asked, as a value. An
outcome may come twice: Unanswered when the patience is over, and the answer itself when it comes late.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeVar

from trailingedge.core.errors import ProtocolViolation
from trailingedge.model.market import OrderRecord, format_plain
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
from trailingedge.websocket.error_codes import classify_error
from trailingedge.websocket.event_parser import Reply
from trailingedge.websocket.json_fields import Fields, fields, integer, text, text_or
from trailingedge.websocket.prepared_request import PreparedRequest, SentRequest
from trailingedge.websocket.request_tracker import NoResponse, NotSent, RequestOutcome
from trailingedge.websocket.response_parser import read_order, read_orders

_PARTIALLY_FAILED: Final = -2021
_FAILED: Final = -2022
_HALF_FAILED: Final = 400  # the status a refused half would have had by itself

Listed = tuple[OrderRecord, ...] | Rejected | Unanswered
OutcomeT = TypeVar("OutcomeT")


def read_outcome(answer: RequestOutcome) -> OrderOutcome:
    """What became of a placement, a cancel or a status query."""
    if not isinstance(answer, Reply):
        return _no_reply(answer)
    if not answer.ok:
        return classify_error(answer)
    try:
        return Accepted(read_order(answer.result))
    except ProtocolViolation as violation:
        return Unanswered(f"unreadable answer: {violation}")


def read_replace_outcome(answer: RequestOutcome) -> ReplaceOutcome:
    """What became of both halves of a cancel-replace.

    200, 409 and 400 −2022 tell of each half; any other refusal came before either was tried.
    """
    if not isinstance(answer, Reply):
        unheard = _no_reply(answer)
        return ReplaceOutcome(NotTried() if isinstance(unheard, Rejected) else unheard, unheard)
    try:
        halves = _halves(answer)
        if halves is not None:
            return ReplaceOutcome(
                _read_half(halves, "cancelResult", "cancelResponse"),
                _read_half(halves, "newOrderResult", "newOrderResponse"),
            )
    except ProtocolViolation as violation:
        unreadable = Unanswered(f"unreadable answer: {violation}")
        return ReplaceOutcome(unreadable, unreadable)
    verdict = classify_error(answer)
    return ReplaceOutcome(verdict if isinstance(verdict, Unanswered) else NotTried(), verdict)


def read_order_list(answer: RequestOutcome) -> Listed:
    """The orders of an `allOrders`, or why there are none."""
    if not isinstance(answer, Reply):
        return _no_reply(answer)
    if not answer.ok:
        return classify_error(answer)
    try:
        return read_orders(answer.result)
    except ProtocolViolation as violation:
        return Unanswered(f"unreadable answer: {violation}")


class OrderApi:
    """The order path of one account and symbol. Each method returns as soon as the request is written."""

    def __init__(
        self,
        api: RequestSender,
        server_clock: ServerClock,
        symbol: str,
        recv_window_ms: int = 5000,
        patience_s: float = 3.0,
    ) -> None:
        self._api = api
        self._server_clock = server_clock
        self._symbol = symbol
        self._recv_window_ms = recv_window_ms
        self._timeout_s = patience_s

    def place(self, order: NewOrderRequest, heard: Callable[[OrderOutcome], None]) -> None:
        """A new order."""
        self._send(PLACE, place_params(self._symbol, order), read_outcome, heard)

    def replace(
        self,
        cancel_order_id: int | None,
        cancel_client_order_id: str,
        order: NewOrderRequest,
        heard: Callable[[ReplaceOutcome], None],
    ) -> None:
        """Cancel one order if it is unfilled, and only then place another."""
        params = replace_params(self._symbol, cancel_order_id, cancel_client_order_id, order)
        self._send(CANCEL_REPLACE, params, read_replace_outcome, heard)

    def prepare_replace(self, cancel_order_id: int, order: NewOrderRequest) -> PreparedRequest:
        """A replace of that order by one like `order`, but for price and quantity."""
        return PreparedRequest(self._symbol, cancel_order_id, order, self._recv_window_ms)

    def send_replace(self, draft: PreparedRequest, price: Decimal, quantity: Decimal) -> SentRequest:
        """Write a draft with its numbers, at once."""
        stamp_ms = self._server_clock.now_ms()
        return self._api.send_prepared(
            lambda number: draft.encode(number, format_plain(price), format_plain(quantity), stamp_ms)
        )

    def on_replace_reply(self, written: SentRequest, heard: Callable[[ReplaceOutcome], None]) -> None:
        """Of what was written, `heard` gets the outcome."""
        written.on_reply(CANCEL_REPLACE, self._timeout_s, lambda answer: heard(read_replace_outcome(answer)))

    def cancel(self, order_id: int | None, client_order_id: str, heard: Callable[[OrderOutcome], None]) -> None:
        """Take an order from the book, part-filled or not."""
        self._send(CANCEL, cancel_params(self._symbol, order_id, client_order_id), read_outcome, heard)

    def status(self, order_id: int | None, client_order_id: str, heard: Callable[[OrderOutcome], None]) -> None:
        """Ask for one order."""
        self._send(STATUS, status_params(self._symbol, order_id, client_order_id), read_outcome, heard)

    def all_orders(self, from_order_id: int, heard: Callable[[Listed], None]) -> None:
        """Ask for all orders from that one on, whoever placed them."""
        self._send(ALL_ORDERS, all_orders_params(self._symbol, from_order_id), read_order_list, heard)

    def _send(
        self,
        method: str,
        params: RequestParams,
        read: Callable[[RequestOutcome], OutcomeT],
        heard: Callable[[OutcomeT], None],
    ) -> None:
        params["timestamp"] = self._server_clock.now_ms()
        params["recvWindow"] = self._recv_window_ms
        self._api.send(method, params, self._timeout_s, lambda answer: heard(read(answer)))


def _no_reply(answer: NoResponse | NotSent) -> Rejected | Unanswered:
    if isinstance(answer, NotSent):  # never written, so certainly not done
        return Rejected(RejectReason.BUSY, 0, f"not sent: {answer.reason}")
    return Unanswered(answer.reason)


def _halves(reply: Reply) -> Fields | None:
    """The object that tells of both halves; None where the request was refused as a whole."""
    if reply.ok:
        return fields(reply.result)
    if reply.code in (_PARTIALLY_FAILED, _FAILED):
        return fields(reply.data)
    # Beyond the order limit the exchange may answer 429 and still tell what it did with each half.
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
                Reply(_HALF_FAILED, code=integer(response, "code"), text=text_or(response, "msg", ""))
            )
    except ProtocolViolation as violation:
        return Unanswered(f"unreadable half: {violation}")
    return Unanswered(f"unreadable half: {result_name} {result}")

"""OrderApi: requests as they are sent, and the outcome that each reply or timeout means."""

import json
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailingedge.core.clock import ManualClock
from trailingedge.model.market import OrderRecord, OrderStatus, Side
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
from trailingedge.model.order_requests import NewOrderRequest
from trailingedge.websocket.account import ServerClock
from trailingedge.websocket.event_parser import Reply
from trailingedge.websocket.orders import OrderApi, read_order_list, read_outcome, read_replace_outcome
from trailingedge.websocket.request_tracker import Encoder, NoResponse, NotSent, ReplyHandler, RequestOutcome

PLACED: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "orderId": 502,
    "clientOrderId": "mm-1",
    "transactTime": 5,
    "price": "60000.00000000",
    "origQty": "0.00100000",
    "executedQty": "0.00000000",
    "cummulativeQuoteQty": "0.00000000",
    "status": "NEW",
    "type": "LIMIT_MAKER",
    "side": "BUY",
}
CANCELED = PLACED | {"orderId": 501, "origClientOrderId": "mm-1", "clientOrderId": "c-1", "status": "CANCELED"}
WOULD_MATCH: dict[str, Any] = {"code": -2010, "msg": "Order would immediately match and take."}
UNKNOWN_ORDER = {"code": -2011, "msg": "Unknown order sent."}
RESTRICTED = {"code": -2011, "msg": "Order was not canceled due to cancel restrictions."}
TOO_MANY = {"code": -1015, "msg": "Too many new orders; current limit is 50 orders per 10 SECOND."}


def record(order_id: int, status: OrderStatus) -> OrderRecord:
    return OrderRecord(
        order_id=order_id,
        client_order_id="mm-1",
        side=Side.BUY,
        status=status,
        price=Decimal(60000),
        quantity=Decimal("0.001"),
        filled_quantity=Decimal(0),
        filled_quote=Decimal(0),
        time_ms=5,
        order_type="LIMIT_MAKER",
    )


DONE_CANCEL = Accepted(record(501, OrderStatus.CANCELED))
DONE_PLACE = Accepted(record(502, OrderStatus.NEW))


def refusal(outcome: OrderOutcome) -> object:
    """Return the reject reason of an outcome, or the outcome itself."""
    if isinstance(outcome, Rejected):
        return outcome.reason
    return type(outcome) if isinstance(outcome, Unanswered | NotTried) else outcome


def halves(cancel: str, place: str, cancel_response: object, place_response: object) -> dict[str, object]:
    return {
        "cancelResult": cancel,
        "newOrderResult": place,
        "cancelResponse": cancel_response,
        "newOrderResponse": place_response,
    }


def partly(data: object, status: int = 409, code: int = -2021) -> Reply:
    return Reply(status, code=code, text="Order cancel-replace partially failed.", data=data)


def wholly(data: object, status: int = 400) -> Reply:
    return Reply(status, code=-2022, text="Order cancel-replace failed.", data=data)


@pytest.mark.parametrize(
    ("answer", "cancel", "place"),
    [
        pytest.param(
            Reply(200, halves("SUCCESS", "SUCCESS", CANCELED, PLACED)), DONE_CANCEL, DONE_PLACE, id="S/S, 200"
        ),
        pytest.param(
            wholly(halves("FAILURE", "NOT_ATTEMPTED", UNKNOWN_ORDER, None)),
            RejectReason.UNKNOWN_ORDER,
            NotTried,
            id="F/NA, 400, unknown order",
        ),
        pytest.param(
            wholly(halves("FAILURE", "NOT_ATTEMPTED", RESTRICTED, None)),
            RejectReason.CANCEL_RESTRICTED,
            NotTried,
            id="F/NA, 400, part-filled",
        ),
        pytest.param(
            partly(halves("SUCCESS", "FAILURE", CANCELED, WOULD_MATCH)),
            DONE_CANCEL,
            RejectReason.WOULD_TAKE,
            id="S/F, 409",
        ),
        pytest.param(
            partly(halves("FAILURE", "SUCCESS", UNKNOWN_ORDER, PLACED)),
            RejectReason.UNKNOWN_ORDER,
            DONE_PLACE,
            id="F/S, 409",
        ),
        pytest.param(
            wholly(halves("FAILURE", "FAILURE", UNKNOWN_ORDER, WOULD_MATCH)),
            RejectReason.UNKNOWN_ORDER,
            RejectReason.WOULD_TAKE,
            id="F/F, 400",
        ),
        pytest.param(
            Reply(429, code=-1015, text="Too many new orders"),
            NotTried,
            RejectReason.TOO_MANY_ORDERS,
            id="limit, nothing done",
        ),
        pytest.param(
            partly(halves("SUCCESS", "FAILURE", CANCELED, TOO_MANY)),
            DONE_CANCEL,
            RejectReason.TOO_MANY_ORDERS,
            id="limit, S/F, 409",
        ),
        pytest.param(
            partly(halves("SUCCESS", "FAILURE", CANCELED, TOO_MANY), status=429),
            DONE_CANCEL,
            RejectReason.TOO_MANY_ORDERS,
            id="limit, S/F, 429",
        ),
        pytest.param(
            partly(halves("FAILURE", "NOT_ATTEMPTED", UNKNOWN_ORDER, None), status=429, code=-1015),
            RejectReason.UNKNOWN_ORDER,
            NotTried,
            id="limit, F/NA, 429 under another code",
        ),
        pytest.param(
            partly(halves("SUCCESS", "FAILURE", CANCELED, {"code": -1007, "msg": "Timeout"})),
            DONE_CANCEL,
            Unanswered,
            id="the new half timed out",
        ),
        pytest.param(
            Reply(400, code=-1013, text="Filter failure: NOTIONAL"),
            NotTried,
            RejectReason.FILTER,
            id="filter, nothing done",
        ),
        pytest.param(
            Reply(400, code=-2010, text="Filter failure: MAX_NUM_ORDERS"),
            NotTried,
            RejectReason.TOO_MANY_ORDERS,
            id="order count, nothing done",
        ),
        pytest.param(
            Reply(400, code=-1021, text="outside of the recvWindow"), NotTried, RejectReason.TIMESTAMP, id="timestamp"
        ),
        pytest.param(Reply(429, code=-1003, text="weight"), NotTried, RejectReason.RATE_LIMITED, id="too much weight"),
        pytest.param(Reply(418, code=-1003, text="banned"), NotTried, RejectReason.RATE_LIMITED, id="banned"),
        pytest.param(
            Reply(401, code=-2015, text="Invalid API-key"), NotTried, RejectReason.UNAUTHORIZED, id="key gone"
        ),
        pytest.param(Reply(400, code=-1007, text="Timeout"), Unanswered, Unanswered, id="-1007"),
        pytest.param(Reply(400, code=-1006, text="Unexpected"), Unanswered, Unanswered, id="-1006"),
        pytest.param(Reply(400, code=-1001, text="Internal"), Unanswered, Unanswered, id="-1001"),
        pytest.param(Reply(400, code=-1000, text="Unknown"), Unanswered, Unanswered, id="-1000"),
        pytest.param(Reply(503, code=-1008, text="Busy"), Unanswered, Unanswered, id="503"),
        pytest.param(Reply(504), Unanswered, Unanswered, id="504"),
        pytest.param(NoResponse("timeout"), Unanswered, Unanswered, id="time-out"),
        pytest.param(NoResponse("closed 1006", connection_lost=True), Unanswered, Unanswered, id="lost"),
        pytest.param(NotSent("not connected"), NotTried, RejectReason.BUSY, id="never sent"),
        pytest.param(Reply(200), Unanswered, Unanswered, id="200 without a result"),
        pytest.param(Reply(200, {}), Unanswered, Unanswered, id="200 with an empty result"),
        pytest.param(Reply(409), Unanswered, Unanswered, id="409 without an error"),
        pytest.param(partly(None), Unanswered, Unanswered, id="-2021 without data"),
        pytest.param(wholly(None), Unanswered, Unanswered, id="-2022 without data"),
        pytest.param(wholly({"cancelResult": 5}), Unanswered, Unanswered, id="-2022 with nonsense"),
        pytest.param(
            partly(halves("SUCCESS", "FAILURE", {}, WOULD_MATCH)),
            Unanswered,
            RejectReason.WOULD_TAKE,
            id="one half unreadable",
        ),
        pytest.param(
            partly(halves("PERHAPS", "FAILURE", CANCELED, None)), Unanswered, Unanswered, id="results of tomorrow"
        ),
    ],
)
def test_a_cancel_replace_has_an_outcome_for_each_half(answer: RequestOutcome, cancel: object, place: object) -> None:
    outcome = read_replace_outcome(answer)
    assert (refusal(outcome.cancel), refusal(outcome.place)) == (cancel, place)


def test_the_documented_short_cancel_response_is_a_cancel_done() -> None:
    short = {"symbol": "BTCUSDT", "orderId": 502, "status": "CANCELED"}
    outcome = read_replace_outcome(partly(halves("SUCCESS", "FAILURE", short, WOULD_MATCH)))
    assert outcome.left_nothing


@pytest.mark.parametrize(
    ("answer", "meant"),
    [
        pytest.param(Reply(200, PLACED), DONE_PLACE, id="placed"),
        pytest.param(Reply(200, CANCELED), DONE_CANCEL, id="canceled"),
        pytest.param(Reply(400, code=-2010, text=WOULD_MATCH["msg"]), RejectReason.WOULD_TAKE, id="would match"),
        pytest.param(Reply(400, code=-2013, text="Order does not exist."), RejectReason.UNKNOWN_ORDER, id="not found"),
        pytest.param(
            Reply(400, code=-2011, text="Unknown order sent."), RejectReason.UNKNOWN_ORDER, id="nothing to cancel"
        ),
        pytest.param(Reply(400, code=-1013, text="Filter failure: LOT_SIZE"), RejectReason.FILTER, id="filter"),
        pytest.param(Reply(400, code=-1007, text="Timeout"), Unanswered, id="timed out at the exchange"),
        pytest.param(Reply(500), Unanswered, id="server error"),
        pytest.param(Reply(200), Unanswered, id="no result"),
        pytest.param(Reply(200, {"orderListId": 3}), Unanswered, id="a list instead of an order"),
        pytest.param(NoResponse("timeout"), Unanswered, id="time-out"),
        pytest.param(NotSent("not connected"), RejectReason.BUSY, id="never sent"),
    ],
)
def test_a_single_request_has_one_outcome(answer: RequestOutcome, meant: object) -> None:
    assert refusal(read_outcome(answer)) == meant


@pytest.mark.parametrize(
    ("answer", "meant"),
    [
        pytest.param(Reply(200, [PLACED]), (record(502, OrderStatus.NEW),), id="orders"),
        pytest.param(Reply(200, []), (), id="none"),
        pytest.param(Reply(200, {}), Unanswered, id="no list"),
        pytest.param(Reply(429, code=-1003), RejectReason.RATE_LIMITED, id="refused"),
        pytest.param(NoResponse("timeout"), Unanswered, id="time-out"),
        pytest.param(NotSent("not connected"), RejectReason.BUSY, id="never sent"),
    ],
)
def test_a_list_of_orders_or_why_there_is_none(answer: RequestOutcome, meant: object) -> None:
    found = read_order_list(answer)
    assert (found if isinstance(found, tuple) else refusal(found)) == meant


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["cancelResult", "newOrderResult", "cancelResponse", "newOrderResponse", "code", "msg", "orderId"]
            ),
            inner | st.sampled_from(["SUCCESS", "FAILURE", "NOT_ATTEMPTED"]),
        )
    ),
    max_leaves=12,
)


@given(
    status=st.sampled_from([200, 400, 401, 403, 409, 418, 429, 500]),
    code=st.sampled_from([0, -1000, -1007, -1013, -1015, -2010, -2011, -2021, -2022, 7]),
    result=json_values,
    data=json_values,
)
def test_every_reply_has_an_outcome(status: int, code: int, result: object, data: object) -> None:
    answer = Reply(status, result, code, "text", data)
    assert isinstance(read_outcome(answer), OrderOutcome)
    assert isinstance(read_replace_outcome(answer), ReplaceOutcome)
    assert isinstance(read_order_list(answer), tuple | Rejected | Unanswered)


class FakeSender:
    """RequestSender that keeps the last request."""

    def __init__(self) -> None:
        self.method = ""
        self.params: dict[str, str | int] = {}
        self.on_reply: ReplyHandler = lambda _: None

    def send(self, method: str, encode: Encoder, timeout_s: float, outcomes: ReplyHandler) -> None:
        assert timeout_s == 3.0
        request = json.loads(encode(1))
        assert request["method"] == method
        self.method, self.params, self.on_reply = method, request["params"], outcomes


ORDER = NewOrderRequest("mm-1", Side.BUY, Decimal("0.001"), Decimal(60000))


@pytest.mark.parametrize(
    ("ask", "method"),
    [
        pytest.param(lambda orders, outcomes: orders.place(ORDER, outcomes), "order.place", id="place"),
        pytest.param(lambda orders, outcomes: orders.cancel(501, "mm-1", outcomes), "order.cancel", id="cancel"),
        pytest.param(lambda orders, outcomes: orders.status(501, "mm-1", outcomes), "order.status", id="status"),
        pytest.param(
            lambda orders, outcomes: orders.replace(501, "mm-1", ORDER, outcomes), "order.cancelReplace", id="replace"
        ),
        pytest.param(lambda orders, outcomes: orders.all_orders(501, outcomes), "allOrders", id="all orders"),
    ],
)
async def test_each_request_has_a_timestamp_of_the_exchanges_clock(
    ask: Callable[[OrderApi, Callable[[object], None]], None], method: str
) -> None:
    sender, server_clock = FakeSender(), ServerClock(ManualClock(unix_ms=1000))
    server_clock.offset_ms = 234
    outcomes: list[object] = []
    ask(OrderApi(sender, server_clock, "BTCUSDT", recv_window_ms=4000), outcomes.append)
    assert sender.method == method
    assert (sender.params["timestamp"], sender.params["recvWindow"], sender.params["symbol"]) == (1234, 4000, "BTCUSDT")
    sender.on_reply(NoResponse("timeout"))
    assert len(outcomes) == 1


@pytest.mark.parametrize(
    "before",
    [ORDER, replace(ORDER, side=ORDER.side.opposite), None],
    ids=["prepared", "for the other side", "not prepared"],
)
async def test_a_replace_has_its_own_numbers_whether_prepared_or_not(before: NewOrderRequest | None) -> None:
    sender, server_clock = FakeSender(), ServerClock(ManualClock(unix_ms=1000))
    orders, outcomes = OrderApi(sender, server_clock, "BTCUSDT"), list[ReplaceOutcome]()
    if before is not None:
        orders.place(before, list[OrderOutcome]().append)
    server_clock.offset_ms = 234
    order = replace(ORDER, price=Decimal("59999.50"), quantity=Decimal("0.0020"))
    orders.replace(502, ORDER.client_order_id, order, outcomes.append)
    assert sender.method == "order.cancelReplace"
    told = {name: sender.params[name] for name in ("cancelOrderId", "price", "quantity", "timestamp")}
    assert told == {"cancelOrderId": 502, "price": "59999.5", "quantity": "0.002", "timestamp": 1234}
    sender.on_reply(NoResponse("timeout"))
    assert outcomes == [ReplaceOutcome(Unanswered("timeout"), Unanswered("timeout"))]


async def test_a_late_reply_is_a_second_outcome() -> None:
    sender, outcomes = FakeSender(), list[OrderOutcome]()
    OrderApi(sender, ServerClock(ManualClock()), "BTCUSDT").place(ORDER, outcomes.append)
    sender.on_reply(NoResponse("timeout"))
    sender.on_reply(Reply(200, PLACED))
    assert outcomes == [Unanswered("timeout"), DONE_PLACE]


async def test_listed_orders_are_passed_on() -> None:
    sender, outcomes = FakeSender(), list[ListedOrders]()
    OrderApi(sender, ServerClock(ManualClock()), "BTCUSDT").all_orders(501, outcomes.append)
    sender.on_reply(Reply(200, [CANCELED, PLACED]))
    assert [[order.order_id for order in found] for found in outcomes if isinstance(found, tuple)] == [[501, 502]]

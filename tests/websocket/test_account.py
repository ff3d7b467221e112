"""AccountSession: clock measurement, logon, subscription and queries."""

from collections.abc import Callable, Mapping
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.websocket.fake_sockets import PaperExchange

from trailingedge.auth.manager import KeyManager
from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import (
    LogonRefused,
    OutcomeUnknown,
    ProtocolViolation,
    RequestRefused,
    SessionLost,
    TrailingEdgeError,
)
from trailingedge.model.market import Balance, Side
from trailingedge.model.order_requests import NewOrderRequest
from trailingedge.websocket.account import AccountSession, ServerClock
from trailingedge.websocket.api_client import RequestCaller
from trailingedge.websocket.event_parser import AccountPosition, Reply
from trailingedge.websocket.request_tracker import NoResponse, NotSent
from trailingedge.websocket.result_parser import Commission

NOW_MS = 1_783_000_000_000
LATE = Reply(400, code=-1021, text="Timestamp for this request is outside of the recvWindow.")
ACK = {"orderId": 501, "clientOrderId": "mm-1"}

Answer = Callable[[Mapping[str, str | int]], object]


def first(*answers: object) -> Answer:
    """Return a function that gives the next result at each call and repeats the last one; exceptions are raised."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def exchange(**answers: Answer) -> PaperExchange:
    usual: dict[str, Answer] = {
        "time": first({"serverTime": NOW_MS + 250}),
        "session_logon": first({"apiKey": "K"}),
        "session_logout": first({}),
        "userDataStream_subscribe": first({"subscriptionId": 0}),
    }
    return PaperExchange(**(usual | answers))


def session(api: RequestCaller) -> AccountSession:
    keys = KeyManager.from_private_key(Ed25519PrivateKey.generate(), "K")
    return AccountSession(api, keys, ServerClock(ManualClock(unix_ms=NOW_MS)), "BTCUSDT")


async def test_the_offset_is_that_of_the_shortest_round_trip() -> None:
    clock = ManualClock(unix_ms=NOW_MS)
    round_trips_s = [0.3, 0.1, 0.2]

    class Slow(PaperExchange):
        """An exchange 500 ms ahead, which reads its clock when the request has arrived."""

        async def call(self, *_: object, **__: object) -> object:
            round_trip_s = round_trips_s.pop(0)
            # The slow ones lose all their time on the way back.
            there_s = round_trip_s / 2 if round_trip_s == 0.1 else 0.0
            await clock.advance(there_s)
            there_ms = clock.unix_ms() + 500
            await clock.advance(round_trip_s - there_s)
            return {"serverTime": there_ms}

    server_clock = ServerClock(clock)
    await server_clock.measure(Slow())
    assert server_clock.offset_ms == 500
    assert server_clock.now_ms() == clock.unix_ms() + 500
    assert server_clock.round_trip_ms == pytest.approx(100)


async def test_opening_logs_on_and_subscribes() -> None:
    api = exchange()
    await session(api).open()
    assert api.methods() == ["time", "time", "time", "session.logon", "userDataStream.subscribe"]
    logon = dict(api.requests[3][1])
    assert logon.pop("signature")
    assert logon == {"apiKey": "K", "recvWindow": 5000, "timestamp": NOW_MS + 250}
    assert api.requests[4][1] == {}


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        pytest.param(400, -1022, "does not belong", id="bad signature"),
        pytest.param(400, -1102, "empty or malformed", id="empty key"),
        pytest.param(400, -2014, "malformed", id="malformed key"),
        pytest.param(401, -2015, "permission", id="unknown key"),
        pytest.param(400, -2028, "HMAC", id="wrong kind of key"),
        pytest.param(401, -9999, "key's settings", id="any 401"),
    ],
)
async def test_a_refused_logon_names_the_remedy(status: int, code: int, said: str) -> None:
    api = exchange(session_logon=first(Reply(status, code=code, text="the exchange's words")))
    with pytest.raises(LogonRefused, match=said) as refused:
        await session(api).open()
    assert str(code) in str(refused.value)
    assert "the exchange's words" in str(refused.value)


async def test_a_logon_with_a_refused_timestamp_is_repeated_after_measuring_the_clock() -> None:
    api = exchange(session_logon=first(LATE, {"apiKey": "K"}))
    await session(api).open()
    assert api.methods() == [*["time"] * 3, "session.logon", *["time"] * 3, "session.logon", "userDataStream.subscribe"]


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        pytest.param(LATE, RequestRefused, id="out of time twice"),
        pytest.param(Reply(503, code=-1000, text="oops"), OutcomeUnknown, id="server error"),
        pytest.param(Reply(429, code=-1003, text="weight"), RequestRefused, id="too much weight"),
        pytest.param(NoResponse("timeout"), OutcomeUnknown, id="silence"),
        pytest.param(NoResponse("closed", connection_lost=True), SessionLost, id="lost connection"),
        pytest.param(NotSent("not connected"), SessionLost, id="no connection"),
    ],
)
async def test_a_transient_logon_failure_needs_no_person(answer: object, raised: type[TrailingEdgeError]) -> None:
    with pytest.raises(raised):
        await session(exchange(session_logon=first(answer))).open()


async def test_a_ban_at_the_logon_carries_its_duration() -> None:
    banned = Reply(418, code=-1003, text="banned", data={"serverTime": 1, "retryAfter": NOW_MS + 9})
    with pytest.raises(RequestRefused) as refused:
        await session(exchange(session_logon=first(banned))).open()
    assert refused.value.retry_at_ms == NOW_MS + 9


@pytest.mark.parametrize(
    "failure", [OutcomeUnknown("timeout"), RequestRefused(-1003, "weight"), SessionLost("closed")], ids=repr
)
async def test_a_failed_subscription_fails_the_opening(failure: Exception) -> None:
    with pytest.raises(type(failure)):
        await session(exchange(userDataStream_subscribe=first(failure))).open()


async def test_an_unreadable_clock_fails_the_opening() -> None:
    with pytest.raises(ProtocolViolation, match="serverTime"):
        await session(exchange(time=first({}))).open()


async def test_an_existing_subscription_is_accepted() -> None:
    await session(exchange(userDataStream_subscribe=first(RequestRefused(-2035, "already active")))).open()


async def test_a_failed_logout_is_ignored() -> None:
    await session(exchange(session_logout=first(SessionLost("closed")))).logout()


STAMP = {"timestamp": NOW_MS, "recvWindow": 5000}


@pytest.mark.parametrize(
    ("ask", "method", "params", "result"),
    [
        pytest.param(lambda it: it.open_orders(), "openOrders.status", {}, [], id="open orders"),
        pytest.param(lambda it: it.order_status(501), "order.status", {"orderId": 501}, ACK, id="status"),
        pytest.param(
            lambda it: it.order_status(None, "mm-1"),
            "order.status",
            {"origClientOrderId": "mm-1"},
            ACK,
            id="by client id",
        ),
        pytest.param(lambda it: it.all_orders(501), "allOrders", {"orderId": 501, "limit": 1000}, [], id="all orders"),
        pytest.param(lambda it: it.my_trades(), "myTrades", {"limit": 1000}, [], id="newest trades"),
        pytest.param(
            lambda it: it.my_trades(from_id=0, limit=5),
            "myTrades",
            {"fromId": 0, "limit": 5},
            [],
            id="trades from one on",
        ),
        pytest.param(
            lambda it: it.my_trades(start_ms=1, end_ms=2),
            "myTrades",
            {"startTime": 1, "endTime": 2, "limit": 1000},
            [],
            id="trades of a time",
        ),
        pytest.param(lambda it: it.cancel_order(501), "order.cancel", {"orderId": 501}, ACK, id="cancel"),
        pytest.param(
            lambda it: it.place(NewOrderRequest("mm-1", Side.BUY, Decimal(1), Decimal(2))),
            "order.place",
            {
                "side": "BUY",
                "type": "LIMIT_MAKER",
                "quantity": "1",
                "price": "2",
                "newClientOrderId": "mm-1",
                "newOrderRespType": "RESULT",
            },
            ACK,
            id="place",
        ),
    ],
)
async def test_each_query_carries_symbol_and_timestamp(
    ask: Callable[[AccountSession], object], method: str, params: dict[str, str | int], result: object
) -> None:
    api = PaperExchange()
    api.answers[method] = first(result)
    await ask(session(api))  # type: ignore[misc]
    assert api.requests == [(method, {"symbol": "BTCUSDT"} | params | STAMP)]


async def test_balances_and_commission_are_typed() -> None:
    balances = {"updateTime": 7, "balances": [{"asset": "BTC", "free": "1", "locked": "0"}]}
    rates = {"standardCommission": {"maker": "0.001", "taker": "0.001", "buyer": "0", "seller": "0"}}
    api = PaperExchange(account_status=first(balances), account_commission=first(rates))
    assert await session(api).balances() == AccountPosition((Balance("BTC", Decimal(1)),), 7)
    assert await session(api).commission() == Commission(Decimal("0.001"), Decimal("0.001"), Decimal("0.001"))
    assert api.requests[0][1] == STAMP
    assert api.requests[1][1] == {"symbol": "BTCUSDT"} | STAMP


async def test_a_query_with_a_refused_timestamp_is_repeated_after_measuring_the_clock() -> None:
    api = exchange(order_status=first(RequestRefused(-1021, "late"), ACK))
    assert (await session(api).order_status(501)).order_id == 501
    assert api.methods() == ["order.status", *["time"] * 3, "order.status"]
    assert api.requests[-1][1]["timestamp"] == NOW_MS + 250


async def test_a_query_refused_for_another_reason_is_not_repeated() -> None:
    api = exchange(order_status=first(RequestRefused(-2013, "Order does not exist.")))
    with pytest.raises(RequestRefused, match="-2013"):
        await session(api).order_status(501)
    assert api.methods() == ["order.status"]

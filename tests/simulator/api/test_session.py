"""One connection to the WebSocket API: reply envelope, logon, timestamps, subscriptions, limits."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from tests.simulator.exchange_builders import (
    ApiClient,
    a_client,
    a_hub,
    a_trader,
    an_exchange,
    signed,
    tick,
)

from trailingedge.core.clock import ManualClock

NO_NAME = "Mandatory parameter '{}' was not sent, was empty/null, or malformed."
BAD_ID = "Invalid 'id' in JSON request; expected an integer, a string matching '^[a-zA-Z0-9-_]{1,36}$', or null."


def newcomer(**spec: Any) -> ApiClient:
    return a_client(a_hub(an_exchange(**spec)))


def error(answer: dict[str, Any]) -> tuple[int, int, str]:
    return answer["status"], answer["error"]["code"], answer["error"]["msg"]


def test_a_reply_has_id_status_result_and_limits() -> None:
    client = newcomer()
    assert client.request("ping") == {
        "id": 1,
        "status": 200,
        "result": {},
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000, "count": 3}
        ],
    }


@pytest.mark.parametrize("request_id", [0, -3, 2**60, "a-B_9", "7", None])
def test_any_legal_id_is_echoed_verbatim(request_id: object) -> None:
    client = newcomer()
    client.send({"id": request_id, "method": "ping"})
    assert client.connection.frames[-1]["id"] == request_id
    assert client.connection.frames[-1]["status"] == 200


@pytest.mark.parametrize(
    ("body", "request_id", "text"),
    [
        pytest.param('{"id": 1.5, "method": "ping"}', None, BAD_ID, id="a fraction as id"),
        pytest.param('{"id": "a b", "method": "ping"}', None, BAD_ID, id="an id with a space"),
        pytest.param('{"id": ' + "1" * 5000 + ', "method": "ping"}', None, BAD_ID, id="an id of 5000 digits"),
        pytest.param('{"id": "' + "x" * 37 + '", "method": "ping"}', None, BAD_ID, id="an id too long"),
        pytest.param('{"id": true, "method": "ping"}', None, BAD_ID, id="a boolean as id"),
        pytest.param(
            '{"id": 4, "method": "ping", "params": [1]}',
            4,
            "Invalid 'params' in JSON request; expected an object.",
            id="params that are a list",
        ),
        pytest.param('{"method": "ping"}', None, BAD_ID, id="no id"),
        pytest.param("[1]", None, "Invalid JSON request; expected an object.", id="a list"),
        pytest.param("{", None, "Invalid JSON.", id="no JSON"),
    ],
)
def test_a_malformed_frame_is_answered_with_1135(body: str, request_id: object, text: str) -> None:
    client = newcomer()
    client.send(body)
    assert client.connection.frames == [{"id": request_id, "status": 400, "error": {"code": -1135, "msg": text}}]


def test_five_malformed_frames_close_the_connection() -> None:
    client = newcomer()
    for body in ("{", '{"method": "ping"}', "{", "{", "{"):
        assert client.connection.closed is None
        client.send(body)
    assert client.connection.closed == (1008, "disconnected")


@given(text=st.text() | st.from_regex(r'\{"id":1,"method":"[a-zA-Z.]{0,20}","params":\{.*\}\}'))
def test_garbage_is_answered_never_raised(text: str) -> None:
    client = newcomer()
    client.send(text)
    assert client.connection.frames or client.connection.closed


def test_a_version_before_the_method_changes_nothing() -> None:
    assert newcomer().request("v3/ping")["status"] == 200


def test_an_unknown_method_is_rejected_with_its_id() -> None:
    assert newcomer().request("order.dance")["status"] == 400


def test_limits_are_hidden_on_request_and_by_the_address() -> None:
    assert "rateLimits" not in newcomer().request("ping", returnRateLimits=False)
    quiet = a_client(a_hub(), "/ws-api/v3?returnRateLimits=false")
    assert "rateLimits" not in quiet.request("ping")
    assert "rateLimits" in quiet.request("ping", returnRateLimits=True)


def test_a_logon_is_answered_with_the_session() -> None:
    client = newcomer()
    result = client.log_on()["result"]
    now_ms = client.clock.unix_ms()
    assert result == {
        "apiKey": "test-key",
        "authorizedSince": now_ms,
        "connectedSince": now_ms,
        "returnRateLimits": True,
        "serverTime": now_ms,
        "userDataStream": False,
    }
    assert client.request("session.status")["result"] == result
    assert client.request("session.logout")["result"]["apiKey"] is None


@pytest.mark.parametrize(
    ("params", "status", "code", "text"),
    [
        pytest.param({"apiKey": None}, 400, -1102, NO_NAME.format("apiKey"), id="no key"),
        pytest.param({"apiKey": "a key"}, 400, -2014, "API-key format invalid.", id="a malformed key"),
        pytest.param(
            {"apiKey": "other"}, 401, -2015, "Invalid API-key, IP, or permissions for action.", id="an unknown key"
        ),
        pytest.param({"signature": None}, 400, -1102, NO_NAME.format("signature"), id="no signature"),
        pytest.param(
            {"signature": "AAAA"}, 400, -1022, "Signature for this request is not valid.", id="a wrong signature"
        ),
        pytest.param({"timestamp": None}, 400, -1102, NO_NAME.format("timestamp"), id="no timestamp"),
        pytest.param(
            {"recvWindow": 60_001},
            400,
            -1102,
            "'recvWindow' contains unexpected value. Cannot be greater than 60000.",
            id="a window too long",
        ),
    ],
)
def test_a_wrong_logon_is_rejected_with_its_reason(params: dict[str, Any], status: int, code: int, text: str) -> None:
    client = newcomer()
    good = signed({"apiKey": "test-key", "timestamp": client.clock.unix_ms()})
    answer = client.request("session.logon", **(good | params))
    assert error(answer) == (status, code, text)
    assert client.request("session.status")["result"]["apiKey"] is None


def test_another_key_cannot_sign_for_this_one() -> None:
    client = newcomer()
    params = signed(
        {"apiKey": "test-key", "timestamp": client.clock.unix_ms()}, Ed25519PrivateKey.from_private_bytes(bytes(32))
    )
    assert error(client.request("session.logon", **params))[1] == -1022


EARLY = "Timestamp for this request was 1000ms ahead of the server's time."
LATE = "Timestamp for this request is outside of the recvWindow."


@pytest.mark.parametrize(
    ("offset_ms", "window", "text"),
    [
        pytest.param(0, None, None, id="now"),
        pytest.param(999, None, None, id="a little early"),
        pytest.param(1000, None, EARLY, id="a second early"),
        pytest.param(-5000, None, None, id="just within the usual window"),
        pytest.param(-5001, None, LATE, id="just outside of it"),
        pytest.param(-6000, "6000.346", None, id="within a window with decimals"),
        pytest.param(-100, 99, LATE, id="outside of a narrow one"),
    ],
)
def test_a_timestamp_is_compared_with_the_wall_clock(offset_ms: int, window: object, text: str | None) -> None:
    trader = a_trader()
    params: dict[str, Any] = {"timestamp": trader.clock.unix_ms() + offset_ms}
    if window is not None:
        params["recvWindow"] = window
    answer = trader.request("account.status", **params)
    if text is None:
        assert answer["status"] == 200
    else:
        assert error(answer) == (400, -1021, text)


def test_a_timestamp_may_be_in_microseconds() -> None:
    trader = a_trader()
    assert trader.request("account.status", timestamp=trader.clock.unix_ms() * 1000 + 7)["status"] == 200


def test_a_signature_works_without_a_logon_and_overrides_one() -> None:
    client = newcomer()
    now_ms = client.clock.unix_ms()
    assert client.request("account.status", **signed({"apiKey": "test-key", "timestamp": now_ms}))["status"] == 200
    assert error(client.request("account.status", timestamp=now_ms))[1:] == (-1102, NO_NAME.format("apiKey"))


def test_surplus_parameters_are_rejected() -> None:
    trader = a_trader()
    answer = trader.request("userDataStream.unsubscribe", symbol="ETHFDUSD")
    assert error(answer)[1] == -1104
    assert error(trader.request("ping", timestamp=1))[1] == -1104


def test_user_events_reach_the_subscribed_sessions() -> None:
    client = newcomer()
    assert error(client.request("userDataStream.subscribe"))[1] == -1193
    client.log_on()
    assert client.request("userDataStream.subscribe")["result"] == {"subscriptionId": 0}
    assert error(client.request("userDataStream.subscribe"))[1:] == (
        -2035,
        "User Data Stream subscription already active.",
    )
    assert client.request("session.subscriptions")["result"] == [{"subscriptionId": 0}]
    client.order_request("order.place", side="SELL", type="LIMIT_MAKER", price="100.10", quantity="1")
    kinds = [each.get("subscriptionId", each.get("id")) for each in client.connection.frames[-3:]]
    assert kinds == [client.sent, 0, 0]  # the reply, then its events


def test_events_may_come_before_the_reply() -> None:
    trader = a_trader(events_first=True)
    trader.order_request("order.place", side="SELL", type="LIMIT_MAKER", price="100.10", quantity="1")
    assert ["id" in each for each in trader.connection.frames[-3:]] == [False, False, True]


@pytest.mark.parametrize("method", ["userDataStream.unsubscribe", "session.logout"])
def test_a_subscription_ends_with_an_event_after_the_reply(method: str) -> None:
    trader = a_trader()
    answer = trader.request(method)
    assert trader.connection.frames[-2] == answer
    assert not answer["result"].get("userDataStream")
    assert trader.connection.frames[-1] == {
        "subscriptionId": 0,
        "event": {"e": "eventStreamTerminated", "E": trader.hub.exchange.engine.market_ms},
    }
    trader.hub.exchange.manual_trader().deposit("ETH", trader.hub.exchange.spec.min_notional)
    trader.hub.publish_events()
    assert trader.connection.frames[-1]["event"]["e"] == "eventStreamTerminated"


def test_what_is_not_active_cannot_be_unsubscribed_and_ids_are_not_reused() -> None:
    trader = a_trader()
    assert error(trader.request("userDataStream.unsubscribe", subscriptionId=5))[1] == -2036
    trader.request("userDataStream.unsubscribe", subscriptionId=0)
    assert trader.request("userDataStream.subscribe")["result"] == {"subscriptionId": 1}


def test_a_signed_subscription_outlives_the_session() -> None:
    client = newcomer()
    client.log_on()
    params = signed({"apiKey": "test-key", "timestamp": client.clock.unix_ms()})
    assert client.request("userDataStream.subscribe.signature", **params)["result"] == {"subscriptionId": 0}
    client.request("session.logout")
    assert client.request("session.subscriptions")["result"] == [{"subscriptionId": 0}]


def test_a_revoked_key_ends_the_session_with_the_next_request() -> None:
    trader = a_trader()
    trader.hub.exchange.keys.revoke("test-key")
    seen = len(trader.connection.frames)
    trader.order_request("openOrders.status")
    first, second = trader.connection.frames[seen:]
    assert first == {
        "id": None,
        "status": 401,
        "error": {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."},
    }
    assert second["event"]["e"] == "eventStreamTerminated"
    assert trader.request("session.status")["result"]["apiKey"] is None


def test_successful_orders_cost_no_weight_rejected_ones_do() -> None:
    trader = a_trader()

    def weight() -> int:
        count: int = trader.request("ping")["rateLimits"][0]["count"]
        return count

    before = weight()
    trader.order_request("order.place", side="SELL", type="LIMIT_MAKER", price="100.10", quantity="1")
    assert weight() == before + 1  # the ping itself
    trader.order_request("order.place", side="SELL", type="LIMIT_MAKER", price="99.00", quantity="1")
    assert weight() == before + 3


def test_placements_show_the_unfilled_order_counts_too() -> None:
    trader = a_trader()
    answer = trader.order_request("order.place", side="SELL", type="LIMIT_MAKER", price="99.00", quantity="1")
    assert error(answer)[1] == -2010
    assert [(limit["rateLimitType"], limit["count"]) for limit in answer["rateLimits"][:2]] == [
        ("ORDERS", 1),
        ("ORDERS", 1),
    ]


def test_too_much_weight_gets_429_then_a_ban_and_a_disconnect() -> None:
    client = newcomer(weight_per_minute=50)
    for _ in range(3):
        answer = client.request("exchangeInfo")
    assert (answer["status"], answer["error"]["code"]) == (429, -1003)
    for _ in range(100):
        client.request("exchangeInfo")
    banned = client.connection.frames[-1]
    assert (banned["status"], client.connection.closed) == (418, (1008, "disconnected"))
    assert banned["error"]["data"]["retryAfter"] == client.clock.unix_ms() + 120_000


async def test_a_logon_counts_from_when_it_was_made() -> None:
    clock = ManualClock()
    client = a_client(a_hub(an_exchange(clock=clock)))
    await clock.advance(3.0)
    result = client.log_on()["result"]
    assert result["authorizedSince"] - result["connectedSince"] == 3000


def test_the_shutdown_is_announced_without_a_subscription_id() -> None:
    trader = a_trader()
    trader.hub.on_tick(tick(at_s=1))
    trader.hub.announce_shutdown()
    market_ms = trader.hub.exchange.engine.market_ms
    assert trader.connection.frames[-1] == {"event": {"e": "serverShutdown", "E": market_ms}}

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.simulator.exchange_builders import ApiClient, a_client, a_hub, tick

from trailingedge.simulator.connection_hub import NotServed
from trailingedge.simulator.klines import Interval
from trailingedge.simulator.market_streams import kline_interval
from trailingedge.simulator.stream_session import StreamSession

TOP = "ethfdusd@bookTicker"


def listener(url: str = "/ws") -> ApiClient:
    return a_client(a_hub(), url)


def reply(client: ApiClient, body: Any) -> dict[str, Any]:
    client.send(body)
    answer: dict[str, Any] = client.connection.frames[-1]
    return answer


def received(client: ApiClient, at_s: float = 1.0) -> list[dict[str, Any]]:
    """The frames that a tick with a new best price sends to the client."""
    seen = len(client.connection.frames)
    client.hub.on_tick(tick(f"{100 + at_s:.2f}", f"{101 + at_s:.2f}", at_s=at_s))
    return client.connection.frames[seen:]


def test_a_raw_stream_is_the_bare_payload() -> None:
    (top,) = received(listener(f"/ws/{TOP}"))
    assert top == {
        "u": 2,
        "s": "ETHFDUSD",
        "b": "101.00000000",
        "B": "2.00000000",
        "a": "102.00000000",
        "A": "3.00000000",
    }


@pytest.mark.parametrize("url", [f"/stream?streams={TOP}", "/stream?streams=ethfdusd%40bookTicker%2Fx%40trade"])
def test_a_combined_stream_wraps_it(url: str) -> None:
    (top,) = received(listener(url))
    assert (top["stream"], top["data"]["b"]) == (TOP, "101.00000000")


def test_a_new_subscription_delivers_nothing_before_the_next_change() -> None:
    client = listener(f"/ws/{TOP}")
    assert client.connection.frames == []
    assert len(received(client)) == 1
    client.hub.on_tick(tick("101.00", "102.00", at_s=2))
    assert len(client.connection.frames) == 1


def test_a_kline_stream_publishes_the_forming_and_the_closed_kline() -> None:
    client = listener("/ws/ethfdusd@kline_1m/ethfdusd@kline_1s")
    frames = received(client, at_s=2.0) + received(client, at_s=60.5)
    events = [(each["k"]["i"], each["k"]["x"]) for each in frames]
    assert events.count(("1m", False)) == 1
    assert events.count(("1m", True)) == 1
    assert ("1s", True) in events
    minute = next(each for each in frames if each["k"]["x"] and each["k"]["i"] == "1m")
    assert (minute["e"], minute["s"], minute["E"]) == (
        "kline",
        "ETHFDUSD",
        client.hub.exchange.engine.market_ms,
    )
    assert set(minute["k"]) == set("tTsifLochlvnxqVQB")


@pytest.mark.parametrize(
    "url",
    [
        "/stream?streams=ethfdusd@kline_1m@+08:00",
        "/stream?streams=ethfdusd@kline_1m%40%2B08%3A00",
        "/ws/ethfdusd@kline_1m@+08:00",
        "/ws/ethfdusd%40kline_1m%40%2B08:00",
    ],
)
def test_a_time_zone_in_the_url_is_read_with_its_plus_sign(url: str) -> None:
    (kline,) = received(listener(url), at_s=2.0)
    assert kline.get("data", kline)["k"]["i"] == "1m"
    assert kline.get("stream", "ethfdusd@kline_1m@+08:00") == "ethfdusd@kline_1m@+08:00"


def test_a_subscription_without_an_id_has_the_documented_error() -> None:
    assert reply(listener(), {"method": "SUBSCRIBE", "params": [TOP]}) == {
        "code": 2,
        "msg": "Invalid request: request ID must be an unsigned integer",
    }


def test_streams_are_subscribed_listed_and_unsubscribed() -> None:
    client = listener()
    assert reply(client, {"method": "SUBSCRIBE", "params": [TOP, TOP], "id": 1}) == {"result": None, "id": 1}
    assert len(received(client, 1.0)) == 1  # once, although named twice
    assert reply(client, {"method": "LIST_SUBSCRIPTIONS", "id": 3}) == {"result": [TOP], "id": 3}
    assert reply(client, {"method": "UNSUBSCRIBE", "params": [TOP], "id": "x9"}) == {"result": None, "id": "x9"}
    assert received(client, 2.0) == []


def test_an_unknown_stream_is_accepted_and_silent() -> None:
    client = listener()
    assert reply(client, {"method": "SUBSCRIBE", "params": ["nosuch@thing"], "id": None}) == {
        "result": None,
        "id": None,
    }
    assert received(client) == []


@pytest.mark.parametrize("name", ["ethfdusd@blockTrade", "btcusdt@referencePrice"])
def test_a_stream_that_is_not_offered_is_refused(name: str) -> None:
    client = listener()
    answer = reply(client, {"method": "SUBSCRIBE", "params": [TOP, name], "id": 7})
    assert answer == {"code": 2, "msg": f"Invalid request: stream {name} is not offered", "id": 7}
    assert reply(client, {"method": "LIST_SUBSCRIPTIONS", "id": 8})["result"] == []
    for url in (f"/ws/{name}", f"/stream?streams={TOP}/{name}"):
        with pytest.raises(NotServed, match=f"stream {name} is not offered") as refused:
            listener(url)
        assert refused.value.status == 404


def test_the_combined_form_is_a_property() -> None:
    client = listener(f"/ws/{TOP}")
    assert reply(client, {"method": "GET_PROPERTY", "params": ["combined"], "id": 1}) == {"result": False, "id": 1}
    assert reply(client, {"method": "SET_PROPERTY", "params": ["combined", True], "id": 2}) == {
        "result": None,
        "id": 2,
    }
    assert "stream" in received(client)[0]
    assert reply(listener("/stream"), {"method": "GET_PROPERTY", "params": ["combined"], "id": 1})["result"] is True


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param({"method": "SET_PROPERTY", "params": ["speed", True], "id": 1}, 0, id="an unknown property"),
        pytest.param({"method": "GET_PROPERTY", "params": ["speed"], "id": 1}, 0, id="asked for"),
        pytest.param({"method": "SET_PROPERTY", "params": ["combined", 1], "id": 1}, 1, id="no boolean"),
        pytest.param({"method": "SET_PROPERTY", "params": [], "id": 1}, 2, id="no property"),
        pytest.param({"method": "GET_PROPERTY", "params": [], "id": 1}, 2, id="no property asked for"),
        pytest.param({"method": "DANCE", "id": 1}, 2, id="an unknown method"),
        pytest.param({"id": 1}, 2, id="no method"),
        pytest.param({"method": "SUBSCRIBE", "id": 1}, 2, id="no streams"),
        pytest.param({"method": "SUBSCRIBE", "params": [1], "id": 1}, 2, id="streams that are no names"),
        pytest.param({"method": "SUBSCRIBE", "params": ["x"] * 1025, "id": 1}, 2, id="too many streams"),
        pytest.param({"method": "LIST_SUBSCRIPTIONS", "id": 1.5}, 2, id="a fraction as id"),
        pytest.param({"method": "LIST_SUBSCRIPTIONS", "id": True}, 2, id="a boolean as id"),
        pytest.param({"method": "SUBSCRIBE", "params": [TOP]}, 2, id="no id"),
        pytest.param([1], 2, id="a list"),
        pytest.param("{", 3, id="no JSON"),
    ],
)
def test_a_wrong_message_is_answered_by_a_flat_error(body: Any, code: int) -> None:
    assert reply(listener(), body)["code"] == code


def test_more_than_five_messages_a_second_close_the_connection() -> None:
    session = StreamSession("/ws", lambda _: None)
    for number in range(5):
        assert session.on_message('{"method":"LIST_SUBSCRIPTIONS","id":1}', number).close is None
    late = session.on_message('{"method":"LIST_SUBSCRIPTIONS","id":1}', 999)
    assert late.close is not None
    assert (late.close.code, late.close.reason) == (1008, "Too many requests")
    assert session.on_message('{"method":"LIST_SUBSCRIPTIONS","id":1}', 1000).close is None


@given(text=st.text() | st.from_regex(r'\{"method":"SUBSCRIBE","params":.*\}'))
def test_garbage_is_answered_never_raised(text: str) -> None:
    assert StreamSession("/ws", lambda _: None).on_message(text, 0).frames


@pytest.mark.parametrize(
    ("stream", "interval"),
    [
        ("kline_1m", Interval("1m")),
        ("kline_1d@+08:00", Interval("1d", 8 * 3_600_000)),
        ("kline_7m", None),
        ("bookTicker", None),
    ],
)
def test_a_kline_stream_is_known_by_its_name(stream: str, interval: Interval | None) -> None:
    assert kline_interval(stream) == interval


@pytest.mark.parametrize(
    ("url", "frame"),
    [
        pytest.param("/ws", {"e": "serverShutdown"}, id="raw"),
        pytest.param("/stream", {"stream": "!serverShutdown", "data": {"e": "serverShutdown"}}, id="combined"),
    ],
)
def test_the_shutdown_is_announced_in_the_streams_own_form(url: str, frame: dict[str, Any]) -> None:
    client = listener(url)
    client.hub.announce_shutdown()
    (events,) = client.connection.frames
    events.get("data", events).pop("E")
    assert events == frame

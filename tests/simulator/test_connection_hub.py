import json
from decimal import Decimal

import pytest
from tests.simulator.exchange_builders import (
    ApiClient,
    ManualScheduler,
    a_client,
    a_hub,
    a_trader,
    an_exchange,
    tick,
)

from trailingedge.core.clock import ManualClock
from trailingedge.model.market import Side
from trailingedge.simulator.connection_hub import NotServed, is_served


@pytest.mark.parametrize(
    ("address", "served"),
    [
        ("/ws-api/v3", True),
        ("/ws-api/v3?returnRateLimits=false", True),
        ("ws://127.0.0.1:9/ws-api/v3", True),
        ("/ws", True),
        ("/ws/ethfdusd@bookTicker", True),
        ("/stream?streams=ethfdusd@bookTicker", True),
        ("/", False),
        ("/api/v3/ping", False),
        ("/wsx", False),
    ],
)
def test_only_api_and_streams_are_served(address: str, served: bool) -> None:
    assert is_served(address) is served
    hub = a_hub()
    if served:
        hub.check_admission(address)
    else:
        with pytest.raises(NotServed):
            hub.check_admission(address)


def test_a_banned_address_cannot_connect() -> None:
    hub = a_hub(an_exchange(weight_per_minute=2))
    client = a_client(hub)
    for _ in range(100):
        client.request("ping")
    with pytest.raises(NotServed, match="banned"):
        a_client(hub)


def test_a_client_receives_only_its_own_events() -> None:
    trader = a_trader()
    stranger = a_client(trader.hub)
    trader.hub.exchange.manual_trader().place(Side.SELL, Decimal("100.20"), Decimal(1))
    assert trader.hub.publish_events()
    assert [event["e"] for event in trader.events] == ["executionReport", "outboundAccountPosition"]
    assert stranger.connection.frames == []


def test_a_removed_client_receives_nothing() -> None:
    trader = a_trader()
    trader.hub.remove(trader.client)
    trader.hub.remove(trader.client)
    trader.hub.exchange.manual_trader().deposit("ETH", Decimal(1))
    assert not trader.hub.publish_events()


def test_a_tick_that_changes_nothing_is_not_published() -> None:
    hub = a_hub()
    a_client(hub, "/ws/ethfdusd@bookTicker")
    assert not hub.on_tick(tick(at_s=1))
    assert hub.on_tick(tick("99.00", "99.10", at_s=2))


def test_the_connections_of_five_minutes_are_limited_for_each_service() -> None:
    clock = ManualClock(unix_ms=1_783_000_200_000)  # a multiple of five minutes
    hub = a_hub(an_exchange(clock=clock, connections_per_5_min=2))
    for _ in range(2):
        hub.check_admission("/ws-api/v3")
    with pytest.raises(NotServed) as refused:
        hub.check_admission("/ws-api/v3")
    assert (refused.value.status, refused.value.retry_after_s) == (429, 300.0)
    assert json.loads(str(refused.value))["code"] == -1034
    hub.check_admission("/ws")  # the streams are another service


async def test_after_five_minutes_connections_are_accepted_again() -> None:
    clock = ManualClock()
    hub = a_hub(an_exchange(clock=clock, connections_per_5_min=1))
    hub.check_admission("/ws")
    await clock.advance(300.0)
    hub.check_admission("/ws")


@pytest.mark.parametrize("path", ["/ws-api/v3", "/ws", "/stream"])
def test_an_unknown_time_unit_is_refused_with_1194(path: str) -> None:
    with pytest.raises(NotServed) as refused:
        a_hub().check_admission(f"{path}?timeUnit=SECOND")
    assert refused.value.status == 400
    assert json.loads(str(refused.value)) == {
        "code": -1194,
        "msg": "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.",
    }


def test_connections_of_each_kind_can_be_dropped() -> None:
    trader = a_trader()
    listener = a_client(trader.hub, "/ws/ethfdusd@bookTicker")
    trader.hub.disconnect(api=False)
    assert (listener.connection.closed, trader.connection.closed) == ((1006, ""), None)
    trader.hub.disconnect()
    assert trader.connection.closed == (1006, "")


def listeners() -> tuple[ApiClient, ApiClient]:
    """A trader and a client of the bookTicker stream, of one exchange."""
    trader = a_trader()
    return trader, a_client(trader.hub, "/ws/ethfdusd@bookTicker")


def test_a_muted_stream_stays_open_and_sends_nothing() -> None:
    trader, listener = listeners()
    trader.hub.streams_muted = True
    assert not trader.hub.on_tick(tick("101.00", "101.10", at_s=1))
    assert (listener.connection.texts, listener.connection.closed) == ([], None)
    trader.hub.streams_muted = False
    assert trader.hub.on_tick(tick("102.00", "102.10", at_s=2))
    assert [frame["u"] for frame in listener.connection.frames] == [3]  # the updates dropped while muted are never sent


def test_a_muted_account_still_replies_but_sends_no_events() -> None:
    trader, _ = listeners()
    trader.hub.account_muted = True
    placed = trader.order_request("order.place", side="SELL", type="LIMIT_MAKER", price="100.10", quantity="1")
    assert placed["status"] == 200
    assert trader.events == []


def test_a_half_open_connection_carries_nothing_in_either_direction() -> None:
    trader, listener = listeners()
    trader.hub.half_open()
    assert trader.request("ping") == {}
    trader.hub.on_tick(tick("101.00", "101.10", at_s=1))
    trader.hub.exchange.manual_trader().deposit("ETH", Decimal(1))
    trader.hub.publish_events()
    assert (trader.events, listener.connection.texts) == ([], [])
    assert (trader.connection.closed, listener.connection.closed) == (None, None)
    assert a_client(trader.hub).request("ping")["status"] == 200


def test_an_exchange_that_refuses_connections_answers_503() -> None:
    trader, _ = listeners()
    trader.hub.refuses_connections = True
    with pytest.raises(NotServed, match="away"):
        a_client(trader.hub)
    assert trader.request("ping")["status"] == 200  # existing connections stay


@pytest.mark.parametrize("address", ["/ws-api/v3", "/ws/ethfdusd@bookTicker"])
def test_a_ban_refuses_every_connection_with_retry_after(address: str) -> None:
    hub = a_hub()
    exchange = hub.exchange
    exchange.weight_limiter.ban(exchange.clock.unix_ms() + 90_000)
    with pytest.raises(NotServed) as refused:
        hub.check_admission(address)
    assert (refused.value.status, refused.value.retry_after_s) == (418, 90.0)


def test_a_banned_client_gets_a_418_and_is_disconnected() -> None:
    trader, _ = listeners()
    exchange = trader.hub.exchange
    until_ms = exchange.clock.unix_ms() + 90_000
    exchange.weight_limiter.ban(until_ms)
    answer = trader.request("ping")
    assert (answer["status"], answer["error"]["code"], answer["error"]["data"]["retryAfter"]) == (418, -1003, until_ms)
    assert trader.connection.closed == (1008, "disconnected")


def test_an_exhausted_weight_lasts_until_the_minute_is_over() -> None:
    trader, _ = listeners()
    exchange = trader.hub.exchange
    until_ms = exchange.weight_limiter.exhaust(exchange.clock.unix_ms())
    answer = trader.request("ping")
    assert (answer["status"], answer["error"]["data"]["retryAfter"]) == (429, until_ms)
    assert exchange.weight_limiter.blocked_until_ms == until_ms
    assert exchange.weight_limiter.bans == 0


@pytest.mark.parametrize(("streams", "api"), [(True, False), (False, True), (True, True)])
def test_a_shutdown_is_announced_to_the_chosen_kind_and_then_happens(streams: bool, api: bool) -> None:
    scheduler = ManualScheduler()
    trader = a_trader(call_later=scheduler)
    listener = a_client(trader.hub, "/stream?streams=ethfdusd@bookTicker")
    trader.hub.announce_shutdown(streams, api, leave_s=5.0)
    newcomer = a_client(trader.hub)
    seen = ["serverShutdown" in text for text in (trader.connection.texts[-1], *listener.connection.texts)]
    assert seen == ([api, True] if streams else [api])
    assert (trader.connection.closed, listener.connection.closed) == (None, None)
    assert scheduler.run_all() == [5.0]
    assert (listener.connection.closed is not None, trader.connection.closed is not None) == (streams, api)
    assert newcomer.connection.closed is None


def test_a_subscription_can_be_terminated_while_its_session_stays() -> None:
    trader, _ = listeners()
    trader.hub.terminate_subscriptions()
    assert trader.events[-1]["e"] == "eventStreamTerminated"
    assert trader.request("session.status")["result"]["userDataStream"] is False
    assert trader.request("userDataStream.subscribe")["status"] == 200


def test_the_audit_log_has_requests_and_replies() -> None:
    trader, _ = listeners()
    trader.hub.fault_injector.schedule("ping", "lose_reply")
    trader.request("ping")
    trader.request("time")
    seen = [(entry.what, entry.details) for entry in trader.hub.exchange.audit_log.entries]
    assert seen[-3:] == [("request", "ping"), ("request", "time"), ("answered", "time")]

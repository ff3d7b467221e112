"""Times in microseconds, on the connections that ask for them."""

from typing import Any

import pytest
from tests.simulator.exchange_builders import START_MS, ApiClient, a_client, a_hub, tick

from trailingedge.model.market import Side

MICROSECOND = "timeUnit=MICROSECOND"
ORDER: dict[str, Any] = {"side": "SELL", "type": "LIMIT_MAKER", "price": "100.10", "quantity": "1"}


def a_pair(url: str) -> tuple[ApiClient, ApiClient]:
    """Two clients of one exchange: one with milliseconds, one with microseconds."""
    hub = a_hub()
    return a_client(hub, url), a_client(hub, f"{url}{'&' if '?' in url else '?'}{MICROSECOND}")


@pytest.mark.parametrize("word", ["MICROSECOND", "microsecond"])
def test_a_reply_has_its_times_in_microseconds(word: str) -> None:
    client = a_client(a_hub(), f"/ws-api/v3?timeUnit={word}")
    now_us = client.clock.unix_ms() * 1000
    assert client.request("time")["result"] == {"serverTime": now_us}
    status = client.log_on()["result"]
    assert (status["authorizedSince"], status["connectedSince"], status["serverTime"]) == (now_us,) * 3
    placed = client.order_request("order.place", **ORDER, newOrderRespType="RESULT")["result"]
    assert placed["transactTime"] == placed["workingTime"] == START_MS * 1000
    assert placed["orderId"] == 1001  # a number that is no time


def test_a_kline_ends_with_its_last_microsecond() -> None:
    plain, client = a_pair("/ws-api/v3")
    for each, unit in ((plain, 1), (client, 1000)):
        (row,) = each.request("klines", symbol="ETHFDUSD", interval="1m")["result"]
        assert (row[0], row[6]) == (START_MS * unit, (START_MS + 60_000) * unit - 1)


def test_the_end_of_a_limit_is_in_microseconds() -> None:
    client = a_client(a_hub(), f"/ws-api/v3?{MICROSECOND}")
    now_ms = client.clock.unix_ms()
    until_ms = client.hub.exchange.weight_limiter.exhaust(now_ms)
    assert client.request("ping")["error"]["data"] == {"serverTime": now_ms * 1000, "retryAfter": until_ms * 1000}


def test_the_events_of_an_account_have_the_connections_unit() -> None:
    client = a_client(a_hub(), f"/ws-api/v3?{MICROSECOND}")
    client.log_on()
    client.request("userDataStream.subscribe")
    client.order_request("order.place", **ORDER)
    report, position = client.events
    assert {report[name] for name in ("E", "T", "O", "W")} == {START_MS * 1000}
    assert (report["i"], report["t"], report["C"]) == (1001, -1, "")
    assert (position["E"], position["u"]) == (START_MS * 1000,) * 2


@pytest.mark.parametrize("url", ["/ws/NAME", "/stream?streams=NAME"])
def test_the_events_of_the_market_have_the_connections_unit(url: str) -> None:
    plain, client = a_pair(url.replace("NAME", "ethfdusd@kline_1m/ethfdusd@aggTrade/ethfdusd@bookTicker"))
    client.hub.on_tick(tick("101.00", "101.10", at_s=2, traded="1", aggressor=Side.BUY))
    trade, kline, top = (each.get("data", each) for each in client.connection.frames)
    assert (trade["E"], trade["T"], trade["a"]) == ((START_MS + 2000) * 1000, (START_MS + 2000) * 1000, 1)
    assert (kline["E"], kline["k"]["t"], kline["k"]["T"]) == (
        (START_MS + 2000) * 1000,
        START_MS * 1000,
        (START_MS + 60_000) * 1000 - 1,
    )
    assert top["u"] == 2
    assert plain.connection.frames[0].get("data", plain.connection.frames[0])["E"] == START_MS + 2000


@pytest.mark.parametrize("url", ["/ws", "/stream", "/ws-api/v3"])
def test_the_shutdown_has_the_connections_unit(url: str) -> None:
    plain, client = a_pair(url)
    client.hub.announce_shutdown()
    times = [str(each.connection.frames[0]).count(str(START_MS * 1000)) for each in (plain, client)]
    assert times == [0, 1]

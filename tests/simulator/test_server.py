"""The whole exchange over real sockets on the loopback, and over connections in memory."""

import asyncio
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from tests.simulator.exchange_builders import KEY, START_MS, ListSource, an_exchange, signed, tick
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from trailingedge.core.clock import Clock, ManualClock, RealClock
from trailingedge.core.errors import ConfigError, SessionLost
from trailingedge.simulator import keepalive
from trailingedge.simulator.faults import Faults
from trailingedge.simulator.feeds.ticks import Tick
from trailingedge.simulator.server import LoopbackExchange
from trailingedge.simulator.transports import MemorySocket

TAPE = ListSource([tick(f"{100 + n}.00", f"{100 + n}.10", at_s=n * 20) for n in range(8)])
SELL: dict[str, Any] = {"symbol": "ETHFDUSD", "side": "SELL", "type": "LIMIT_MAKER", "quantity": "1"}


@pytest.fixture(autouse=True)
def no_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pings: the clock is wound faster than a client can answer them."""
    monkeypatch.setattr(keepalive, "PING_INTERVAL_S", 1e9)


def a_loopback(clock: Clock | None = None, **options: Any) -> LoopbackExchange:
    clock = clock or RealClock()
    loopback = LoopbackExchange(an_exchange(clock=clock, opened=False), TAPE, clock, **options)
    loopback.register_key(KEY.public_key(), api_key="test-key")
    return loopback


async def request(connection: ClientConnection | MemorySocket, method: str, **params: Any) -> dict[str, Any]:
    sent = connection.send(json.dumps({"id": 1, "method": method, "params": params}))
    if sent is not None:  # a connection in memory accepts it at once
        await sent
    return await receive(connection)


async def receive(connection: ClientConnection | MemorySocket) -> dict[str, Any]:
    received: dict[str, Any] = json.loads(await connection.recv())
    return received


async def log_on(connection: ClientConnection | MemorySocket, clock: Clock) -> None:
    params = signed({"apiKey": "test-key", "timestamp": clock.unix_ms()})
    assert (await request(connection, "session.logon", **params))["status"] == 200
    assert (await request(connection, "userDataStream.subscribe"))["result"] == {"subscriptionId": 0}


async def play(loopback: LoopbackExchange, clock: ManualClock) -> None:
    """Let time pass until the market is over. Its clients read over real sockets in between."""
    while not loopback.ended.is_set():
        await clock.advance(1.0)


async def test_a_real_client_logs_on_trades_and_receives_its_events() -> None:
    clock = ManualClock()
    async with (
        a_loopback(clock) as loopback,
        connect(loopback.ws_api_url) as api,
        connect(f"{loopback.ws_stream_url}/stream?streams=ethfdusd@kline_1m") as market,
    ):
        await log_on(api, clock)
        placed = await request(api, "order.place", **SELL, price="102.50", timestamp=clock.unix_ms())
        assert placed["status"] == 200
        assert [(await receive(api))["event"]["e"] for _ in range(2)] == ["executionReport", "outboundAccountPosition"]
        await market.send('{"method":"SUBSCRIBE","params":["ethfdusd@bookTicker"],"id":1}')
        frames = [await receive(market)]
        await play(loopback, clock)
        filled = await receive(api)
        assert (filled["event"]["x"], filled["event"]["m"], filled["event"]["L"]) == ("TRADE", True, "102.50000000")
        frames += [await receive(market) for _ in range(14)]
    assert {"result": None, "id": 1} in frames
    data = [frame["data"] for frame in frames if "data" in frame]
    closed = [each["k"]["t"] for each in data if each.get("k", {}).get("x")]
    assert closed == [START_MS, START_MS + 60_000]
    tops = [each["b"] for each in data if "b" in each]
    assert tops == [f"{101 + n}.00000000" for n in range(len(tops))]


@pytest.mark.parametrize("address", ["/ws-api/v3", "/ws", "/ws/ethfdusd@kline_1m", "/stream?streams=ethfdusd@aggTrade"])
async def test_the_market_waits_for_its_first_client_whatever_that_asks_for(address: str) -> None:
    clock = ManualClock()
    async with a_loopback(clock, listen=False) as loopback:
        await clock.advance(3600.0)
        assert loopback.exchange.engine.market_ms == START_MS
        await loopback.connect(f"ws://127.0.0.1{address}")
        await clock.advance(40.0)
        assert loopback.exchange.engine.market_ms == START_MS + 40_000
        await clock.advance(100.0)
        assert loopback.ended.is_set()


async def test_a_market_of_now_has_the_time_of_the_wall_when_its_first_client_comes() -> None:
    clock = ManualClock(unix_ms=START_MS + 500)  # less than a minute after the first tick
    async with a_loopback(clock, listen=False) as loopback:
        await clock.advance(59.0)
        market = await loopback.connect(f"{loopback.ws_stream_url}/ws/ethfdusd@bookTicker")
        assert loopback.exchange.engine.market_ms == START_MS + 40_000
        await clock.advance(0.5)  # the wall is a minute after the first tick, and so is the market
        assert loopback.exchange.engine.market_ms == START_MS + 60_000
        assert (await receive(market))["b"] == "103.00000000"  # and nothing from before


@pytest.mark.parametrize("address", ["ws_api_url", "ws_stream_url"])
async def test_a_banned_address_gets_retry_after_in_the_upgrade_response(address: str) -> None:
    clock = RealClock()
    async with a_loopback(clock) as loopback:
        loopback.exchange.weight_limiter.ban(clock.unix_ms() + 59_500)
        url = getattr(loopback, address) + ("/ws" if address == "ws_stream_url" else "")
        with pytest.raises(InvalidStatus) as refused:
            await connect(url)
    response = refused.value.response
    assert (response.status_code, response.headers["Retry-After"]) == (418, "60")


async def test_in_memory_a_ban_has_the_same_retry_after() -> None:
    clock = ManualClock()
    async with a_loopback(clock, listen=False) as loopback:
        loopback.exchange.weight_limiter.ban(clock.unix_ms() + 59_500)
        with pytest.raises(SessionLost, match="HTTP 418") as refused:
            await loopback.connect(loopback.ws_api_url)
    assert refused.value.wait_s == 59.5


async def test_a_connection_is_dropped_after_its_lifetime() -> None:
    clock = ManualClock()
    async with a_loopback(clock, listen=False, lifetime_s=60.0) as loopback:
        early = await loopback.connect(loopback.ws_api_url)
        await clock.advance(30.0)
        late = await loopback.connect(loopback.ws_api_url)
        await clock.advance(31.0)
        with pytest.raises(SessionLost):
            await early.recv()
        assert (await request(late, "ping"))["status"] == 200


async def test_other_addresses_are_not_found() -> None:
    async with a_loopback() as loopback:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{loopback.ws_stream_url}/elsewhere")
        assert refused.value.response.status_code == 404


async def test_a_disconnected_client_gets_the_close_code() -> None:
    async with a_loopback() as loopback:
        async with connect(loopback.ws_api_url) as api:
            for _ in range(5):
                await api.send('{"method":"ping"}')
                assert (await receive(api))["error"]["code"] == -1135
            with pytest.raises(ConnectionClosed) as ended:
                await api.recv()
            assert ended.value.rcvd is not None
            assert (ended.value.rcvd.code, ended.value.rcvd.reason) == (1008, "disconnected")
        async with connect(loopback.ws_api_url) as api:
            await request(api, "ping")
            loopback.hub.disconnect()
            with pytest.raises(ConnectionClosed) as ended:
                await api.recv()
            assert ended.value.rcvd is None


async def test_a_frame_that_is_not_text_is_unreadable() -> None:
    async with a_loopback() as loopback, connect(loopback.ws_api_url) as api:
        await api.send(b"\x00\x01")
        assert (await receive(api))["error"]["code"] == -1135


async def test_a_port_in_use_is_a_problem_for_a_person() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="cannot be opened"):
            async with a_loopback(port=taken.getsockname()[1]):
                pass


async def test_an_error_in_the_block_is_raised_unchanged() -> None:
    with pytest.raises(KeyError):
        async with a_loopback():
            raise KeyError("mine")


class FailingSource(ListSource):
    """A source that fails before its end."""

    def __iter__(self) -> Iterator[Tick]:
        yield tick()
        raise ConfigError(["row 2 is no row"])


async def test_a_source_that_fails_ends_the_exchange_with_its_error() -> None:
    clock = ManualClock()
    loopback = LoopbackExchange(an_exchange(clock=clock, opened=False), FailingSource([]), clock, listen=False)

    async def play() -> None:
        async with loopback:
            await loopback.connect(f"{loopback.ws_stream_url}/ws/ethfdusd@bookTicker")
            await loopback.ended.wait()

    with pytest.raises(ExceptionGroup) as failed:
        await play()
    assert isinstance(failed.value.exceptions[0], ConfigError)


async def test_the_same_protocol_runs_in_memory_on_a_manual_clock() -> None:
    clock = ManualClock()
    async with a_loopback(clock, speed=10.0, listen=False) as loopback:
        api = await loopback.connect(loopback.ws_api_url)
        await log_on(api, clock)
        await request(api, "order.place", **SELL, price="101.50", timestamp=clock.unix_ms())
        market = await loopback.connect(f"{loopback.ws_stream_url}/ws/ethfdusd@bookTicker")
        await clock.advance(2.0)
        assert (await receive(market))["b"] == "101.00000000"
        await clock.advance(12.0)
        assert loopback.ended.is_set()
        kinds = [(await receive(api))["event"].get("x") for _ in range(4)]
        assert kinds == ["NEW", None, "TRADE", None]
        await api.close()
        with pytest.raises(SessionLost):
            await api.recv()
        with pytest.raises(SessionLost):
            await loopback.connect("ws://127.0.0.1/elsewhere")


async def test_a_late_reply_in_memory_comes_at_its_time() -> None:
    clock = ManualClock()
    async with a_loopback(clock, listen=False) as loopback:
        api = await loopback.connect(loopback.ws_api_url)
        loopback.hub.fault_injector.schedule("time", "late_reply")
        answer = asyncio.create_task(request(api, "time"))
        await clock.advance(1.9)
        assert not answer.done()
        await clock.advance(0.2)
        assert (await answer)["status"] == 200


async def test_a_delayed_reply_does_not_delay_the_shutdown() -> None:
    clock = ManualClock()
    async with a_loopback(clock, listen=False) as loopback:
        api = await loopback.connect(loopback.ws_api_url)
        loopback.hub.fault_injector.schedule("time", "late_reply")
        api.send('{"id":1,"method":"time"}')
        await clock.advance(0.1)


async def test_a_connection_in_memory_has_the_latency_given() -> None:
    clock = ManualClock()
    async with a_loopback(clock, listen=False, latency_s=0.5) as loopback:
        api = await loopback.connect(loopback.ws_api_url)
        answer = asyncio.create_task(request(api, "time"))
        await clock.advance(1.0)
        assert answer.done()
        assert 0 < (await answer)["result"]["serverTime"] - ManualClock().unix_ms() <= 500


async def test_faults_are_drawn_from_the_random_source_given() -> None:
    clock = ManualClock()
    async with a_loopback(clock, listen=False, faults=Faults({"busy": 1.0})) as loopback:
        api = await loopback.connect(loopback.ws_api_url)
        assert (await request(api, "order.place"))["error"]["code"] == -1008
        assert (await request(api, "ping"))["status"] == 200

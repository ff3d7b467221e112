"""Waiting for clients over real sockets: those that read, those that do not, and those in another thread."""

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.limits import PATIENCE_S
from tests.simulator.exchange_builders import ListSource, an_exchange, tick
from websockets.asyncio.client import ClientConnection, connect

from trailingedge.core.clock import ManualClock
from trailingedge.simulator import keepalive, read_progress
from trailingedge.simulator.server import LoopbackExchange
from trailingedge.simulator.socket_diagnostics import SocketDiagnostics

TOP = "/ws/ethfdusd@bookTicker"
UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a client has not read")


@pytest.fixture(autouse=True)
def no_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pings: the clock is wound faster than a client can answer them."""
    monkeypatch.setattr(keepalive, "PING_INTERVAL_S", 1e9)


def a_loopback(clock: ManualClock, ticks: int = 200) -> LoopbackExchange:
    """An exchange whose market moves once a second."""
    source = ListSource([tick(f"{100 + at_s}.00", f"{100 + at_s}.10", at_s=at_s) for at_s in range(ticks)])
    return LoopbackExchange(an_exchange(clock=clock, opened=False), source, clock)


@contextlib.asynccontextmanager
async def a_client_that_does_not_read(loopback: LoopbackExchange) -> AsyncIterator[socket.socket]:
    """A client that subscribes to the book and reads only when the test does."""
    port = int(loopback.ws_stream_url.rpartition(":")[2])
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setblocking(False)
        await loop.sock_connect(client, ("127.0.0.1", port))
        await loop.sock_sendall(client, UPGRADE.format(path=TOP).encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += await loop.sock_recv(client, 1)
        yield client


async def top_of(client: ClientConnection) -> str:
    frame: dict[str, Any] = json.loads(await asyncio.wait_for(client.recv(), PATIENCE_S))
    return str(frame["b"])


@linux_only
def test_the_kernel_tells_what_a_client_has_not_read() -> None:
    diagnostics = SocketDiagnostics()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        with socket.create_connection(listener.getsockname()) as client, listener.accept()[0] as server:
            ends = client.getsockname(), server.getsockname()
            assert diagnostics.unread_bytes(*ends) is None  # not open yet
            diagnostics.open()
            diagnostics.open()
            try:
                assert diagnostics.unread_bytes(*ends) == 0
                server.sendall(b"a frame")
                assert diagnostics.unread_bytes(*ends) == 7
                client.recv(3)
                assert diagnostics.unread_bytes(*ends) == 4
                client.recv(4)
                assert diagnostics.unread_bytes(*ends) == 0
                assert diagnostics.unread_bytes(("127.0.0.1", 1), ends[1]) == 0  # no such socket
            finally:
                diagnostics.close()
            assert diagnostics.unread_bytes(*ends) is None


@linux_only
async def test_the_market_waits_until_the_last_prices_have_been_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_progress, "READ_TIMEOUT_S", PATIENCE_S)
    clock = ManualClock()
    async with a_loopback(clock) as loopback, a_client_that_does_not_read(loopback) as client:
        loop, engine = asyncio.get_running_loop(), loopback.exchange.engine
        for _ in range(3):
            before_ms = engine.market_ms
            while engine.market_ms == before_ms:
                await clock.advance(1.0)
            played_ms = engine.market_ms
            for _ in range(50):  # as much time as the market could want
                await clock.advance(1.0)
            assert engine.market_ms == played_ms
            await loop.sock_recv(client, 4096)


async def test_a_client_that_does_not_read_slows_nobody_else_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_progress, "READ_TIMEOUT_S", 0.01)
    clock = ManualClock()
    async with (
        a_loopback(clock, ticks=50) as loopback,
        a_client_that_does_not_read(loopback),
        connect(loopback.ws_stream_url + TOP) as client,
    ):
        while not loopback.ended.is_set():
            await clock.advance(1.0)
        assert [(await top_of(client)) for _ in range(49)] == [f"{100 + at_s}.00000000" for at_s in range(1, 50)]


@pytest.mark.parametrize("known", [True, False], ids=["asked of the kernel", "where nobody tells"])
async def test_a_client_that_reads_sees_each_price_in_its_turn(known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not known:
        monkeypatch.setattr(SocketDiagnostics, "open", lambda _: None)
    clock = ManualClock()
    async with a_loopback(clock, ticks=30) as loopback, connect(loopback.ws_stream_url + TOP) as client:
        seen: list[str] = []

        async def read() -> None:
            async for frame in client:
                seen.append(f"{loopback.exchange.top().bid}")
                assert f'"b":"{seen[-1]}000000"' in str(frame)

        reading = asyncio.create_task(read())
        while not loopback.ended.is_set():
            await clock.advance(1.0)
        await client.close()
        await reading
    assert seen == [f"{100 + at_s}.00" for at_s in range(1, 30)]

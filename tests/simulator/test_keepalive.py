"""Pings over a real connection; the clock is wound by hand."""

import asyncio
from typing import Any

import pytest
from tests.limits import PATIENCE_S
from tests.simulator.exchange_builders import ListSource, an_exchange, tick
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from trailingedge.core.clock import ManualClock
from trailingedge.simulator.server import LoopbackExchange


class PingRecorder(ClientConnection):
    """A client that records pings. The library answers them."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.pings: asyncio.Queue[bytes] = asyncio.Queue()

    def process_event(self, event: Any) -> None:
        if isinstance(event, Frame) and event.opcode is Opcode.PING:
            self.pings.put_nowait(bytes(event.data))
        super().process_event(event)


class SilentClient(PingRecorder):
    """A client that answers no ping."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        send_frame = self.protocol.send_frame

        def send_no_pong(frame: Frame) -> None:
            if frame.opcode is not Opcode.PONG:
                send_frame(frame)

        self.protocol.send_frame = send_no_pong  # type: ignore[method-assign]


async def served(client: ClientConnection) -> None:
    """Return once the exchange answers the client: its keepalive has begun by then."""
    await client.send('{"id":1,"method":"LIST_SUBSCRIPTIONS"}')
    await asyncio.wait_for(client.recv(), PATIENCE_S)


def a_loopback(clock: ManualClock) -> LoopbackExchange:
    return LoopbackExchange(an_exchange(clock=clock, opened=False), ListSource([tick(), tick(at_s=9e6)]), clock)


@pytest.mark.parametrize("address", ["ws_api_url", "ws_stream_url"])
async def test_a_ping_every_twenty_seconds_bears_the_time_as_text(address: str) -> None:
    clock = ManualClock()
    async with a_loopback(clock) as loopback:
        url = getattr(loopback, address) + ("/ws" if address == "ws_stream_url" else "")
        async with connect(url, create_connection=PingRecorder, ping_interval=None) as client:
            assert isinstance(client, PingRecorder)
            await served(client)
            for number in range(1, 6):
                await clock.advance(19.9)
                assert client.pings.empty()
                await clock.advance(0.1)
                payload = await asyncio.wait_for(client.pings.get(), PATIENCE_S)
                assert payload.decode() == str(ManualClock().unix_ms() + 20_000 * number)
                await (await client.ping())  # our pong went before it, so the exchange has it


async def test_a_client_without_pongs_is_disconnected_after_a_minute() -> None:
    clock = ManualClock()
    async with a_loopback(clock) as loopback:
        async with connect(loopback.ws_api_url, create_connection=SilentClient, ping_interval=None) as client:
            assert isinstance(client, SilentClient)
            await served(client)
            for _ in range(3):
                await clock.advance(20.0)
                await asyncio.wait_for(client.pings.get(), PATIENCE_S)
            await clock.advance(20.0)
            with pytest.raises(ConnectionClosed) as ended:
                await asyncio.wait_for(client.recv(), PATIENCE_S)
        assert ended.value.rcvd is not None
        assert (ended.value.rcvd.code, ended.value.rcvd.reason) == (1008, "Pong timeout")

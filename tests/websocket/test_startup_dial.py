"""Preconnect: a prepared connection is used once, and an unused one is closed."""

import asyncio

import pytest
from tests.websocket.fake_sockets import MemorySocket

from trailingedge.core.errors import ConfigError, SessionLost
from trailingedge.websocket.socket_dialer import Socket
from trailingedge.websocket.startup_dial import preconnect


class Exchange:
    """Dial function that waits for `accepts`, then connects or raises `refusal`."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.sockets: list[MemorySocket] = []
        self.accepts = asyncio.Event()
        self.refusal: Exception | None = None

    async def dial(self, url: str) -> Socket:
        self.urls.append(url)
        await self.accepts.wait()
        if self.refusal is not None:
            raise self.refusal
        self.sockets.append(MemorySocket())
        return self.sockets[-1]


async def test_a_started_dial_is_used_by_the_first_caller() -> None:
    exchange = Exchange()
    async with preconnect(exchange.dial, "market", "api") as prepared:
        await asyncio.sleep(0)
        assert exchange.urls == ["market", "api"]
        exchange.accepts.set()
        assert await prepared.dial("market") is exchange.sockets[0]
        assert exchange.urls == ["market", "api"]
    assert [socket.closed for socket in exchange.sockets] == [False, True]


async def test_a_second_call_or_another_url_dials_again() -> None:
    exchange = Exchange()
    exchange.accepts.set()
    async with preconnect(exchange.dial, "market") as prepared:
        sockets = [await prepared.dial(url) for url in ("market", "market", "trades")]
        assert len(set(sockets)) == 3
        assert exchange.urls == ["market", "market", "trades"]


@pytest.mark.parametrize("refusal", [SessionLost("429", 5.0), ConfigError(["proxy"])], ids=["passes", "person"])
async def test_a_failure_is_raised_to_the_caller_alone(refusal: Exception) -> None:
    exchange = Exchange()
    exchange.refusal = refusal
    exchange.accepts.set()
    async with preconnect(exchange.dial, "market") as prepared:
        await prepared.wait(1.0)
        with pytest.raises(type(refusal)) as raised:
            await prepared.dial("market")
        assert raised.value is refusal


async def test_waiting_for_the_attempts_has_a_timeout() -> None:
    exchange = Exchange()
    async with preconnect(exchange.dial, "market") as prepared:
        await prepared.wait(0.0)
        asking = asyncio.create_task(prepared.dial("market"))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        assert asking.cancelled()
    assert exchange.sockets == []


async def test_an_error_in_the_block_ends_the_attempts() -> None:
    exchange = Exchange()

    async def err() -> None:
        async with preconnect(exchange.dial, "market", "api"):
            await asyncio.sleep(0)
            raise RuntimeError("a mistake")

    with pytest.raises(BaseExceptionGroup) as raised:
        await err()
    assert raised.group_contains(RuntimeError, match="a mistake")
    assert len(exchange.urls) == 2

"""What was dialled early is handed over once, with whatever came of it, and never left behind."""

import asyncio

import pytest
from tests.websocket.fake_sockets import MemorySocket

from trailingedge.core.errors import ConfigError, SessionLost
from trailingedge.websocket.preconnect import preconnect
from trailingedge.websocket.transport import Socket


class Exchange:
    """Answers the dial of an address once it is let in, or refuses it with what is said."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.sockets: list[MemorySocket] = []
        self.answers = asyncio.Event()
        self.refusal: Exception | None = None

    async def dial(self, url: str) -> Socket:
        self.urls.append(url)
        await self.answers.wait()
        if self.refusal is not None:
            raise self.refusal
        self.sockets.append(MemorySocket())
        return self.sockets[-1]


async def test_the_dial_has_begun_when_somebody_asks_and_is_his() -> None:
    exchange = Exchange()
    async with preconnect(exchange.dial, "market", "api") as ahead:
        await asyncio.sleep(0)
        assert exchange.urls == ["market", "api"]
        exchange.answers.set()
        assert await ahead.dial("market") is exchange.sockets[0]
        assert exchange.urls == ["market", "api"]
    assert [socket.closed for socket in exchange.sockets] == [False, True]


async def test_who_asks_again_or_for_another_address_dials_anew() -> None:
    exchange = Exchange()
    exchange.answers.set()
    async with preconnect(exchange.dial, "market") as ahead:
        sockets = [await ahead.dial(url) for url in ("market", "market", "trades")]
        assert len(set(sockets)) == 3
        assert exchange.urls == ["market", "market", "trades"]


@pytest.mark.parametrize("refusal", [SessionLost("429", 5.0), ConfigError(["proxy"])], ids=["passes", "person"])
async def test_a_failure_is_for_him_who_asks_and_for_nobody_else(refusal: Exception) -> None:
    exchange = Exchange()
    exchange.refusal = refusal
    exchange.answers.set()
    async with preconnect(exchange.dial, "market") as ahead:
        await ahead.wait(1.0)
        with pytest.raises(type(refusal)) as raised:
            await ahead.dial("market")
        assert raised.value is refusal


async def test_nobody_waits_long_for_an_exchange_that_does_not_answer() -> None:
    exchange = Exchange()
    async with preconnect(exchange.dial, "market") as ahead:
        await ahead.wait(0.0)
        asking = asyncio.create_task(ahead.dial("market"))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        assert asking.cancelled()
    assert exchange.sockets == []


async def test_what_ends_the_rest_ends_the_dials_too() -> None:
    exchange = Exchange()

    async def err() -> None:
        async with preconnect(exchange.dial, "market", "api"):
            await asyncio.sleep(0)
            raise RuntimeError("a mistake")

    with pytest.raises(BaseExceptionGroup) as raised:
        await err()
    assert raised.group_contains(RuntimeError, match="a mistake")
    assert len(exchange.urls) == 2

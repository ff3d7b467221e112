"""TradeStream: each trade once, across rotations and losses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.background_tasks import running_task
from tests.limits import PATIENCE_S
from tests.websocket.fake_sockets import MemoryDial, run_ready_tasks

from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import ExchangeUnreachable, ProtocolViolation
from trailingedge.model.market import Side
from trailingedge.websocket.socket_dialer import Backoff
from trailingedge.websocket.trade_stream import PublicTrade, TradeStream, read_trade

TRADE = {
    "e": "aggTrade",
    "E": 1617566591315,
    "s": "ETHFDUSD",
    "a": 70,
    "p": "2063.88000000",
    "q": "0.08620500",
    "f": 745522877,
    "l": 745522877,
    "T": 1617566591314,
    "m": True,
    "M": True,
}
SOLD = PublicTrade(70, Decimal("2063.88"), Decimal("0.086205"), Side.SELL, 1617566591314)


class Bench:
    """A trade stream on memory sockets."""

    def __init__(self, refusals: int = 0) -> None:
        self.clock = ManualClock()
        self.dial = MemoryDial(refusals)
        self.trades: list[PublicTrade] = []
        self.stream = TradeStream(
            "wss://stream.example/",
            "ETHFDUSD",
            self.on_trade,
            dial=self.dial,
            clock=self.clock,
            backoff=Backoff(1.0, 1.0, 2, Random(1)),
        )

    def on_trade(self, trade: PublicTrade) -> None:
        self.trades.append(trade)
        if trade.price == 666:
            raise ZeroDivisionError("a mistake of ours")

    async def deliver(self, *frames: object, connection: int = -1) -> None:
        for frame in frames:
            self.dial.sockets[connection].deliver(frame)
        await run_ready_tasks()

    @property
    def trade_ids(self) -> list[int]:
        return [trade.trade_id for trade in self.trades]


@asynccontextmanager
async def running() -> AsyncIterator[Bench]:
    bench = Bench()
    async with running_task(bench.stream.run()):
        await run_ready_tasks()
        yield bench


async def test_the_url_subscribes_to_the_trades_of_the_symbol() -> None:
    async with running() as bench:
        assert bench.dial.urls == ["wss://stream.example/ws/ethfdusd@aggTrade"]


async def test_a_trade_has_the_side_of_its_taker() -> None:
    async with running() as bench:
        await bench.deliver(TRADE, TRADE | {"a": 71, "m": False})
        assert bench.trades == [SOLD, replace(SOLD, trade_id=71, aggressor=Side.BUY)]


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param("{", id="torn"),
        pytest.param(b"\xff", id="no text"),
        pytest.param([], id="no object"),
        pytest.param(TRADE | {"p": "0"}, id="for nothing"),
        pytest.param(TRADE | {"q": "-1"}, id="less than nothing"),
        pytest.param(TRADE | {"p": "NaN"}, id="not a number"),
        pytest.param(TRADE | {"m": 1}, id="neither true nor false"),
        pytest.param({name: value for name, value in TRADE.items() if name != "T"}, id="without a time"),
        pytest.param(TRADE | {"s": "BTCUSDT"}, id="another symbol"),
        pytest.param({"e": "trade"}, id="another kind"),
        pytest.param({"result": None, "id": 1}, id="an answer"),
    ],
)
async def test_other_frames_are_ignored(frame: object) -> None:
    async with running() as bench:
        await bench.deliver(frame, TRADE)
        assert bench.trades == [SOLD]
        assert len(bench.dial.sockets) == 1


async def test_a_failing_trade_handler_does_not_end_the_stream(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as bench:
        await bench.deliver(TRADE | {"p": "666"}, TRADE | {"a": 71})
        assert bench.trade_ids == [70, 71]
    assert "frame handler failed" in caplog.text


async def test_during_a_rotation_each_trade_is_passed_on_once() -> None:
    async with running() as bench:
        await bench.deliver(TRADE, {"e": "serverShutdown", "E": 1783000000000})
        await bench.clock.advance(1.0)
        assert len(bench.dial.sockets) == 2
        await bench.deliver(TRADE | {"a": 72}, connection=1)
        await bench.deliver(TRADE | {"a": 71}, TRADE | {"a": 72}, connection=0)  # one is late, the other was told
        await bench.deliver(TRADE | {"a": 73}, connection=1)
        assert bench.trade_ids == [70, 72, 71, 73]
        await bench.clock.advance(1.0)
        assert [socket.closed for socket in bench.dial.sockets] == [True, False]


async def test_the_number_of_remembered_ids_is_bounded() -> None:
    async with running() as bench:
        for number in range(0, 5000, 500):
            await bench.deliver(*(TRADE | {"a": each} for each in range(number, number + 500)))
        await bench.deliver(TRADE | {"a": 4998}, TRADE | {"a": 5000})
        assert bench.trade_ids == list(range(5001))


async def test_after_a_loss_the_trade_ids_may_restart() -> None:
    async with running() as bench:
        await bench.deliver(TRADE)
        bench.dial.newest.drop()
        await bench.clock.advance(2.0)
        assert len(bench.dial.sockets) == 2
        await bench.deliver(TRADE | {"a": 1}, TRADE | {"a": 2}, TRADE | {"a": 2})
        assert bench.trade_ids == [70, 1, 2]


async def test_the_stream_ends_when_the_retries_are_used_up() -> None:
    bench = Bench(refusals=9)
    task = asyncio.create_task(bench.stream.run())
    await bench.clock.advance(10.0)
    with pytest.raises(ExchangeUnreachable):
        await task


async def test_after_stop_reconnecting_it_ends_with_its_connection() -> None:
    bench = Bench()
    task = asyncio.create_task(bench.stream.run())
    await run_ready_tasks()
    bench.stream.stop_reconnecting()
    bench.dial.newest.drop()
    await asyncio.wait_for(task, PATIENCE_S)


@given(st.one_of(st.text(), st.binary()))
def test_any_frame_is_read_or_refused(frame: str | bytes) -> None:
    with suppress(ProtocolViolation):
        assert read_trade(frame, "ETHFDUSD") is None

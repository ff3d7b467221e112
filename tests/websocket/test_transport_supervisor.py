"""A connection comes back when it is lost, and is followed before it has to end."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from random import Random

import pytest
from tests.websocket.fake_sockets import MemoryDial, run_ready_tasks
from tests.websocket.test_transport import Top, echo_server

from trailingedge.core.clock import ManualClock, RealClock
from trailingedge.core.errors import ExchangeUnreachable, LogonRefused, SessionLost
from trailingedge.websocket.connection_supervisor import ConnectionSupervisor, RotationCallback
from trailingedge.websocket.transport import Backoff, Socket, dial


class Listening:
    """A life that hears frames until its socket is lost. `gate` keeps it from taking office, `owed` from leaving."""

    def __init__(self, socket: Socket, follow: RotationCallback) -> None:
        self.socket = socket
        self.follow = follow
        self.gate = asyncio.Event()
        self.owed = asyncio.Event()
        self.refusal: Exception | None = None
        self.watched = False
        self.ended: list[str] = []

    async def run(self) -> None:
        await self.socket.receive(lambda _: None)

    async def open(self) -> None:
        await self.gate.wait()
        if self.refusal is not None:
            raise self.refusal

    async def watch(self) -> None:
        self.watched = True
        try:
            await asyncio.Event().wait()
        finally:
            self.watched = False

    async def drain(self) -> None:
        await self.owed.wait()

    def on_lost(self, lost: SessionLost) -> None:
        self.ended.append(str(lost))


class Bench:
    """A link on memory sockets whose lives open at once, unless `shut`."""

    def __init__(self, refusals: int = 0, max_retries: int = 0) -> None:
        self.clock = ManualClock()
        self.dial = MemoryDial(refusals)
        self.lives: list[Listening] = []
        self.down: list[str] = []
        self.shut = False
        self.link = ConnectionSupervisor(
            "api",
            "ws://x",
            self._begin,
            dial=self.dial,
            clock=self.clock,
            backoff=Backoff(1.0, 60.0, max_retries, Top()),
            on_down=self.down.append,
        )
        self.running: asyncio.Task[None] | None = None

    def _begin(self, socket: Socket, follow: RotationCallback) -> Listening:
        self.lives.append(Listening(socket, follow))
        if not self.shut:
            self.lives[-1].gate.set()
        return self.lives[-1]

    @property
    def seat(self) -> int | None:
        """Which life is in office, counted from 0."""
        return None if self.link.active is None else self.lives.index(self.link.active)

    def closed(self) -> list[bool]:
        return [socket.closed for socket in self.dial.sockets]


@asynccontextmanager
async def running(refusals: int = 0, max_retries: int = 0) -> AsyncIterator[Bench]:
    bench = Bench(refusals, max_retries)
    bench.running = asyncio.create_task(bench.link.run())
    await run_ready_tasks()
    try:
        yield bench
    finally:
        bench.running.cancel()
        with suppress(asyncio.CancelledError):
            await bench.running


# Lost -----------------------------------------------------------------------------------------


async def test_it_dials_again_until_it_is_connected() -> None:
    async with running(refusals=2) as bench:
        await bench.clock.advance(2.9)
        assert bench.dial.sockets == []
        await bench.clock.advance(0.1)
        assert (bench.seat, bench.link.connects, bench.down) == (0, 1, [])


async def test_a_loss_is_told_at_once_and_mended_after_a_pause() -> None:
    async with running() as bench:
        bench.dial.newest.drop("closed 1008 Too many requests")
        await run_ready_tasks()
        assert bench.down == ["closed 1008 Too many requests"]
        assert bench.lives[0].ended == ["closed 1008 Too many requests"]
        assert (bench.seat, bench.closed()) == (None, [True])
        await bench.clock.advance(1.0)
        assert (bench.seat, bench.link.reconnects) == (1, 1)


async def test_it_waits_as_long_as_the_exchange_asks_and_no_longer_than_a_ban_can_be() -> None:
    async with running() as bench:
        bench.shut = True
        bench.dial.newest.drop()
        await bench.clock.advance(1.0)
        bench.lives[1].refusal = SessionLost("banned", wait_s=500.0)
        bench.lives[1].gate.set()
        await bench.clock.advance(500.5)
        assert len(bench.lives) == 2
        await bench.clock.advance(1.0)
        assert len(bench.lives) == 3
        bench.lives[2].refusal = SessionLost("banned", wait_s=1e12)
        bench.lives[2].gate.set()
        await bench.clock.advance(3 * 86_400.0 + 2.0)
        assert len(bench.lives) == 4


async def test_a_life_that_cannot_open_is_a_loss_while_nobody_is_in_office() -> None:
    async with running() as bench:
        bench.shut = True
        bench.dial.newest.drop()
        await bench.clock.advance(1.0)
        bench.lives[1].refusal = SessionLost("no logon")
        bench.lives[1].gate.set()
        await run_ready_tasks()
        assert bench.down == ["closed 1006", "no logon"]


async def test_to_stay_down_means_that_the_next_loss_is_the_end() -> None:
    async with running() as bench:
        bench.link.stop_reconnecting()
        bench.lives[0].follow("the server shuts down")
        await run_ready_tasks()
        assert len(bench.lives) == 1
        bench.dial.newest.drop()
        assert bench.running is not None
        await bench.running
        assert bench.down == []


async def test_it_gives_up_where_a_person_must_act() -> None:
    bench = Bench()
    bench.shut = True
    run = asyncio.create_task(bench.link.run())
    await run_ready_tasks()
    bench.lives[0].refusal = LogonRefused("no")
    bench.lives[0].gate.set()
    with pytest.raises(LogonRefused):
        await run
    assert bench.closed() == [True]
    assert bench.down == []


async def test_it_gives_up_when_the_retries_are_used_up() -> None:
    bench = Bench(refusals=99, max_retries=2)
    run = asyncio.create_task(bench.link.run())
    await bench.clock.advance(10.0)
    with pytest.raises(ExchangeUnreachable, match="given up after 2"):
        await run


async def test_in_haste_it_dials_at_once_and_soon_again_and_counts_no_attempts() -> None:
    bench = Bench(refusals=9, max_retries=6)
    run = asyncio.create_task(bench.link.run())
    await bench.clock.advance(20.0)  # attempts at 0, 1, 3, 7 and 15 s
    assert len(bench.dial.urls) == 5
    bench.link.retry_quickly()
    await run_ready_tasks()
    assert len(bench.dial.urls) == 6
    await bench.clock.advance(1.0)
    assert len(bench.dial.urls) == 10
    assert bench.seat == 0
    bench.link.stop_reconnecting()
    bench.dial.newest.drop()
    await run


async def test_even_in_haste_a_ban_is_waited_for() -> None:
    async with running() as bench:
        bench.link.retry_quickly()
        bench.shut = True
        bench.dial.newest.drop()
        await bench.clock.advance(0.25)
        bench.lives[1].refusal = SessionLost("banned", wait_s=30.0)
        bench.lives[1].gate.set()
        await bench.clock.advance(30.5)
        assert len(bench.lives) == 2
        await bench.clock.advance(0.5)
        assert len(bench.lives) == 3


async def test_a_cancelled_link_closes_its_socket_and_calls_it_no_loss() -> None:
    async with running() as bench:
        pass
    assert (bench.closed(), bench.down, bench.lives[0].ended) == ([True], [], ["closed by us"])


# Followed -------------------------------------------------------------------------------------


async def test_the_successor_is_open_before_the_old_one_is_closed() -> None:
    async with running() as bench:
        await bench.clock.advance(61.0)
        bench.shut = True
        bench.lives[0].follow("the server shuts down")
        await run_ready_tasks()
        assert (bench.seat, bench.closed()) == (0, [False, False])
        bench.lives[1].gate.set()
        await run_ready_tasks()
        assert (bench.seat, bench.closed()) == (1, [False, False])
        assert [life.watched for life in bench.lives] == [False, True]
        bench.lives[0].owed.set()
        await run_ready_tasks()
        assert bench.closed() == [True, False]
        assert (bench.down, bench.link.reconnects, bench.link.rotations) == ([], 0, 1)


async def test_at_the_age_of_23_hours_a_connection_is_followed() -> None:
    async with running() as bench:
        await bench.clock.advance(23 * 3600.0 - 1)
        assert bench.seat == 0
        await bench.clock.advance(2.0)
        assert bench.seat == 1
        await bench.clock.advance(23 * 3600.0)
        assert bench.seat == 2


async def test_a_successor_that_cannot_open_leaves_the_old_one_in_office() -> None:
    async with running(max_retries=2) as bench:
        await bench.clock.advance(61.0)
        bench.shut = True
        bench.lives[0].follow("the server shuts down")
        await run_ready_tasks()
        for attempt in range(1, 6):
            bench.lives[attempt].refusal = SessionLost("no logon")
            bench.lives[attempt].gate.set()
            await bench.clock.advance(2.0 ** (attempt - 1))
            assert bench.seat == 0
            assert len(bench.lives) == attempt + 2
        assert bench.down == []


async def test_the_old_one_may_be_lost_while_its_successor_opens() -> None:
    async with running() as bench:
        await bench.clock.advance(61.0)
        bench.shut = True
        bench.lives[0].follow("the server shuts down")
        await run_ready_tasks()
        bench.dial.sockets[0].drop("closed 1001")
        await run_ready_tasks()
        assert (bench.seat, bench.down) == (None, ["closed 1001"])
        bench.lives[1].gate.set()
        await run_ready_tasks()
        assert bench.seat == 1


async def test_a_retired_one_that_is_lost_is_nobodys_loss() -> None:
    async with running() as bench:
        await bench.clock.advance(61.0)
        bench.lives[0].follow("the server shuts down")
        await run_ready_tasks()
        bench.dial.sockets[0].drop("closed 1001")
        await run_ready_tasks()
        assert (bench.seat, bench.down, bench.closed()) == (1, [], [True, False])


async def test_a_successor_lost_while_the_old_one_is_still_owed_something_is_a_loss() -> None:
    async with running() as bench:
        await bench.clock.advance(61.0)
        bench.lives[0].follow("the server shuts down")
        await run_ready_tasks()
        bench.dial.sockets[1].drop("closed 1006")
        await run_ready_tasks()
        assert (bench.seat, bench.down) == (None, ["closed 1006"])


async def test_connections_that_are_all_told_to_go_at_once_are_followed_with_pauses() -> None:
    async with running() as bench:
        for number, pause_s in enumerate((1.0, 2.0, 4.0)):
            bench.lives[number].follow("the server shuts down")
            bench.lives[number].owed.set()
            await bench.clock.advance(pause_s - 0.1)
            assert bench.seat == number
            await bench.clock.advance(0.1)
            assert bench.seat == number + 1


async def test_to_be_asked_twice_is_to_be_followed_once() -> None:
    async with running() as bench:
        await bench.clock.advance(61.0)
        for _ in range(2):
            bench.lives[0].follow("the server shuts down")
        await run_ready_tasks()
        assert bench.seat == 1


async def test_a_real_connection_comes_back_after_a_loss() -> None:
    async with echo_server() as (_, url):

        class Talking(Listening):
            """Says hello, then has the server hang up."""

            async def run(self) -> None:
                self.socket.send("hello")
                await self.socket.receive(self._hear)

            def _hear(self, frames: Sequence[str | bytes]) -> None:
                assert frames == [b"hello"]
                if link.reconnects == 2:
                    link.stop_reconnecting()
                self.socket.send("bye")

        def begin(socket: Socket, follow: RotationCallback) -> Listening:
            life = Talking(socket, follow)
            life.gate.set()
            return life

        down: list[str] = []
        backoff = Backoff(0.001, 0.001, 0, Random(1))
        link = ConnectionSupervisor(
            "api", url, begin, dial=dial, clock=RealClock(), backoff=backoff, on_down=down.append
        )
        await link.run()
    assert down == ["closed 1008 Too many requests"] * 2
    assert link.reconnects == 2

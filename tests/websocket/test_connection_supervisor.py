"""ConnectionSupervisor: reconnects after a loss, and rotates before a connection must end."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random

import pytest
from tests.background_tasks import running_task
from tests.websocket.fake_sockets import MemoryDial, run_ready_tasks
from tests.websocket.test_socket_dialer import Top, echo_server

from trailingedge.core.clock import ManualClock, RealClock
from trailingedge.core.errors import ExchangeUnreachable, LogonRefused, SessionLost
from trailingedge.websocket.connection_supervisor import ConnectionSupervisor, RotationCallback
from trailingedge.websocket.socket_dialer import Backoff, Socket, dial


class FakeHandler:
    """Handler that reads its socket. `gate` delays the end of `open`, `drained` that of `drain`."""

    def __init__(self, socket: Socket, request_rotation: RotationCallback) -> None:
        self.socket = socket
        self.request_rotation = request_rotation
        self.gate = asyncio.Event()
        self.drained = asyncio.Event()
        self.open_error: Exception | None = None
        self.watched = False
        self.losses: list[str] = []

    async def run(self) -> None:
        await self.socket.receive(lambda _: None)

    async def open(self) -> None:
        await self.gate.wait()
        if self.open_error is not None:
            raise self.open_error

    async def watch(self) -> None:
        self.watched = True
        try:
            await asyncio.Event().wait()
        finally:
            self.watched = False

    async def drain(self) -> None:
        await self.drained.wait()

    def on_lost(self, lost: SessionLost) -> None:
        self.losses.append(str(lost))


class Bench:
    """A supervisor on memory sockets whose handlers open at once, unless `closed_gates`."""

    def __init__(self, refusals: int = 0, max_retries: int = 0) -> None:
        self.clock = ManualClock()
        self.dial = MemoryDial(refusals)
        self.handlers: list[FakeHandler] = []
        self.down: list[str] = []
        self.closed_gates = False
        self.supervisor = ConnectionSupervisor(
            "api",
            "ws://x",
            self._begin,
            dial=self.dial,
            clock=self.clock,
            backoff=Backoff(1.0, 60.0, max_retries, Top()),
            on_down=self.down.append,
        )
        self.running: asyncio.Task[None] | None = None

    def _begin(self, socket: Socket, request_rotation: RotationCallback) -> FakeHandler:
        self.handlers.append(FakeHandler(socket, request_rotation))
        if not self.closed_gates:
            self.handlers[-1].gate.set()
        return self.handlers[-1]

    @property
    def active_index(self) -> int | None:
        """Return the index of the active handler."""
        return None if self.supervisor.active is None else self.handlers.index(self.supervisor.active)

    def closed(self) -> list[bool]:
        return [socket.closed for socket in self.dial.sockets]


@asynccontextmanager
async def running(refusals: int = 0, max_retries: int = 0) -> AsyncIterator[Bench]:
    bench = Bench(refusals, max_retries)
    async with running_task(bench.supervisor.run()) as bench.running:
        await run_ready_tasks()
        yield bench


# Lost -----------------------------------------------------------------------------------------


async def test_it_dials_again_until_it_is_connected() -> None:
    async with running(refusals=2) as bench:
        await bench.clock.advance(2.9)
        assert bench.dial.sockets == []
        await bench.clock.advance(0.1)
        assert (bench.active_index, bench.supervisor.connects, bench.down) == (0, 1, [])


async def test_a_loss_is_reported_at_once_and_followed_by_a_pause(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as bench:
        bench.dial.newest.drop("closed 1008 Too many requests")
        await run_ready_tasks()
        assert caplog.messages == ["api connection lost: closed 1008 Too many requests; next attempt in 1.0 s"]
        assert bench.down == ["closed 1008 Too many requests"]
        assert bench.handlers[0].losses == ["closed 1008 Too many requests"]
        assert (bench.active_index, bench.closed()) == (None, [True])
        await bench.clock.advance(1.0)
        assert (bench.active_index, bench.supervisor.reconnects) == (1, 1)


async def test_a_requested_wait_is_kept_up_to_the_longest_ban() -> None:
    async with running() as bench:
        bench.closed_gates = True
        bench.dial.newest.drop()
        await bench.clock.advance(1.0)
        bench.handlers[1].open_error = SessionLost("banned", wait_s=500.0)
        bench.handlers[1].gate.set()
        await bench.clock.advance(500.5)
        assert len(bench.handlers) == 2
        await bench.clock.advance(1.0)
        assert len(bench.handlers) == 3
        bench.handlers[2].open_error = SessionLost("banned", wait_s=1e12)
        bench.handlers[2].gate.set()
        await bench.clock.advance(3 * 86_400.0 + 2.0)
        assert len(bench.handlers) == 4


async def test_a_failed_opening_is_a_loss_while_no_connection_is_active() -> None:
    async with running() as bench:
        bench.closed_gates = True
        bench.dial.newest.drop()
        await bench.clock.advance(1.0)
        bench.handlers[1].open_error = SessionLost("no logon")
        bench.handlers[1].gate.set()
        await run_ready_tasks()
        assert bench.down == ["closed 1006", "no logon"]


async def test_after_stop_reconnecting_the_next_loss_is_the_end() -> None:
    async with running() as bench:
        bench.supervisor.stop_reconnecting()
        bench.handlers[0].request_rotation("the server shuts down")
        await run_ready_tasks()
        assert len(bench.handlers) == 1
        bench.dial.newest.drop()
        assert bench.running is not None
        await bench.running
        assert bench.down == []


async def test_an_error_that_needs_a_person_ends_it() -> None:
    bench = Bench()
    bench.closed_gates = True
    run = asyncio.create_task(bench.supervisor.run())
    await run_ready_tasks()
    bench.handlers[0].open_error = LogonRefused("no")
    bench.handlers[0].gate.set()
    with pytest.raises(LogonRefused):
        await run
    assert bench.closed() == [True]
    assert bench.down == []


async def test_it_ends_when_the_retries_are_used_up() -> None:
    bench = Bench(refusals=99, max_retries=2)
    run = asyncio.create_task(bench.supervisor.run())
    await bench.clock.advance(10.0)
    with pytest.raises(ExchangeUnreachable, match="given up after 2"):
        await run


async def test_quick_retries_are_immediate_and_unlimited() -> None:
    bench = Bench(refusals=9, max_retries=6)
    run = asyncio.create_task(bench.supervisor.run())
    await bench.clock.advance(20.0)  # attempts at 0, 1, 3, 7 and 15 s
    assert len(bench.dial.urls) == 5
    bench.supervisor.retry_quickly()
    await run_ready_tasks()
    assert len(bench.dial.urls) == 6
    await bench.clock.advance(1.0)
    assert len(bench.dial.urls) == 10
    assert bench.active_index == 0
    bench.supervisor.stop_reconnecting()
    bench.dial.newest.drop()
    await run


async def test_quick_retries_respect_a_ban() -> None:
    async with running() as bench:
        bench.supervisor.retry_quickly()
        bench.closed_gates = True
        bench.dial.newest.drop()
        await bench.clock.advance(0.25)
        bench.handlers[1].open_error = SessionLost("banned", wait_s=30.0)
        bench.handlers[1].gate.set()
        await bench.clock.advance(30.5)
        assert len(bench.handlers) == 2
        await bench.clock.advance(0.5)
        assert len(bench.handlers) == 3


async def test_a_cancelled_supervisor_closes_its_socket_and_reports_no_loss() -> None:
    async with running() as bench:
        pass
    assert (bench.closed(), bench.down, bench.handlers[0].losses) == ([True], [], ["closed by us"])


# Followed -------------------------------------------------------------------------------------


async def test_the_successor_is_open_before_the_old_one_is_closed() -> None:
    async with running() as bench:
        await bench.clock.advance(61.0)
        bench.closed_gates = True
        bench.handlers[0].request_rotation("the server shuts down")
        await run_ready_tasks()
        assert (bench.active_index, bench.closed()) == (0, [False, False])
        bench.handlers[1].gate.set()
        await run_ready_tasks()
        assert (bench.active_index, bench.closed()) == (1, [False, False])
        assert [handler.watched for handler in bench.handlers] == [False, True]
        bench.handlers[0].drained.set()
        await run_ready_tasks()
        assert bench.closed() == [True, False]
        assert (bench.down, bench.supervisor.reconnects, bench.supervisor.rotations) == ([], 0, 1)


async def test_a_connection_is_rotated_after_23_hours() -> None:
    async with running() as bench:
        await bench.clock.advance(23 * 3600.0 - 1)
        assert bench.active_index == 0
        await bench.clock.advance(2.0)
        assert bench.active_index == 1
        await bench.clock.advance(23 * 3600.0)
        assert bench.active_index == 2


async def test_a_successor_that_cannot_open_leaves_the_old_one_active() -> None:
    async with running(max_retries=2) as bench:
        await bench.clock.advance(61.0)
        bench.closed_gates = True
        bench.handlers[0].request_rotation("the server shuts down")
        await run_ready_tasks()
        for attempt in range(1, 6):
            bench.handlers[attempt].open_error = SessionLost("no logon")
            bench.handlers[attempt].gate.set()
            await bench.clock.advance(2.0 ** (attempt - 1))
            assert bench.active_index == 0
            assert len(bench.handlers) == attempt + 2
        assert bench.down == []


async def test_the_old_one_may_be_lost_while_its_successor_opens() -> None:
    async with running() as bench:
        await bench.clock.advance(61.0)
        bench.closed_gates = True
        bench.handlers[0].request_rotation("the server shuts down")
        await run_ready_tasks()
        bench.dial.sockets[0].drop("closed 1001")
        await run_ready_tasks()
        assert (bench.active_index, bench.down) == (None, ["closed 1001"])
        bench.handlers[1].gate.set()
        await run_ready_tasks()
        assert bench.active_index == 1


async def test_the_loss_of_a_draining_connection_is_not_reported() -> None:
    async with running() as bench:
        await bench.clock.advance(61.0)
        bench.handlers[0].request_rotation("the server shuts down")
        await run_ready_tasks()
        bench.dial.sockets[0].drop("closed 1001")
        await run_ready_tasks()
        assert (bench.active_index, bench.down, bench.closed()) == (1, [], [True, False])


async def test_a_successor_lost_while_the_old_one_drains_is_a_loss() -> None:
    async with running() as bench:
        await bench.clock.advance(61.0)
        bench.handlers[0].request_rotation("the server shuts down")
        await run_ready_tasks()
        bench.dial.sockets[1].drop("closed 1006")
        await run_ready_tasks()
        assert (bench.active_index, bench.down) == (None, ["closed 1006"])


async def test_connections_that_ask_for_rotation_at_once_are_replaced_with_pauses() -> None:
    async with running() as bench:
        for number, pause_s in enumerate((1.0, 2.0, 4.0)):
            bench.handlers[number].request_rotation("the server shuts down")
            bench.handlers[number].drained.set()
            await bench.clock.advance(pause_s - 0.1)
            assert bench.active_index == number
            await bench.clock.advance(0.1)
            assert bench.active_index == number + 1


async def test_two_requests_for_rotation_are_one_rotation() -> None:
    async with running() as bench:
        await bench.clock.advance(61.0)
        for _ in range(2):
            bench.handlers[0].request_rotation("the server shuts down")
        await run_ready_tasks()
        assert bench.active_index == 1


async def test_a_real_connection_comes_back_after_a_loss() -> None:
    async with echo_server() as (_, url):

        class EchoHandler(FakeHandler):
            """Says hello, then has the server hang up."""

            async def run(self) -> None:
                self.socket.send("hello")
                await self.socket.receive(self._hear)

            def _hear(self, frames: Sequence[str | bytes]) -> None:
                assert frames == [b"hello"]
                if supervisor.reconnects == 2:
                    supervisor.stop_reconnecting()
                self.socket.send("bye")

        def begin(socket: Socket, request_rotation: RotationCallback) -> FakeHandler:
            handler = EchoHandler(socket, request_rotation)
            handler.gate.set()
            return handler

        down: list[str] = []
        backoff = Backoff(0.001, 0.001, 0, Random(1))
        supervisor = ConnectionSupervisor(
            "api", url, begin, dial=dial, clock=RealClock(), backoff=backoff, on_down=down.append
        )
        await supervisor.run()
    assert down == ["closed 1008 Too many requests"] * 2
    assert supervisor.reconnects == 2

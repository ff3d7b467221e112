"""ApiClient: requests, losses, rotations, bans and unreadable frames over memory sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest
from tests.background_tasks import running_task
from tests.websocket.fake_sockets import MemoryDial, MemorySocket, run_ready_tasks

from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import LogonRefused, OutcomeUnknown, RequestRefused, SessionLost
from trailingedge.model.market import RateLimit
from trailingedge.websocket.api_client import ApiClient
from trailingedge.websocket.api_connection import ApiSession
from trailingedge.websocket.event_parser import AccountEvent, Reply, Unrecognized
from trailingedge.websocket.request_tracker import NoResponse, NotSent, RequestOutcome, json_request
from trailingedge.websocket.socket_dialer import Backoff

EVENT = {"subscriptionId": 0, "event": {"e": "brandNew", "E": 5}}
Opening = Callable[[ApiSession], Awaitable[None]]


async def open_at_once(_: ApiSession) -> None:
    return


def raise_key_error(event: AccountEvent) -> None:
    raise KeyError(event)


class Bench:
    """An ApiClient on memory sockets and a manual clock."""

    def __init__(self, on_open: Opening = open_at_once) -> None:
        self.clock = ManualClock()
        self.dial = MemoryDial()
        self.events: list[AccountEvent] = []
        self.down: list[str] = []
        self.limits: list[tuple[RateLimit, ...]] = []
        self.on_event: Callable[[AccountEvent], None] = self.events.append
        self._on_open = on_open
        self.api = ApiClient(
            "ws://x",
            dial=self.dial,
            clock=self.clock,
            backoff=Backoff(1.0, 1.0, 0, Random(1)),
            on_open=self._open,
            on_limits=self.limits.append,
            on_down=self.down.append,
            rotate_after_s=3600.0,
        )
        self.running: asyncio.Task[None] | None = None

    async def _open(self, session: ApiSession) -> None:
        session.on_event = self._forward_event
        await self._on_open(session)

    def _forward_event(self, event: AccountEvent) -> None:
        self.on_event(event)  # looked up each time: a test may exchange it

    @property
    def socket(self) -> MemorySocket:
        return self.dial.newest

    async def call(self, method: str) -> "asyncio.Task[object]":
        task = asyncio.create_task(self.api.call(method))
        await run_ready_tasks()
        return task


@asynccontextmanager
async def running(on_open: Opening = open_at_once) -> AsyncIterator[Bench]:
    bench = Bench(on_open)
    async with running_task(bench.api.run()) as bench.running:
        await run_ready_tasks()
        yield bench


async def test_a_call_returns_the_result() -> None:
    async with running() as bench:
        call = await bench.call("time")
        assert bench.socket.sent == [{"id": 1, "method": "time"}]
        bench.socket.reply(0, {"serverTime": 5})
        assert await call == {"serverTime": 5}


@pytest.mark.parametrize(
    ("status", "code", "raised"),
    [
        pytest.param(400, -1121, RequestRefused, id="refused"),
        pytest.param(429, -1003, RequestRefused, id="too many"),
        pytest.param(400, -1007, OutcomeUnknown, id="timed out at the exchange"),
        pytest.param(400, -1006, OutcomeUnknown, id="unexpected response"),
        pytest.param(503, -1008, OutcomeUnknown, id="server error"),
    ],
)
async def test_a_failed_call_raises_the_matching_exception(status: int, code: int, raised: type[Exception]) -> None:
    async with running() as bench:
        call = await bench.call("exchangeInfo")
        bench.socket.deliver({"id": 1, "status": status, "error": {"code": code, "msg": "text"}})
        with pytest.raises(raised, match="text"):
            await call


async def test_a_call_without_a_reply_has_an_unknown_outcome() -> None:
    async with running() as bench:
        call = await bench.call("time")
        await bench.clock.advance(9.9)
        assert not call.done()
        await bench.clock.advance(1.0)
        with pytest.raises(OutcomeUnknown, match="timeout"):
            await call


async def test_a_call_in_flight_when_the_connection_is_lost_raises_session_lost() -> None:
    async with running() as bench:
        call = await bench.call("time")
        bench.socket.drop("closed 1006")
        with pytest.raises(SessionLost, match="closed 1006"):
            await call
        assert bench.down == ["closed 1006"]


async def test_a_call_without_a_connection_is_refused_at_once() -> None:
    bench = Bench()
    with pytest.raises(SessionLost, match="not connected"):
        await bench.api.call("time")


async def test_an_abandoned_call_leaves_no_trace() -> None:
    async with running() as bench:
        call = await bench.call("time")
        call.cancel()
        await run_ready_tasks()
        bench.socket.reply(0, {})
        await run_ready_tasks()
        assert bench.api.is_ready


async def test_it_is_ready_only_when_opened() -> None:
    async def log_on(session: ApiSession) -> None:
        await session.call("session.logon")

    async with running(log_on) as bench:
        heard: list[RequestOutcome] = []
        bench.api.send("order.place", json_request("order.place", {}), 5.0, heard.append)
        assert heard == [NotSent("not connected")]
        assert not bench.api.is_ready
        bench.socket.reply(0, {})
        await bench.api.wait_ready()
        bench.api.send("order.place", json_request("order.place", {}), 5.0, heard.append)
        assert [frame["method"] for frame in bench.socket.sent] == ["session.logon", "order.place"]


async def test_send_writes_before_it_returns_and_the_reply_comes_later() -> None:
    async with running() as bench:
        heard: list[RequestOutcome] = []
        bench.api.send("order.place", json_request("order.place", {"a": 1}), 5.0, heard.append)
        assert bench.socket.sent == [{"id": 1, "method": "order.place", "params": {"a": 1}}]
        bench.socket.reply(0, "done")
        await run_ready_tasks()
        assert heard == [Reply(200, "done")]


async def test_a_request_that_cannot_be_written_is_lost_and_the_next_is_not_sent() -> None:
    async with running() as bench:
        heard: list[RequestOutcome] = []
        bench.socket.closed = True
        bench.api.send("order.place", lambda _: "{}", 5.0, heard.append)
        assert heard == [NoResponse("closed", connection_lost=True)]
        bench.api.send("order.place", lambda _: "{}", 5.0, heard.append)
        assert heard[1:] == [NotSent("closed")]


async def test_a_late_reply_follows_the_timeout() -> None:
    async with running() as bench:
        heard: list[RequestOutcome] = []
        bench.api.send("order.place", json_request("order.place", {}), 3.0, heard.append)
        await bench.clock.advance(4.0)
        bench.socket.reply(0, "done")
        await run_ready_tasks()
        assert heard == [NoResponse("timeout"), Reply(200, "done")]


async def test_a_failed_write_is_no_response_and_not_not_sent() -> None:
    async with running() as bench:
        heard: list[RequestOutcome] = []
        bench.socket.closed = True
        bench.api.send("order.place", json_request("order.place", {}), 3.0, heard.append)
        assert heard == [NoResponse("closed", connection_lost=True)]
        assert not bench.api.is_ready


async def test_it_opens_again_after_a_loss() -> None:
    opened: list[ApiSession] = []

    async def note(session: ApiSession) -> None:
        opened.append(session)

    async with running(note) as bench:
        bench.socket.drop()
        readiness = [bench.api.is_ready]
        await run_ready_tasks()
        readiness.append(bench.api.is_ready)
        await bench.clock.advance(1.0)
        readiness.append(bench.api.is_ready)
        assert readiness == [True, False, True]
        assert len(opened) == 2
        assert bench.api.reconnects == 1


async def test_a_refused_logon_ends_it() -> None:
    async def refuse(_: ApiSession) -> None:
        raise LogonRefused("no such key")

    with pytest.raises(LogonRefused):
        await Bench(refuse).api.run()


async def test_a_refused_opening_is_retried() -> None:
    attempts: list[int] = []

    async def refuse_once(_: ApiSession) -> None:
        attempts.append(1)
        if len(attempts) == 1:
            raise RequestRefused(-1003, "too much weight")

    async with running(refuse_once) as bench:
        assert "too much weight" in bench.down[0]
        await bench.clock.advance(1.0)
        assert bench.api.is_ready


async def test_events_are_passed_on() -> None:
    async with running() as bench:
        bench.socket.deliver(EVENT)
        await run_ready_tasks()
        assert bench.events == [Unrecognized("brandNew")]


async def test_one_unreadable_frame_is_dropped_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as bench:
        bench.socket.deliver("{")
        bench.socket.deliver(EVENT)
        await run_ready_tasks()
        assert bench.events
        assert bench.down == []
        assert "unreadable frame ignored" in caplog.text


async def test_twenty_unreadable_frames_drop_the_session() -> None:
    async with running() as bench:
        for _ in range(20):
            bench.socket.deliver(b"\xff")
        await run_ready_tasks()
        assert "20 unreadable frames" in bench.down[0]


async def test_a_failing_event_handler_does_not_stop_the_events() -> None:
    async with running() as bench:
        bench.on_event = raise_key_error
        bench.socket.deliver(EVENT)
        await run_ready_tasks()
        bench.on_event = bench.events.append
        bench.socket.deliver(EVENT)
        await run_ready_tasks()
        assert len(bench.events) == 1


async def test_an_event_handler_can_end_the_connection() -> None:
    def lose(_: AccountEvent) -> None:
        raise SessionLost("the user data stream was terminated")

    async with running() as bench:
        bench.on_event = lose
        bench.socket.deliver(EVENT)
        await run_ready_tasks()
        assert bench.down == ["the user data stream was terminated"]


async def test_a_revoked_key_ends_the_session() -> None:
    async with running() as bench:
        call = await bench.call("time")
        bench.socket.deliver({"id": None, "status": 401, "error": {"code": -2015, "msg": "Invalid API-key"}})
        with pytest.raises(SessionLost, match="revoked"):
            await call
        assert "revoked" in bench.down[0]


async def test_rate_limits_are_passed_on() -> None:
    async with running() as bench:
        call = await bench.call("time")
        limit = {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200000, "count": 9}
        bench.socket.deliver({"id": 1, "status": 200, "result": {}, "rateLimits": [limit]})
        await call
        assert bench.limits == [(RateLimit("ORDERS", 86400, 200000, 9),)]


# One after the other --------------------------------------------------------------------------


SHUTDOWN = {"event": {"e": "serverShutdown", "E": 5}}


async def log_on(session: ApiSession) -> None:
    await session.call("session.logon")


@asynccontextmanager
async def in_office() -> AsyncIterator[Bench]:
    """Run a client whose connection has been open for more than a minute."""
    async with running(log_on) as bench:
        bench.socket.reply(0, {})
        await bench.clock.advance(61.0)
        yield bench


async def test_while_a_successor_logs_on_orders_go_to_the_old_connection() -> None:
    async with in_office() as bench:
        old = bench.socket
        old.deliver(SHUTDOWN)
        await run_ready_tasks()
        heard: list[RequestOutcome] = []
        bench.api.send("order.place", json_request("order.place", {}), 5.0, heard.append)
        assert old.methods == ["session.logon", "order.place"]
        assert bench.socket.methods == ["session.logon"]
        assert bench.down == []


async def test_after_the_switch_orders_go_to_the_new_one_and_the_old_one_still_answers() -> None:
    async with in_office() as bench:
        old = bench.socket
        heard: list[RequestOutcome] = []
        bench.api.send("order.place", json_request("order.place", {"number": 1}), 5.0, heard.append)
        old.deliver(SHUTDOWN)
        await run_ready_tasks()
        bench.socket.reply(0, {})
        await run_ready_tasks()
        bench.api.send("order.place", json_request("order.place", {"number": 2}), 5.0, heard.append)
        assert [frame.get("params") for frame in bench.socket.sent] == [None, {"number": 2}]
        old.reply(1, "done")
        await run_ready_tasks()
        assert heard == [Reply(200, "done")]
        closed = [old.closed]
        await bench.clock.advance(1.0)
        assert [*closed, old.closed] == [False, True]
        assert (bench.down, bench.api.reconnects) == ([], 0)


async def test_events_come_from_both_connections_during_a_rotation() -> None:
    async with in_office() as bench:
        old = bench.socket
        old.deliver(SHUTDOWN)
        await run_ready_tasks()
        old.deliver(EVENT)
        bench.socket.deliver(EVENT)
        bench.socket.reply(0, {})
        await run_ready_tasks()
        old.deliver(EVENT)
        await run_ready_tasks()
        assert len(bench.events) == 3


async def test_draining_ends_without_the_last_reply() -> None:
    async with in_office() as bench:
        old = bench.socket
        heard: list[RequestOutcome] = []
        bench.api.send("order.place", json_request("order.place", {}), 60.0, heard.append)
        old.deliver(SHUTDOWN)
        await run_ready_tasks()
        bench.socket.reply(0, {})
        await bench.clock.advance(7.0)
        assert old.closed
        assert heard == [NoResponse("replaced by a newer connection", connection_lost=True)]


async def test_an_old_connection_is_rotated() -> None:
    async with in_office() as bench:
        old = bench.socket
        await bench.clock.advance(3600.0)
        bench.socket.reply(0, {})
        await bench.clock.advance(2.0)
        assert bench.socket is not old
        assert old.closed
        assert bench.api.is_ready


async def test_no_request_is_sent_during_a_ban() -> None:
    async with in_office() as bench:
        retry_ms = 1_000_030_000
        call = await bench.call("time")
        data = {"serverTime": 1_000_000_000, "retryAfter": retry_ms}  # whatever we take its clock for
        bench.socket.deliver({"id": 2, "status": 418, "error": {"code": -1003, "msg": "banned", "data": data}})
        with pytest.raises(RequestRefused) as refused:
            await call
        assert refused.value.retry_at_ms == retry_ms
        bench.socket.drop()
        await bench.clock.advance(30.5)
        assert len(bench.dial.sockets) == 1
        await bench.clock.advance(1.0)
        assert len(bench.dial.sockets) == 2


async def test_a_logon_over_the_weight_limit_is_retried_when_it_is_allowed() -> None:
    async with running(log_on) as bench:
        data = {"retryAfter": bench.clock.unix_ms() + 20_000}
        bench.socket.deliver({"id": 1, "status": 429, "error": {"code": -1003, "msg": "too much", "data": data}})
        await bench.clock.advance(20.5)
        assert len(bench.dial.sockets) == 1
        await bench.clock.advance(1.0)
        assert len(bench.dial.sockets) == 2


async def test_after_stop_reconnecting_a_loss_ends_it_quietly() -> None:
    bench = Bench()
    run = asyncio.create_task(bench.api.run())
    await run_ready_tasks()
    bench.api.stop_reconnecting()
    bench.socket.drop()
    await run
    assert bench.down == []


async def test_the_log_of_a_frame_whose_handler_fails_hides_key_and_signature(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: RequestOutcome) -> None:
        raise KeyError("mistake")

    async with running() as bench:
        bench.api.send("order.place", json_request("order.place"), 5.0, fail)
        bench.socket.reply(0, {"apiKey": "K3Y", "signature": "S1GN"})
        await run_ready_tasks()
        assert bench.api.is_ready
    assert "order.place" in caplog.text
    assert "K3Y" not in caplog.text
    assert "S1GN" not in caplog.text

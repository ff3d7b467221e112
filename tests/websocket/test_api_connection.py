"""ApiSession: one connection without its supervisor."""

import asyncio

import pytest
from tests.websocket.fake_sockets import MemorySocket, run_ready_tasks

from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import OutcomeUnknown, ProtocolViolation, RequestRefused, SessionLost, TrailingEdgeError
from trailingedge.websocket.api_connection import ApiSession, result_of
from trailingedge.websocket.event_parser import Reply
from trailingedge.websocket.request_tracker import NoResponse, NotSent, RequestOutcome, json_request


class Bench:
    """A session on a memory socket. The exchange's clock is five seconds ahead."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.socket = MemorySocket()
        self.rotation_reasons: list[str] = []
        self.frames: list[tuple[str, str | bytes]] = []
        self.error: Exception | None = None
        self.session = ApiSession(
            self.socket,
            self.clock,
            self.rotation_reasons.append,
            on_open=self._open,
            on_watch=self._open,
            server_ms=lambda: self.clock.unix_ms() + 5000,
            tap=lambda direction, frames: self.frames.extend((direction, frame) for frame in frames),
        )

    async def _open(self, _: ApiSession) -> None:
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize(
    ("error", "wait_s"),
    [
        pytest.param(RequestRefused(-1003, "too much"), 0.0, id="refused"),
        pytest.param(RequestRefused(-1003, "banned", 1_783_000_012_000), 7.0, id="banned"),
        pytest.param(RequestRefused(-1003, "banned", 1_783_000_001_000), 0.0, id="banned until a moment ago"),
        pytest.param(RequestRefused(-1003, "banned", 20_000, 11_000), 9.0, id="banned by another clock"),
        pytest.param(OutcomeUnknown("silence"), 0.0, id="silence"),
        pytest.param(ProtocolViolation("nonsense"), 0.0, id="nonsense"),
    ],
)
async def test_an_error_while_opening_loses_the_session(error: TrailingEdgeError, wait_s: float) -> None:
    bench = Bench()
    bench.error = error
    with pytest.raises(SessionLost, match=f"could not be opened: {error}") as lost:
        await bench.session.open()
    assert lost.value.wait_s == wait_s


async def test_a_ban_outlives_its_connection() -> None:
    bench = Bench()
    run = asyncio.create_task(bench.session.run())
    data = {"serverTime": 5_000, "retryAfter": 65_000}
    bench.socket.deliver({"id": None, "status": 418, "error": {"code": -1003, "msg": "banned", "data": data}})
    bench.socket.drop("closed 1008")
    with pytest.raises(SessionLost, match="closed 1008") as lost:
        await run
    assert lost.value.wait_s == 60.0


async def test_the_rest_of_a_ban_delays_the_next_connection_no_longer_than_the_ban() -> None:
    bench = Bench()
    run = asyncio.create_task(bench.session.run())
    data = {"serverTime": 5_000, "retryAfter": 65_000}
    bench.socket.deliver({"id": None, "status": 418, "error": {"code": -1003, "msg": "banned", "data": data}})
    await bench.clock.advance(50.0)
    bench.socket.drop("closed 1006")
    with pytest.raises(SessionLost) as lost:
        await run
    assert lost.value.wait_s == 10.0


@pytest.mark.parametrize(
    ("status", "code", "quiet"),
    [
        pytest.param(418, -1003, True, id="banned"),
        pytest.param(429, -1003, True, id="too much weight"),
        pytest.param(429, -1015, False, id="too many orders"),
    ],
)
async def test_no_request_is_written_before_the_end_of_a_ban(status: int, code: int, quiet: bool) -> None:
    bench = Bench()
    run = asyncio.create_task(bench.session.run())
    data = {"serverTime": 5_000, "retryAfter": 15_000}
    bench.socket.deliver({"id": None, "status": status, "error": {"code": code, "msg": "wait", "data": data}})
    await run_ready_tasks()
    answers: list[RequestOutcome] = []
    bench.session.send("time", json_request("time"), 3.0, answers.append)
    assert bool(answers) is quiet
    if quiet:
        assert answers == [NotSent("the exchange accepts no request for 10 s", 10.0)]
        await bench.clock.advance(10.0)
        bench.session.send("time", json_request("time"), 3.0, answers.append)
    assert len(bench.socket.sent) == 1
    run.cancel()


async def test_nothing_is_sent_after_a_loss() -> None:
    bench = Bench()
    heard: list[RequestOutcome] = []
    bench.session.send("time", json_request("time"), 1.0, heard.append)
    bench.session.on_lost(SessionLost("closed"))
    bench.session.on_lost(SessionLost("closed again"))
    bench.session.send("time", json_request("time"), 1.0, heard.append)
    assert heard == [NoResponse("closed", connection_lost=True), NotSent("closed")]
    assert bench.session.is_lost
    assert bench.socket.methods == ["time"]


async def test_a_server_shutdown_requests_a_rotation_and_replies_still_come() -> None:
    bench = Bench()
    run = asyncio.create_task(bench.session.run())
    bench.socket.deliver({"event": {"e": "serverShutdown", "E": 5}})
    call = asyncio.create_task(bench.session.call("time"))
    await run_ready_tasks()
    bench.socket.reply(0, {"serverTime": 5})
    assert await call == {"serverTime": 5}
    assert bench.rotation_reasons == ["the server shuts down"]
    run.cancel()


async def test_the_tap_gets_every_frame() -> None:
    bench = Bench()
    run = asyncio.create_task(bench.session.run())
    call = asyncio.create_task(bench.session.call("time"))
    await run_ready_tasks()
    bench.socket.reply(0, {})
    await call
    assert bench.frames == [(">", '{"id":1,"method":"time"}'), ("<", '{"id": 1, "status": 200, "result": {}}')]
    run.cancel()


async def test_it_drains_until_pending_replies_have_come() -> None:
    bench = Bench()
    run = asyncio.create_task(bench.session.run())
    heard: list[RequestOutcome] = []
    bench.session.send("order.place", json_request("order.place"), 10.0, heard.append)
    finish = asyncio.create_task(bench.session.drain())
    await bench.clock.advance(2.0)
    assert not finish.done()
    bench.socket.reply(0, {})
    await bench.clock.advance(0.6)
    assert finish.done()
    run.cancel()


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        pytest.param(NotSent("not connected"), SessionLost, id="not sent"),
        pytest.param(NoResponse("closed", connection_lost=True), SessionLost, id="lost"),
        pytest.param(NoResponse("timeout"), OutcomeUnknown, id="silence"),
        pytest.param(Reply(503, code=-1000, text="oops"), OutcomeUnknown, id="server error"),
        pytest.param(Reply(400, code=-2013, text="no such order"), RequestRefused, id="refused"),
    ],
)
def test_an_outcome_without_a_result_is_raised(answer: RequestOutcome, raised: type[Exception]) -> None:
    with pytest.raises(raised):
        result_of("order.status", answer)

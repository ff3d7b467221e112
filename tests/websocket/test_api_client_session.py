"""One connection to the API, apart from how it came about and what follows it."""

import asyncio

import pytest
from tests.websocket.fake_sockets import MemorySocket, run_ready_tasks

from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import OutcomeUnknown, ProtocolViolation, RequestRefused, SessionLost, TrailingEdgeError
from trailingedge.websocket.api_session import ApiSession, result_of
from trailingedge.websocket.event_parser import Reply
from trailingedge.websocket.request_tracker import NoResponse, NotSent, RequestOutcome


class Bench:
    """A conversation on a memory socket. The exchange's clock is five seconds ahead."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.socket = MemorySocket()
        self.wanted: list[str] = []
        self.frames: list[tuple[str, str | bytes]] = []
        self.trouble: Exception | None = None
        self.conversation = ApiSession(
            self.socket,
            self.clock,
            self.wanted.append,
            on_open=self._open,
            on_watch=self._open,
            server_ms=lambda: self.clock.unix_ms() + 5000,
            note=lambda direction, frames: self.frames.extend((direction, frame) for frame in frames),
        )

    async def _open(self, _: ApiSession) -> None:
        if self.trouble is not None:
            raise self.trouble


@pytest.mark.parametrize(
    ("trouble", "wait_s"),
    [
        pytest.param(RequestRefused(-1003, "too much"), 0.0, id="refused"),
        pytest.param(RequestRefused(-1003, "banned", 1_783_000_012_000), 7.0, id="banned"),
        pytest.param(RequestRefused(-1003, "banned", 1_783_000_001_000), 0.0, id="banned until a moment ago"),
        pytest.param(RequestRefused(-1003, "banned", 20_000, 11_000), 9.0, id="banned by another clock"),
        pytest.param(OutcomeUnknown("silence"), 0.0, id="silence"),
        pytest.param(ProtocolViolation("nonsense"), 0.0, id="nonsense"),
    ],
)
async def test_what_keeps_it_from_opening_loses_the_session(trouble: TrailingEdgeError, wait_s: float) -> None:
    bench = Bench()
    bench.trouble = trouble
    with pytest.raises(SessionLost, match=f"could not be opened: {trouble}") as lost:
        await bench.conversation.open()
    assert lost.value.wait_s == wait_s


async def test_a_ban_outlives_the_connection_it_was_told_on() -> None:
    bench = Bench()
    run = asyncio.create_task(bench.conversation.run())
    data = {"serverTime": 5_000, "retryAfter": 65_000}
    bench.socket.deliver({"id": None, "status": 418, "error": {"code": -1003, "msg": "banned", "data": data}})
    bench.socket.drop("closed 1008")
    with pytest.raises(SessionLost, match="closed 1008") as lost:
        await run
    assert lost.value.wait_s == 60.0


async def test_a_ban_that_is_almost_over_when_the_connection_goes_keeps_it_away_no_longer_than_it_said() -> None:
    bench = Bench()
    run = asyncio.create_task(bench.conversation.run())
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
async def test_who_is_told_to_wait_asks_nothing_until_then(status: int, code: int, quiet: bool) -> None:
    bench = Bench()
    run = asyncio.create_task(bench.conversation.run())
    data = {"serverTime": 5_000, "retryAfter": 15_000}
    bench.socket.deliver({"id": None, "status": status, "error": {"code": code, "msg": "wait", "data": data}})
    await run_ready_tasks()
    answers: list[RequestOutcome] = []
    bench.conversation.send("time", None, 3.0, answers.append)
    assert bool(answers) is quiet
    if quiet:
        assert answers == [NotSent("the exchange wants to hear nothing for 10 s", 10.0)]
        await bench.clock.advance(10.0)
        bench.conversation.send("time", None, 3.0, answers.append)
    assert len(bench.socket.sent) == 1
    run.cancel()


async def test_after_its_end_nothing_is_sent() -> None:
    bench = Bench()
    heard: list[RequestOutcome] = []
    bench.conversation.send("time", None, 1.0, heard.append)
    bench.conversation.on_lost(SessionLost("closed"))
    bench.conversation.on_lost(SessionLost("closed again"))
    bench.conversation.send("time", None, 1.0, heard.append)
    assert heard == [NoResponse("closed", connection_lost=True), NotSent("closed")]
    assert bench.conversation.is_lost
    assert bench.socket.methods == ["time"]


async def test_a_server_that_shuts_down_wants_a_successor_and_goes_on_answering() -> None:
    bench = Bench()
    run = asyncio.create_task(bench.conversation.run())
    bench.socket.deliver({"event": {"e": "serverShutdown", "E": 5}})
    call = asyncio.create_task(bench.conversation.call("time"))
    await run_ready_tasks()
    bench.socket.reply(0, {"serverTime": 5})
    assert await call == {"serverTime": 5}
    assert bench.wanted == ["the server shuts down"]
    run.cancel()


async def test_every_frame_is_noted() -> None:
    bench = Bench()
    run = asyncio.create_task(bench.conversation.run())
    call = asyncio.create_task(bench.conversation.call("time"))
    await run_ready_tasks()
    bench.socket.reply(0, {})
    await call
    assert bench.frames == [(">", '{"id":1,"method":"time"}'), ("<", '{"id": 1, "status": 200, "result": {}}')]
    run.cancel()


async def test_it_does_not_leave_before_what_is_owed_has_come() -> None:
    bench = Bench()
    run = asyncio.create_task(bench.conversation.run())
    heard: list[RequestOutcome] = []
    bench.conversation.send("order.place", None, 10.0, heard.append)
    finish = asyncio.create_task(bench.conversation.drain())
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
def test_an_answer_that_is_no_result_is_raised(answer: RequestOutcome, raised: type[Exception]) -> None:
    with pytest.raises(raised):
        result_of("order.status", answer)

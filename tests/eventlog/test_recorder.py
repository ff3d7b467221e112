"""What passes the threshold is noted, in the order in which the daemon meets it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.websocket.fake_sockets import MemoryDial, run_ready_tasks

from trailingedge.auth.manager import KeyManager
from trailingedge.config import Endpoints, Settings
from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import ConfigError, ExitCode, SessionLost
from trailingedge.eventlog import recorder as module
from trailingedge.eventlog.format import RecordEntry
from trailingedge.eventlog.loop_counter import CountingLoop
from trailingedge.eventlog.recorder import Recorder
from trailingedge.eventlog.session_record import start_recording
from trailingedge.eventlog.writer import MemoryRecord
from trailingedge.live.factory import Runtime
from trailingedge.websocket.transport import Socket

KEYS = KeyManager.from_private_key(Ed25519PrivateKey.from_private_bytes(bytes(32)), "key")
MOMENTS = {"begin", "<", "told", "ring", "tick", "obey", "stop", "stir"}


class World:
    """A recorder, what is behind it, and what it has written."""

    def __init__(self, **beside: object) -> None:
        self.clock = ManualClock(now_s=100.0)
        self.dial = MemoryDial()
        self.notebook = MemoryRecord()
        surroundings = Runtime(Endpoints("ws://a", "ws://m"), KEYS, self.dial, self.clock, Random(0), **beside)  # type: ignore[arg-type]
        self.recorder: Recorder = start_recording(Settings(), surroundings, self.notebook, seed=7)

    @property
    def said(self) -> list[RecordEntry]:
        """Without the first line, and without the times and turns of moments."""
        return [(kind, *more[2:]) if kind in MOMENTS else (kind, *more) for kind, *more in self.notebook.entries[1:]]

    async def line(self, hear: Callable[[Sequence[str | bytes]], None]) -> "tuple[Socket, asyncio.Task[None]]":
        """One that is listened to; what was said until then is forgotten."""
        line = await self.recorder.runtime.dial("ws://m")
        listening = asyncio.create_task(line.receive(hear))
        await run_ready_tasks()
        del self.notebook.entries[1:]
        return line, listening


@asynccontextmanager
async def ended(task: "asyncio.Task[None]") -> AsyncIterator[None]:
    yield
    task.cancel()
    await asyncio.wait([task])


def nothing(_: Sequence[str | bytes]) -> None:
    """Heard, and left at that."""


async def test_a_dial_is_asked_for_and_told_of() -> None:
    world = World()
    await world.recorder.runtime.dial("ws://m")
    assert world.dial.urls == ["ws://m"]
    assert world.said == [("ask", 1, "dial ws://m"), ("told", 1, None)]


async def test_a_dial_that_fails_fails_alike() -> None:
    world = World()
    world.dial._refusals = 1
    with pytest.raises(SessionLost, match="connection refused"):
        await world.recorder.runtime.dial("ws://m")
    assert world.said[-1] == ("told", 1, ["SessionLost", "connection refused", 0.0])


async def test_a_dial_that_nobody_waits_for_any_more_leaves_no_connection() -> None:
    world = World()
    dialling = asyncio.create_task(world.recorder.dial("ws://m"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # it is through, and has not been told of
    dialling.cancel()
    await run_ready_tasks()
    assert world.dial.newest.closed
    assert world.said == [("ask", 1, "dial ws://m")]


async def test_frames_are_moments_of_their_time() -> None:
    world, heard = World(), []

    def hear(frames: Sequence[str | bytes]) -> None:
        heard.append((frames, world.recorder.now_s(), world.recorder.unix_ms()))

    _, listening = await world.line(hear)
    async with ended(listening):
        await world.clock.advance(1.5)
        world.dial.newest.deliver_together("one", b"two")
        await run_ready_tasks()
        assert heard == [(("one", b"two"), 101.5, 1_783_000_001_500)]
        ((kind, at_ns, turn, *more),) = world.notebook.entries[1:]
        assert (kind, at_ns, more) == ("<", 101_500_000_000, [1, ("one", b"two")])
        assert isinstance(turn, int)


async def test_between_two_moments_time_stands_still() -> None:
    world = World()
    _, listening = await world.line(nothing)
    async with ended(listening):
        world.dial.newest.deliver("frame")
        await run_ready_tasks()
        before = world.recorder.now_s(), world.recorder.unix_ms()
        await world.clock.advance(0.1)
        assert (world.recorder.now_s(), world.recorder.unix_ms()) == before


async def test_a_request_is_noted_once_it_is_written_and_one_that_is_not_with_its_reason() -> None:
    world = World()
    line, listening = await world.line(nothing)
    async with ended(listening):
        line.send('{"id":1,"method":"time"}')
        world.dial.newest.closed = True
        with pytest.raises(SessionLost):
            line.send("{}")
        assert world.said == [(">", 1, '{"id":1,"method":"time"}'), ("!>", 1, "{}", ["SessionLost", "closed", 0.0])]


async def test_a_line_that_ends_says_why() -> None:
    world = World()
    _, listening = await world.line(nothing)
    world.dial.newest.drop("closed 1006")
    with pytest.raises(SessionLost, match="closed 1006"):
        await listening
    assert world.said == [("told", 2, ["SessionLost", "closed 1006", 0.0])]


async def test_what_the_daemon_itself_makes_of_a_frame_ends_the_line_as_its_own() -> None:
    world = World()

    def hear(_: Sequence[str | bytes]) -> None:
        raise SessionLost("twenty unreadable frames")

    _, listening = await world.line(hear)
    world.dial.newest.deliver_together("bad")
    world.dial.newest.deliver_together("never heard")
    with pytest.raises(SessionLost, match="twenty unreadable frames"):
        await listening
    assert world.said == [("<", 1, ("bad",)), ("told", 2, ["of our own"])]


async def test_who_listens_no_more_hears_no_more() -> None:
    world, heard = World(), list[Sequence[str | bytes]]()
    _, listening = await world.line(heard.append)
    listening.cancel()
    world.dial.newest.deliver("late")
    await run_ready_tasks()
    assert heard == []
    assert world.said == []


async def test_a_closed_line_takes_nothing() -> None:
    world = World()
    line, listening = await world.line(nothing)
    async with ended(listening):
        await line.close()
    assert world.dial.newest.closed
    with pytest.raises(SessionLost):
        line.send("{}")
    assert world.said == [("ask", 3, "to close 1"), ("told", 3, None)]


async def test_an_alarm_is_a_moment_when_it_rings_and_nothing_when_it_is_cancelled() -> None:
    world, rang = World(), []
    world.recorder.call_later(60.0, lambda: rang.append("never")).cancel()
    await world.recorder.sleep(0.0)
    assert rang == []
    assert world.said == [("alarm", 1, 60.0), ("alarm", 2, 0.0), ("ring", 2)]


async def test_a_wall_clock_that_was_set_is_noticed_with_the_next_alarm() -> None:
    world = World()
    world.clock._unix_zero_ms += 2500
    await world.recorder.sleep(0.0)
    assert world.recorder.unix_ms() == world.clock.unix_ms()
    await world.recorder.sleep(0.0)
    assert [entry for entry in world.said if entry[0] == "ring"] == [("ring", 1, 2500), ("ring", 2)]


def test_a_moment_that_lasts_too_long_is_followed_by_one_with_nothing_but_its_time() -> None:
    async def live() -> None:
        world = World()
        await world.recorder.sleep(0.0)
        await world.clock.advance(module.REFRESH_AFTER_S + 0.1)
        await run_ready_tasks()
        assert world.said[-1] == ("tick",)
        assert world.recorder.now_s() == 100.35

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        runner.run(live())


async def test_what_is_done_from_outside_is_let_in_at_the_end_of_a_turn() -> None:
    world, done = World(), []
    world.recorder.runtime.input_gate(("obey", "flip", "phone"), lambda: done.append("flip"))
    world.recorder.runtime.input_gate(("stop", "quit", 0), lambda: done.append("stop"))
    assert done == []
    await run_ready_tasks()
    assert done == ["flip", "stop"]
    assert world.said == [("obey", "flip", "phone"), ("stop", "quit", 0)]


async def test_what_is_done_once_it_is_over_is_nobodys_business() -> None:
    world, done = World(), []

    async def run() -> ExitCode:
        return ExitCode.OK

    await world.recorder.run_session(run)
    world.recorder.runtime.input_gate(("stop", "quit", 0), lambda: done.append("stop"))
    await run_ready_tasks()
    assert done == ["stop"]
    assert world.said == [("begin",), ("over", 0)]


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (ConfigError(["SYMBOL"]), ["ConfigError", "SYMBOL"]),
        (asyncio.CancelledError(), ["CancelledError", ""]),
    ],
    ids=["failure", "cancelled"],
)
async def test_how_it_ended_is_the_last_line(failure: BaseException, told: list[str]) -> None:
    world = World()

    async def run() -> ExitCode:
        raise failure

    with pytest.raises(type(failure)):
        await world.recorder.run_session(run)
    assert world.said[-1] == ("over", told)


async def test_checks_and_saved_frames_go_through_it() -> None:
    async def save(lines: list[str]) -> Path:
        return Path("/logs") / lines[0]

    async def verify(server_ms: int) -> None:
        raise ConfigError([f"may withdraw {server_ms}"])

    world = World(save_frames=save)
    kept = world.recorder.runtime.save_frames
    assert kept is not None
    assert await kept(["frames"]) == Path("/logs/frames")
    with pytest.raises(ConfigError, match="may withdraw 5"):
        await world.recorder.wrap_key_check(verify)(5)
    assert world.said == [
        ("ask", 1, "save the last frames"),
        ("told", 1, str(Path("/logs/frames"))),
        ("ask", 2, "check the key"),
        ("told", 2, ["ConfigError", "may withdraw 5"]),
    ]


async def test_alerts_are_lines_as_well() -> None:
    told: list[tuple[str, int]] = []

    class Sink:
        def send(self, text: str, level: int = logging.INFO) -> None:
            told.append((text, level))

    world = World()
    world.recorder.wrap_alerts(Sink()).send("hard stop", logging.WARNING)
    assert told == [("hard stop", logging.WARNING)]
    assert world.said == [("alert", logging.WARNING, "hard stop")]


async def test_chance_begins_with_a_seed_that_is_in_the_record() -> None:
    world = World()
    assert world.notebook.entries[0][1]["seed"] == 7
    assert world.recorder.runtime.random.random() == Random(7).random()


async def test_a_signature_is_waited_for_and_is_nowhere_in_the_record() -> None:
    world = World()
    params = await world.recorder.runtime.keys.logon_params(lambda: 5, 5000)
    assert params == await KEYS.logon_params(lambda: 5, 5000)
    assert world.said == [
        ("ask", 1, "the key to be ready"),
        ("told", 1, None),
        ("ask", 2, "a signature"),
        ("told", 2, None),
    ]

"""Tests of the recorder: inputs and outputs are recorded in the order in which the daemon meets them."""

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
from trailingedge.config import Endpoints, Settings, settings_without_secrets
from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import ConfigError, ExitCode, SessionLost
from trailingedge.eventlog import recorder as module
from trailingedge.eventlog.format import RecordEntry
from trailingedge.eventlog.loop_counter import CountingLoop
from trailingedge.eventlog.recorder import Recorder
from trailingedge.eventlog.recording_start import start_recording
from trailingedge.eventlog.writer import MemoryRecord
from trailingedge.live.node_dependencies import Runtime
from trailingedge.websocket.socket_dialer import Socket

KEYS = KeyManager.from_private_key(Ed25519PrivateKey.from_private_bytes(bytes(32)), "key")
INPUT_KINDS = {"begin", "<", "told", "ring", "tick", "obey", "stop", "stir"}


class RecorderHarness:
    """A recorder on in-memory connections and a manual clock, and the entries that it has written."""

    def __init__(self, **options: object) -> None:
        self.clock = ManualClock(now_s=100.0)
        self.dial = MemoryDial()
        self.record = MemoryRecord()
        runtime = Runtime(Endpoints("ws://a", "ws://m"), KEYS, self.dial, self.clock, Random(0), **options)  # type: ignore[arg-type]
        self.recorder: Recorder = start_recording(settings_without_secrets(Settings()), runtime, self.record, seed=7)

    @property
    def entries(self) -> list[RecordEntry]:
        """The entries without the header, and without times and iterations of inputs."""
        return [(kind, *more[2:]) if kind in INPUT_KINDS else (kind, *more) for kind, *more in self.record.entries[1:]]

    async def connect(self, on_frames: Callable[[Sequence[str | bytes]], None]) -> "tuple[Socket, asyncio.Task[None]]":
        """A connection with a frame handler; entries up to here are dropped."""
        socket = await self.recorder.runtime.dial("ws://m")
        listening = asyncio.create_task(socket.receive(on_frames))
        await run_ready_tasks()
        del self.record.entries[1:]
        return socket, listening


@asynccontextmanager
async def ended(task: "asyncio.Task[None]") -> AsyncIterator[None]:
    yield
    task.cancel()
    await asyncio.wait([task])


def nothing(_: Sequence[str | bytes]) -> None:
    """A frame handler that does nothing."""


async def test_a_dial_is_recorded_with_its_result() -> None:
    harness = RecorderHarness()
    await harness.recorder.runtime.dial("ws://m")
    assert harness.dial.urls == ["ws://m"]
    assert harness.entries == [("ask", 1, "dial ws://m"), ("told", 1, None)]


async def test_a_failed_dial_raises_the_same_error() -> None:
    harness = RecorderHarness()
    harness.dial._refusals = 1
    with pytest.raises(SessionLost, match="connection refused"):
        await harness.recorder.runtime.dial("ws://m")
    assert harness.entries[-1] == ("told", 1, ["SessionLost", "connection refused", 0.0])


async def test_an_abandoned_dial_leaves_no_connection() -> None:
    harness = RecorderHarness()
    dialling = asyncio.create_task(harness.recorder.dial("ws://m"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # it is through, and has not been told of
    dialling.cancel()
    await run_ready_tasks()
    assert harness.dial.newest.closed
    assert harness.entries == [("ask", 1, "dial ws://m")]


async def test_frames_are_inputs_with_their_time() -> None:
    harness, heard = RecorderHarness(), []

    def hear(frames: Sequence[str | bytes]) -> None:
        heard.append((frames, harness.recorder.now_s(), harness.recorder.unix_ms()))

    _, listening = await harness.connect(hear)
    async with ended(listening):
        await harness.clock.advance(1.5)
        harness.dial.newest.deliver_together("one", b"two")
        await run_ready_tasks()
        assert heard == [(("one", b"two"), 101.5, 1_783_000_001_500)]
        ((kind, at_ns, turn, *more),) = harness.record.entries[1:]
        assert (kind, at_ns, more) == ("<", 101_500_000_000, [1, ("one", b"two")])
        assert isinstance(turn, int)


async def test_time_stands_still_between_two_inputs() -> None:
    harness = RecorderHarness()
    _, listening = await harness.connect(nothing)
    async with ended(listening):
        harness.dial.newest.deliver("frame")
        await run_ready_tasks()
        before = harness.recorder.now_s(), harness.recorder.unix_ms()
        await harness.clock.advance(0.1)
        assert (harness.recorder.now_s(), harness.recorder.unix_ms()) == before


async def test_a_request_is_recorded_after_the_write_and_a_failed_one_with_the_reason() -> None:
    harness = RecorderHarness()
    line, listening = await harness.connect(nothing)
    async with ended(listening):
        line.send('{"id":1,"method":"time"}')
        harness.dial.newest.closed = True
        with pytest.raises(SessionLost):
            line.send("{}")
        assert harness.entries == [
            (">", 1, '{"id":1,"method":"time"}'),
            ("!>", 1, "{}", ["SessionLost", "closed", 0.0]),
        ]


async def test_the_end_of_a_connection_is_recorded_with_the_reason() -> None:
    harness = RecorderHarness()
    _, listening = await harness.connect(nothing)
    harness.dial.newest.drop("closed 1006")
    with pytest.raises(SessionLost, match="closed 1006"):
        await listening
    assert harness.entries == [("told", 2, ["SessionLost", "closed 1006", 0.0])]


async def test_an_error_of_the_frame_handler_ends_the_connection_as_its_own() -> None:
    harness = RecorderHarness()

    def hear(_: Sequence[str | bytes]) -> None:
        raise SessionLost("twenty unreadable frames")

    _, listening = await harness.connect(hear)
    harness.dial.newest.deliver_together("bad")
    harness.dial.newest.deliver_together("never heard")
    with pytest.raises(SessionLost, match="twenty unreadable frames"):
        await listening
    assert harness.entries == [("<", 1, ("bad",)), ("told", 2, ["of our own"])]


async def test_no_frames_are_delivered_after_listening_has_ended() -> None:
    harness, heard = RecorderHarness(), list[Sequence[str | bytes]]()
    _, listening = await harness.connect(heard.append)
    listening.cancel()
    harness.dial.newest.deliver("late")
    await run_ready_tasks()
    assert heard == []
    assert harness.entries == []


async def test_a_closed_connection_refuses_requests() -> None:
    harness = RecorderHarness()
    line, listening = await harness.connect(nothing)
    async with ended(listening):
        await line.close()
    assert harness.dial.newest.closed
    with pytest.raises(SessionLost):
        line.send("{}")
    assert harness.entries == [("ask", 3, "to close 1"), ("told", 3, None)]


async def test_a_timer_is_an_input_when_it_fires_and_nothing_when_it_is_cancelled() -> None:
    harness, rang = RecorderHarness(), []
    harness.recorder.call_later(60.0, lambda: rang.append("never")).cancel()
    await harness.recorder.sleep(0.0)
    assert rang == []
    assert harness.entries == [("alarm", 1, 60.0), ("alarm", 2, 0.0), ("ring", 2)]


async def test_an_adjusted_wall_clock_is_noticed_at_the_next_timer() -> None:
    harness = RecorderHarness()
    harness.clock._unix_zero_ms += 2500
    await harness.recorder.sleep(0.0)
    assert harness.recorder.unix_ms() == harness.clock.unix_ms()
    await harness.recorder.sleep(0.0)
    assert [entry for entry in harness.entries if entry[0] == "ring"] == [("ring", 1, 2500), ("ring", 2)]


def test_long_work_on_one_input_is_followed_by_a_tick() -> None:
    async def live() -> None:
        harness = RecorderHarness()
        await harness.recorder.sleep(0.0)
        await harness.clock.advance(module.REFRESH_AFTER_S + 0.1)
        await run_ready_tasks()
        assert harness.entries[-1] == ("tick",)
        assert harness.recorder.now_s() == 100.35

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        runner.run(live())


async def test_commands_from_outside_are_applied_at_the_end_of_the_iteration() -> None:
    harness, done = RecorderHarness(), []
    harness.recorder.runtime.input_gate(("obey", "flip", "phone"), lambda: done.append("flip"))
    harness.recorder.runtime.input_gate(("stop", "quit", 0), lambda: done.append("stop"))
    assert done == []
    await run_ready_tasks()
    assert done == ["flip", "stop"]
    assert harness.entries == [("obey", "flip", "phone"), ("stop", "quit", 0)]


async def test_nothing_is_recorded_after_the_end_of_the_session() -> None:
    harness, done = RecorderHarness(), []

    async def run() -> ExitCode:
        return ExitCode.OK

    await harness.recorder.run_session(run)
    harness.recorder.runtime.input_gate(("stop", "quit", 0), lambda: done.append("stop"))
    await run_ready_tasks()
    assert done == ["stop"]
    assert harness.entries == [("begin",), ("over", 0)]


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (ConfigError(["SYMBOL"]), ["ConfigError", "SYMBOL"]),
        (asyncio.CancelledError(), ["CancelledError", ""]),
    ],
    ids=["failure", "cancelled"],
)
async def test_the_end_of_the_session_is_the_last_line(failure: BaseException, told: list[str]) -> None:
    harness = RecorderHarness()

    async def run() -> ExitCode:
        raise failure

    with pytest.raises(type(failure)):
        await harness.recorder.run_session(run)
    assert harness.entries[-1] == ("over", told)


async def test_key_checks_and_saved_frames_pass_the_boundary() -> None:
    async def save(lines: list[str]) -> Path:
        return Path("/logs") / lines[0]

    async def verify(server_ms: int) -> None:
        raise ConfigError([f"may withdraw {server_ms}"])

    harness = RecorderHarness(save_frames=save)
    kept = harness.recorder.runtime.save_frames
    assert kept is not None
    assert await kept(["frames"]) == Path("/logs/frames")
    with pytest.raises(ConfigError, match="may withdraw 5"):
        await harness.recorder.wrap_key_check(verify)(5)
    assert harness.entries == [
        ("ask", 1, "save the last frames"),
        ("told", 1, str(Path("/logs/frames"))),
        ("ask", 2, "check the key"),
        ("told", 2, ["ConfigError", "may withdraw 5"]),
    ]


async def test_alerts_are_recorded() -> None:
    told: list[tuple[str, int]] = []

    class Sink:
        def send(self, text: str, level: int = logging.INFO) -> None:
            told.append((text, level))

    harness = RecorderHarness()
    harness.recorder.wrap_alerts(Sink()).send("hard stop", logging.WARNING)
    assert told == [("hard stop", logging.WARNING)]
    assert harness.entries == [("alert", logging.WARNING, "hard stop")]


async def test_random_numbers_follow_from_the_seed_in_the_record() -> None:
    harness = RecorderHarness()
    assert harness.record.entries[0][1]["seed"] == 7
    assert harness.recorder.runtime.random.random() == Random(7).random()


async def test_a_signature_is_awaited_and_not_recorded() -> None:
    harness = RecorderHarness()
    params = await harness.recorder.runtime.keys.logon_params(lambda: 5, 5000)
    assert params == await KEYS.logon_params(lambda: 5, 5000)
    assert harness.entries == [
        ("ask", 1, "the key to be ready"),
        ("told", 1, None),
        ("ask", 2, "a signature"),
        ("told", 2, None),
    ]

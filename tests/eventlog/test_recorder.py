"""Tests of the recorder: frames, requests, alerts and the end of a session are recorded after they were dealt with."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.websocket.fake_sockets import MemoryDial, run_ready_tasks

from trailingedge.auth.manager import KeyManager
from trailingedge.config import Endpoints, Settings, settings_without_secrets
from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import ConfigError, ExitCode, SessionLost
from trailingedge.eventlog.format import BATCH_FROM, FrameBatch, RecordEntry
from trailingedge.eventlog.recording_start import start_recording
from trailingedge.eventlog.writer import MemoryRecord
from trailingedge.live.node_dependencies import Runtime
from trailingedge.websocket.socket_dialer import Socket

KEYS = KeyManager.from_private_key(Ed25519PrivateKey.from_private_bytes(bytes(32)), "key")
AT_NS = 100_000_000_000


class RecorderHarness:
    """A recorder on in-memory connections and a manual clock, and the entries that it has written."""

    def __init__(self) -> None:
        self.clock = ManualClock(now_s=100.0)
        self.dial = MemoryDial()
        self.record = MemoryRecord()
        runtime = Runtime(Endpoints("ws://a", "ws://m"), KEYS, self.dial, self.clock, Random(0))
        self.recorder = start_recording(settings_without_secrets(Settings()), runtime, self.record)

    @property
    def entries(self) -> list[RecordEntry]:
        """The entries after the header."""
        return self.record.entries[1:]

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


async def test_each_connection_has_a_number() -> None:
    harness = RecorderHarness()
    await harness.recorder.runtime.dial("ws://m")
    await harness.recorder.runtime.dial("ws://a")
    assert harness.dial.urls == ["ws://m", "ws://a"]
    assert harness.entries == [("dial", AT_NS, 1, "ws://m"), ("dial", AT_NS, 2, "ws://a")]


async def test_a_failed_dial_raises_its_error() -> None:
    harness = RecorderHarness()
    harness.dial._refusals = 1
    with pytest.raises(SessionLost, match="connection refused"):
        await harness.recorder.runtime.dial("ws://m")
    assert harness.entries == []


async def test_frames_are_recorded_after_they_were_handled_with_the_time_at_which_they_came() -> None:
    harness, recorded_before = RecorderHarness(), []

    def hear(_: Sequence[str | bytes]) -> None:
        recorded_before.append(list(harness.entries))
        harness.clock._now_s += 0.25

    _, listening = await harness.connect(hear)
    async with ended(listening):
        await harness.clock.advance(1.5)
        harness.dial.newest.deliver_together("one", b"two")
        await run_ready_tasks()
        assert recorded_before == [[]]
        assert harness.entries == [("<", AT_NS + 1_500_000_000, 1, ("one", b"two"))]


async def test_many_frames_of_one_read_are_joined() -> None:
    harness = RecorderHarness()
    _, listening = await harness.connect(nothing)
    async with ended(listening):
        harness.dial.newest.deliver_together(*[b"x"] * BATCH_FROM)
        await run_ready_tasks()
        ((_, _, _, batch),) = harness.entries
        assert isinstance(batch, FrameBatch)
        assert list(batch) == [b"x"] * BATCH_FROM


async def test_a_request_is_recorded_after_the_write_and_a_failed_one_with_the_reason() -> None:
    harness = RecorderHarness()
    line, listening = await harness.connect(nothing)
    async with ended(listening):
        line.send('{"id":1,"method":"time"}')
        harness.dial.newest.closed = True
        with pytest.raises(SessionLost):
            line.send("{}")
        assert harness.entries == [(">", AT_NS, 1, '{"id":1,"method":"time"}'), ("!>", AT_NS, 1, "{}", "closed")]


async def test_the_end_of_a_connection_is_recorded_with_the_reason() -> None:
    harness = RecorderHarness()
    _, listening = await harness.connect(nothing)
    harness.dial.newest.drop("closed 1006")
    with pytest.raises(SessionLost, match="closed 1006"):
        await listening
    assert harness.entries == [("closed", AT_NS, 1, "closed 1006")]


async def test_an_error_of_the_frame_handler_ends_the_connection_and_its_frame_is_recorded() -> None:
    harness = RecorderHarness()

    def hear(_: Sequence[str | bytes]) -> None:
        raise SessionLost("twenty unreadable frames")

    _, listening = await harness.connect(hear)
    harness.dial.newest.deliver_together("bad")
    with pytest.raises(SessionLost, match="twenty unreadable frames"):
        await listening
    assert harness.entries == [("<", AT_NS, 1, ("bad",)), ("closed", AT_NS, 1, "twenty unreadable frames")]


async def test_a_closed_connection_is_closed() -> None:
    harness = RecorderHarness()
    line, listening = await harness.connect(nothing)
    async with ended(listening):
        await line.close()
    assert harness.dial.newest.closed


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

    async def fail() -> ExitCode:
        raise failure

    async def run() -> ExitCode:
        return ExitCode.HALTED

    with pytest.raises(type(failure)):
        await harness.recorder.run_session(fail)
    assert await harness.recorder.run_session(run) is ExitCode.HALTED
    assert harness.entries == [("over", AT_NS, told), ("over", AT_NS, int(ExitCode.HALTED))]


async def test_alerts_are_recorded_after_they_were_sent() -> None:
    told: list[tuple[str, int]] = []
    harness = RecorderHarness()

    class Sink:
        def send(self, text: str, level: int = logging.INFO) -> None:
            assert harness.entries == []
            told.append((text, level))

    harness.recorder.wrap_alerts(Sink()).send("hard stop", logging.WARNING)
    assert told == [("hard stop", logging.WARNING)]
    assert harness.entries == [("alert", AT_NS, logging.WARNING, "hard stop")]


async def test_keys_and_randomness_of_the_daemon_are_its_own() -> None:
    harness = RecorderHarness()
    runtime = harness.recorder.runtime
    assert runtime.keys is KEYS
    assert runtime.clock is harness.clock
    assert runtime.random.random() == Random(0).random()

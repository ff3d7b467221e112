"""Tests with real processes, loops and sockets: their records are replayed without a difference."""

import asyncio
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from pathlib import Path
from typing import Final

from tests import processes
from tests.benchmarks.exchange_process import BenchmarkExchange
from tests.test_main import key_file

from trailingedge.eventlog.format import SUFFIX
from trailingedge.session_replay.run import replay_session

REQUESTS: Final = 24  # those of the start, of the order that notes the anchor, and the first one after that


async def run(place: Path) -> None:
    """A start, a few requests and an end, with the key in a file, as it is when it matters."""
    async with (
        BenchmarkExchange() as venue,
        processes.started_async(
            [sys.executable, "-m", "trailingedge.main", "--plain"],
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            cwd=place,
            umask=0,
            env=processes.environment(venue.settings(key_file(place / "key.pem"))),
        ) as process,
    ):
        ready = processes.line_in(place / "logs" / "latest.log", "ready: ")
        await processes.wait_until_async(
            lambda: (ready() and venue.requests >= REQUESTS) or process.returncode is not None
        )
        process.send_signal(signal.SIGTERM)
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


def recorded(place: Path) -> list[Path]:
    return list((place / "logs").glob(f"*{SUFFIX}"))


def test_the_session_of_a_real_daemon_is_replayed(tmp_path: Path) -> None:
    asyncio.run(run(tmp_path))
    (path,) = recorded(tmp_path)
    files = [each for each in (tmp_path / "logs").iterdir() if not each.is_symlink()]
    assert {each.stat().st_mode & 0o777 for each in files} == {0o600}
    assert (tmp_path / "logs").stat().st_mode & 0o777 == 0o700
    replayed = replay_session(path)
    assert replayed.difference is None
    assert replayed.incomplete_reason is None
    assert replayed.inputs > 10


def test_a_session_that_is_killed_replays_up_to_there(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "trailingedge.main", "--plain", "--seed", "7"]
    env = processes.environment({"RECORD": "true"})
    with processes.started(words, cwd=tmp_path, env=env, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL) as process:
        processes.wait_until(processes.line_in(tmp_path / "logs" / "latest.log", "ready: "))
        (path,) = recorded(tmp_path)
        enough = path.stat().st_size + 20_000
        processes.wait_until(lambda: path.stat().st_size > enough)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    replayed = replay_session(path)
    assert replayed.difference is None
    assert replayed.incomplete_reason is not None
    assert path.name in replayed.incomplete_reason
    assert replayed.inputs > 3

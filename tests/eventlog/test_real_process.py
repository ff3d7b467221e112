"""Test with a real process, loop and sockets: its record is replayed without a difference."""

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


def test_a_daemon_that_waits_for_io_waits_at_the_boundary(tmp_path: Path) -> None:
    """If this fails, the daemon awaits something that does not go through the I/O boundary."""
    asyncio.run(run(tmp_path))
    (path,) = (tmp_path / "logs").glob(f"*{SUFFIX}")
    files = [each for each in (tmp_path / "logs").iterdir() if not each.is_symlink()]
    assert {each.stat().st_mode & 0o777 for each in files} == {0o600}
    assert (tmp_path / "logs").stat().st_mode & 0o777 == 0o700
    replayed = replay_session(path)
    assert replayed.difference is None
    assert replayed.incomplete_reason is None
    assert replayed.requests > 10

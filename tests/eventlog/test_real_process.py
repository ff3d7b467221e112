"""A real process on a real loop, over real sockets: what it has recorded is lived again without a difference."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from typing import Final

from tests.benchmarks.exchange_process import Venue
from tests.test_main import key_file

from trailingedge.config import OPTIONS
from trailingedge.eventlog.retention import SUFFIX
from trailingedge.session_replay.run import replay_session

NO_ENVIRONMENT: Final = {name: value for name, value in os.environ.items() if name not in OPTIONS}


async def run(place: Path) -> None:
    """Two seconds of trading, with its key in a file, as it is when it matters."""
    async with Venue() as venue:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "trailingedge.main", "--plain", "--duration=2"),
            stdout=PIPE,
            stderr=STDOUT,
            cwd=place,
            env=NO_ENVIRONMENT | venue.settings(key_file(place / "key.pem")),
        )
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


def test_what_waits_for_the_world_waits_at_the_threshold(tmp_path: Path) -> None:
    """Whoever finds this broken has given the daemon something to wait for that the recorder does not know of."""
    asyncio.run(run(tmp_path))
    (path,) = (tmp_path / "logs").glob(f"*{SUFFIX}")
    replayed = replay_session(path)
    assert replayed.difference is None
    assert replayed.trouble is None
    assert replayed.requests > 10

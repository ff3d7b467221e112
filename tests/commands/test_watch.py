"""Tests of the command `watch`: which exit code it ends with, and what it says."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import processes
from tests.limits import PATIENCE_S

from trailingedge import main
from trailingedge.core.errors import ExitCode

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there are no such sockets")

# A daemon that sends one state with one log line.
DAEMON = """
import asyncio, sys
from pathlib import Path
from tests.commands.watching.feeds import daemon_at, log, state

async def live():
    async with daemon_at(Path(sys.argv[1])) as daemon:
        daemon.first = state(log("ready: sim"))
        print("open", flush=True)
        await asyncio.Event().wait()

asyncio.run(live())
"""


@pytest.fixture
def _own_handlers() -> Iterator[None]:
    """After a run in this process its signals are ignored, as a late one is."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_own_handlers")
def test_without_a_daemon_it_says_where_it_looked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["watch", "--socket", str(tmp_path / "none.sock")]) == ExitCode.UNREACHABLE
    error = capsys.readouterr().err
    assert "none.sock (no daemon listens there)" in error
    assert "start one with trailing-edge" in error


@pytest.mark.parametrize("port", ["-1", "65536", "http", "٣"])
def test_a_port_is_a_number(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.run(["watch", f"--web={port}"])
    assert ended.value.code == ExitCode.USAGE
    assert f"{port} is not a port; give a number from 0 to 65535" in capsys.readouterr().err


def test_plain_lines_come_without_a_terminal_and_a_signal_ends_it_well(tmp_path: Path) -> None:
    place = tmp_path / "ETHFDUSD.sock"
    with processes.started([sys.executable, "-c", DAEMON, str(place)], stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        assert daemon.stdout.readline() == "open\n"
        command = [sys.executable, "-m", "trailingedge.main", "watch", "--socket", str(place)]
        with processes.started(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as watch:
            assert watch.stdout is not None
            assert watch.stdout.readline() == "13:47:00 ready: sim\n"
            watch.send_signal(signal.SIGTERM)
            assert watch.wait(PATIENCE_S) == ExitCode.OK
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = processes.run([*command, "--web", str(port)], text=True)
        assert done.returncode == ExitCode.USAGE
        assert done.stderr == f"port {port} cannot be opened: another program uses it; --web 0 picks a free one\n"
        daemon.kill()

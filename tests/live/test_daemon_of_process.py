"""Control sockets of one process: found by who listens, among those of other daemons, of dead ones, and other files."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import processes

from trailingedge.live.control_socket import NoRunningDaemon
from trailingedge.live.daemon_of_process import sockets_of_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs SO_PEERCRED")

LISTEN = """
import socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.bind(sys.argv[1])
    server.listen()
    print("listens", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[int]:
    """The process id of another daemon, which listens in the same folder."""
    words: list[str | Path] = [sys.executable, "-c", LISTEN, tmp_path / "BTCFDUSD.sock"]
    with processes.started(words, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listens\n"
        yield process.pid


def test_the_socket_of_a_process_is_found_by_who_listens(tmp_path: Path, other: int) -> None:
    environ = {"RUNTIME_DIRECTORY": str(tmp_path)}
    (tmp_path / "A-FILE.sock").touch()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "DEAD.sock"))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "ETHFDUSD.sock"))
        server.listen()
        assert sockets_of_process(os.getpid(), environ) == [tmp_path / "ETHFDUSD.sock"]
        assert sockets_of_process(other, environ) == [tmp_path / "BTCFDUSD.sock"]


def test_it_is_looked_for_in_each_folder_for_run_time_files(tmp_path: Path) -> None:
    folder = tmp_path / "trailing-edge"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "ETHFDUSD.sock"))
        server.listen()
        environ = {"RUNTIME_DIRECTORY": str(tmp_path / "none"), "XDG_RUNTIME_DIR": str(tmp_path)}
        assert sockets_of_process(os.getpid(), environ) == [folder / "ETHFDUSD.sock"]


def test_a_process_that_does_not_listen_is_an_error_that_names_the_folders(tmp_path: Path) -> None:
    with pytest.raises(NoRunningDaemon, match=f"process 1 has no control socket in {tmp_path}, .*--socket"):
        sockets_of_process(1, {"RUNTIME_DIRECTORY": str(tmp_path)})

"""A real daemon in a simulated market, and `watch --web` beside it, as processes of their own."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests import processes

SYMBOL: Final = "ETHFDUSD"
_PROGRAM: Final = (sys.executable, "-m", "trailingedge.main")


def environment_in(folder: Path) -> dict[str, str]:
    """Return an environment whose daemons have their sockets and logs in `folder`."""
    places = {"XDG_RUNTIME_DIR": str(folder), "LOG_DIR": str(folder / "logs"), "PYTHONUNBUFFERED": "1"}
    return processes.environment() | places


def socket_in(folder: Path) -> Path:
    """Return the control socket of such a daemon."""
    return folder / "trailing-edge" / f"{SYMBOL}.sock"


@contextlib.contextmanager
def daemon_in(folder: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a daemon within the block, ready to trade; `words` follow its name."""
    with _running(folder, [*_PROGRAM, "--plain", *words], "daemon.out", environment_in(folder)) as process:
        processes.wait_until(processes.line_in(folder / "daemon.out", "ready: "))
        yield process


@contextlib.contextmanager
def page_of(folder: Path, socket: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run `watch --web` for the daemon at `socket` within the block. Yields its process and the address of the page."""
    out = folder / f"{socket.name}.page.out"
    words = [*_PROGRAM, "watch", "--web", "0", "--socket", str(socket)]
    with _running(folder, words, out.name, environment_in(folder)) as process:
        processes.wait_until(processes.line_in(out, "read-only"))
        yield process, out.read_text(encoding="utf-8").split()[2]


@contextlib.contextmanager
def _running(
    folder: Path, words: Sequence[str], out: str, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    with (
        (folder / out).open("wb") as output,
        processes.started(words, cwd=folder, env=environment, stdout=output, stderr=output) as process,
    ):
        yield process


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process. Only Linux tells it."""
    pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")

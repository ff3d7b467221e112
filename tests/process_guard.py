"""Process guard: a program that kills all processes of a test run when the run has ended, in whatever way it ended.

    python process_guard.py MARK < PIPE

`tests.processes` starts it, holds the other end of the pipe, and puts MARK into the environment of every process
that it starts. The pipe ends with the run: at its end in good order, at SIGTERM and at SIGKILL alike, since the kernel
closes it. Then whatever has MARK in its environment is killed, and with it all of its children, grandchildren and
process groups: one of those may have been started with an empty environment.
Processes are found in /proc; where there is none, nothing is done.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

AGAIN_AFTER_S: Final = 0.02
GIVE_UP_AFTER_S: Final = 30.0


class Process(NamedTuple):
    """A line of the process table."""

    pid: int
    parent: int
    group: int
    ended: bool


def process_table() -> dict[int, Process]:
    """All processes, by id."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended in the meantime
            # The name in parentheses may hold anything, parentheses too.
            state, parent, group, *_ = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            pid = int(path.parent.name)
            found[pid] = Process(pid, int(parent), int(group), state in "ZX")
    return found


def bears(pid: int, mark: str) -> bool:
    """Whether that process was started with MARK in its environment."""
    with contextlib.suppress(OSError):
        return mark.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False


def belonging_to(mark: str) -> set[int]:
    """The processes that bear `mark`, and what belongs to them."""
    table = process_table()
    return with_all_below({pid for pid in table if bears(pid, mark)}, table)


def with_all_below(pids: set[int], table: dict[int, Process]) -> set[int]:
    """Those that still run, all that descends from them, and the groups that any of these lead."""
    running = {pid: each for pid, each in table.items() if not each.ended and pid != os.getpid()}
    found = pids & running.keys()
    while True:
        more = {pid for pid, each in running.items() if each.parent in found or each.group in found} - found
        if not more:
            return found
        found |= more


def kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def main(mark: str) -> None:
    # A process of its own session, and no child of the run: a Ctrl-C for the run is not for this one, and a test that
    # counts the children of its process does not find it.
    if os.fork():
        os._exit(0)
    os.setsid()
    while os.read(0, 4096):
        pass
    give_up_s = time.monotonic() + GIVE_UP_AFTER_S
    while (found := belonging_to(mark)) and time.monotonic() < give_up_s:
        kill(found)
        time.sleep(AGAIN_AFTER_S)  # one of them may just have started another


if __name__ == "__main__":
    main(sys.argv[1])

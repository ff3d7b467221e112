"""Processes of tests: the only module in which tests start processes, so that no process outlives its test.

- `run` starts a process and waits for its end; `started` and `started_async` are blocks at whose end it is killed, with
  all that it has started, unless it has ended before. `start` and `end` are the two halves of `started`, for an object
  with a `close` of its own.
- Every process is a session of its own: a Ctrl-C that is meant for the test run does not reach it, it has no
  controlling terminal even if the run has one, and it can be killed with all that it has started.
- No block is left when the test run itself is killed. For that case a guard is started with the run, see
  `process_guard`: it finds by a mark in their environment what the run has left, and kills it.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests import process_guard
from tests.interrupts import heed_interrupts
from tests.limits import PATIENCE_S

from trailingedge.config import OPTIONS

MARK: Final = "TESTS_STARTED_BY"
_GUARD: Final = Path(__file__).with_name("process_guard.py")

Words = Sequence[str | Path]


class _Guard:
    """The guard of this process: the mark that it looks for, and the pipe that it listens to."""

    pid: int | None = None  # of the process that it guards
    heeds: int | None = None  # the process that was told to heed interrupts
    pipe: int | None = None


def guard_this_process() -> None:
    """From now on nothing outlives this process that it starts. Without /proc a killed run may leave something.

    What it starts ends at SIGINT, also if this process runs in the background.
    """
    if _Guard.heeds != os.getpid():  # once: a test may ignore SIGINT afterwards
        _Guard.heeds = os.getpid()
        heed_interrupts()
    if _Guard.pid == os.getpid() or not Path("/proc/self/environ").exists():
        return
    mark = f"{os.getpid()}-{secrets.token_hex(8)}"
    reads, writes = os.pipe()
    try:
        # An environment without the mark of another run: this one must outlive its own.
        words = [sys.executable, "-I", "-S", str(_GUARD), f"{MARK}={mark}"]
        subprocess.run(words, stdin=reads, stdout=subprocess.DEVNULL, env={}, check=True)
    finally:
        os.close(reads)
    _Guard.pid, _Guard.pipe = os.getpid(), writes
    os.environ[MARK] = mark


def environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours without any setting of the program, and those settings."""
    return {name: value for name, value in os.environ.items() if name not in OPTIONS} | dict(settings or {})


def _options(env: Mapping[str, str] | None) -> dict[str, Any]:
    guard_this_process()
    found = dict(os.environ if env is None else env)
    if MARK in os.environ:
        found[MARK] = os.environ[MARK]
    return {"env": found, "start_new_session": True}


# --- Processes that a test waits for -----------------------------------------------------------


def start(words: Words, *, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[Any]:
    """A process for which `end` is called in any case; the options are those of Popen."""
    return subprocess.Popen(words, **_options(env), **options)


def end(process: subprocess.Popen[Any]) -> None:
    """Kill it, with all that it has started, unless it has ended; close its pipes."""
    _kill(process.pid)
    with process:  # closes the pipes, waits
        pass


@contextlib.contextmanager
def started(words: Words, *, env: Mapping[str, str] | None = None, **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """A process that lives at most as long as the block; the options are those of Popen."""
    process = start(words, env=env, **options)
    try:
        yield process
    finally:
        end(process)


def run(
    words: Words,
    *,
    env: Mapping[str, str] | None = None,
    input: str | bytes | None = None,  # noqa: A002 - as subprocess.run has it
    check: bool = False,
    timeout: float | None = PATIENCE_S,
    **options: Any,
) -> subprocess.CompletedProcess[Any]:
    """Like subprocess.run, with both outputs captured unless told otherwise."""
    if input is not None:
        options["stdin"] = subprocess.PIPE
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    with started(words, env=env, **options) as process:
        out, err = process.communicate(input, timeout=timeout)
        done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


def wait_until(true: Callable[[], object]) -> None:
    """Wait for a fact that another process brings about. Raises TimeoutError."""
    give_up_s = time.monotonic() + PATIENCE_S
    while not true():
        if time.monotonic() > give_up_s:
            raise TimeoutError(f"not so within {PATIENCE_S:.0f} s")
        time.sleep(0.01)


def line_in(path: Path, words: str) -> Callable[[], bool]:
    """The fact that a process has written these words into that file, a log for instance."""
    return lambda: path.exists() and words in path.read_text(encoding="utf-8", errors="replace")


def _kill(pid: int) -> None:
    """End it and all that it has started: its group, and what has a group of its own while it is still its child."""
    process_guard.kill(process_guard.with_all_below({pid}, process_guard.process_table()))
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            os.kill(pid, signal.SIGTERM)
        else:
            os.killpg(pid, signal.SIGKILL)


# --- Processes beside a loop -------------------------------------------------------------------


async def start_async(words: Words, *, env: Mapping[str, str] | None = None, **options: Any) -> Process:
    """A process for which `end_async` is called in any case; the options are those of Popen."""
    return await asyncio.create_subprocess_exec(words[0], *words[1:], **_options(env), **options)


async def end_async(process: Process) -> None:
    """Kill it, with all that it has started, unless it has ended, and read its pipes to their end."""
    # Not by its own `kill`, which waits for it and so takes its exit code from the loop.
    _kill(process.pid)
    for stream in (process.stdout, process.stderr):
        # A transport whose pipe is full and unread is never closed. Another task may be reading: then it reads the end.
        with contextlib.suppress(RuntimeError):
            while stream is not None and await stream.read(1 << 16):
                pass
    await process.wait()


@contextlib.asynccontextmanager
async def started_async(
    words: Words, *, env: Mapping[str, str] | None = None, **options: Any
) -> AsyncIterator[Process]:
    """A process that lives at most as long as the block; the options are those of Popen."""
    process = await start_async(words, env=env, **options)
    try:
        yield process
    finally:
        await end_async(process)


async def wait_until_async(true: Callable[[], object]) -> None:
    """Wait for a fact that another process brings about. Raises TimeoutError."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110 - no event of this loop tells it
            await asyncio.sleep(0.01)

"""Signer of logon requests: one process per signature, so that the daemon holds neither the key nor `cryptography`.

This is safer: a bug in TLS that leaks the daemon's memory cannot leak the key, and systemd's sandbox
does not prevent such a leak. It also saves 9.5 MiB of memory: a ready daemon has 35.2 MiB resident
instead of 44.7 MiB. Both figures are from `python -m tests.benchmarks start`. To measure the larger
one, let `KeyManager.from_file` return `cls.from_pem(path.read_bytes(), api_key)`. For comparison,
the smallest client has 25.4 MiB.
"""

import asyncio
import os
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final, TypeVar, cast

from trailingedge.auth import signing_process
from trailingedge.core.errors import ConfigError, SessionLost

Sign = Callable[[bytes], Awaitable[str]]
Signer = Callable[[], AbstractAsyncContextManager[Sign]]  # gives a `Sign` for one signature, ready to answer at once
T = TypeVar("T")

# A loaded machine may take many seconds to start Python. Without a logon no hard stop can act, so giving up early
# would only start the same again.
_TIMEOUT_S: Final = 20.0
# Windows needs the first to start Python, some builds on Linux the second. The API key and the token stay here.
_ENVIRONMENT: Final = ("SYSTEMROOT", "LD_LIBRARY_PATH")


@asynccontextmanager
async def logon_signer(path: Path) -> AsyncIterator[Sign]:
    """Start a process that loads the key file. Yields a function that lets this process sign.

    Raises ConfigError if the file holds no usable key. Raises SessionLost if the process fails, so
    that the caller reconnects.
    """
    library = find_spec("cryptography")  # may lie where -I does not look: PYTHONPATH, the user's site-packages
    folder = Path(library.origin).parents[1] if library and library.origin else ""
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", signing_process.__file__, folder, path),  # -I: no module from the working folder
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            start_new_session=True,  # Ctrl-C in a terminal must not end it: the daemon may log on to cancel
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # the same on Windows
        )
    except OSError as error:
        raise SessionLost(f"the signing process cannot be started: {error}") from error

    async def sign(payload: bytes) -> str:
        signature, _ = await _in_time(process.communicate(payload))
        if not signature:
            raise SessionLost(f"the signing process ended with code {process.returncode} and gave no signature")
        return signature.decode()

    try:
        line = await _in_time(cast("asyncio.StreamReader", process.stdout).readline())
        if not line or line.startswith(signing_process.UNUSABLE):
            await _in_time(process.wait())  # it ends by itself; a kill would race with asyncio's child watcher
        if line.startswith(signing_process.UNUSABLE):
            raise ConfigError([f"private key {path}: {line.removeprefix(signing_process.UNUSABLE).decode()}"])
        if line != signing_process.READY:
            raise SessionLost("the signing process ended before it was ready")
        yield sign
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _in_time(answer: Awaitable[T]) -> T:
    try:
        # On Python 3.11 `wait_for` would lose a cancellation that comes together with the answer.
        async with asyncio.timeout(_TIMEOUT_S):
            return await answer
    except (TimeoutError, ValueError) as error:  # ValueError: a line without end
        raise SessionLost(f"the signing process gave no answer within {_TIMEOUT_S:g} s") from error

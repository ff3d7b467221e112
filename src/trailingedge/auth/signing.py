"""Who signs: this process, with a key in its memory; or, with the key in a file, another that lives for that moment.

The other one is `signer`. It is started ahead, so that it is ready by the time there is something to sign, and each
signs once. A machine that cannot have it, or not in time, must not keep anybody from logging on while a position is
open: then this process loads the key itself, says so, and signs from then on.
"""

import asyncio
import contextlib
import json
import logging
import re
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

from trailingedge.auth import signer
from trailingedge.core.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

logger = logging.getLogger(__name__)

_WITHIN_S: Final = 3.0
_UNASKED_S: Final = 15.0  # longer than a dial takes; an exchange that is away for hours needs no key in a memory
_SIGNATURE: Final = re.compile(rb"[A-Za-z0-9+/]{86}==")
# -P: a file called cryptography.py in the folder that we run in must not be handed the key.
_PROGRAM: Final = ("-P", "-m", signer.__name__)
# Ctrl-C in a terminal reaches everybody in it, and a logon that withdraws our order may be just what it asks for:
# a session of its own keeps it away here, a console of its own on Windows.
_NO_WINDOW: Final = getattr(subprocess, "CREATE_NO_WINDOW", 0)


class Signs(Protocol):
    """Whoever can sign. What is awaited may raise ConfigError."""

    def prepare(self) -> None:
        """A signature will be asked for soon."""
        ...

    async def ready(self) -> None:
        """Wait until a signature takes no time to speak of."""
        ...

    async def sign(self, payload: bytes) -> str:
        """The signature over `payload`, in base64."""
        ...

    async def aclose(self) -> None:
        """Leave nothing behind."""
        ...


class Here:
    """A key in this process's memory."""

    def __init__(self, private_key: "Ed25519PrivateKey") -> None:
        self._private_key = private_key

    def prepare(self) -> None:
        """There is nothing to prepare."""

    async def ready(self) -> None:
        """It always is."""

    async def sign(self, payload: bytes) -> str:
        """The signature over `payload`, in base64."""
        return signer.sign(self._private_key, payload).decode("ascii")

    async def aclose(self) -> None:
        """There is nothing to end."""


class Apart:
    """The key in the file at `path`, used by processes of their own. Whoever has one closes it in the end.

    What is awaited here raises ConfigError where the file is no use any more.
    """

    def __init__(self, path: Path, *, within_s: float = _WITHIN_S, unasked_s: float = _UNASKED_S) -> None:
        self._path = path
        self._within_s = within_s
        self._unasked_s = unasked_s
        self._next: _Helper | None = None
        self._here: Here | None = None  # once a helper has failed

    def prepare(self) -> None:
        """Start who will sign next, unless that is under way. Where nobody asks for long it is given up."""
        if self._here is None:
            self._at_hand()

    async def ready(self) -> None:
        """Wait until a signature takes no time to speak of."""
        if self._here is None:
            try:
                async with asyncio.timeout(self._within_s):
                    await self._at_hand().ready()
            except (_HelperFailed, TimeoutError) as trouble:
                self._here = await self._load(trouble)

    async def sign(self, payload: bytes) -> str:
        """The signature over `payload`, in base64."""
        if self._here is None:
            helper, self._next = self._at_hand(), None
            try:
                async with asyncio.timeout(self._within_s):
                    return await helper.sign(payload)
            except (_HelperFailed, TimeoutError) as trouble:
                self._here = await self._load(trouble)
            finally:
                await helper.end()
        return await self._here.sign(payload)

    async def aclose(self) -> None:
        """End who was started and not asked."""
        if self._next is not None:
            helper, self._next = self._next, None
            await helper.end()

    def _at_hand(self) -> "_Helper":
        if self._next is None or self._next.is_over:
            self._next = _Helper(self._path, self._unasked_s)
        return self._next

    async def _load(self, trouble: Exception) -> Here:
        """For good: what a machine lacks it will lack the next time, and then there is less time to find out."""
        why = str(trouble) or f"takes longer than {self._within_s:g} s"
        logger.warning("the process that signs %s; from now on this one has the key in memory and signs itself", why)
        await self.aclose()
        # In a thread, for a file on a disk that hangs must not hold up those who watch the market.
        return Here(await asyncio.to_thread(signer.load, self._path))


class _HelperFailed(Exception):
    """It has not signed, and not for the key's sake."""


class _Helper:
    """One process, from its start to its end; a task of ours stays with it."""

    def __init__(self, path: Path, unasked_s: float) -> None:
        self._path = path
        self._unasked_s = unasked_s
        self._settled = asyncio.Event()  # it is ready, or it will never be
        self._payload: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._life = asyncio.create_task(self._try())

    @property
    def is_over(self) -> bool:
        """It cannot be asked any more."""
        return self._life.done() or self._payload.done()

    async def ready(self) -> None:
        """Raises ConfigError or _HelperFailed where it will never be."""
        await self._settled.wait()
        if self._life.done():
            self._outcome()

    async def sign(self, payload: bytes) -> str:
        """Raises as `ready` does. It is asked once."""
        await self.ready()
        self._payload.set_result(payload)
        await asyncio.wait([self._life])
        return self._outcome()

    async def end(self) -> None:
        """Leave no process behind."""
        self._life.cancel()
        await asyncio.wait([self._life])

    def _outcome(self) -> str:
        came = _HelperFailed("was ended") if self._life.cancelled() else self._life.result()
        if isinstance(came, Exception):
            raise came
        return came

    async def _try(self) -> str | Exception:
        try:
            return await self._live()
        except (ConfigError, _HelperFailed) as failure:
            return failure
        except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
            return _HelperFailed(f"cannot be used: {str(error) or type(error).__name__}")
        finally:
            self._settled.set()

    async def _live(self) -> str:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *_PROGRAM, self._path),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            start_new_session=True,
            creationflags=_NO_WINDOW,
        )
        try:
            first = await cast("asyncio.StreamReader", process.stdout).readline()
            payload = b""
            if first == signer.READY:
                self._settled.set()
                async with asyncio.timeout(self._unasked_s):
                    payload = await self._payload
            told, _ = await process.communicate(payload)
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await process.wait()
        if payload and process.returncode == ExitCode.OK and _SIGNATURE.fullmatch(told):
            return told.decode("ascii")
        if process.returncode == ExitCode.CONFIG:
            raise ConfigError(_problems(first + told))
        raise _HelperFailed(f"ended with {process.returncode} and no signature")


def _problems(told: bytes) -> list[str]:
    """What is wrong with the key. Raises _HelperFailed for what no signer says."""
    with contextlib.suppress(ValueError):
        problems = json.loads(told)
        if isinstance(problems, list) and problems and all(isinstance(problem, str) for problem in problems):
            return problems
    raise _HelperFailed("has said what cannot be understood")

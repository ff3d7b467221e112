"""Who is measured: a real `trailing-edge`, and the floor, each a process of its own at a venue of its own."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests import processes
from tests.benchmarks.exchange_process import BenchmarkExchange
from tests.limits import PATIENCE_S

_READY: Final = "ready: "
_ANCHORED_S: Final = 0.5  # right after its first start it writes down its anchor, by an order of its own
_FLOOR: Final = Path(__file__).with_name("floor_client.py")
_TREE: Final = Path(__file__).parents[2]  # where `tests` is found


class Player:
    """A process that trades at `venue`."""

    def __init__(self, name: str, venue: BenchmarkExchange, process: Process, born_s: float) -> None:
        self.name = name
        self.venue = venue
        self.process = process
        self.born_s = born_s

    @property
    def cpu_s(self) -> float:
        """Processor time of all its threads so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def resident_bytes(self) -> int:
        pages = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    async def warm_up(self) -> None:
        """Before a run of measurements: nothing, unless there is something to be said."""

    async def end(self) -> None:
        await processes.end_async(self.process)


class Daemon(Player):
    """`trailing-edge` in testnet mode, with a terminal to type into."""

    def __init__(
        self, name: str, venue: BenchmarkExchange, process: Process, born_s: float, keyboard: int | None
    ) -> None:
        super().__init__(name, venue, process, born_s)
        self.lines: list[str] = []
        self.ready_s = 0.0
        self._ready = asyncio.Event()
        self._keyboard = keyboard
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        if self.process.stdout is None:
            raise RuntimeError("the daemon has no output")
        async for raw in self.process.stdout:
            line = raw.decode(errors="replace").rstrip()
            self.lines.append(line)
            if _READY in line and not self._ready.is_set():
                self.ready_s = time.perf_counter()
                self._ready.set()

    async def ready(self) -> None:
        """Raises TimeoutError, with what it said."""
        await self._until(self._ready, "it is not ready")

    async def flip(self) -> None:
        """Have it chase the best price. Raises TimeoutError, with what it said."""
        await asyncio.sleep(_ANCHORED_S)
        self.type("x")
        await self._until(self.venue.resting, "no order rests after a flip")

    async def warm_up(self) -> None:
        """Two alerts, so that there is something to tell whoever listens on the phone."""
        self.type("p")
        self.type("r")

    def type(self, key: str) -> None:
        if self._keyboard is None:
            raise RuntimeError("this system makes no pseudo-terminals to type into")
        os.write(self._keyboard, f"{key}\n".encode())

    async def _until(self, event: asyncio.Event, otherwise: str) -> None:
        """Raises TimeoutError, at once where it has said its last word."""
        waiting = asyncio.create_task(event.wait())
        await asyncio.wait((waiting, self._listening), timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not event.is_set():
            raise TimeoutError("\n".join([f"{self.name}: {otherwise}; it said:", *self.lines]))

    async def end(self) -> None:
        """As its operator would; killed where it does not listen."""
        try:
            if self.process.returncode is None:
                self.process.send_signal(signal.SIGINT)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PATIENCE_S):
                        await asyncio.shield(self._listening)  # to its last word
        finally:
            await processes.end_async(self.process)
            await self._listening
            if self._keyboard is not None:
                os.close(self._keyboard)


@contextlib.asynccontextmanager
async def floor(name: str = "floor", manner: str = "chase") -> AsyncIterator[Player]:
    """The smallest program, its order on the book."""
    async with BenchmarkExchange() as venue:
        born_s = time.perf_counter()
        words = (str(_FLOOR), manner, venue.api_url, venue.stream_url)
        player = Player(name, venue, await processes.start_async([sys.executable, *words]), born_s)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await venue.resting.wait()
                await venue.subscribed.wait()
            yield player
        finally:
            await player.end()


@contextlib.asynccontextmanager
async def daemon(
    folder: Path,
    name: str = "trailing-edge",
    extra: Mapping[str, str] | None = None,
    *,
    chasing: bool = True,
    program: Sequence[str] = ("-m", "trailingedge.main"),
) -> AsyncIterator[Daemon]:
    """A daemon that is ready to trade and, if `chasing`, has an exit at work. Its files go below `folder`."""
    home = folder / name.replace(" ", "-")
    home.mkdir(parents=True)
    async with BenchmarkExchange() as venue:
        player = await _start(home, name, venue, extra or {}, program)
        try:
            await player.ready()
            if chasing:
                await player.flip()
            yield player
        finally:
            await player.end()


async def _start(
    home: Path, name: str, venue: BenchmarkExchange, extra: Mapping[str, str], program: Sequence[str]
) -> Daemon:
    settings = venue.settings(_private_key(home)) | {
        "LOG_DIR": str(home / "logs"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(_TREE),
    }
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("TELEGRAM_")}
    ours, theirs = _keyboard()
    born_s = time.perf_counter()
    process = await processes.start_async(
        [sys.executable, *program, "--plain"],
        stdin=theirs,
        stdout=PIPE,
        stderr=STDOUT,
        cwd=home,
        env=surroundings | settings | dict(extra),
    )
    if ours is not None:
        os.close(theirs)
    return Daemon(name, venue, process, born_s, ours)


def _keyboard() -> tuple[int | None, int]:
    """Our end of a terminal to type into, and the daemon's; without terminals it has none, and nobody types."""
    try:
        return os.openpty()
    except (AttributeError, OSError):
        return None, DEVNULL


def _private_key(folder: Path) -> Path:
    """A key of its own, at an exchange that asks for none in particular."""
    path = folder / "ed25519-priv.pem"
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.touch(mode=0o600)
    path.write_bytes(pem)
    return path

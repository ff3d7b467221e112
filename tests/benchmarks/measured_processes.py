"""Measured processes: a real `trailing-edge` and the floor client, each with a benchmark exchange of its own."""

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
_ANCHORED_S: Final = 0.5  # after its first start the daemon places its anchor marker, an order of its own
_FLOOR: Final = Path(__file__).with_name("floor_client.py")
_TREE: Final = Path(__file__).parents[2]  # where `tests` is found


class MeasuredProcess:
    """A process that trades at `exchange`."""

    def __init__(self, name: str, exchange: BenchmarkExchange, process: Process, started_s: float) -> None:
        self.name = name
        self.exchange = exchange
        self.process = process
        self.started_s = started_s

    @property
    def cpu_s(self) -> float:
        """CPU time of all its threads so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def resident_bytes(self) -> int:
        pages = Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    async def prepare(self) -> None:
        """Called before each run of measurements; does nothing here."""

    async def stop(self) -> None:
        await processes.end_async(self.process)


class MeasuredDaemon(MeasuredProcess):
    """A `trailing-edge` in testnet mode, with a pseudo-terminal as its keyboard."""

    def __init__(
        self, name: str, exchange: BenchmarkExchange, process: Process, started_s: float, keyboard: int | None
    ) -> None:
        super().__init__(name, exchange, process, started_s)
        self.lines: list[str] = []
        self.ready_s = 0.0
        self._ready = asyncio.Event()
        self._keyboard = keyboard
        self._reading = asyncio.create_task(self._read_output())

    async def _read_output(self) -> None:
        if self.process.stdout is None:
            raise RuntimeError("the daemon has no output")
        async for raw in self.process.stdout:
            line = raw.decode(errors="replace").rstrip()
            self.lines.append(line)
            if _READY in line and not self._ready.is_set():
                self.ready_s = time.perf_counter()
                self._ready.set()

    async def ready(self) -> None:
        """Wait until it reports ready. Raises TimeoutError with its output."""
        await self._wait_for(self._ready, "it is not ready")

    async def flip(self) -> None:
        """Start a manual exit, so that it follows the best price. Raises TimeoutError with its output."""
        await asyncio.sleep(_ANCHORED_S)
        self.press_key("x")
        await self._wait_for(self.exchange.resting, "no order rests after a flip")

    async def prepare(self) -> None:
        """Cause two alerts, so that Telegram has something to send during the run."""
        self.press_key("p")
        self.press_key("r")

    def press_key(self, key: str) -> None:
        if self._keyboard is None:
            raise RuntimeError("this system makes no pseudo-terminals to type into")
        os.write(self._keyboard, f"{key}\n".encode())

    async def _wait_for(self, event: asyncio.Event, otherwise: str) -> None:
        """Wait for `event`. Raises TimeoutError, at once if the process has closed its output."""
        waiting = asyncio.create_task(event.wait())
        await asyncio.wait((waiting, self._reading), timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not event.is_set():
            raise TimeoutError("\n".join([f"{self.name}: {otherwise}; it said:", *self.lines]))

    async def stop(self) -> None:
        """Stop it with SIGINT, as its operator would; kill it if it does not stop in time."""
        try:
            if self.process.returncode is None:
                self.process.send_signal(signal.SIGINT)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PATIENCE_S):
                        await asyncio.shield(self._reading)  # to the end of its output
        finally:
            await processes.end_async(self.process)
            await self._reading
            if self._keyboard is not None:
                os.close(self._keyboard)


@contextlib.asynccontextmanager
async def floor(name: str = "floor", manner: str = "chase") -> AsyncIterator[MeasuredProcess]:
    """Run a floor client within the block. It starts with its order on the book."""
    async with BenchmarkExchange() as exchange:
        started_s = time.perf_counter()
        words = (str(_FLOOR), manner, exchange.api_url, exchange.stream_url)
        process = MeasuredProcess(name, exchange, await processes.start_async([sys.executable, *words]), started_s)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await exchange.resting.wait()
                await exchange.subscribed.wait()
            yield process
        finally:
            await process.stop()


@contextlib.asynccontextmanager
async def daemon(
    folder: Path,
    name: str = "trailing-edge",
    extra: Mapping[str, str] | None = None,
    *,
    chasing: bool = True,
    program: Sequence[str] = ("-m", "trailingedge.main"),
) -> AsyncIterator[MeasuredDaemon]:
    """Run a daemon within the block: ready to trade and, if `chasing`, with an exit working. Files go to `folder`."""
    home = folder / name.replace(" ", "-")
    home.mkdir(parents=True)
    async with BenchmarkExchange() as exchange:
        process = await _start(home, name, exchange, extra or {}, program)
        try:
            await process.ready()
            if chasing:
                await process.flip()
            yield process
        finally:
            await process.stop()


async def _start(
    home: Path, name: str, exchange: BenchmarkExchange, extra: Mapping[str, str], program: Sequence[str]
) -> MeasuredDaemon:
    settings = exchange.settings(_private_key(home)) | {
        "LOG_DIR": str(home / "logs"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(_TREE),
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TELEGRAM_")}
    our_end, their_end = _keyboard()
    started_s = time.perf_counter()
    process = await processes.start_async(
        [sys.executable, *program, "--plain"],
        stdin=their_end,
        stdout=PIPE,
        stderr=STDOUT,
        cwd=home,
        env=environment | settings | dict(extra),
    )
    if our_end is not None:
        os.close(their_end)
    return MeasuredDaemon(name, exchange, process, started_s, our_end)


def _keyboard() -> tuple[int | None, int]:
    """Both ends of a pseudo-terminal: ours to type into, and the daemon's. Without terminals it has no keyboard."""
    try:
        return os.openpty()
    except (AttributeError, OSError):
        return None, DEVNULL


def _private_key(folder: Path) -> Path:
    """A new key file; the benchmark exchange accepts any key."""
    path = folder / "ed25519-priv.pem"
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.touch(mode=0o600)
    path.write_bytes(pem)
    return path

"""Recording benchmark: the time to read a session record, and what recording costs.

The record is that of a busy market: thousands of best prices and a request now and then. Reading means unpacking,
verifying the checksums and parsing the lines. What recording costs the event loop is the difference between a call with
and without it: handing over a frame, and a quiet tick of the trading core on a new price. What it costs the writer's
thread is the time to encode and to compress such a frame and such a tick.
"""

import asyncio
import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.benchmarks.measurements import table
from tests.benchmarks.tick_cost import TickRig

from trailingedge.auth.manager import KeyManager
from trailingedge.config import Endpoints, Settings, settings_without_secrets
from trailingedge.core.clock import RealClock
from trailingedge.core.errors import SessionLost
from trailingedge.eventlog.format import SUFFIX, LineEncoder, LineSink, RecordEntry
from trailingedge.eventlog.line_decoder import decode
from trailingedge.eventlog.reader import SessionRecord
from trailingedge.eventlog.recorded_core import RecordedCore
from trailingedge.eventlog.recorded_sockets import record_connections
from trailingedge.eventlog.recording_start import start_recording
from trailingedge.eventlog.writer import GzipPacker, MemoryRecord, RecordWriter, open_record_file
from trailingedge.execution.trading_core import TradingCore
from trailingedge.live.node_dependencies import Runtime
from trailingedge.model.market import BookTop
from trailingedge.websocket.socket_dialer import FrameHandler, Socket

READ_TITLE: Final = "record: {lines} lines of a recorded session, read again"
READ_HEAD: Final = ("", "lines/s", "MB/s unpacked", "bytes a line on disk")
COST_TITLE: Final = "record: what recording costs the loop"
COST_HEAD: Final = ("", "without us", "recorded us", "more us", "more by round")
WRITE_TITLE: Final = "record: what it costs the writer's thread"
WRITE_HEAD: Final = ("", "us each", "bytes each on disk")
_ASK_EVERY: Final = 50
_CALLS: Final = 10_000
_TICKS: Final = 2000
_PAUSE_S: Final = 1.0
_FRAME: Final = (
    '{{"stream":"ethfdusd@bookTicker","data":{{"u":{u},"s":"ETHFDUSD","b":"{b:.2f}000000","B":"{q}.00000000",'
    '"a":"{a:.2f}000000","A":"9.41560000"}}}}'
)
_REQUEST: Final = (
    '{{"id":{n},"method":"order.cancelReplace","params":{{"symbol":"ETHFDUSD","side":"SELL","price":"{p:.2f}",'
    '"timestamp":{t},"recvWindow":5000}}}}'
)


def synthetic_session(lines: int, chance: Random) -> Sequence[RecordEntry]:
    """Entries of about `lines` lines, as a recorder produces them."""
    entries: list[RecordEntry] = []
    at_us, bid = 0, 2500.0
    for number in range(lines):
        at_us += chance.randrange(200, 200_000)
        bid += chance.choice((-0.01, 0.0, 0.01))
        frame = _FRAME.format(u=number, b=bid, a=bid + 0.01, q=chance.randrange(1, 99)).encode()
        entries.append(("<", at_us * 1000, 1, (frame,)))
        if number % _ASK_EVERY == 0:
            entries.append(
                (">", at_us * 1000, 2, _REQUEST.format(n=number, p=bid, t=1_783_000_000_000 + at_us // 1000))
            )
    return entries


def read(path: Path) -> tuple[int, float]:
    """The number of lines in a record, and the seconds to read and decode them."""
    started_s = time.perf_counter()
    record = SessionRecord(path)
    for batch in record.batches():
        for line in batch:
            decode(line)
    took_s = time.perf_counter() - started_s
    if record.incomplete_reason is not None:
        raise ValueError(record.incomplete_reason)
    return record.lines_read, took_s


class _SilentSocket:
    """A socket that hands over frames when the benchmark says so."""

    on_frames: FrameHandler

    def send(self, text: str) -> None:
        """Send nothing."""

    async def receive(self, on_frames: FrameHandler) -> None:
        self.on_frames = on_frames

    async def close(self) -> None:
        """Close nothing."""


class PriceTicks:
    """Quiet ticks of a trading core that holds base, each on a new price."""

    def __init__(self, lines: LineSink | None = None) -> None:
        new_core = TradingCore if lines is None else partial(RecordedCore, lines, RealClock.now_ns)
        self._rig = TickRig(100, new_core)
        cents = [Decimal(n % 200) / 100 for n in range(_TICKS)]
        self._tops = [BookTop(2500 + each, Decimal("2502.01") + each, update_id=n) for n, each in enumerate(cents)]

    def timed(self) -> float:
        """The seconds of one tick, on average."""
        rig = self._rig
        gc.collect()
        started_s = time.perf_counter()
        for top in self._tops:
            rig._market_state.top = top
            rig.quiet_tick()
        return (time.perf_counter() - started_s) / len(self._tops)


class RecordingCosts:
    """Seconds per call, without and with a recorder that writes to `lines`."""

    def __init__(self, lines: LineSink) -> None:
        self._lines = lines
        self._frames = (_FRAME.format(u=1, b=2500.0, a=2500.01, q=5).encode(),)
        self._socket = _SilentSocket()
        self._ticks, self._recorded_ticks = PriceTicks(), PriceTicks(lines)

    async def open(self) -> None:
        """Set the frame handler of the recorded connection."""

        async def dial(_: str) -> Socket:
            return self._socket

        socket = await record_connections(dial, self._lines, RealClock.now_ns)("ws://nowhere")
        await socket.receive(self.hear)

    def hear(self, frames: Sequence[str | bytes]) -> None:
        """Do nothing: the daemon's own work is measured elsewhere."""

    def frame(self) -> tuple[float, float]:
        return _timed(lambda: self.hear(self._frames)), _timed(lambda: self._socket.on_frames(self._frames))

    def tick(self) -> tuple[float, float]:
        return self._ticks.timed(), self._recorded_ticks.timed()


def _timed(call: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    for _ in range(_CALLS):
        call()
    return (time.perf_counter() - started_s) / _CALLS


async def run(folder: Path, *, rounds: int, lines: int, chance: Random) -> str:
    """Run the measure and return its tables."""
    reading = await _reading(folder, rounds, lines, chance)
    return "\n\n".join((reading, await _cost(folder, rounds), _writing(rounds, chance)))


async def _reading(folder: Path, rounds: int, lines: int, chance: Random) -> str:
    memory_record = MemoryRecord()
    memory_record.entries.append(_header())
    memory_record.entries += synthetic_session(lines, chance)
    path = memory_record.save(folder / f"benchmark{SUFFIX}")
    encoder = LineEncoder()
    unpacked = sum(len(encoder.encode(entry)) for entry in memory_record.entries)
    took = [read(path) for _ in range(rounds)]
    count, seconds = took[0][0], statistics.median(seconds for _, seconds in took)
    rows = [
        (
            name,
            f"{count / taken_s:,.0f}",
            f"{unpacked / taken_s / 1e6:.0f}",
            f"{path.stat().st_size / count:.1f}",
        )
        for name, taken_s in (("median", seconds), ("slowest round", max(seconds for _, seconds in took)))
    ]
    return table(READ_TITLE.format(lines=f"{count:,}"), READ_HEAD, rows)


async def _cost(folder: Path, rounds: int) -> str:
    writer = RecordWriter(open_record_file(folder / f"costs{SUFFIX}", 1000, datetime.now(UTC), 0))
    writer.add(_header())
    recording_costs = RecordingCosts(writer)
    await recording_costs.open()
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for name, measure in (
            ("a frame handed over", recording_costs.frame),
            ("a tick on a new price", recording_costs.tick),
        ):
            found.setdefault(name, []).append(measure())
            await asyncio.sleep(_PAUSE_S)  # the writer thread empties its queue
    writer.close()
    return table(COST_TITLE, COST_HEAD, (_row(name, pairs) for name, pairs in found.items()))


def _header() -> RecordEntry:
    record = MemoryRecord()
    start_recording(settings_without_secrets(Settings()), _runtime(), record)
    head = record.entries[0]
    return head[0], head[1] | {"zero_ns": 0}


def _writing(rounds: int, chance: Random) -> str:
    """Measure what the writer's thread does for each frame and each tick."""
    record = MemoryRecord()
    PriceTicks(record).timed()
    ticks = [(kind, replace(view, now_s=view.now_s + 100.0), *more) for kind, view, *more in record.entries]
    frames = [entry for entry in synthetic_session(_TICKS, chance) if entry[0] == "<"]
    rows = []
    for name, entries in (("a frame", frames), ("a tick", ticks)):
        found: list[tuple[float, int]] = []
        for _ in range(rounds):
            packer = GzipPacker()
            packer.pack([_header()])
            started_s = time.process_time()
            size = sum(len(packer.pack(entries[at : at + 50])) for at in range(0, len(entries), 50))
            found.append(((time.process_time() - started_s) / len(entries), size))
        rows.append(
            (name, f"{statistics.median(each for each, _ in found) * 1e6:.1f}", f"{found[0][1] / len(entries):.1f}")
        )
    return table(WRITE_TITLE, WRITE_HEAD, rows)


def _row(name: str, pairs: Sequence[tuple[float, float]]) -> Sequence[str]:
    without, with_it = (statistics.median(pair[which] for pair in pairs) for which in (0, 1))
    more = sorted(after - before for before, after in pairs)
    return (
        name,
        f"{without * 1e6:.2f}",
        f"{with_it * 1e6:.2f}",
        f"{(with_it - without) * 1e6:.2f}",
        f"{more[0] * 1e6:.2f} - {more[-1] * 1e6:.2f}",
    )


def _runtime() -> Runtime:
    keys = KeyManager.from_private_key(Ed25519PrivateKey.from_private_bytes(bytes(32)), "benchmark")
    return Runtime(Endpoints("ws://nowhere", "ws://nowhere"), keys, _unreachable, RealClock(), Random(0))


async def _unreachable(url: str) -> Socket:
    raise SessionLost(f"nothing is served at {url}")

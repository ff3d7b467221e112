"""Recording benchmark: the time to read a session record, and what recording costs the event loop.

The record is that of a busy market: thousands of best prices and a request now and then. Reading means unpacking,
verifying the checksums and parsing the lines. The recorder's cost is the difference between a call with and without it:
handing over a frame, reading the monotonic clock, reading the wall clock.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.benchmarks.measurements import table

from trailingedge.auth.manager import KeyManager
from trailingedge.config import Endpoints, Settings, settings_without_secrets
from trailingedge.core.clock import RealClock
from trailingedge.core.errors import SessionLost
from trailingedge.eventlog.format import SUFFIX, FrameSink, RecordEntry, decode, encode
from trailingedge.eventlog.io_interface import BoundarySocket
from trailingedge.eventlog.reader import SessionRecord
from trailingedge.eventlog.recording_start import start_recording
from trailingedge.eventlog.writer import MemoryRecord, RecordWriter, open_record_file
from trailingedge.live.node_dependencies import Runtime
from trailingedge.websocket.socket_dialer import Socket

READ_TITLE: Final = "record: {lines} lines of a recorded session, read again"
READ_HEAD: Final = ("", "lines/s", "MB/s unpacked", "bytes a line on disk")
COST_TITLE: Final = "record: what recording costs the loop"
COST_HEAD: Final = ("", "without us", "recorded us", "more us", "more by round")
_ASK_EVERY: Final = 50
_CALLS: Final = 10_000
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
        entries.append(("<", at_us, 5, 1, (frame,)))
        if number % _ASK_EVERY == 0:
            entries.append((">", 2, _REQUEST.format(n=number, p=bid, t=1_783_000_000_000 + at_us // 1000)))
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


class RecordingCosts:
    """Seconds per call, without and with a recorder that writes to `lines`."""

    def __init__(self, lines: FrameSink) -> None:
        self._recorder = start_recording(settings_without_secrets(Settings()), _runtime(), lines, seed=0)
        self._frames = (_FRAME.format(u=1, b=2500.0, a=2500.01, q=5).encode(),)
        self._line = BoundarySocket(self._recorder, 1)
        self._listening = asyncio.create_task(self._line.receive(self.hear))

    def hear(self, frames: Sequence[str | bytes]) -> None:
        """Do nothing: the daemon's own work is measured elsewhere."""

    def frame(self) -> tuple[float, float]:
        return _timed(lambda: self.hear(self._frames)), _timed(
            lambda: self._recorder.record_and_deliver(self._line, self._frames)
        )

    def reading(self) -> tuple[float, float]:
        clock = RealClock()
        return _timed(clock.now_s), _timed(self._recorder.now_s)

    def wall(self) -> tuple[float, float]:
        clock = RealClock()
        return _timed(clock.unix_ms), _timed(self._recorder.unix_ms)

    async def end(self) -> None:
        self._listening.cancel()
        await asyncio.wait([self._listening])


def _timed(call: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    for _ in range(_CALLS):
        call()
    return (time.perf_counter() - started_s) / _CALLS


async def run(folder: Path, *, rounds: int, lines: int, chance: Random) -> str:
    """Run the measure and return its two tables."""
    return "\n\n".join((await _reading(folder, rounds, lines, chance), await _cost(folder, rounds)))


async def _reading(folder: Path, rounds: int, lines: int, chance: Random) -> str:
    memory_record = MemoryRecord()
    start_recording(settings_without_secrets(Settings()), _runtime(), memory_record, seed=0)
    memory_record.entries += synthetic_session(lines, chance)
    path = memory_record.save(folder / f"benchmark{SUFFIX}")
    unpacked = sum(len(encode(entry)) for entry in memory_record.entries)
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
    recording_costs = RecordingCosts(writer)
    await asyncio.sleep(0)  # the listening task starts
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for name, measure in (
            ("a frame handed over", recording_costs.frame),
            ("a reading of the clock", recording_costs.reading),
            ("a reading of the wall clock", recording_costs.wall),
        ):
            found.setdefault(name, []).append(measure())
            await asyncio.sleep(_PAUSE_S)  # the writer thread empties its queue
    await recording_costs.end()
    writer.close()
    return table(COST_TITLE, COST_HEAD, (_row(name, pairs) for name, pairs in found.items()))


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

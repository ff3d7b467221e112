"""Writer of session records: a thread that encodes, compresses and writes entries in batches.

Each entry costs the event loop only one `append`. If the disk is slow or full, lines are dropped and the record marks
the place (`["hole", count]`); a trading tick is never delayed. The compressed stream is flushed after each batch, so
a killed process loses only the last half second.
"""

import logging
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from trailingedge.core import private_files
from trailingedge.core.background_threads import BatchWriter
from trailingedge.core.loop_watch import SleepTest, unknown
from trailingedge.core.parted_file import OpenSink, PartedFile
from trailingedge.core.redaction import Redactor
from trailingedge.eventlog.format import (
    MAX_BATCH_BYTES,
    RECORD_FILES,
    FrameBatch,
    LineEncoder,
    RecordEntry,
    without_frames,
)

BATCH_EVERY_S: Final = 0.5
MOST_WAITING: Final = 20_000  # entries kept for a disk that is slow or full; later ones are counted and left out
# Bytes of frame batches that may wait to be packed; more are dropped and leave a hole. They are 7,000 prices a second,
# and what waited once stays in the memory of the process.
MOST_HEAVY: Final = 1 << 19
_HEAVY_BATCH: Final = 1 << 17
_BATCH: Final = 200  # entries; one damaged or cut-off entry costs its whole batch
# A third of the CPU time of zlib's default of 6. During a chase an order takes 510 bytes instead of 380.
_LEVEL: Final = 2
_GZIP: Final = 31  # zlib's window bits, with a gzip header
MEGABYTE: Final = 1_000_000

_logger = logging.getLogger(__name__)


def _weight(entry: RecordEntry) -> int:
    """Return the number of bytes in the entry's frame batch, or 0 if the entry has none."""
    return entry[3].size_bytes if entry[0] == "<" and isinstance(entry[3], FrameBatch) else 0


class GzipPacker:
    """Compresses batches of entries into one gzip stream.

    If the stream is cut, it can be decompressed up to the last whole batch.
    """

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        self._redactor = Redactor(secrets)
        self._stream = zlib.compressobj(_LEVEL, wbits=_GZIP)
        self._encoder = LineEncoder()

    def pack(self, entries: Sequence[RecordEntry], breathe: Callable[[], None] = lambda: None) -> bytes:
        """Return `entries` compressed. Calls `breathe` before each entry, so that the event loop can run.

        An entry larger than MAX_BATCH_BYTES is left out, because a reader would refuse it.
        """
        packed: list[bytes] = []
        written: list[bytes] = []
        size = 0
        for entry in entries:
            breathe()
            lines = self._redactor.redact_known(self._encoder.encode(entry))
            if len(lines) > MAX_BATCH_BYTES:
                lines = self._encoder.encode(without_frames(entry) if entry[0] == "<" else ("hole", 1))
            if size + len(lines) > MAX_BATCH_BYTES:
                packed.append(self._pack_batch(written))
                written, size = [], 0
            written.append(lines)
            size += len(lines)
        breathe()
        packed.append(self._pack_batch(written))
        return b"".join(packed)

    def _pack_batch(self, written: Sequence[bytes]) -> bytes:
        batch = b"".join(written)
        # A sync flush ends a deflate block on a byte boundary: what was written so far can be decompressed. It costs
        # a few bytes per batch, a fraction of what compressing single batches apart would cost.
        packed = self._stream.compress(batch + b'["sum",%d]\n' % zlib.crc32(batch))
        return packed + self._stream.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        """End the stream and return its last piece. The next `pack` starts a new stream."""
        last = self._stream.flush(zlib.Z_FINISH)
        self._stream = zlib.compressobj(_LEVEL, wbits=_GZIP)
        return last


def open_record_file(
    path: Path, max_mb: int, now: datetime, retention_days: int, open_file: OpenSink = private_files.create
) -> PartedFile:
    """Create the first file of a record.

    All records in its folder together take at most `max_mb` megabytes. Raises OSError.
    """
    return PartedFile(RECORD_FILES, path, max_mb * MEGABYTE, now, retention_days, open_file)


class RecordWriter(BatchWriter):
    """Writes the session record: a thread compresses and writes the entries of the event loop."""

    def __init__(self, shelf: PartedFile, secrets: Sequence[str] = (), loop_sleeps: SleepTest = unknown) -> None:
        super().__init__("record", BATCH_EVERY_S, shelf, loop_sleeps)
        self.path = shelf.path  # of the first part, by which the other commands know the record
        self._shelf = shelf
        self._packer = GzipPacker(secrets)
        self._waiting: deque[RecordEntry] = deque()
        self._left_out = 0
        # Bytes in frame batches that came in and went out. Each counter is added to by one thread alone, so that
        # neither needs a lock.
        self._heavy_in = self._heavy_out = 0
        self._between_parts = False
        self.start()

    def add(self, entry: RecordEntry) -> None:
        """Queue an entry. It is dropped while too many entries wait for the disk.

        Frames are dropped while they use too much memory.
        """
        waiting, weight = self._waiting, _weight(entry)
        if len(waiting) >= MOST_WAITING:
            self._left_out += 1
            return
        if self._left_out:
            self._add_hole()
        if weight and self._heavy_in - self._heavy_out + weight > MOST_HEAVY:
            entry, weight = without_frames(entry), 0
        self._heavy_in += weight
        waiting.append(entry)

    def close(self) -> None:
        """Write the queued entries. Gives up if the disk takes longer than the time limit of a shutdown."""
        if self._left_out:
            self._add_hole()
        super().close()

    def has_batch(self) -> bool:
        return bool(self._waiting)

    def next_batch(self) -> bytes:
        if self._shelf.is_full:
            self._begin_part()
        batch, weight = self._take_batch()
        packed = self._packer.pack(batch, self.yield_to_loop)
        self._heavy_out += weight  # once packed it is small, even while the disk does not accept it
        return packed

    def last_bytes(self) -> bytes:
        return self._packer.end()

    def on_trouble(self, trouble: OSError) -> None:
        _logger.warning("session cannot be recorded for now reason=%s", trouble)

    def _run(self) -> None:
        self._shelf.apply_retention()  # on the thread: a folder may hold many old records
        super()._run()

    def _add_hole(self) -> None:
        self._waiting.append(("hole", self._left_out))
        self._left_out = 0

    def _take_batch(self) -> tuple[list[RecordEntry], int]:
        """Take the next entries from the queue. Returns them and the bytes of their frames."""
        batch: list[RecordEntry] = []
        weight = 0
        while self._waiting and len(batch) < _BATCH and weight < _HEAVY_BATCH:
            entry = self._waiting.popleft()
            batch.append(entry)
            weight += _weight(entry)
        return batch, weight

    def _begin_part(self) -> None:
        """Complete the current file and open the next one. If this raises OSError, call it again later."""
        if not self._between_parts:
            self._between_parts = True
            self.put(self._packer.end())
        self._waiting.appendleft(("part", self._shelf.start_next_part()))
        self._shelf.apply_retention()
        self._between_parts = False


class MemoryRecord:
    """Keeps the entries of a session record in memory, without a thread: for simulations and tests."""

    def __init__(self) -> None:
        self.entries: list[RecordEntry] = []

    def add(self, entry: RecordEntry) -> None:
        """Keep the entry. A record in memory has no size limit, so no entry is dropped."""
        self.entries.append(entry)

    def save(self, path: Path, secrets: Sequence[str] = ()) -> Path:
        """Write the entries as a record file."""
        packer = GzipPacker(secrets)
        batches = range(0, len(self.entries), _BATCH)
        packed = [packer.pack(self.entries[at : at + _BATCH]) for at in batches]
        private_files.write_all(private_files.open_chosen(path), b"".join([*packed, packer.end()]))
        return path

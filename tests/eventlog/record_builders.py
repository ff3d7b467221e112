"""Builders of small session records."""

from collections.abc import Iterable
from pathlib import Path

from trailingedge.eventlog.decision_sums import DECISION_FIELDS
from trailingedge.eventlog.format import FORMAT, RECORD_VERSION, SUFFIX, LineEncoder, RecordEntry
from trailingedge.eventlog.writer import GzipPacker, MemoryRecord

NAME = f"trailingedge_2026-07-02_14-47-00{SUFFIX}"
ZERO_NS = 5_000_000_000
HEAD: dict[str, object] = {
    "format": FORMAT,
    "version": RECORD_VERSION,
    "program": "0.1.0",
    "python": "3.11.7",
    "settings": {},
    "fingerprint": "0123456789abcdef",
    "fields": DECISION_FIELDS,
    "endpoints": ["ws://memory/ws-api/v3", "ws://memory"],
    "zero_ns": ZERO_NS,
    "unix_ns": 1_783_000_000_000_000_000,
}


def frames(count: int) -> list[RecordEntry]:
    """`count` reads of one frame each, a nanosecond apart."""
    return [("<", ZERO_NS + n, 1, (b'{"u":%d}' % n,)) for n in range(count)]


def encoder() -> LineEncoder:
    """An encoder that has written the header."""
    made = LineEncoder()
    made.encode(("session", HEAD))
    return made


def lines(*entries: RecordEntry) -> list[bytes]:
    """The lines of these entries after the header, without line ends."""
    made = encoder()
    return b"".join(map(made.encode, entries)).splitlines()


def packed(batches: Iterable[list[RecordEntry]]) -> bytes:
    """The content of a record file with these batches."""
    packer = GzipPacker()
    return b"".join(packer.pack(batch) for batch in batches) + packer.end()


def written(path: Path, entries: list[RecordEntry]) -> Path:
    """A record file with a header and these entries."""
    notebook = MemoryRecord()
    notebook.entries += [("session", HEAD), *entries]
    return notebook.save(path)

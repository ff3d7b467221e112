"""Builders of small session records."""

from collections.abc import Iterable
from pathlib import Path

from trailingedge.eventlog.format import FORMAT, RECORD_VERSION, SUFFIX, RecordEntry
from trailingedge.eventlog.writer import GzipPacker, MemoryRecord

NAME = f"trailingedge_2026-07-02_14-47-00{SUFFIX}"
HEAD: dict[str, object] = {
    "format": FORMAT,
    "version": RECORD_VERSION,
    "program": "0.1.0",
    "python": "3.11.7",
    "settings": {},
    "fingerprint": "0123456789abcdef",
    "endpoints": ["ws://memory/ws-api/v3", "ws://memory"],
    "seed": 1,
    "zero_ns": 5_000_000_000,
    "unix_ns": 1_783_000_000_000_000_000,
    "checks_key": False,
    "saves_frames": False,
}


def frames(count: int) -> list[RecordEntry]:
    """`count` inputs, each one frame."""
    return [("<", 5_000_000_000 + n, n, 1, (b'{"u":%d}' % n,)) for n in range(count)]


def packed(batches: Iterable[list[RecordEntry]]) -> bytes:
    """The content of a record file with these batches."""
    packer = GzipPacker()
    return b"".join(packer.pack(batch) for batch in batches) + packer.end()


def written(path: Path, entries: list[RecordEntry]) -> Path:
    """A record file with a header and these entries."""
    notebook = MemoryRecord()
    notebook.entries += [("session", HEAD), *entries]
    return notebook.save(path)

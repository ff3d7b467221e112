"""A record read again: its lines in order, as far as they can be trusted.

What was cut off, by a kill or by a full disk, is missing at the end. What is damaged shows by the sums: a batch
that does not come to its own is not told at all, for a digit that is wrong is worse than one that is missing.
"""

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from trailingedge.core.errors import ConfigError
from trailingedge.eventlog.format import FORMAT, RECORD_VERSION
from trailingedge.eventlog.retention import list_parts

_CHUNK: Final = 1 << 14  # whoever looks on is told how far that is
_GZIP: Final = 31
_SUM_MARKER: Final = b'\n["sum",'


@dataclass(frozen=True, slots=True)
class RecordHeader:
    """The first line. `settings` are shown values, `zero_ns` and `unix_ns` the clocks at the beginning."""

    program: str
    python: str
    settings: dict[str, str]
    fingerprint: str
    endpoints: tuple[str, str]
    seed: int
    zero_ns: int
    unix_ns: int
    checks_key: bool
    saves_frames: bool


class SessionRecord:
    """The lines of one session, from `path` and the parts after it. Raises ConfigError where it cannot be one.

    `batches` yields what stands together in order; `trouble` says afterwards why that was not all, None where
    it was. `lines_read` counts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.incomplete_reason: str | None = None
        self.lines_read = 0
        self._total_bytes, self._bytes_read = 1, 0
        self._remaining_batches = self._read_parts()
        first = next(self._remaining_batches, [])
        self.header = _parse_header(path, first[0] if first else b"", self.incomplete_reason)
        self._first_batch = first[1:]

    @property
    def share_read(self) -> float:
        """How much of its files has been read, from 0 to 1."""
        return min(1.0, self._bytes_read / self._total_bytes)

    def batches(self) -> Iterator[list[bytes]]:
        """Lines without their ends; once."""
        yield self._first_batch
        yield from self._remaining_batches

    def _read_parts(self) -> Iterator[list[bytes]]:
        """All parts, one after the other, until one is missing or ends too early."""
        expected = 1
        parts = list_parts(self.path)
        self._total_bytes = max(1, sum(_file_size(path) for _, path in parts))
        for part, path in parts:
            if part != expected:
                self.incomplete_reason = _missing_parts(expected, part)
                return
            expected = part + 1
            for lines in self._read_file(path):
                self.lines_read += len(lines)
                yield lines[1:] if part > 1 and lines[0].startswith(b'["part",') else lines
            if self.incomplete_reason is not None:
                return

    def _read_file(self, path: Path) -> Iterator[list[bytes]]:
        rest = b""
        for piece in self._decompressed_chunks(path):
            rest += piece
            at = 0
            while (mark := rest.find(_SUM_MARKER, at)) >= 0 and (end := rest.find(b"\n", mark + 1)) >= 0:
                batch = rest[at : mark + 1]
                if rest[mark + len(_SUM_MARKER) : end - 1] != b"%d" % zlib.crc32(batch):
                    self.incomplete_reason = f"{path.name} is damaged after line {self.lines_read}"
                    return
                yield batch.splitlines()
                at = end + 1
            rest = rest[at:]
        if rest and self.incomplete_reason is None:
            self.incomplete_reason = f"{path.name} breaks off after line {self.lines_read}"

    def _decompressed_chunks(self, path: Path) -> Iterator[bytes]:
        """Pieces of the file's content, up to where it cannot be unpacked any more."""
        stream = zlib.decompressobj(_GZIP)
        begun = False
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    self._bytes_read += len(chunk)
                    while chunk:
                        begun = True
                        before = stream.copy()
                        try:
                            yield stream.decompress(chunk)
                        except zlib.error as error:
                            yield _decompress_until_error(before, chunk)
                            self.incomplete_reason = f"{path.name} is damaged after line {self.lines_read} ({error})"
                            return
                        chunk = stream.unused_data
                        if stream.eof:
                            stream, begun = zlib.decompressobj(_GZIP), False
        except OSError as error:
            self.incomplete_reason = f"{path}: {error.strerror}"
            return
        if begun and not stream.eof:
            self.incomplete_reason = f"{path.name} breaks off after line {self.lines_read}"


def _file_size(path: Path) -> int:
    """In bytes; 0 where it cannot be looked at, which whoever opens it will say."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _decompress_until_error(stream: Any, chunk: bytes) -> bytes:
    """What comes of `chunk` before the error in it."""
    found = b""
    step = len(chunk)
    at = 0
    while step:
        attempt = stream.copy()
        try:
            found += attempt.decompress(chunk[at : at + step])
        except zlib.error:
            step //= 2
        else:
            stream, at = attempt, at + step
    return found


def _missing_parts(expected: int, part: int) -> str:
    parts = f"part {expected} is" if part == expected + 1 else f"parts {expected} to {part - 1} are"
    return f"there is a hole in it: {parts} missing, for the record had grown larger than RECORD_MAX_MB"


def _parse_header(path: Path, line: bytes, trouble: str | None) -> RecordHeader:
    """Raises ConfigError with what the file is instead."""
    remedy = "name the first file of a recorded session"
    if trouble is not None and not line:
        raise ConfigError([f"{trouble if str(path) in trouble else f'{path}: {trouble}'}; {remedy}"])
    if not line:
        raise ConfigError([f"{path}: empty, nothing was recorded in it; {remedy}"])
    try:
        told = json.loads(line)
        kind, head = told[0], told[1]
    except (ValueError, LookupError, TypeError) as error:
        raise ConfigError([f"{path}: not a recorded session; {remedy}"]) from error
    if kind == "part":
        raise ConfigError([f"{path}: part {head} of a session; {remedy}, which has no part in its name"])
    if kind != "session" or not isinstance(head, dict) or head.get("format") != FORMAT:
        raise ConfigError([f"{path}: not a recorded session; {remedy}"])
    if head.get("version") != RECORD_VERSION:
        raise ConfigError([f"{path}: version {head.get('version')}, this program reads {RECORD_VERSION}"])
    try:
        return RecordHeader(
            program=head["program"],
            python=head["python"],
            settings=head["settings"],
            fingerprint=head["fingerprint"],
            endpoints=(head["endpoints"][0], head["endpoints"][1]),
            seed=head["seed"],
            zero_ns=head["zero_ns"],
            unix_ns=head["unix_ns"],
            checks_key=head["checks_key"],
            saves_frames=head["saves_frames"],
        )
    except (LookupError, TypeError) as error:
        raise ConfigError([f"{path}: its first line lacks something ({error})"]) from error

"""Reader of session records: yields the lines of all parts in order, up to the first gap or damage.

If the daemon was killed or the disk was full, the end is missing. Checksums reveal other damage: each batch of lines is
followed by its CRC, and reading stops before a batch that does not match, because wrong data is worse than none.

A record may come from another person, and a small file may decompress to a huge one. So a file is decompressed piece by
piece. It is refused if a batch is larger than `MAX_BATCH_BYTES`, or if its decompressed content is larger than 16 MB
plus a hundred times the size of the file.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from trailingedge import VERSION
from trailingedge.core import number_text
from trailingedge.core.bounded_files import TooLarge, check_ratio, megabytes
from trailingedge.core.errors import ConfigError
from trailingedge.core.foreign_json import parse
from trailingedge.core.printable import LONGEST_MESSAGE, printable
from trailingedge.eventlog.format import FORMAT, MAX_BATCH_BYTES, RECORD_FILES, RECORD_VERSION

_CHUNK: Final = 1 << 14  # bytes per read; small, because progress is reported between reads
_PIECE: Final = 1 << 20  # bytes unpacked at once
_GZIP: Final = 31  # zlib's window bits, with a gzip header
_SUM_MARKER: Final = b'\n["sum",'
_SUM_DIGITS: Final = 12  # of the checksum, and the end of its line


@dataclass(frozen=True, slots=True)
class RecordHeader:
    """The header, which is the first line of a session record.

    `settings` holds the settings as text, without secrets. `fields` has the names of a decision's fields, by type.
    `zero_ns` and `unix_ns` are the readings of the monotonic clock and of the wall clock at the start of the session.
    """

    program: str
    python: str
    settings: dict[str, str]
    fingerprint: str
    endpoints: tuple[str, str]
    fields: dict[str, tuple[str, ...]]
    zero_ns: int
    unix_ns: int


class SessionRecord:
    """Reads the lines of one session: from `path`, its first file, and from the later parts.

    Raises ConfigError if `path` is not a session record. `batches` yields the lines in the batches in which they were
    written. Afterwards `incomplete_reason` says why the record ended early; it is None if the record was read to its
    end. `lines_read` counts the lines read so far.
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
        """The share of the files that has been read, from 0 to 1."""
        return min(1.0, self._bytes_read / self._total_bytes)

    def batches(self) -> Iterator[list[bytes]]:
        """Yield the lines in batches, without line ends. Can be iterated only once."""
        yield self._first_batch
        yield from self._remaining_batches

    def _read_parts(self) -> Iterator[list[bytes]]:
        """Yield the batches of all parts in order, until a part is missing or ends early."""
        expected = 1
        parts = RECORD_FILES.parts_of(self.path)
        self._total_bytes = max(1, sum(_file_size(path) for _, path in parts))
        for part, path in parts:
            if part != expected:
                self.incomplete_reason = _missing_parts(expected, part)
                return
            # Retention deletes middle parts of a long session: what follows a gap cannot be replayed.
            expected = part + 1
            for lines in self._read_file(path):
                self.lines_read += len(lines)
                yield lines[1:] if part > 1 and lines[0].startswith(b'["part",') else lines
            if self.incomplete_reason is not None:
                return

    def _read_file(self, path: Path) -> Iterator[list[bytes]]:
        rest = bytearray()
        searched = 0  # bytes of `rest` that hold no mark
        for piece in self._decompressed_chunks(path):
            rest += piece
            at = 0
            while (mark := rest.find(_SUM_MARKER, max(at, searched))) >= 0 and (end := rest.find(b"\n", mark + 1)) >= 0:
                batch = bytes(rest[at : mark + 1])
                # gzip has a checksum of its own, but only at the end of the stream, which a killed writer never writes.
                if rest[mark + len(_SUM_MARKER) : end - 1] != b"%d" % zlib.crc32(batch):
                    self.incomplete_reason = f"{path.name} is damaged after line {self.lines_read}"
                    return
                yield batch.splitlines()
                at = searched = end + 1
            del rest[:at]
            if len(rest) > MAX_BATCH_BYTES + _PIECE:
                raise self._refusal(path, f"one batch of lines has more than {megabytes(MAX_BATCH_BYTES)}")
            searched = max(0, len(rest) - len(_SUM_MARKER) - _SUM_DIGITS)
        if rest and self.incomplete_reason is None:
            self.incomplete_reason = f"{path.name} breaks off after line {self.lines_read}"

    def _refusal(self, path: Path, why: str) -> ConfigError:
        """Return the error for a file that no daemon has written."""
        return ConfigError([f"{path}, after line {self.lines_read}: {why}; this program did not write it; delete it"])

    def _decompressed_chunks(self, path: Path) -> Iterator[bytes]:
        """Yield the decompressed content of a file in chunks, as far as it can be decompressed.

        A file may hold several gzip streams: a writer that is killed leaves its stream without an end, and a writer
        that continues the file begins another stream.
        """
        stream = zlib.decompressobj(_GZIP)
        begun = False
        packed_bytes = unpacked_bytes = 0
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    self._bytes_read += len(chunk)
                    packed_bytes += len(chunk)
                    piece = b""
                    while chunk or len(piece) == _PIECE:  # a full piece may have more behind it
                        begun = True
                        before = stream.copy()  # after an error the stream itself is of no use
                        try:
                            piece = stream.decompress(chunk, _PIECE)
                        except zlib.error as error:
                            yield _decompress_until_error(before, chunk)
                            self.incomplete_reason = f"{path.name} is damaged after line {self.lines_read} ({error})"
                            return
                        unpacked_bytes += len(piece)
                        check_ratio(unpacked_bytes, packed_bytes)
                        yield piece
                        # What did not fit into the piece, or the start of the next gzip stream if this one has ended.
                        chunk = stream.unused_data if stream.eof else stream.unconsumed_tail
                        if stream.eof:
                            stream, begun = zlib.decompressobj(_GZIP), False
        except TooLarge as error:
            raise self._refusal(path, str(error)) from error
        except OSError as error:
            self.incomplete_reason = f"{path}: {error.strerror}"
            return
        if begun and not stream.eof:
            self.incomplete_reason = f"{path.name} breaks off after line {self.lines_read}"


def _file_size(path: Path) -> int:
    """Return the size in bytes, or 0 if the file cannot be read."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _decompress_until_error(stream: Any, chunk: bytes) -> bytes:
    """Return the bytes that can be decompressed from `chunk` before the error in it.

    zlib returns nothing for input that contains an error. So this function decompresses the chunk
    in pieces, and halves the size of the piece at each error.
    """
    found = b""
    step = len(chunk)
    at = 0
    while step and len(found) < _PIECE:
        attempt = stream.copy()
        try:
            found += attempt.decompress(chunk[at : at + step], _PIECE)
        except zlib.error:
            step //= 2
        else:
            stream, at = attempt, at + step
    return found


def _missing_parts(expected: int, part: int) -> str:
    parts = f"part {expected} is" if part == expected + 1 else f"parts {expected} to {part - 1} are"
    return f"the record has a gap: {parts} missing, deleted because the record had grown larger than RECORD_MAX_MB"


def _parse_header(path: Path, line: bytes, incomplete_reason: str | None) -> RecordHeader:
    """Parse the header line. Raises ConfigError that says why the file is not a record."""
    remedy = "give the first file of a recorded session"
    if incomplete_reason is not None and not line:
        named = incomplete_reason if str(path) in incomplete_reason else f"{path}: {incomplete_reason}"
        raise ConfigError([f"{named}; {remedy}"])
    if not line:
        raise ConfigError([f"{path}: empty, nothing was recorded; {remedy}"])
    try:
        entry = parse(line)
        kind, head = entry[0], entry[1]
    except (ValueError, LookupError, TypeError) as error:
        raise ConfigError([f"{path}: not a recorded session; {remedy}"]) from error
    if kind == "part":
        part = printable(str(head), LONGEST_MESSAGE)
        raise ConfigError([f"{path}: this is part {part} of a session; {remedy}, whose name has no part number"])
    if kind != "session" or not isinstance(head, dict) or head.get("format") != FORMAT:
        raise ConfigError([f"{path}: not a recorded session; {remedy}"])
    if head.get("version") != RECORD_VERSION:
        raise ConfigError([f"{path}: {_other_format(head)}"])
    try:
        return RecordHeader(
            program=printable(_text(head["program"]), LONGEST_MESSAGE),
            python=printable(_text(head["python"]), LONGEST_MESSAGE),
            settings={_text(name): _text(value) for name, value in head["settings"].items()},
            fingerprint=_text(head["fingerprint"]),
            endpoints=(_text(head["endpoints"][0]), _text(head["endpoints"][1])),
            fields={_text(name): tuple(map(_text, names)) for name, names in head["fields"].items()},
            zero_ns=number_text.integer(head["zero_ns"]),
            unix_ns=_unix_ns(head["unix_ns"]),
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError([f"{path}, line 1: incomplete or damaged ({error}); {remedy}"]) from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"not a text: {number_text.shown(value)}")
    return value


def _other_format(head: dict[str, Any]) -> str:
    """Return a text that says which version of the program can read this record, and what to do."""
    theirs = printable(str(head.get("version")), LONGEST_MESSAGE)
    program = head.get("program")
    writer = (
        f"version {printable(program, LONGEST_MESSAGE)}" if isinstance(program, str) and program else "another version"
    )
    return (
        f"record format {theirs}, which {writer} of this program wrote; version {VERSION} reads format "
        f"{RECORD_VERSION}; install the other version in another folder, and use it for this file"
    )


def _unix_ns(value: object) -> int:
    nanoseconds = number_text.integer(value)
    number_text.time_ms(nanoseconds // 1_000_000)
    return nanoseconds

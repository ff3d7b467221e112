"""Golden sessions with some of their lines left out or changed."""

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

from tests.session_replay.golden_sessions import path_of

Change = Callable[[bytes], bytes | None]


def lines_of(path: Path) -> list[bytes]:
    """The lines of a record without the checksums."""
    with gzip.open(path) as file:
        return [line for line in file.read().splitlines() if not line.startswith(b'["sum",')]


def changed(tmp_path: Path, change: Change, source: str = "storm") -> Path:
    """A golden session with lines changed, or left out for None, and packed again with correct checksums."""
    path = tmp_path / path_of(source).name
    kept = [line for line in map(change, lines_of(path_of(source))) if line is not None]
    text = b"".join(line + b"\n" for line in kept)
    stream = zlib.compressobj(wbits=31)
    path.write_bytes(stream.compress(text + b'["sum",%d]\n' % zlib.crc32(text)) + stream.flush())
    return path


def without(*beginnings: bytes) -> Change:
    """Return a change that leaves out the lines that begin so."""
    return lambda line: None if line.startswith(beginnings) else line

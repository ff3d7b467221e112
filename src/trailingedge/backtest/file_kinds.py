"""File kinds: recognises market files, recorded sessions and saved reports by their content, for each command.

A user can easily give one of these files to the wrong command. This module only finds out the kind of a file and names
the command for it. Errors inside a file of the right kind are reported by the reader of that kind.
"""

import os
import shlex
import zlib
from collections.abc import Iterable, Sequence
from enum import Enum
from pathlib import Path
from typing import Final

from trailingedge.core.errors import ConfigError, UsageError
from trailingedge.eventlog.format import SUFFIX as SESSION_SUFFIX
from trailingedge.report.file_format import FORMAT
from trailingedge.report.file_format import SUFFIX as REPORT_SUFFIX
from trailingedge.simulator.feeds.csv_files import CsvFile

_PEEK_BYTES: Final = 1 << 12
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"


class FileKind(Enum):
    """The kinds of files. Each value is the phrase for this kind in messages."""

    REPORT = "a saved report"
    SESSION = "a recorded session"
    MARKET = "a market file"
    FOLDER = "a folder"
    OTHER = "neither a market file nor a recorded session nor a saved report"


_BEGINNINGS: Final = (
    (f'{{"format":"{FORMAT}"'.encode(), FileKind.REPORT),
    (b'["session",', FileKind.SESSION),
    (b'["part",', FileKind.SESSION),
)


def detect_kind(path: Path) -> FileKind:
    """Return the kind of a file by its content, else by its name.

    The name decides if the content does not show the kind, because the file is damaged, empty or missing.
    """
    if os.path.isdir(path):  # never raises, unlike Path.is_dir
        return FileKind.FOLDER
    beginning = _first_bytes(path)
    if beginning.startswith(_ZIP):  # Binance publishes market files as ZIP; nothing of ours is one
        return FileKind.MARKET
    text = _decompressed(beginning)
    for start, kind in _BEGINNINGS:
        if text.startswith(start):
            return kind
    if path.name.endswith(SESSION_SUFFIX):
        return FileKind.SESSION
    if path.name.endswith(REPORT_SUFFIX):
        return FileKind.REPORT
    unread = not beginning and path.suffix.lower() == ".csv"  # empty or missing
    if unread or path.suffix.lower() == ".zip" or _has_market_rows(path, beginning):
        return FileKind.MARKET
    return FileKind.OTHER


def require_session(paths: Sequence[Path]) -> Path:
    """Return the recorded session to replay.

    Raises ConfigError unless `paths` is exactly one file that may be a session. The error names the command for such
    files. A file of unknown kind is accepted here: the reader of sessions reports what is wrong in it.
    """
    kinds = {path: detect_kind(path) for path in paths}
    if markets := [path for path, kind in kinds.items() if kind is FileKind.MARKET]:
        first = _word(markets[0])
        named, use = f"{markets[0]}: a market file, not a recorded session", f"use trailing-edge backtest {first}"
        if len(markets) > 1:
            named = f"{markets[0]} and {len(markets) - 1} more: market files, not recorded sessions"
            use += " …"
        raise ConfigError([f"{named}; {use}"])
    if len(paths) > 1:
        raise UsageError([f"{len(paths)} files; replay one recorded session at a time"])
    (path,) = paths
    if kinds[path] is FileKind.REPORT:
        raise ConfigError(
            [f"{path}: a saved report, not a recorded session; print it with trailing-edge report {_word(path)}"]
        )
    if kinds[path] is FileKind.FOLDER:
        raise ConfigError([f"{path}: a folder; name a recorded session (*{SESSION_SUFFIX}) in it"])
    return path


def require_market_files(paths: Iterable[Path]) -> None:
    """Raise ConfigError if any file belongs to another command; the error names each such file and its command.

    A file of unknown kind is accepted here: the market reader reports what is wrong in it.
    """
    errors = []
    for path in paths:
        match detect_kind(path):
            case FileKind.REPORT:
                errors.append(
                    f"{path}: a saved report, not a market file; print it with trailing-edge report {_word(path)}"
                )
            case FileKind.SESSION:
                errors.append(f"{path}: a recorded session, not a market file; use trailing-edge replay {_word(path)}")
            case FileKind.OTHER if _first_bytes(path).startswith(_GZIP):
                errors.append(f"{path}: {FileKind.OTHER.value}; unpack it if it contains klines or trades")
    if errors:
        raise ConfigError(errors)


def _word(path: Path) -> str:
    """Return a path quoted for a shell command."""
    name = str(path)
    return shlex.quote(f"./{name}" if name.startswith("-") else name)


def report_source_kind(path: Path) -> FileKind:
    """Return whether the file given to `trailing-edge report` is a REPORT or a SESSION.

    Raises ConfigError for a file of another kind, and says what to do instead.
    """
    kind = detect_kind(path)
    if kind is FileKind.MARKET and os.path.exists(path):
        raise ConfigError([f"{path}: a market file, without trades of ours; use trailing-edge backtest {_word(path)}"])
    if kind is FileKind.FOLDER:
        raise ConfigError([f"{path}: a folder; name a recorded session (*{SESSION_SUFFIX}) or a saved report in it"])
    if kind is FileKind.OTHER and os.path.exists(path):
        what = "empty" if not path.stat().st_size else "neither a recorded session nor a saved report"
        raise ConfigError([f"{path}: {what}; name a *{SESSION_SUFFIX} in LOG_DIR, or what backtest --save wrote"])
    return FileKind.SESSION if kind is FileKind.SESSION else FileKind.REPORT


def _first_bytes(path: Path) -> bytes:
    """Return a file's first bytes, or b"" if the file cannot be read.

    A pipe is not opened, because it can be read only once.
    """
    try:
        if not os.path.isfile(path):
            return b""
        with path.open("rb") as file:
            return file.read(_PEEK_BYTES)
    except OSError:
        return b""


def _decompressed(beginning: bytes) -> bytes:
    """The content of `beginning` if it is gzip, else `beginning` itself."""
    if not beginning.startswith(_GZIP):
        return beginning
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(beginning, _PEEK_BYTES)
    except zlib.error:
        return b""


def _has_market_rows(path: Path, beginning: bytes) -> bool:
    """Return whether the file's rows have one of the CSV layouts of market data."""
    if not beginning or b"\0" in beginning:
        return False
    try:
        CsvFile(path).detect_schema()
    except ConfigError:
        return False
    return True

"""What a file is, by what is in it rather than by its name, and which command it is for.

Markets, recorded sessions and saved stories are all given as files, and easily to the wrong command. Whatever is
wrong inside one that is of the right kind is told by whoever reads it.
"""

import os
import zlib
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Final

from trailingedge.core.errors import ConfigError
from trailingedge.eventlog.retention import SUFFIX as SESSION_SUFFIX
from trailingedge.report.file_format import FORMAT
from trailingedge.report.file_format import SUFFIX as REPORT_SUFFIX
from trailingedge.simulator.feeds.csv_files import CsvFile

_PEEK_BYTES: Final = 1 << 12
_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"


class FileKind(Enum):
    """What files can be."""

    REPORT = "a saved story"
    SESSION = "a recorded session"
    MARKET = "a market file"
    FOLDER = "a folder"
    OTHER = "neither a market file nor a recorded session nor a saved story"


_BEGINNINGS: Final = (
    (f'{{"format":"{FORMAT}"'.encode(), FileKind.REPORT),
    (b'["session",', FileKind.SESSION),
    (b'["part",', FileKind.SESSION),
)


def detect_kind(path: Path) -> FileKind:
    """What it is; by its name where nothing in it tells, as in one that is damaged, empty or not there."""
    if os.path.isdir(path):  # never raises, unlike Path.is_dir
        return FileKind.FOLDER
    beginning = _first_bytes(path)
    if beginning.startswith(_ZIP):
        return FileKind.MARKET
    text = _decompressed(beginning)
    for told, kind in _BEGINNINGS:
        if text.startswith(told):
            return kind
    if path.name.endswith(SESSION_SUFFIX):
        return FileKind.SESSION
    if path.name.endswith(REPORT_SUFFIX):
        return FileKind.REPORT
    unread = not beginning and path.suffix.lower() == ".csv"  # empty, or not there
    if unread or path.suffix.lower() == ".zip" or _has_market_rows(path, beginning):
        return FileKind.MARKET
    return FileKind.OTHER


def is_session(path: Path) -> bool:
    """It is a recorded session, or was to be one."""
    return detect_kind(path) is FileKind.SESSION


def require_market_files(paths: Iterable[Path]) -> None:
    """Raises ConfigError that names each file that belongs to another command, and the command.

    What is none of anybody's is left to whoever reads markets, who says what is odd in it.
    """
    wrong = []
    for path in paths:
        match detect_kind(path):
            case FileKind.REPORT:
                wrong.append(f"{path}: a saved story, not a market file; tell it with trailing-edge report {path}")
            case FileKind.SESSION:
                wrong.append(f"{path}: a recorded session, not a market file; use trailing-edge replay {path}")
            case FileKind.OTHER if _first_bytes(path).startswith(_GZIP):
                wrong.append(f"{path}: {FileKind.OTHER.value}; unpack it, if there are candles or trades in it")
    if wrong:
        raise ConfigError(wrong)


def report_source_kind(path: Path) -> FileKind:
    """Whether it is a story or a session. Raises ConfigError for anything else, with what to do about it."""
    kind = detect_kind(path)
    if kind is FileKind.MARKET and os.path.exists(path):
        raise ConfigError([f"{path}: a market file, in which nobody has traded yet; use trailing-edge replay {path}"])
    if kind is FileKind.FOLDER:
        raise ConfigError([f"{path}: a folder; name a recorded session (*{SESSION_SUFFIX}) or a saved story in it"])
    if kind is FileKind.OTHER and os.path.exists(path):
        what = "empty" if not path.stat().st_size else "neither a recorded session nor a saved story"
        raise ConfigError([f"{path}: {what}; name a *{SESSION_SUFFIX} of LOG_DIR, or what replay --save has written"])
    return FileKind.SESSION if kind is FileKind.SESSION else FileKind.REPORT


def _first_bytes(path: Path) -> bytes:
    """Its first bytes, none where it cannot be read; a pipe can be read only once, and not by us."""
    try:
        if not os.path.isfile(path):
            return b""
        with path.open("rb") as file:
            return file.read(_PEEK_BYTES)
    except OSError:
        return b""


def _decompressed(beginning: bytes) -> bytes:
    """Of gzip, what is packed in it."""
    if not beginning.startswith(_GZIP):
        return beginning
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(beginning, _PEEK_BYTES)
    except zlib.error:
        return b""


def _has_market_rows(path: Path, beginning: bytes) -> bool:
    """By its rows."""
    if not beginning or b"\0" in beginning:
        return False
    try:
        CsvFile(path).detect_schema()
    except ConfigError:
        return False
    return True

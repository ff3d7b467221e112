"""Verified files: a market file is used only if its SHA-256 sum is stored beside it and matches the content.

Theory of operation. A transfer writes to `NAME.part`. When the whole file is on the disk and its sum is the expected
one, the sum is written to `NAME.CHECKSUM` and the part is renamed to `NAME`. So after an interruption at any moment
there is the old file, the new file, or a part with which the next run continues. The part is locked while it is
written: two runs that fetch the same file cannot write to the same part.
"""

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from trailingedge.core import private_files
from trailingedge.core.errors import TrailingEdgeError

CHECKSUM_SUFFIX: Final = ".CHECKSUM"
_PART_SUFFIX: Final = ".part"
_SUM_LINE: Final = re.compile(rb"([0-9a-f]{64}) [ *]([^\r\n/\\]{1,200})\r?\n?")
_MOST_SUM_BYTES: Final = 4096
# There an open file cannot be renamed or replaced, so the second of two runs fails by itself.
_ON_WINDOWS: Final = os.name == "nt"


class FileInUse(TrailingEdgeError):
    """Raised if another run is writing the same file."""


def read_sum(line: bytes, name: str) -> str | None:
    """Return the checksum in the text of a checksum file. None if the text has another format or names another file."""
    found = _SUM_LINE.fullmatch(line)
    return found[1].decode() if found is not None and found[2] == name.encode() else None


def sum_path(path: Path) -> Path:
    """Return the path of the checksum file of `path`."""
    return path.with_name(path.name + CHECKSUM_SUFFIX)


def stored_sum(path: Path) -> str | None:
    """Return the sum in the checksum file of `path`; None if there is no readable checksum file."""
    try:
        with sum_path(path).open("rb") as file:
            return read_sum(file.read(_MOST_SUM_BYTES), path.name)
    except OSError:
        return None


def is_verified(path: Path) -> bool:
    """Return whether the file exists and its SHA-256 sum equals the one in its checksum file."""
    expected = stored_sum(path)
    return expected is not None and has_sum(path, expected)


def has_sum(path: Path, expected: str) -> bool:
    """Return whether the file is there and has this sum."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == expected
    except OSError:
        return False


def write_sum(path: Path, digest: str) -> None:
    """Write the checksum file of `path`, as `sha256sum` does. Raises OSError."""
    private_files.replace(sum_path(path), f"{digest}  {path.name}\n".encode())


class PartFile:
    """A file that is being written. Until it is complete, it has a temporary name."""

    def __init__(self, path: Path, part: Path, file: BinaryIO) -> None:
        self._path = path
        self._part = part
        self._file = file

    @property
    def size(self) -> int:
        """The number of bytes written so far."""
        return os.fstat(self._file.fileno()).st_size

    def append(self, content: bytes) -> None:
        """Write more at the end. Raises OSError."""
        view = memoryview(content)
        while view:
            view = view[self._file.write(view) :]

    def restart(self) -> None:
        """Delete the bytes written so far. Raises OSError."""
        self._file.truncate(0)

    def publish(self, expected: str | None) -> bool:
        """Give the file its final name if its checksum is `expected`; None accepts every checksum. Raises OSError.

        If the checksum is different, returns False and changes nothing.
        """
        os.fsync(self._file.fileno())
        with self._part.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
        if expected is not None and digest != expected:
            return False
        write_sum(self._path, digest)
        if _ON_WINDOWS:
            self._file.close()
        os.replace(self._part, self._path)
        _sync_folder(self._path.parent)
        return True


@contextlib.contextmanager
def open_part(path: Path) -> Iterator[PartFile]:
    """Open the part of `path`, which may contain bytes from an earlier run.

    If the part is empty at the end, it is removed. Raises FileInUse if another run is writing it, and OSError.
    """
    part = path.with_name(path.name + _PART_SUFFIX)
    file = private_files.open_chosen(part, append=True)
    try:
        _lock(file, part)
        yield PartFile(path, part, file)
        if not file.closed and os.fstat(file.fileno()).st_size == 0:
            part.unlink(missing_ok=True)
    finally:
        file.close()


def _lock(file: BinaryIO, part: Path) -> None:
    if _ON_WINDOWS:
        return
    import fcntl  # Windows has none

    used = FileInUse(f"{part}: another run is writing this file; wait for its end, and run the command again")
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise used from error
    # Between our `open` and our lock, the other run may have finished and given the part its name.
    if not part.exists() or not os.path.samestat(os.fstat(file.fileno()), part.stat()):
        raise used


def _sync_folder(folder: Path) -> None:
    """Make sure that a rename in `folder` survives a power failure, if the system supports that."""
    if _ON_WINDOWS:
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Parted file: a session's log or record, written to one or more files (parts).

A new part begins when the current one has grown to a quarter of the size limit. The limit holds for all logs, or all
records, in the folder together. To keep it, old sessions and middle parts are deleted; the first part and the newest
parts stay.
"""

import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from trailingedge.core import private_files
from trailingedge.core.background_threads import Sink
from trailingedge.core.session_files import SessionFiles

_PARTS: Final = 4  # of a session that fills all the room
_MOST_TAKEN_NAMES: Final = 100

OpenSink = Callable[[Path], Sink]


class PartedFile:
    """Writes one log or record, part after part. Deletes old files among those that `files` describes.

    `first` is the path of part 1. All these files together have at most `max_bytes`. Sessions that started more than
    `retention_days` before `now` are deleted; 0 keeps all. Raises OSError if the first file cannot be made.
    """

    def __init__(
        self,
        files: SessionFiles,
        first: Path,
        max_bytes: int,
        now: datetime,
        retention_days: int,
        open_file: OpenSink = private_files.create,
    ) -> None:
        self.path = first  # of the current part
        self._files = files
        self._first = first
        self._max_bytes = max_bytes
        self._cutoff = now - timedelta(days=retention_days) if retention_days else None
        self._open_file = open_file
        self._part = 1
        private_files.make_folder(first.parent)
        self._sink = self._open_file(first)
        self._written = 0

    @property
    def is_full(self) -> bool:
        """Whether the current file has reached the maximum size of a part."""
        return self._written >= self._max_bytes // _PARTS

    def write(self, data: bytes, /) -> int | None:
        """Append to the current file."""
        taken = self._sink.write(data)
        self._written += taken or 0
        return taken

    def close(self) -> None:
        """Close the current file."""
        self._sink.close()

    def apply_retention(self) -> list[Path]:
        """Delete files that are too old, then files until the total size is within the limit.

        Returns the files that were deleted for the size.
        """
        with contextlib.suppress(OSError):
            folder = self._first.parent
            if self._cutoff is not None:
                self._files.delete_older(folder, self._cutoff)
            return self._files.limit_total_size(folder, self._max_bytes - self._max_bytes // _PARTS, self.path)
        return []

    def start_next_part(self) -> int:
        """Open the next file and return its number. Raises OSError; the current file stays in use then."""
        part, path, sink = self._open_next()
        with contextlib.suppress(OSError):
            self._sink.close()
        self._part, self.path, self._sink, self._written = part, path, sink, 0
        return part

    def _open_next(self) -> tuple[int, Path, Sink]:
        """Open the next part. Part numbers whose file name is already taken are skipped: that file is not ours."""
        part = self._part + 1
        while True:
            path = self._files.part_path(self._first, part)
            try:
                return part, path, self._open_file(path)
            except FileExistsError:
                if part > self._part + _MOST_TAKEN_NAMES:
                    raise
                part += 1

"""Session log: the file of one session and `latest.log`, written in batches by a thread, within a limit of size.

The event loop only appends a text to a list. If the disk is slow or full, log lines are lost, but no tick is delayed. A
log that grows to a quarter of LOG_MAX_MB is continued in a new part, and the oldest logs are deleted; the log says
both.
"""

import contextlib
import logging
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from trailingedge.core import private_files
from trailingedge.core.background_threads import BatchWriter, Sink
from trailingedge.core.errors import ConfigError
from trailingedge.core.parted_file import OpenSink, PartedFile
from trailingedge.core.redaction import Redactor
from trailingedge.core.session_files import SessionFiles

LATEST: Final = "latest.log"
LOG_FILES: Final = SessionFiles(".log")
MEGABYTE: Final = 1_000_000
BATCH_EVERY_S: Final = 0.25
# Lines and characters kept for a disk that is slow or full; later lines are counted and left out.
MOST_WAITING: Final = 20_000
MOST_WAITING_CHARACTERS: Final = 20_000_000
LONGEST_RECORD: Final = 10_000  # characters of one log record, a traceback included; a frame may have 16 MB
# A secret that begins before the cut is struck out whole if it ends within so many characters.
_BEYOND_CUT: Final = 5_000
_BATCH: Final = 500  # lines between two looks at the disk
_TAKEN_SECONDS: Final = 1000

_logger = logging.getLogger(__name__)

Link = Callable[[Path, Path], None]


def utc(unix_s: float) -> datetime:
    """Return a time of the wall clock as a date in UTC."""
    return datetime.fromtimestamp(unix_s, UTC)


def shortened(text: str) -> str:
    """Return `text`, cut to the length of a log record plus a margin: a secret at the cut is then still found."""
    return text if len(text) <= LONGEST_RECORD + _BEYOND_CUT else text[: LONGEST_RECORD + _BEYOND_CUT]


def cut_to_record(text: str) -> str:
    """Return `text` cut to the length of a log record. Use `shortened` and a redactor before."""
    if len(text) <= LONGEST_RECORD:
        return text
    return f"{text[:LONGEST_RECORD]}… (cut off: a record has at most {LONGEST_RECORD} characters)"


def link(new: Path, target: Path) -> None:
    """Make `new` a symbolic link to `target`, or a hard link if that fails. Raises OSError.

    Windows lets few users make symbolic links.
    """
    try:
        new.symlink_to(target.name)
    except OSError:
        new.hardlink_to(target)


class _LogFile:
    """The parts of a session log, and `latest.log`, which shows the newest part by a link, or by a copy."""

    def __init__(self, parts: PartedFile, link_to: Link) -> None:
        self._parts = parts
        self._link = link_to
        self._copy: Sink | None = None
        self._show_latest()

    @property
    def is_full(self) -> bool:
        """Whether the current part has reached its maximum size."""
        return self._parts.is_full

    @property
    def path(self) -> Path:
        """The path of the current part."""
        return self._parts.path

    def write(self, data: bytes, /) -> int | None:
        """Append to the current part, and to the copy if there is one."""
        taken = self._parts.write(data) or 0
        if self._copy is not None:
            with contextlib.suppress(OSError):  # the copy is a convenience: the session log itself is complete
                self._copy.write(data[:taken])
        return taken

    def close(self) -> None:
        """Close the current part, and the copy `latest.log` if there is one."""
        for file in filter(None, (self._parts, self._copy)):
            with contextlib.suppress(OSError):
                file.close()

    def start_next_part(self) -> int:
        """Continue in a new file and return the number of this part. Raises OSError."""
        number = self._parts.start_next_part()
        self._show_latest()
        return number

    def apply_retention(self) -> list[Path]:
        """Delete logs that are too old or too large. Returns those deleted for the size."""
        return self._parts.apply_retention()

    def _show_latest(self) -> None:
        """Let `latest.log` show the current part. If it can be neither a link nor a copy, it is left out."""
        latest = self.path.with_name(LATEST)
        if self._copy is not None:
            with contextlib.suppress(OSError):
                self._copy.close()
        self._copy = None
        with contextlib.suppress(OSError):
            latest.unlink(missing_ok=True)
            try:
                self._link(latest, self.path)
            except OSError:
                self._copy = private_files.create(latest)


class _LogWriter(BatchWriter):
    """Writes the session log to disk. If the queue is full, new records are dropped; the log shows how many."""

    def __init__(self, file: _LogFile, redactor: Redactor, deleted: Sequence[Path]) -> None:
        super().__init__("log", BATCH_EVERY_S, file)
        self._file = file
        self._redactor = redactor
        self._waiting: deque[tuple[float, str]] = deque()
        # Characters that came in and went out: each counter has one writer, so that neither needs a lock.
        self._came_in = self._went_out = 0
        self._left_out = 0
        self._notes = _deletion_notes(deleted)
        self.start()

    def add(self, unix_s: float, text: str, *, urgent: bool) -> None:
        """Queue a record and return at once. May be called from any thread."""
        kept = shortened(text)
        if len(self._waiting) >= MOST_WAITING or self._came_in - self._went_out + len(kept) > MOST_WAITING_CHARACTERS:
            self._left_out += 1
            return
        self._came_in += len(kept)
        self._waiting.append((unix_s, kept))
        if urgent:
            self.wake()

    def has_batch(self) -> bool:
        return bool(self._waiting or self._left_out or self._notes)

    def next_batch(self) -> bytes:
        if self._file.is_full:
            self._start_next_part()
        lines, self._notes = self._notes, []
        for _ in range(min(len(self._waiting), _BATCH)):
            self.yield_to_loop()
            unix_s, text = self._waiting.popleft()
            self._went_out += len(text)
            text = cut_to_record(self._redactor.redact(text))
            lines.append(f"{utc(unix_s):%Y-%m-%d %H:%M:%S.%f}"[:-3] + f" {text}\n")
        if self._left_out and not self._waiting:
            left_out, self._left_out = self._left_out, 0
            lines.append(f"{left_out} records are missing here: the disk was too slow\n")
        return "".join(lines).encode(errors="replace")

    def on_trouble(self, trouble: OSError) -> None:
        # The terminal shows it now, the file once the disk takes it.
        _logger.warning("session log cannot be written, trying again reason=%s", trouble)

    def _start_next_part(self) -> None:
        """Continue in a new file, whose first lines give the reason. If this raises OSError, call it again later."""
        before = self._file.path.name
        number = self._file.start_next_part()
        self._notes.append(f"part {number} of this log: {before} had reached a quarter of LOG_MAX_MB\n")
        self._notes += _deletion_notes(self._file.apply_retention())


def _deletion_notes(deleted: Sequence[Path]) -> list[str]:
    """Return the log line that names the deleted logs, or an empty list if none was deleted."""
    if not deleted:
        return []
    names = ", ".join(path.name for path in deleted[:10]) + (" …" if len(deleted) > 10 else "")
    return [f"{len(deleted)} older log files deleted, because all logs together exceed LOG_MAX_MB: {names}\n"]


class SessionLog:
    """The log of one session: a new file in `log_dir`, named by `now`. Raises ConfigError if it cannot be made.

    Logs that are more than `retention_days` older are deleted; 0 keeps all. All logs together keep
    to `max_mb` megabytes. `link_to(new, target)` makes latest.log and may raise OSError. The file
    that `open_file` returns may raise OSError at any time: the lines are then written later.
    """

    def __init__(
        self,
        log_dir: Path,
        now: datetime,
        redactor: Redactor,
        *,
        max_mb: int,
        retention_days: int,
        link_to: Link = link,
        open_file: OpenSink = private_files.create,
    ) -> None:
        try:
            parts = _open_free(log_dir, now, max_mb * MEGABYTE, retention_days, open_file)
        except OSError as error:
            raise ConfigError([_problem(log_dir, error)]) from error
        self.path = parts.path
        file = _LogFile(parts, link_to)
        self._writer = _LogWriter(file, redactor, file.apply_retention())

    def add(self, unix_s: float, text: str, *, urgent: bool) -> None:
        """Queue a record and return at once; an urgent record is written without waiting for more."""
        self._writer.add(unix_s, text, urgent=urgent)

    def close(self) -> None:
        """Write the waiting lines and close the file."""
        self._writer.close()


def folder_problems(log_dir: Path) -> list[str]:
    """Return why no session log can be made in `log_dir`: one problem or none. Leaves no file and no folder behind."""
    try:
        with private_files.restored(log_dir):
            private_files.make_folder(log_dir)
            with tempfile.TemporaryFile(dir=log_dir):
                return []
    except OSError as error:
        return [_problem(log_dir, error)]


def _problem(log_dir: Path, error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"LOG_DIR is {log_dir}: no log can be written there ({reason}); choose a folder that this user owns"


def _open_free(log_dir: Path, now: datetime, max_bytes: int, retention_days: int, open_file: OpenSink) -> PartedFile:
    """Open the log, named by `now` or, if that name is taken, by the next free second. Raises OSError."""
    for later_s in range(_TAKEN_SECONDS):
        path = log_dir / LOG_FILES.name(now + timedelta(seconds=later_s))
        if not path.is_symlink() and not path.exists():
            with contextlib.suppress(FileExistsError):  # another process was faster
                return PartedFile(LOG_FILES, path, max_bytes, now, retention_days, open_file)
        elif not log_dir.is_dir():
            break
    raise FileExistsError(f"the log file names of the next {_TAKEN_SECONDS} seconds are all taken")

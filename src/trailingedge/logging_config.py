"""Logging: a log file for each session, lines on the terminal, and the levels of both.

The event loop only formats a record and appends it to a list; a thread writes the file in batches. A disk that is slow
or full loses log lines and delays no tick. Secrets are struck out before anything is written.
"""

import contextlib
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final, TextIO

from trailingedge.core.background_threads import BatchWriter, Sink
from trailingedge.core.errors import ConfigError
from trailingedge.core.printable import printable, printable_lines
from trailingedge.core.redaction import Redactor

LATEST: Final = "latest.log"
SESSION_NAME: Final = "trailingedge_%Y-%m-%d_%H-%M-%S.log"
# Below these levels websockets repeats our own debug lines, and the others log URLs with the bot token in them.
QUIET: Final[Mapping[str, int]] = {"websockets": logging.WARNING, "httpx": logging.WARNING, "httpcore": logging.WARNING}

# Facts that logging collects for each record and that our formats do not show. Source: logging's "Optimization".
UNUSED_FACTS: Final[Mapping[str, object]] = {
    "_srcfile": None,
    "logThreads": False,
    "logProcesses": False,
    "logMultiprocessing": False,
    "logAsyncioTasks": False,
}
BATCH_EVERY_S: Final = 0.25
MOST_WAITING: Final = (
    20_000  # lines kept for a disk that is slow or full, some 4 MB; later lines are counted and left out
)
_BATCH: Final = 500  # lines between two looks at the disk

_logger = logging.getLogger(__name__)


def _utc(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)


class _RecordFormatter(logging.Formatter):
    """Formats a record as one printable line, followed by the traceback with each of its lines indented.

    So a text from outside cannot look like a line of ours, and cannot control a terminal.
    """

    def format(self, record: logging.LogRecord) -> str:
        # Another handler may have put the traceback there as it found it, and logging would use that.
        cached, record.exc_text = record.exc_text, None
        try:
            return super().format(record)
        finally:
            record.exc_text = cached

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = printable(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's name
        return _indented(super().formatStack(stack_info))


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in printable_lines(text).split("\n"))


class _TerminalLine(_RecordFormatter):
    """Formats a line for the terminal: time of day, level from WARNING on, and message.

    The systemd journal adds the time itself. For the journal, a line begins with its level instead:
    `<4>` is a warning.
    """

    def __init__(self, redactor: Redactor, *, times: bool, journal_levels: bool) -> None:
        super().__init__("%(asctime)s %(message)s" if times else "%(message)s")
        self._redactor = redactor
        self._journal_levels = journal_levels

    def format(self, record: logging.LogRecord) -> str:
        text = self._redactor.redact(super().format(record))
        if not self._journal_levels:
            return text
        mark = f"<{_journal_level(record.levelno)}>"
        return "\n".join(f"{mark}{line}" for line in text.split("\n"))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        if record.levelno >= logging.WARNING:
            record.message = f"{record.levelname} {record.message}"
        return super().formatMessage(record)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 - logging's
        return _utc(record.created).strftime("%H:%M:%S")


def _journal_level(level: int) -> int:
    """Return the kernel's number for the logging level `level`. Source: sd-daemon(3)."""
    if level >= logging.ERROR:
        return 3
    if level >= logging.WARNING:
        return 4
    return 6 if level >= logging.INFO else 7


class _Terminal(logging.Handler):
    """Hands lines to the terminal's UI, which must neither wait nor raise."""

    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__()
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._show(self.format(record))
        except Exception:  # noqa: BLE001 - a record that cannot be formatted must not end what it reports on
            self.handleError(record)


def _link(new: Path, target: Path) -> None:
    """Make `new` a symbolic link to `target`, or a hard link if that fails.

    Windows lets few users make symbolic links.
    """
    try:
        new.symlink_to(target.name)
    except OSError:
        new.hardlink_to(target)


class _FileHandler(logging.Handler):
    """Formats a record at once and hands the text to the writer.

    The objects in the record may change before the text is written.
    """

    def __init__(self, writer: "_LogWriter") -> None:
        super().__init__()
        self._writer = writer
        self.setFormatter(_RecordFormatter("%(levelname)-7s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            # A warning may be the last line before a crash, and is therefore not kept for a batch.
            self._writer.add(record.created, self.format(record), urgent=record.levelno >= logging.WARNING)
        except Exception:  # noqa: BLE001 - a record that cannot be formatted must not end what it reports on
            self.handleError(record)


class _LogWriter(BatchWriter):
    """Writes the session log to disk. Lines that exceed the queue are counted, and the log shows their number."""

    def __init__(self, sink: Sink, redactor: Redactor) -> None:
        super().__init__("log", BATCH_EVERY_S, sink)
        self._redactor = redactor
        self._waiting: deque[tuple[float, str]] = deque()
        self._left_out = 0
        self.start()

    def add(self, unix_s: float, text: str, *, urgent: bool) -> None:
        """Queue a line and return at once. May be called from any thread."""
        if len(self._waiting) >= MOST_WAITING:
            self._left_out += 1
            return
        self._waiting.append((unix_s, text))
        if urgent:
            self.wake()

    def has_batch(self) -> bool:
        return bool(self._waiting or self._left_out)

    def next_batch(self) -> bytes:
        lines = []
        for _ in range(min(len(self._waiting), _BATCH)):
            self.yield_to_loop()
            unix_s, text = self._waiting.popleft()
            lines.append(f"{_utc(unix_s):%Y-%m-%d %H:%M:%S.%f}"[:-3] + f" {self._redactor.redact(text)}\n")
        if self._left_out and not self._waiting:
            left_out, self._left_out = self._left_out, 0
            lines.append(f"{left_out} records are missing here: the disk did not keep up\n")
        return "".join(lines).encode(errors="replace")

    def on_trouble(self, trouble: OSError) -> None:
        # The terminal shows it now, the file once the disk takes it.
        _logger.warning("session log cannot be written, trying again reason=%s", trouble)


class _Session:
    """The file of one session and the writer behind it."""

    def __init__(
        self,
        log_dir: Path,
        now: datetime,
        redactor: Redactor,
        link: Callable[[Path, Path], None],
        open_file: Callable[[Path], Sink],
    ) -> None:
        self.path = _free(log_dir, now.astimezone(UTC))
        try:
            log_dir.mkdir(parents=True, exist_ok=True)
            file = open_file(self.path)
        except OSError as wrong:
            problem = (
                f"LOG_DIR is {log_dir}: no log can be written there ({wrong}); choose a folder that this user owns"
            )
            raise ConfigError([problem]) from wrong
        self._writer = _LogWriter(_with_latest(file, log_dir / LATEST, self.path, link), redactor)
        self.handler = _FileHandler(self._writer)

    def close(self) -> None:
        """Write the waiting lines and close the file."""
        self._writer.close()


class _Twice:
    """Writes to a file and to a copy of it. Errors of the copy are ignored."""

    def __init__(self, first: Sink, second: Sink) -> None:
        self._first = first
        self._second = second

    def write(self, data: bytes, /) -> int | None:
        taken = self._first.write(data) or 0
        with contextlib.suppress(OSError):  # the copy is a convenience: the session log itself is complete
            self._second.write(data[:taken])
        return taken

    def close(self) -> None:
        for file in (self._first, self._second):
            with contextlib.suppress(OSError):
                file.close()


def _with_latest(file: Sink, latest: Path, target: Path, link: Callable[[Path, Path], None]) -> Sink:
    """Let `latest` show the session log: by a link, or by a copy if links fail.

    Returns the sink to write to. If a copy cannot be made either, `latest` is left out.
    """
    try:
        latest.unlink(missing_ok=True)
        link(latest, target)
    except OSError:
        with contextlib.suppress(OSError):
            return _Twice(file, _appending(latest, truncate=True))
    return file


def _appending(path: Path, *, truncate: bool = False) -> BinaryIO:
    """Open a file for appending, without a buffer.

    A buffer would keep the bytes that a full disk has refused, and fail again when it is flushed.
    """
    return path.open("wb" if truncate else "ab", buffering=0)


class Logging:
    """The handlers that `setup` installed. `file` is the session log's path; None without a log."""

    def __init__(self, session: _Session | None, terminal: logging.Handler | None, redactor: Redactor) -> None:
        self.file = session.path if session else None
        self._session = session
        self._terminal = terminal
        self._redactor = redactor
        self._levels = {name: logging.getLogger(name).level for name in ("", *QUIET)}
        self._facts = {name: getattr(logging, name) for name in UNUSED_FACTS if hasattr(logging, name)}
        for name in self._facts:
            setattr(logging, name, UNUSED_FACTS[name])
        root = logging.getLogger()
        for handler in self._handlers:
            root.addHandler(handler)
        # From here on every logger writes; a record before this line goes to Python's last-resort handler on stderr.
        self._listen()
        for name, level in QUIET.items():
            logging.getLogger(name).setLevel(level)

    def configure(self, file_level: str, console_level: str, secrets: Iterable[str] = ()) -> None:
        """Change the levels. From now on, also strike out `secrets`."""
        self._redactor.add_secrets(secrets)
        if self._session is not None:
            self._session.handler.setLevel(file_level)
        if self._terminal is not None:
            self._terminal.setLevel(console_level)
        self._listen()

    def close(self) -> None:
        """Write the waiting lines, close the file, and undo the changes to `logging`.

        May be called again.
        """
        root = logging.getLogger()
        # The handlers first: a record that comes while the file closes must find none.
        for handler in self._handlers:
            root.removeHandler(handler)
            handler.close()
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)
        self._levels = {}
        for name, value in self._facts.items():
            setattr(logging, name, value)
        self._facts = {}
        session, self._session, self._terminal = self._session, None, None
        if session is not None:
            session.close()

    @property
    def _handlers(self) -> Sequence[logging.Handler]:
        handler = self._session.handler if self._session else None
        return [handler for handler in (handler, self._terminal) if handler is not None]

    def _listen(self) -> None:
        """Set the root level to the lowest level of the handlers.

        Then records that no handler wants are not created.
        """
        if self._handlers:
            logging.getLogger().setLevel(min(handler.level for handler in self._handlers))


def setup(
    log_dir: Path | None,
    now: datetime,
    *,
    file_level: str = "DEBUG",
    retention_days: int = 0,
    console: Callable[[str], None] | None = None,
    console_level: str = "INFO",
    console_times: bool = True,
    console_journal: bool = False,
    secrets: Iterable[str] = (),
    link: Callable[[Path, Path], None] = _link,
    open_file: Callable[[Path], Sink] = _appending,
) -> Logging:
    """Send the records of all loggers to a new file in `log_dir`, and as lines to `console`.

    `log_dir` and `console` may be None: a virtual run has neither. The new file is named by `now`.
    Session logs that are more than `retention_days` older are deleted; 0 keeps all. With
    `console_journal`, a line begins with its level as the journal reads it. `link(new, target)`
    makes latest.log and may raise OSError. The file of `open_file` may raise OSError at any time.
    Raises ConfigError if the log file cannot be made.
    """
    redactor = Redactor(secrets)
    session, terminal = None, None
    if log_dir is not None:
        session = _Session(log_dir, now, redactor, link, open_file)
        session.handler.setLevel(file_level)
    if console is not None:
        terminal = _Terminal(console)
        terminal.setLevel(console_level)
        terminal.setFormatter(_TerminalLine(redactor, times=console_times, journal_levels=console_journal))
    installed = Logging(session, terminal, redactor)
    if log_dir is not None and retention_days:
        _delete_old(log_dir, now - timedelta(days=retention_days))
    return installed


def under_journald(environ: Mapping[str, str], stream: TextIO) -> bool:
    """Whether `stream` goes to the systemd journal, which puts its own time before each line.

    Source: systemd.exec(5), JOURNAL_STREAM is "device:inode" of the stream that the service was given.
    """
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or no file at all
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _free(log_dir: Path, now: datetime) -> Path:
    """Return a path that is not taken yet.

    Two sessions that begin in the same second must not share a file.
    """
    while (path := log_dir / now.strftime(SESSION_NAME)).is_file():
        now += timedelta(seconds=1)
    return path


def _delete_old(log_dir: Path, before: datetime) -> None:
    """Delete the session logs that began before `before`."""
    for path in sorted(log_dir.glob("trailingedge_*.log")):
        # The name shows when a session began; the file's time would keep a log alive for every copy of it.
        try:
            begun = datetime.strptime(path.name, SESSION_NAME).replace(tzinfo=UTC)
        except ValueError:
            continue
        if begun < before:
            try:
                path.unlink()
            except OSError as wrong:
                _logger.warning("old session log cannot be deleted path=%s reason=%s", path, wrong)

"""Logging: a log file for each session, lines on the terminal, and the levels of both.

The event loop only formats a record; `core.session_log` writes the file. Before a record is written or shown, secrets
are redacted and its text is cut to a maximum length.
"""

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TextIO

from trailingedge.core import private_files
from trailingedge.core.parted_file import OpenSink
from trailingedge.core.printable import printable, printable_lines
from trailingedge.core.redaction import Redactor
from trailingedge.core.session_log import Link, SessionLog, cut_to_record, link, shortened, utc

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
        record.message = printable(shortened(record.message))
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's name
        return _indented(super().formatStack(stack_info))


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in printable_lines(shortened(text)).split("\n"))


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
        text = cut_to_record(self._redactor.redact(shortened(super().format(record))))
        if not self._journal_levels:
            return text
        mark = f"<{_journal_level(record.levelno)}>"
        return "\n".join(f"{mark}{line}" for line in text.split("\n"))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        if record.levelno >= logging.WARNING:
            record.message = f"{record.levelname} {record.message}"
        return super().formatMessage(record)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 - logging's
        return utc(record.created).strftime("%H:%M:%S")


def _journal_level(level: int) -> int:
    """Return the kernel's number for the logging level `level`. Source: sd-daemon(3)."""
    if level >= logging.ERROR:
        return 3
    if level >= logging.WARNING:
        return 4
    return 6 if level >= logging.INFO else 7


class _Terminal(logging.Handler):
    """Passes lines to `show`, which prints them on the terminal. `show` must not block."""

    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__()
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._show(self.format(record))
        except Exception:  # noqa: BLE001 - a record that cannot be formatted must not end what it reports on
            self.handleError(record)


class _Follower(logging.Handler):
    """Passes each record to `show`: its time in milliseconds since 1970, its level and its text. Must not block."""

    def __init__(self, show: Callable[[int, str, str], None], redactor: Redactor, level: str) -> None:
        super().__init__(level)
        self._show = show
        self._redactor = redactor
        self.setFormatter(_RecordFormatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = cut_to_record(self._redactor.redact(shortened(self.format(record))))
            self._show(round(record.created * 1000), record.levelname, text)
        except Exception:  # noqa: BLE001 - a record that cannot be formatted must not end what it reports on
            self.handleError(record)


class _FileHandler(logging.Handler):
    """Formats a record at once and hands the text to the session log.

    The objects in the record may change before the text is written.
    """

    def __init__(self, log: SessionLog, level: str) -> None:
        super().__init__(level)
        self._log = log
        self.setFormatter(_RecordFormatter("%(levelname)-7s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            # A warning may be the last line before a crash, and is therefore not kept for a batch.
            self._log.add(record.created, self.format(record), urgent=record.levelno >= logging.WARNING)
        except Exception:  # noqa: BLE001 - a record that cannot be formatted must not end what it reports on
            self.handleError(record)


class Logging:
    """The handlers that `setup` installed. `file` is the session log's path; None without a log."""

    def __init__(
        self, session: SessionLog | None, file_level: str, terminal: logging.Handler | None, redactor: Redactor
    ) -> None:
        self.file = session.path if session else None
        self._session = session
        self._file_handler = _FileHandler(session, file_level) if session else None
        self._terminal = terminal
        self._follower: _Follower | None = None
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

    def follow(self, level: str, show: Callable[[int, str, str], None]) -> None:
        """Pass the records of `level` and above to `show`: time in ms since 1970, level, text without secrets."""
        self._follower = _Follower(show, self._redactor, level)
        logging.getLogger().addHandler(self._follower)
        self._listen()

    def configure(self, file_level: str, console_level: str, secrets: Iterable[str] = ()) -> None:
        """Change the levels. From now on, also strike out `secrets`."""
        self._redactor.add_secrets(secrets)
        if self._file_handler is not None:
            self._file_handler.setLevel(file_level)
        if self._terminal is not None:
            self._terminal.setLevel(console_level)
        if self._follower is not None:
            self._follower.setLevel(console_level)
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
        session, self._session, self._file_handler, self._terminal = self._session, None, None, None
        self._follower = None
        if session is not None:
            session.close()

    @property
    def _handlers(self) -> Sequence[logging.Handler]:
        found = (self._file_handler, self._terminal, self._follower)
        return [handler for handler in found if handler is not None]

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
    max_mb: int = 500,
    console: Callable[[str], None] | None = None,
    console_level: str = "INFO",
    console_times: bool = True,
    console_journal: bool = False,
    secrets: Iterable[str] = (),
    link_to: Link = link,
    open_file: OpenSink = private_files.create,
) -> Logging:
    """Send the records of all loggers to a new file in `log_dir`, and as lines to `console`.

    `log_dir` and `console` may be None: a virtual run has neither. The new file is named after
    `now`. Session logs that are more than `retention_days` older than `now` are deleted; 0 keeps
    all. All session logs together have at most `max_mb` megabytes. With `console_journal`, a line
    begins with its level in the form that the systemd journal reads. `link_to` and `open_file` are
    as in `SessionLog`. Raises ConfigError if the log file cannot be made.
    """
    redactor = Redactor(secrets)
    session, terminal = None, None
    if log_dir is not None:
        session = SessionLog(
            log_dir,
            now,
            redactor,
            max_mb=max_mb,
            retention_days=retention_days,
            link_to=link_to,
            open_file=open_file,
        )
    if console is not None:
        terminal = _Terminal(console)
        terminal.setLevel(console_level)
        terminal.setFormatter(_TerminalLine(redactor, times=console_times, journal_levels=console_journal))
    return Logging(session, file_level, terminal, redactor)


def under_journald(environ: Mapping[str, str], stream: TextIO) -> bool:
    """Whether `stream` goes to the systemd journal, which puts its own time before each line.

    Source: systemd.exec(5), JOURNAL_STREAM is "device:inode" of the stream that the service was given.
    """
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or no file at all
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"

"""Where log records go: a file per session, and the terminal.

A record costs the event loop one put into a queue: a thread writes the file, and the terminal's face
brings its own. Secrets are struck out before anything is written.
"""

import contextlib
import logging
import os
import queue
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from typing import Final, TextIO

from trailingedge.errors import ConfigError

LATEST: Final = "latest.log"
SESSION_NAME: Final = "trailingedge_%Y-%m-%d_%H-%M-%S.log"
# Below these levels the one repeats our wire log, the others write addresses with a token in them.
QUIET: Final[Mapping[str, int]] = {"websockets": logging.WARNING, "httpx": logging.WARNING, "httpcore": logging.WARNING}

STRUCK_OUT: Final = "[redacted]"
_PEM: Final = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_PARAMETER: Final = re.compile(r"""(\b(?:signature|api_?key)["']?\s*[:=]\s*["']?)[^\s"'&,}]+""", re.IGNORECASE)
_BOT_TOKEN: Final = re.compile(r"(?<!\d)\d{6,}:[\w-]{30,}")

_logger = logging.getLogger(__name__)


class Redaction:
    """Strikes out keys, signatures and tokens: the given ones, and whatever looks like one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first, so that no secret is cut in two by a shorter one inside it.
        self._secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)

    def clean(self, text: str) -> str:
        """`text` without anything secret."""
        for secret in self._secrets:
            text = text.replace(secret, STRUCK_OUT)
        text = _PEM.sub(STRUCK_OUT, text)
        text = _PARAMETER.sub(rf"\1{STRUCK_OUT}", text)
        return _BOT_TOKEN.sub(STRUCK_OUT, text)


class _Line(logging.Formatter):
    """One record as text: times in UTC, nothing secret, tracebacks included."""

    def __init__(self, layout: str, redaction: Redaction) -> None:
        super().__init__(layout)
        self._redaction = redaction

    def format(self, record: logging.LogRecord) -> str:
        return self._redaction.clean(super().format(record))

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 - logging's
        return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


class _TerminalLine(_Line):
    """The message with the time of day; the level is told where it is worse than usual."""

    def __init__(self, redaction: Redaction, *, times: bool) -> None:
        super().__init__("%(asctime)s %(message)s" if times else "%(message)s", redaction)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        if record.levelno >= logging.WARNING:
            record.message = f"{record.levelname} {record.message}"
        return super().formatMessage(record)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 - logging's
        return datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")


class _Terminal(logging.Handler):
    """Hands lines to the terminal's face, which must neither wait nor raise."""

    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__()
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._show(self.format(record))
        except Exception:  # noqa: BLE001 - a record that cannot be worded must not end what it reports on
            self.handleError(record)


def _link(new: Path, target: Path) -> None:
    """A symbolic link, or a hard one: Windows grants symbolic ones to few."""
    try:
        new.symlink_to(target.name)
    except OSError:
        new.hardlink_to(target)


class _Session:
    """The file of one session and the thread that writes it, so that no disk delays a beat."""

    def __init__(
        self, log_dir: Path, now: datetime, layout: logging.Formatter, link: Callable[[Path, Path], None]
    ) -> None:
        self.path = _free(log_dir, now.astimezone(UTC))
        self._latest = log_dir / LATEST
        try:
            log_dir.mkdir(parents=True, exist_ok=True)
            self._file = logging.FileHandler(self.path, encoding="utf-8")
        except OSError as wrong:
            problem = (
                f"LOG_DIR is {log_dir}: no log can be written there ({wrong}); choose a folder that this user owns"
            )
            raise ConfigError([problem]) from wrong
        self._file.setFormatter(layout)
        self._linked = self._link_latest(link)
        records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
        self.entrance = QueueHandler(records)
        self._listener = QueueListener(records, self._file)
        self._listener.start()

    def close(self) -> None:
        """Write what is queued and let go of the file."""
        self._listener.stop()
        self._file.close()
        if not self._linked:
            with contextlib.suppress(OSError):  # a convenience: the session log itself is complete
                shutil.copyfile(self.path, self._latest)

    def _link_latest(self, link: Callable[[Path, Path], None]) -> bool:
        try:
            self._latest.unlink(missing_ok=True)
            link(self._latest, self.path)
        except OSError:
            return False
        return True


class Logging:
    """What `setup` installed. `file` is the session log, None without one."""

    def __init__(self, session: _Session | None, handlers: Sequence[logging.Handler]) -> None:
        self.file = session.path if session else None
        self._session = session
        self._handlers = handlers
        self._levels = {name: logging.getLogger(name).level for name in ("", *QUIET)}
        root = logging.getLogger()
        for handler in handlers:
            root.addHandler(handler)
        root.setLevel(min((handler.level for handler in handlers), default=root.level))
        for name, level in QUIET.items():
            logging.getLogger(name).setLevel(level)

    def close(self) -> None:
        """Write what is queued, let go of the file, and leave logging as it was. Can be repeated."""
        root = logging.getLogger()
        for handler in self._handlers:
            root.removeHandler(handler)
            handler.close()
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)
        self._handlers, self._levels = (), {}
        session, self._session = self._session, None
        if session is not None:
            session.close()


def setup(
    log_dir: Path | None,
    now: datetime,
    *,
    file_level: str = "DEBUG",
    retention_days: int = 0,
    console: Callable[[str], None] | None = None,
    console_level: str = "INFO",
    console_times: bool = True,
    secrets: Iterable[str] = (),
    link: Callable[[Path, Path], None] = _link,
) -> Logging:
    """Send the records of all loggers to a new file in `log_dir`, and as lines to `console`.

    Either may be None: a virtual run has neither a thread nor a file. `now` names the file; session
    logs that many days older are deleted, 0 keeps all. `link(new, target)` makes latest.log, and may
    fail with OSError. Raises ConfigError when no file can be made.
    """
    redaction = Redaction(secrets)
    handlers: list[logging.Handler] = []
    session = None
    if log_dir is not None:
        session = _Session(log_dir, now, _Line("%(asctime)s %(levelname)-7s %(name)s: %(message)s", redaction), link)
        handlers.append(session.entrance)
        session.entrance.setLevel(file_level)
    if console is not None:
        terminal = _Terminal(console)
        terminal.setLevel(console_level)
        terminal.setFormatter(_TerminalLine(redaction, times=console_times))
        handlers.append(terminal)
    installed = Logging(session, handlers)
    if log_dir is not None and retention_days:
        _forget(log_dir, now - timedelta(days=retention_days))
    return installed


def under_journald(environ: Mapping[str, str], stream: TextIO) -> bool:
    """Whether `stream` goes to the journal, which puts its own time before each line.

    Source: systemd.exec(5), JOURNAL_STREAM is "device:inode" of the stream that the service was given.
    """
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or no file at all
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _free(log_dir: Path, now: datetime) -> Path:
    """A name that no session has: two that begin in the same second must not share a file."""
    while (path := log_dir / now.strftime(SESSION_NAME)).is_file():
        now += timedelta(seconds=1)
    return path


def _forget(log_dir: Path, before: datetime) -> None:
    """Delete the session logs that were begun before that moment."""
    for path in sorted(log_dir.glob("trailingedge_*.log")):
        try:
            begun = datetime.strptime(path.name, SESSION_NAME).replace(tzinfo=UTC)
        except ValueError:
            continue
        if begun < before:
            try:
                path.unlink()
            except OSError as wrong:
                _logger.warning("old log kept path=%s reason=%s", path, wrong)

"""Where log records go: a file per session, and the terminal.

A record costs the event loop its own words and one append to a list: a thread writes the file in batches, and
the terminal's face brings its own. A disk that is slow or full costs records, never a beat. Secrets are
struck out before anything is written.
"""

import contextlib
import logging
import os
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final, Protocol, TextIO

from trailingedge.core.background import GilYielder
from trailingedge.core.errors import ConfigError

LATEST: Final = "latest.log"
SESSION_NAME: Final = "trailingedge_%Y-%m-%d_%H-%M-%S.log"
# Below these levels the one repeats our wire log, the others write addresses with a token in them.
QUIET: Final[Mapping[str, int]] = {"websockets": logging.WARNING, "httpx": logging.WARNING, "httpcore": logging.WARNING}

# What a record would find out of its origin, each time, and nobody is shown. Source: logging's "Optimization".
UNUSED_FACTS: Final[Mapping[str, object]] = {
    "_srcfile": None,
    "logThreads": False,
    "logProcesses": False,
    "logMultiprocessing": False,
    "logAsyncioTasks": False,
}
BATCH_EVERY_S: Final = 0.25
MOST_WAITING: Final = 20_000  # records kept for a disk that is slow or full; later ones are counted and left out
FAREWELL_S: Final = 1.0  # how long a disk may hold up the end
_BATCH: Final = 500

STRUCK_OUT: Final = "[redacted]"
_PEM: Final = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_PARAMETER: Final = re.compile(r"""(\b(?:signature|api_?key)["']?\s*[:=]\s*["']?)[^\s"'&,}]+""", re.IGNORECASE)
_BOT_TOKEN: Final = re.compile(r"(?<!\d)\d{6,}:[\w-]{30,}")

_logger = logging.getLogger(__name__)


class Redaction:
    """Strikes out keys, signatures and tokens: the given ones, and whatever looks like one."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: tuple[str, ...] = ()
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """More to strike out. What was secret before still is."""
        # The longest first, so that no secret is cut in two by a shorter one inside it.
        known = {secret for secret in (*self._secrets, *secrets) if secret}
        self._secrets = tuple(sorted(known, key=len, reverse=True))

    def clean(self, text: str) -> str:
        """`text` without anything secret."""
        for secret in self._secrets:
            text = text.replace(secret, STRUCK_OUT)
        text = _PEM.sub(STRUCK_OUT, text)
        text = _PARAMETER.sub(rf"\1{STRUCK_OUT}", text)
        return _BOT_TOKEN.sub(STRUCK_OUT, text)


def _utc(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)


class _TerminalLine(logging.Formatter):
    """The message with the time of day, nothing secret; the level is told where it is worse than usual.

    The journal puts its own time before each line, and takes a level in front: `<4>` is a warning.
    """

    def __init__(self, redaction: Redaction, *, times: bool, journal_levels: bool) -> None:
        super().__init__("%(asctime)s %(message)s" if times else "%(message)s")
        self._redaction = redaction
        self._journal_levels = journal_levels

    def format(self, record: logging.LogRecord) -> str:
        text = self._redaction.clean(super().format(record))
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
    """Of the kernel's levels the one that means `level`. Source: sd-daemon(3)."""
    if level >= logging.ERROR:
        return 3
    if level >= logging.WARNING:
        return 4
    return 6 if level >= logging.INFO else 7


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


class Sink(Protocol):
    """What is left of an open file for who only appends: `write` may take less than it was given, or raise OSError."""

    def write(self, data: bytes, /) -> int | None: ...

    def close(self) -> None: ...


class _Entrance(logging.Handler):
    """Puts records where the writer finds them, worded: what they speak of may have changed until it is written."""

    def __init__(self, writer: "_Writer") -> None:
        super().__init__()
        self._writer = writer
        self.setFormatter(logging.Formatter("%(levelname)-7s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            # A bad one may be the last one.
            self._writer.take(record.created, self.format(record), urgent=record.levelno >= logging.WARNING)
        except Exception:  # noqa: BLE001 - a record that cannot be worded must not end what it reports on
            self.handleError(record)


class _Writer:
    """A thread that writes lines in batches. What cannot be written now waits; what finds no room is counted."""

    def __init__(self, sink: Sink, redaction: Redaction) -> None:
        self._sink = sink
        self._redaction = redaction
        self._waiting: deque[tuple[float, str]] = deque()
        self._unwritten = b""
        self._left_out = 0
        self._in_trouble = False
        self._portions = GilYielder()
        self._hurry = threading.Event()
        self._closing = False
        # A daemon thread: a disk that does not answer must not keep the process alive.
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    def take(self, unix_s: float, text: str, *, urgent: bool) -> None:
        """From any thread; returns at once. Urgent ones are not kept for a batch."""
        if len(self._waiting) >= MOST_WAITING:
            self._left_out += 1
            return
        self._waiting.append((unix_s, text))
        if urgent:
            self._hurry.set()

    def close(self) -> None:
        """Write what waits, unless the disk takes longer than we have."""
        self._closing = True
        self._hurry.set()
        self._thread.join(FAREWELL_S)

    def _work(self) -> None:
        while not self._closing:
            self._hurry.wait(BATCH_EVERY_S)
            self._hurry.clear()
            self._write()
        self._write()
        with contextlib.suppress(OSError):
            self._sink.close()

    def _write(self) -> None:
        """Everything that waits. Where the disk refuses, the rest of it waits for the next time."""
        try:
            while self._unwritten or self._waiting or self._left_out:
                if not self._unwritten:
                    self._unwritten = self._batch()
                taken = self._sink.write(self._unwritten)
                if not taken:
                    raise OSError("nothing was taken")
                self._unwritten = self._unwritten[taken:]
        except OSError as trouble:
            if not self._in_trouble:  # told once, and for now on the terminal alone
                self._in_trouble = True
                _logger.warning("session log cannot be written for now reason=%s", trouble)
        else:
            self._in_trouble = False

    def _batch(self) -> bytes:
        lines = []
        for _ in range(min(len(self._waiting), _BATCH)):
            if not self._closing:
                self._portions.maybe_yield()
            unix_s, text = self._waiting.popleft()
            lines.append(f"{_utc(unix_s):%Y-%m-%d %H:%M:%S.%f}"[:-3] + f" {self._redaction.clean(text)}\n")
        if self._left_out and not self._waiting:
            left_out, self._left_out = self._left_out, 0
            lines.append(f"{left_out} records are missing here: the disk did not keep up\n")
        return "".join(lines).encode(errors="replace")


class _Session:
    """The file of one session and the writer behind it."""

    def __init__(
        self,
        log_dir: Path,
        now: datetime,
        redaction: Redaction,
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
        self._writer = _Writer(_with_latest(file, log_dir / LATEST, self.path, link), redaction)
        self.entrance = _Entrance(self._writer)

    def close(self) -> None:
        """Write what waits and let go of the file."""
        self._writer.close()


class _Twice:
    """A file, and a second one with the same in it as far as possible."""

    def __init__(self, first: Sink, second: Sink) -> None:
        self._first = first
        self._second = second

    def write(self, data: bytes, /) -> int | None:
        taken = self._first.write(data) or 0
        with contextlib.suppress(OSError):  # a convenience: the session log itself is complete
            self._second.write(data[:taken])
        return taken

    def close(self) -> None:
        for file in (self._first, self._second):
            with contextlib.suppress(OSError):
                file.close()


def _with_latest(file: Sink, latest: Path, target: Path, link: Callable[[Path, Path], None]) -> Sink:
    """`file`, which `latest` shows from now on: by a link, by a copy where links fail, or not at all."""
    try:
        latest.unlink(missing_ok=True)
        link(latest, target)
    except OSError:
        with contextlib.suppress(OSError):
            return _Twice(file, _appending(latest, anew=True))
    return file


def _appending(path: Path, *, anew: bool = False) -> BinaryIO:
    """Without a buffer of its own: what a full disk did not take must not linger there and fail again."""
    return path.open("wb" if anew else "ab", buffering=0)


class Logging:
    """What `setup` installed. `file` is the session log, None without one."""

    def __init__(self, session: _Session | None, terminal: logging.Handler | None, redaction: Redaction) -> None:
        self.file = session.path if session else None
        self._session = session
        self._terminal = terminal
        self._redaction = redaction
        self._levels = {name: logging.getLogger(name).level for name in ("", *QUIET)}
        self._asked = {name: getattr(logging, name) for name in UNUSED_FACTS if hasattr(logging, name)}
        for name in self._asked:
            setattr(logging, name, UNUSED_FACTS[name])
        root = logging.getLogger()
        for handler in self._handlers:
            root.addHandler(handler)
        self._listen()
        for name, level in QUIET.items():
            logging.getLogger(name).setLevel(level)

    def configure(self, file_level: str, console_level: str, secrets: Iterable[str] = ()) -> None:
        """Change the levels from now on, and strike out these too."""
        self._redaction.learn(secrets)
        if self._session is not None:
            self._session.entrance.setLevel(file_level)
        if self._terminal is not None:
            self._terminal.setLevel(console_level)
        self._listen()

    def close(self) -> None:
        """Write what is queued, let go of the file, and leave logging as it was. Can be repeated."""
        root = logging.getLogger()
        for handler in self._handlers:
            root.removeHandler(handler)
            handler.close()
        for name, level in self._levels.items():
            logging.getLogger(name).setLevel(level)
        self._levels = {}
        for name, asked in self._asked.items():
            setattr(logging, name, asked)
        self._asked = {}
        session, self._session, self._terminal = self._session, None, None
        if session is not None:
            session.close()

    @property
    def _handlers(self) -> Sequence[logging.Handler]:
        entrance = self._session.entrance if self._session else None
        return [handler for handler in (entrance, self._terminal) if handler is not None]

    def _listen(self) -> None:
        """Records that no handler wants are not even made."""
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

    Either may be None: a virtual run has neither a thread nor a file. `now` names the file; session
    logs that many days older are deleted, 0 keeps all. `console_journal` puts the level before each line as
    the journal reads it. `link(new, target)` makes latest.log, and may fail with OSError, as may the file
    of `open_file` at any time. Raises ConfigError when no file can be made.
    """
    redaction = Redaction(secrets)
    session, terminal = None, None
    if log_dir is not None:
        session = _Session(log_dir, now, redaction, link, open_file)
        session.entrance.setLevel(file_level)
    if console is not None:
        terminal = _Terminal(console)
        terminal.setLevel(console_level)
        terminal.setFormatter(_TerminalLine(redaction, times=console_times, journal_levels=console_journal))
    installed = Logging(session, terminal, redaction)
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

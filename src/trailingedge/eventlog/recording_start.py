"""Recording of one session: opens its file beside the log, writes the header, and builds the `SessionRecorder`."""

import contextlib
import hashlib
import json
import logging
import platform
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from trailingedge.core.errors import ExitCode
from trailingedge.core.loop_watch import SleepTest, unknown
from trailingedge.eventlog.decision_sums import DECISION_FIELDS
from trailingedge.eventlog.format import FORMAT, RECORD_VERSION, SUFFIX, LineSink
from trailingedge.eventlog.recorder import SessionRecorder
from trailingedge.eventlog.writer import RecordWriter, open_record_file
from trailingedge.live.node_dependencies import Runtime
from trailingedge.notifications.alert_sinks import Alerts

logger = logging.getLogger(__name__)


class RecordedSession(Protocol):
    """Interface of a session with or without a record: it gives the daemon its runtime, and runs the daemon."""

    @property
    def runtime(self) -> Runtime: ...

    def wrap_alerts(self, alerts: Alerts) -> Alerts: ...

    async def run_session(self, run: Callable[[], Awaitable[ExitCode]]) -> ExitCode: ...


class UnrecordedSession:
    """A session without a record: the daemon gets the unchanged runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def wrap_alerts(self, alerts: Alerts) -> Alerts:
        return alerts

    async def run_session(self, run: Callable[[], Awaitable[ExitCode]]) -> ExitCode:
        return await run()


def start_recording(
    settings: Mapping[str, str], runtime: Runtime, lines: LineSink, *, program: str = ""
) -> SessionRecorder:
    """Return a recorder that writes the session of `runtime` to `lines` from now on.

    `settings` maps the name of each setting to its value, without secrets; it is written to the header. `program` is
    the version of this program.
    """
    header: dict[str, object] = {
        "format": FORMAT,
        "version": RECORD_VERSION,
        "program": program,
        "python": platform.python_version(),
        "fingerprint": settings_fingerprint(settings),
        "settings": dict(settings),
        "fields": DECISION_FIELDS,
        "endpoints": [runtime.endpoints.ws_api_url, runtime.endpoints.ws_stream_url],
    }
    return SessionRecorder(runtime, lines, header)


def settings_fingerprint(settings: Mapping[str, str]) -> str:
    """Return a short hash of the settings without secrets. Equal settings give the same hash."""
    return hashlib.sha256(json.dumps(dict(settings), sort_keys=True).encode()).hexdigest()[:16]


@contextlib.contextmanager
def open_record(
    log_file: Path | None,
    now: datetime,
    secrets: Sequence[str],
    *,
    wanted: bool,
    max_mb: int,
    retention_days: int,
    loop_sleeps: SleepTest = unknown,
) -> Iterator[RecordWriter | None]:
    """Create the file of a session record beside `log_file`, and yield its writer.

    Yields None if no record is `wanted`, if there is no log file, or if the file cannot be created. If the file cannot
    be created, a warning is logged, because a session can trade without a record. The folder keeps at most `max_mb`
    megabytes of records, for at most `retention_days` days. While `loop_sleeps` is set, the event loop is idle, and the
    writer's thread makes no pauses.
    """
    if not wanted or log_file is None:
        yield None
        return
    path = log_file.with_name(log_file.name.removesuffix(".log") + SUFFIX)
    try:
        folder = open_record_file(path, max_mb, now, retention_days)
    except OSError as trouble:
        logger.warning("session is not recorded path=%s reason=%s", path, trouble)
        yield None
        return
    with contextlib.closing(RecordWriter(folder, secrets, loop_sleeps)) as writer:
        yield writer

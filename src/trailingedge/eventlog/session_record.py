"""The record of a session: opened for it beside its log, if it is to be."""

import contextlib
import hashlib
import json
import logging
import platform
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from trailingedge.accounting.summary_json import settings_without_secrets
from trailingedge.config import Settings
from trailingedge.core.errors import ExitCode
from trailingedge.eventlog.format import FORMAT, RECORD_VERSION, FrameSink
from trailingedge.eventlog.recorder import Recorder
from trailingedge.eventlog.retention import SUFFIX
from trailingedge.eventlog.writer import RecordFolder, RecordWriter
from trailingedge.live.factory import KeyCheck, Runtime
from trailingedge.notifications.alerts import Alerts

logger = logging.getLogger(__name__)


class RecordedSession(Protocol):
    """A daemon's life, recorded or not: what it is to be given, and the watching of it."""

    @property
    def runtime(self) -> Runtime: ...

    def wrap_alerts(self, alerts: Alerts) -> Alerts: ...

    def wrap_key_check(self, verify_key: KeyCheck) -> KeyCheck: ...

    async def run_session(self, run: Callable[[], Awaitable[ExitCode]]) -> ExitCode: ...


class UnrecordedSession:
    """A life of which nothing is kept."""

    def __init__(self, world: Runtime) -> None:
        self.runtime = world

    def wrap_alerts(self, alerts: Alerts) -> Alerts:
        return alerts

    def wrap_key_check(self, verify_key: KeyCheck) -> KeyCheck:
        return verify_key

    async def run_session(self, run: Callable[[], Awaitable[ExitCode]]) -> ExitCode:
        return await run()


def start_recording(
    settings: Settings,
    world: Runtime,
    lines: FrameSink,
    *,
    seed: int,
    program: str = "",
    checks_key: bool = False,
) -> Recorder:
    """Everything that happens in `world` is written to `lines` from now on.

    `program` is our version; `checks_key` says whether the daemon is given something that checks its key.
    """
    shown = settings_without_secrets(settings)
    head: dict[str, object] = {
        "format": FORMAT,
        "version": RECORD_VERSION,
        "program": program,
        "python": platform.python_version(),
        "fingerprint": settings_fingerprint(shown),
        "settings": shown,
        "endpoints": [world.endpoints.ws_api_url, world.endpoints.ws_stream_url],
        "checks_key": checks_key,
        "saves_frames": world.save_frames is not None,
    }
    return Recorder(world, lines, head, seed)


def settings_fingerprint(shown: Mapping[str, str]) -> str:
    """Alike for the same settings, secrets aside."""
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()[:16]


@contextlib.contextmanager
def open_record(
    settings: Settings, log_file: Path | None, now: datetime, secrets: Sequence[str]
) -> Iterator[RecordWriter | None]:
    """Where the lines of a session go whose log that is. None without a record: not wanted, or not possible."""
    if not settings.record or log_file is None:
        yield None
        return
    path = log_file.with_name(log_file.name.removesuffix(".log") + SUFFIX)
    try:
        shelf = RecordFolder(path, settings.record_max_mb, now, settings.log_retention_days)
    except OSError as trouble:
        logger.warning("session is not recorded path=%s reason=%s", path, trouble)
        yield None
        return
    with contextlib.closing(RecordWriter(shelf, secrets)) as writer:
        yield writer

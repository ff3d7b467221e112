"""Health monitor: reads the free disk space, and writes the metrics to HEALTH_FILE, each minute.

A thread does both, because a disk can be slow. The file is replaced in one step, so that a reader never sees half of
it. If it cannot be written, one log line says so, and another when it can be written again.
"""

import asyncio
import contextlib
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from trailingedge.core.clock import Clock
from trailingedge.notifications.health import HealthFacts, assess, prometheus_text

logger = logging.getLogger(__name__)

EVERY_S: Final = 60.0
_FILE_MODE: Final = 0o644  # the collector runs as another user, and the metrics are no secret


class HealthMonitor:
    """Reads the free space and writes the metrics, each minute until cancelled.

    `facts` is called with the free bytes under `log_dir` and returns the facts of this moment. `health_file` is None if
    no metrics are wanted.
    """

    def __init__(
        self, log_dir: Path, health_file: Path | None, clock: Clock, facts: Callable[[int | None], HealthFacts]
    ) -> None:
        self._log_dir = log_dir
        self._file = health_file
        self._clock = clock
        self._facts = facts
        self._disk_free: int | None = None
        self._failed = False

    def facts(self) -> HealthFacts:
        """Return the facts of this moment. The free disk space is the value read within the last minute."""
        return self._facts(self._disk_free)

    async def run(self) -> None:
        """Read the free space and write the metrics each minute."""
        while True:
            self._disk_free = await asyncio.to_thread(_free_bytes, self._log_dir)
            if self._file is not None:
                facts = self.facts()
                text = prometheus_text(facts, assess(facts), self._clock.unix_ms() / 1000)
                await asyncio.to_thread(self._write, self._file, text)
            await self._clock.sleep(EVERY_S)

    def _write(self, path: Path, text: str) -> None:
        try:
            write_atomically(path, text)
        except OSError as trouble:
            if not self._failed:
                logger.warning(
                    "health file not written, trying again each minute path=%s reason=%s", path, trouble.strerror
                )
            self._failed = True
            return
        if self._failed:
            logger.info("health file written again path=%s", path)
        self._failed = False


def write_atomically(path: Path, text: str) -> None:
    """Replace the file at `path` by one with `text`. If that fails, raises OSError and leaves the old file."""
    # Not *.prom: the collector must not read it.
    hidden = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _FILE_MODE), "w", encoding="utf-8") as file:
            file.write(text)
        hidden.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            hidden.unlink()
        raise


def _free_bytes(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None

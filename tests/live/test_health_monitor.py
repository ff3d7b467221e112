"""The health monitor writes a whole file each minute, and says once that it cannot."""

import errno
import logging
import os
import stat
from pathlib import Path

import pytest
from tests.background_tasks import running_task

from trailingedge.core.clock import RealClock
from trailingedge.live.health_monitor import HealthMonitor, write_atomically
from trailingedge.notifications.health import HealthFacts


def monitor(folder: Path, file: Path | None) -> HealthMonitor:
    def facts(disk_free: int | None) -> HealthFacts:
        return HealthFacts("sim", "ETHFDUSD", None, 10.0, disk_free=disk_free)

    return HealthMonitor(folder, file, RealClock(), facts)


def test_the_file_is_replaced_whole_and_others_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "te.prom"
    write_atomically(path, "one\n")
    before = path.stat().st_ino
    write_atomically(path, "two\n")
    assert path.read_text() == "two\n"
    assert path.stat().st_ino != before
    assert stat.S_IMODE(path.stat().st_mode) & 0o444 == 0o444
    assert os.listdir(tmp_path) == ["te.prom"]


def test_a_full_disk_leaves_the_old_file_and_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "te.prom"
    it = monitor(tmp_path, path)
    it._write(path, "old\n")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        it._write(path, "new\n")
        it._write(path, "newer\n")
    assert (path.read_text(), os.listdir(tmp_path)) == ("old\n", ["te.prom"])
    it._write(path, "newest\n")
    it._write(path, "newest\n")
    assert path.read_text() == "newest\n"
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "No space left on device" in caplog.text


async def test_it_samples_the_disk_and_writes_at_once(tmp_path: Path) -> None:
    path = tmp_path / "te.prom"
    it = monitor(tmp_path, path)
    async with running_task(it.run()):
        while not path.exists():
            await RealClock().sleep(0.01)
    assert it.facts().disk_free
    assert "trailing_edge_disk_free_bytes" in path.read_text()

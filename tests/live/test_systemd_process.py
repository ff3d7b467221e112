"""A whole run under a service manager: the messages that it receives from start to end."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import processes
from tests.limits import PATIENCE_S
from tests.notify_socket import Ear

from trailingedge.core.errors import ExitCode

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no such manager")

PROGRAM = f"WATCHDOG_PID=$$ exec {sys.executable} -m trailingedge.main --plain --env-file settings.env"


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[Ear]:
    ear = Ear(str(tmp_path / "notify"))
    yield ear
    ear.close()


@pytest.fixture
def process(tmp_path: Path, ear: Ear) -> Iterator[subprocess.Popen[str]]:  # noqa: ARG001 - who listens comes first
    (tmp_path / "settings.env").write_text("LOG_LEVEL_FILE=INFO\n")
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
    with processes.started(
        ["/bin/sh", "-c", PROGRAM],
        cwd=tmp_path,
        env=processes.environment(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        yield process


def test_a_service_is_ready_lives_reloads_and_stops(tmp_path: Path, ear: Ear, process: subprocess.Popen[str]) -> None:
    _, status = ear.hear_until("READY=1")
    assert status.startswith("STATUS=")
    for said in ("sim", "ETHFDUSD", "ws://127.0.0.1:"):
        assert said in status
    for _ in range(2):
        ear.hear_until("WATCHDOG=1")

    (tmp_path / "settings.env").write_text("LOG_LEVEL_FILE=DEBUG\nSYMBOL=BTCFDUSD\n")
    before_us = time.monotonic() * 1e6
    process.send_signal(signal.SIGHUP)
    _, since = ear.hear_until("RELOADING=1")
    assert before_us <= int(since.removeprefix("MONOTONIC_USEC=")) <= time.monotonic() * 1e6
    _, status = ear.hear_until("READY=1")
    assert status == "STATUS=reloaded: LOG_LEVEL_FILE applied; SYMBOL changed, which needs a restart"
    ear.hear_until("WATCHDOG=1")

    process.send_signal(signal.SIGTERM)
    assert ear.hear_until("STOPPING=1") == ["STOPPING=1", "STATUS=ending: SIGTERM"]
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == ExitCode.OK, said
    assert "SYMBOL changed, which needs a restart" in said
    assert " DEBUG " in (tmp_path / "logs" / "latest.log").read_text()

"""A whole run under a service manager: the messages that it receives from start to end."""

import re
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
def process(tmp_path: Path, ear: Ear) -> Iterator[subprocess.Popen[str]]:  # noqa: ARG001 - who listens comes first
    (tmp_path / "settings.env").write_text("LOG_LEVEL_FILE=INFO\n")
    environ = {
        "NOTIFY_SOCKET": str(tmp_path / "notify"),
        "WATCHDOG_USEC": "1000000",
        "RUNTIME_DIRECTORY": str(tmp_path),
    }
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
    assert status == "STATUS=reloaded: LOG_LEVEL_FILE applied; SYMBOL changed; restart to apply"
    ear.hear_until("WATCHDOG=1")

    (tmp_path / "settings.env").write_text("FEE=abc\n")
    words = [sys.executable, "-m", "trailingedge.main", "reload", "--pid", str(process.pid)]
    asked = processes.run(words, env=processes.environment({"RUNTIME_DIRECTORY": str(tmp_path)}), text=True)
    assert asked.returncode == ExitCode.UNEXPECTED
    assert asked.stderr.startswith("not reloaded: FEE is 'abc'")
    _, status = ear.hear_until("READY=1")
    assert status.startswith("STATUS=not reloaded: FEE is 'abc'")

    process.send_signal(signal.SIGTERM)
    assert ear.hear_until("STOPPING=1") == ["STOPPING=1", "STATUS=ending: SIGTERM"]
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == ExitCode.OK, said
    assert "SYMBOL changed; restart to apply" in said
    assert " DEBUG " in (tmp_path / "logs" / "latest.log").read_text()


def test_a_start_that_waits_for_the_exchange_tells_the_manager_the_operator_and_the_log_why(
    tmp_path: Path, ear: Ear
) -> None:
    nowhere = {"BINANCE_WS_API_URL": "ws://127.0.0.1:1/ws-api/v3", "BINANCE_WS_STREAM_URL": "ws://127.0.0.1:1"}
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "TRADING_MODE": "paper", "RECONNECT_BASE_SEC": "0.1"}
    with processes.started(
        [sys.executable, "-m", "trailingedge.main", "--plain"],
        cwd=tmp_path,
        env=processes.environment(environ | nowhere),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        waits = re.compile(
            r"real market, attempt 3; attempt 2 failed: ws://127\.0\.0\.1:1/ws-api/v3: .*Connect call failed"
        )
        while not waits.match((status := ear.hear()[-1]).removeprefix("STATUS=starting: ")):
            assert not status.startswith("READY")
        for question in ("status", "why"):
            answer = processes.run(
                [sys.executable, "-m", "trailingedge.main", question, "--socket", tmp_path / "logs" / "ETHFDUSD.sock"],
                cwd=tmp_path,
                text=True,
            )
            assert "starting, not trading yet: real market, attempt" in answer.stderr
            assert "Connect call failed" in answer.stderr
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == ExitCode.OK, said
    for attempt in (1, 2):
        assert said.count(f'start waits: attempt {attempt} of the step "real market" failed: ') == 1

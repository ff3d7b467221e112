"""`trailing-edge status --check`: one line, and the exit code of a monitoring plugin."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from trailingedge.commands import health_check, remote_control
from trailingedge.live.control_socket import NoRunningDaemon


def check(*words: str) -> int:
    parser = argparse.ArgumentParser()
    remote_control.add_arguments(parser, "status")
    return remote_control.run("status", parser.parse_args(["--check", *words]), {})


def lets_answer(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any] | NoRunningDaemon) -> None:
    async def request(*_: object, **__: object) -> dict[str, Any]:
        if isinstance(answer, NoRunningDaemon):
            raise answer
        return answer

    monkeypatch.setattr(health_check, "request", request)


@pytest.mark.parametrize("level", [0, 1, 2])
def test_the_level_is_the_exit_code(
    level: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lets_answer(monkeypatch, {"ok": level == 0, "text": "", "health": {"level": level, "line": "TRAILING-EDGE"}})
    assert check("--socket", "x.sock") == level
    assert capsys.readouterr() == ("TRAILING-EDGE\n", "")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (NoRunningDaemon("no daemon listens there"), "no daemon answers at x.sock (no daemon listens there)"),
        (NoRunningDaemon("no answer within 5 s", command_sent=True), "x.sock: no answer within 5 s"),
        ({"ok": True, "text": ""}, "x.sock: the daemon there is of an older version"),
    ],
)
def test_a_daemon_that_does_not_answer_is_critical(
    answer: dict[str, Any] | NoRunningDaemon,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lets_answer(monkeypatch, answer)
    assert check("--socket", "x.sock") == 2
    assert capsys.readouterr().out.startswith(f"TRAILING-EDGE CRITICAL - {said}")


def test_settings_that_cannot_be_read_are_critical(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert check("--set", "FEE=x") == 2
    assert "FEE is 'x'" in capsys.readouterr().out

"""The command line talks to the daemon that its settings name, and to no other."""

import argparse
import asyncio
import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.limits import PATIENCE_S

from trailingedge import main
from trailingedge.commands import remote_control
from trailingedge.core.errors import ConfigError, ExitCode
from trailingedge.live.control_socket import COMMANDS, ControlSocket
from trailingedge.model.operator_commands import CommandResult, OperatorCommand

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there are no such sockets")


def parsed(*words: str, command: str = "") -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    remote_control.add_arguments(parser, command)
    return parser.parse_args(words)


def in_logs(folder: Path, *words: str, command: str = "") -> argparse.Namespace:
    return parsed("--set", f"LOG_DIR={folder}", *words, command=command)


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@contextmanager
def daemon(path: Path, answer: CommandResult) -> Iterator[list[OperatorCommand]]:
    """A daemon of its own that answers everything alike, at `path`; what it is asked."""
    heard: list[OperatorCommand] = []
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    def submit(command: OperatorCommand, _argument: str) -> asyncio.Future[CommandResult]:
        heard.append(command)
        reply: asyncio.Future[CommandResult] = loop.create_future()
        reply.set_result(answer)
        return reply

    async def live() -> None:
        control = ControlSocket(path, submit)
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(control.run())
            await control.open.wait()
            ready.set()
            await stop.wait()
            running.cancel()

    thread = threading.Thread(target=loop.run_until_complete, args=(live(),))
    thread.start()
    assert ready.wait(PATIENCE_S)
    try:
        yield heard
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@pytest.mark.parametrize(
    "command", [name for name, each in main.COMMANDS.items() if each.module == remote_control.__name__]
)
def test_each_command_reaches_the_daemon(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with daemon(tmp_path / "ETHFDUSD.sock", CommandResult("all is quiet")) as heard:
        assert remote_control.run(command, in_logs(tmp_path, command=command), {}) is ExitCode.OK
    assert heard == [COMMANDS[command]]
    assert capsys.readouterr() == ("all is quiet\n", "")


def test_the_former_name_of_cancel_still_works(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with daemon(tmp_path / "ETHFDUSD.sock", CommandResult("cancelled")) as heard:
        assert main.run(["withdraw", "--socket", str(tmp_path / "ETHFDUSD.sock")]) == ExitCode.OK
    assert heard == [OperatorCommand.CANCEL]
    assert capsys.readouterr().out == "cancelled\n"


def test_a_refusal_is_told_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with daemon(tmp_path / "ETHFDUSD.sock", CommandResult("not now", done=False)):
        assert remote_control.run("flip", in_logs(tmp_path), {}) is ExitCode.UNEXPECTED
    assert capsys.readouterr() == ("", "not now\n")


def test_a_machine_gets_the_figures_alone_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with daemon(tmp_path / "BTCUSDT.sock", CommandResult("fine", data={"bid": "2500.10"})):
        remote_control.run("status", in_logs(tmp_path, "--symbol", "BTCUSDT", "--json"), {})
    shown = capsys.readouterr()
    assert json.loads(shown.out) == {"version": 1, "ok": True, "text": "fine", "bid": "2500.10"}
    assert shown.err == ""


def test_without_a_daemon_one_line_says_where_it_was_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert remote_control.run("status", in_logs(tmp_path), {}) is ExitCode.UNREACHABLE
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"no daemon answers at {tmp_path / 'ETHFDUSD.sock'} (no daemon listens there)")
    assert "start one with trailing-edge" in shown.err
    assert shown.err.count("\n") == 1


def test_a_machine_is_told_of_a_missing_daemon_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert remote_control.run("status", in_logs(tmp_path, "--json"), {}) is ExitCode.UNREACHABLE
    assert json.loads(capsys.readouterr().out)["ok"] is False


def test_a_daemon_of_another_environment_is_found(tmp_path: Path) -> None:
    with daemon(tmp_path / "ETHFDUSD.sock", CommandResult("here")) as heard:
        remote_control.run("status", in_logs(tmp_path), {"XDG_RUNTIME_DIR": str(tmp_path / "mine")})
    assert heard == [OperatorCommand.STATUS]


def test_only_the_first_that_answers_is_told(tmp_path: Path) -> None:
    mine = tmp_path / "trailing-edge"
    with (
        daemon(mine / "ETHFDUSD.sock", CommandResult("not now", done=False)) as first,
        daemon(tmp_path / "ETHFDUSD.sock", CommandResult("flipped")) as second,
    ):
        assert remote_control.run("flip", in_logs(tmp_path), {"XDG_RUNTIME_DIR": str(tmp_path)}) is ExitCode.UNEXPECTED
    assert (first, second) == ([OperatorCommand.FLIP], [])


def test_one_that_heard_the_command_and_said_nothing_is_not_followed_by_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "trailing-edge"
    with (
        daemon(mine / "ETHFDUSD.sock", CommandResult("x", data={1: object, (): "no name"})) as first,  # type: ignore[dict-item]
        daemon(tmp_path / "ETHFDUSD.sock", CommandResult("flipped")) as second,
    ):
        assert remote_control.run("flip", in_logs(tmp_path), {"XDG_RUNTIME_DIR": str(tmp_path)}) is ExitCode.UNREACHABLE
    assert (first, second) == ([OperatorCommand.FLIP], [])
    assert "ended before it answered" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_another_users_daemon_is_told_from_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    assert remote_control.run("status", parsed("--socket", str(closed / "x.sock")), {}) is ExitCode.CONFIG
    assert "run this as the daemon's own user" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_place_that_is_closed_to_us_does_not_end_the_search(tmp_path: Path) -> None:
    (tmp_path / "trailing-edge").mkdir(mode=0)
    with daemon(tmp_path / "ETHFDUSD.sock", CommandResult("here")) as heard:
        assert remote_control.run("status", in_logs(tmp_path), {"XDG_RUNTIME_DIR": str(tmp_path)}) is ExitCode.OK
    assert heard == [OperatorCommand.STATUS]


def test_settings_that_cannot_be_read_name_no_daemon(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.env does not exist.*--socket"):
        remote_control.run("flip", in_logs(tmp_path, "--env-file", "nowhere.env"), {})


@pytest.mark.skipif(sys.platform != "linux", reason="needs SO_PEERCRED")
def test_a_daemon_by_its_process_id_needs_no_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The env file that a reload shall read may name another symbol by now, or be wrong."""
    words, environ = ("--env-file", "nowhere.env", "--pid"), {"RUNTIME_DIRECTORY": str(tmp_path)}
    with daemon(tmp_path / "ANY.sock", CommandResult("not reloaded: FEE is 'abc'", done=False)) as heard:
        assert remote_control.run("reload", parsed(*words, str(os.getpid())), environ) is ExitCode.UNEXPECTED
        assert remote_control.run("reload", parsed(*words, str(os.getppid())), environ) is ExitCode.UNREACHABLE
    assert heard == [OperatorCommand.RELOAD]
    refused, none = capsys.readouterr().err.splitlines()
    assert refused == "not reloaded: FEE is 'abc'"
    assert none.startswith(f"process {os.getppid()} has no control socket in {tmp_path}, ")


def test_a_socket_by_its_name_needs_no_settings(tmp_path: Path) -> None:
    path = tmp_path / "any.sock"
    with daemon(path, CommandResult("here")):
        assert (
            remote_control.run("status", parsed("--socket", str(path), "--env-file", "nowhere.env"), {}) is ExitCode.OK
        )

"""Command line: one complete list of problems, an exit code for each end, and a graceful shutdown."""

import contextlib
import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests import processes
from tests.limits import PATIENCE_S

from trailingedge import main
from trailingedge.app import runner
from trailingedge.config import OPTIONS
from trailingedge.core.errors import ConfigError, ExchangeUnreachable, ExitCode, LogonRefused, StartFailed

HEARD_BEFORE = signal.getsignal(signal.SIGINT)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory and an environment without settings."""
    monkeypatch.chdir(tmp_path)
    for name in OPTIONS:
        monkeypatch.delenv(name, raising=False)


def key_file(path: Path, *, rsa: bool = False) -> Path:
    key = generate_private_key(65537, 2048) if rsa else Ed25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    return path


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The list of problems with which a start ends before it begins."""
    assert main.run(words) == ExitCode.CONFIG
    head, *problems = capsys.readouterr().err.splitlines()
    assert head.endswith("; nothing was started:")
    assert head.startswith(str(len(problems)))
    return [problem.removeprefix("  - ") for problem in problems]


def test_a_command_that_is_interrupted_says_so_and_a_daemon_that_did_nothing_yet_has_ended_as_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> int:
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(main, "_run_command", interrupt)
    monkeypatch.setattr(main, "_run_daemon", interrupt)
    try:
        assert main.run(["check"]) == ExitCode.INTERRUPTED
        assert capsys.readouterr().err == "trailing-edge check: interrupted before it was done\n"
        assert main.run([]) == ExitCode.OK
        assert capsys.readouterr().err == ""
    finally:
        signal.signal(signal.SIGINT, before)


# --- What is wrong is said before anything is started -----------------------------------------


def test_everything_wrong_is_one_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = key_file(tmp_path / "key.pem", rsa=True)
    words = ["--mode", "testnet", "--market", "x.csv", "--speed", "2", "--seed", "1"]
    for assignment in (
        "FEE=abc",
        "START_FACTOR=2",
        "BINANCE_WS_API_URL=http://x",
        f"BINANCE_ED25519_PRIV_PATH={path}",
    ):
        words += ["--set", assignment]
    problems = refused(words, capsys)
    for said in (
        "FEE is 'abc'",
        "START_FACTOR is 2",
        "BINANCE_WS_API_URL is http://x",
        "BINANCE_ED25519_API_KEY is not set",
        "not Ed25519",
        "--market is for sim",
        "--speed is for sim",
        "--seed is for sim",
    ):
        assert len([problem for problem in problems if said in problem]) == 1, said
    assert not (tmp_path / "logs").exists()


def test_a_key_file_that_is_none_is_said_even_if_all_else_is_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "key.pem"
    path.write_text("hello")
    path.chmod(0o600)
    words = ["--mode=testnet", "--set", f"BINANCE_ED25519_PRIV_PATH={path}", "--set", "BINANCE_ED25519_API_KEY=k"]
    (problem,) = refused(words, capsys)
    assert "not a PEM file" in problem


def test_a_token_and_a_chat_that_are_wrong_are_in_one_list(capsys: pytest.CaptureFixture[str]) -> None:
    problems = refused(["--set", "TELEGRAM_BOT_TOKEN=123", "--set", "TELEGRAM_CHAT_ID=abc"], capsys)
    assert any(problem.startswith("TELEGRAM_CHAT_ID is abc") for problem in problems)
    assert any(problem.startswith("TELEGRAM_BOT_TOKEN is no token") for problem in problems)


def test_an_unknown_mode_is_named_with_its_choices(capsys: pytest.CaptureFixture[str]) -> None:
    (problem,) = refused(["--mode", "real"], capsys)
    assert "TRADING_MODE is 'real'" in problem
    assert "sim, paper, testnet, demo, live" in problem


def test_live_is_not_started_without_consent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = key_file(tmp_path / "key.pem")
    key = "BINANCE_ED25519_API_KEY=a-key-that-is-long-enough"
    (problem,) = refused(["--mode=live", "--set", f"BINANCE_ED25519_PRIV_PATH={path}", "--set", key], capsys)
    assert problem.startswith("CONFIRM_LIVE is not set")


def test_an_env_file_that_is_asked_for_must_exist(capsys: pytest.CaptureFixture[str]) -> None:
    (problem,) = refused(["--env-file", "other.env"], capsys)
    assert problem.startswith("other.env does not exist")


def test_a_market_file_that_is_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere.csv" in refused(["--market", "nowhere.csv"], capsys)[0]


def test_a_log_folder_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "logs").write_text("a file")
    (problem,) = refused([], capsys)
    assert problem.startswith("LOG_DIR is logs: no log can be written there")


def test_the_log_folder_is_listed_with_all_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "logs").write_text("a file")
    words = ["--mode=testnet", "--set", "FEE=abc", "--speed=2"]
    names = [problem.split()[0] for problem in refused(words, capsys)]
    assert names == ["FEE", "BINANCE_ED25519_API_KEY", "BINANCE_ED25519_PRIV_PATH", "--speed", "LOG_DIR"]


def test_a_market_file_is_listed_with_all_else(capsys: pytest.CaptureFixture[str]) -> None:
    problems = refused(["--set", "FEE=abc", "--market", "nowhere.csv"], capsys)
    assert [problem.split()[0] for problem in problems] == ["FEE", "nowhere.csv:"]


def test_a_start_that_is_refused_leaves_no_log_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(["--set", "FEE=abc"], capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_setting_that_is_none_is_listed_with_all_else_and_a_fault_of_usage(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.run(["--set", "FEEE=1", "--set", "FEE=abc"]) == ExitCode.USAGE
    told = capsys.readouterr().err
    assert "unknown setting FEEE" in told
    assert "FEE is 'abc'" in told


@pytest.mark.parametrize(
    "words",
    [["--sped", "2"], ["--speed", "0"], ["--speed", "inf"], ["--set", "FEE"], ["--seed", "x"]],
    ids=" ".join,
)
def test_a_flag_that_is_none_is_a_fault_of_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.run(words)
    assert ended.value.code == ExitCode.USAGE
    assert "usage: trailing-edge" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"), [(["--version"], "trailing-edge 0."), (["--help"], "exchange"), (["exchange", "-h"], "--port")]
)
def test_version_and_help(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.run(words)
    assert ended.value.code == ExitCode.OK
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(("words", "said"), [(["help"], "commands, each"), (["help", "exchange"], "--port")])
def test_help_is_a_command_too(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(words) == ExitCode.OK
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("words", [["chek"], ["help", "chek"]], ids=" ".join)
def test_a_word_that_is_no_command_is_a_fault_of_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(words) == ExitCode.USAGE
    assert capsys.readouterr().err.endswith("there is no command chek; did you mean check?\n")


def test_the_nearest_flag_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.run(["check", "--onlin"])
    assert capsys.readouterr().err.endswith("did you mean --online?\n")


def test_the_problem_of_a_command_is_not_called_one_of_a_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main.run(["keygen", "--out", "file/key.pem"]) == ExitCode.CONFIG
    head, problem = capsys.readouterr().err.splitlines()
    assert head == "trailing-edge keygen: 1 problem:"
    assert "file" in problem


def test_the_problems_are_kept_to_oneself_where_there_is_nobody_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert main.run(["--mode", "real"]) == ExitCode.CONFIG


# --- What ended it, as an exit code -----------------------------------------------------------


@dataclass
class Sink:
    alerts: list[tuple[int, str]] = field(default_factory=list)

    def send(self, text: str, level: int = logging.INFO) -> None:
        self.alerts.append((level, text))


@pytest.mark.parametrize(
    ("failure", "code", "said"),
    [
        pytest.param(
            ConfigError(["a", "b"]),
            ExitCode.CONFIG,
            "ended: 2 problems with the settings or the key:\n  - a\n  - b",
            id="settings",
        ),
        pytest.param(LogonRefused("no such key"), ExitCode.CONFIG, "ended: no such key", id="logon"),
        pytest.param(ExchangeUnreachable("gone"), ExitCode.UNREACHABLE, "ended: gone", id="unreachable"),
        pytest.param(StartFailed("no book"), ExitCode.UNREACHABLE, "ended: no book", id="start"),
        pytest.param(KeyError("x"), ExitCode.UNEXPECTED, "ended: unexpectedly, by KeyError: 'x'", id="mistake"),
    ],
)
def test_what_ends_a_session_is_an_alert_and_an_exit_code(failure: Exception, code: ExitCode, said: str) -> None:
    sink = Sink()
    assert runner.report_failure(failure, sink) is code
    assert sink.alerts == [(logging.ERROR, f"{said}\nno trading and no hard stop until the bot runs again")]


def test_a_mistake_of_ours_is_logged_with_where_it_was_made(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ZeroDivisionError) as failure:
        raise ZeroDivisionError("by nought")
    assert runner.report_failure(failure.value, Sink()) is ExitCode.UNEXPECTED
    assert "Traceback" in caplog.text
    assert "test_a_mistake_of_ours" in caplog.text


# --- Whole runs, each a process of its own ----------------------------------------------------

RUNS = {
    "a duration": "exec {run} --duration 1 </dev/null",
    "no stdin": "exec {run} <&-",
    "empty stdin": "exec {run} </dev/null",
    "no stdout": "exec {run} >&-",
    "no stderr": "exec {run} 2>&-",
    "broken pipe": "{{ {run} --duration 1; echo code $? >&2; }} | head -1",
    "interrupted": "printf 'DONCHIAN_WIDOW=5\\nBUFER=1\\n' >.env; exec {run} </dev/null",
    "paper out of reach": "exec {run} --mode paper {urls} </dev/null",
    "unreachable": "exec {run} --mode testnet {keys} --set RECONNECT_MAX_RETRIES=2 --set RECONNECT_BASE_SEC=0.01",
}
# What ends a run that does not end by itself, and the words in its log that it waits for: how long a start takes is
# up to the machine.
SIGNALS = {
    "no stdin": (signal.SIGTERM, "ready: "),
    "empty stdin": (signal.SIGTERM, "ready: "),
    "no stdout": (signal.SIGTERM, "ready: "),
    "no stderr": (signal.SIGTERM, "ready: "),
    "interrupted": (signal.SIGINT, "ready: "),
    "paper out of reach": (signal.SIGTERM, "next attempt in"),
}


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Ended]]:
    """How each of the runs ended; they ran side by side."""
    if sys.platform == "win32":
        pytest.skip("asks a shell to close files")
    with contextlib.ExitStack() as running:
        started = {name: _started(command, tmp_path_factory.mktemp("run"), running) for name, command in RUNS.items()}
        yield {name: _ended(*each, SIGNALS.get(name)) for name, each in started.items()}


def _started(command: str, place: Path, running: contextlib.ExitStack) -> tuple[subprocess.Popen[str], Path]:
    """The process, and its log."""
    keys = f"--set BINANCE_ED25519_PRIV_PATH={key_file(place / 'key.pem')} --set BINANCE_ED25519_API_KEY=k"
    urls = "--set BINANCE_WS_API_URL=ws://127.0.0.1:9/ws-api/v3 --set BINANCE_WS_STREAM_URL=ws://127.0.0.1:9"
    program = command.format(run=f"{sys.executable} -m trailingedge", keys=f"{keys} {urls}", urls=urls)
    process = running.enter_context(
        processes.started(
            ["bash", "-c", program],
            cwd=place,
            env=processes.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    )
    return process, place / "logs" / "latest.log"


def _ended(process: subprocess.Popen[str], log: Path, ending: tuple[signal.Signals, str] | None) -> Ended:
    """The end of a run; with a signal once it has said that, which comes twice, as a stop of a whole group does."""
    if ending is not None:
        number, said = ending
        told = processes.line_in(log, said)
        processes.wait_until(lambda: told() or process.poll() is not None)
        process.send_signal(number)
        process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE_S)
    return Ended(process.returncode, out, err)


@pytest.mark.parametrize("name", ["no stdin", "empty stdin", "no stderr", "interrupted"])
def test_a_run_starts_trades_and_sums_up(name: str, ends: dict[str, Ended]) -> None:
    end = ends[name]
    assert (end.code, end.err) == (ExitCode.OK, "")
    for said in (
        "SIMULATION on the embedded exchange",
        "jumpstart order cancelled",
        "ready: sim ETHFDUSD",
        "summary sim ETHFDUSD",
        "log logs/trailingedge_",
        "report: trailing-edge report logs/trailingedge_",
    ):
        assert said in end.out


def test_paper_shuts_down_gracefully_while_the_real_market_is_out_of_reach(ends: dict[str, Ended]) -> None:
    end = ends["paper out of reach"]
    assert (end.code, end.err) == (ExitCode.OK, "")
    assert "PAPER shutdown: SIGTERM" in end.out


def test_ignored_lines_are_repeated_right_before_trading_begins(ends: dict[str, Ended]) -> None:
    lines = ends["interrupted"].out.splitlines()
    ready = next(number for number, line in enumerate(lines) if "ready: sim" in line)
    shown = lines[ready - 1]
    assert "settings ....." in shown
    assert shown.endswith(" 2 lines of .env ignored: DONCHIAN_WIDOW, BUFER")
    assert not [line for line in ends["a duration"].out.splitlines() if "settings ...." in line]


def test_without_a_standard_output_it_runs_all_the_same(ends: dict[str, Ended]) -> None:
    assert ends["no stdout"] == Ended(ExitCode.OK, "", "")


def test_a_reader_that_hangs_up_does_not_end_it(ends: dict[str, Ended]) -> None:
    assert ends["broken pipe"].err == "code 0\n"
    assert ends["broken pipe"].out.count("\n") == 1


def test_the_reason_of_the_end_is_told(ends: dict[str, Ended]) -> None:
    assert "shutdown: Ctrl-C (SIGINT)" in ends["interrupted"].out
    assert "shutdown: SIGTERM" in ends["empty stdin"].out
    assert "shutdown: --duration reached (1 s)" in ends["a duration"].out
    assert ends["a duration"].code == ExitCode.OK


def test_an_exchange_out_of_reach_is_said_and_no_summary_made(ends: dict[str, Ended]) -> None:
    end = ends["unreachable"]
    assert end.code == ExitCode.UNREACHABLE
    assert "given up after 2 attempts to reconnect" in end.out
    assert "summary" not in end.out
    assert "Traceback" not in end.out + end.err


def test_runs_in_processes_of_their_own_leave_our_signals_alone() -> None:
    assert signal.getsignal(signal.SIGINT) is HEARD_BEFORE


def test_python_m_does_what_the_console_script_does() -> None:
    done = processes.run([sys.executable, "-m", "trailingedge", "--version"], text=True)
    assert (done.returncode, done.stdout.startswith("trailing-edge 0.")) == (0, True)

"""`report` tells a file or an account in each of its ways, and says what keeps it from that."""

import argparse
import csv
import io
import json
import signal
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from tests.commands.fast_exchange import arena
from tests.report.report_builders import a_story
from tests.session_replay.golden_sessions import path_of

from trailingedge.commands import report
from trailingedge.commands.checks import local
from trailingedge.commands.checks.check_target import CheckTarget, CheckTools
from trailingedge.commands.checks.local import LocalProblems
from trailingedge.commands.report import _parse_time, _parse_to
from trailingedge.config import Settings
from trailingedge.core.errors import ExitCode, SessionLost
from trailingedge.report.csv_ledger import as_csv
from trailingedge.report.file_format import load, save
from trailingedge.report.json_output import as_data
from trailingedge.report.page import page
from trailingedge.report.progress import ProgressBar
from trailingedge.report.terminal import summary_text, terminal_width
from trailingedge.websocket.socket_dialer import Socket


def told(*words: str | Path, means: CheckTools | None = None, **environ: str) -> ExitCode:
    parser = argparse.ArgumentParser()
    report.add_arguments(parser)
    return report.run(parser.parse_args(list(map(str, words))), arena, environ, means)


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "june.story.json.gz"
    save(a_story(), made)
    return made


def test_a_saved_story_is_told_on_the_terminal(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(path) is ExitCode.OK
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == (summary_text(a_story(), terminal_width()) + "\n", "")


def test_json_and_ledger_stand_alone_on_stdout(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(path, "--json", "--html", "a.html", "--save", "copy.story.json.gz") is ExitCode.OK
    shown = capsys.readouterr()
    assert json.loads(shown.out) == json.loads(json.dumps(as_data(a_story())))
    assert "saved: copy.story.json.gz" in shown.err
    assert "a.html" in shown.err
    assert told(path, "--csv") is ExitCode.OK
    assert capsys.readouterr().out == as_csv(a_story())


def test_a_page_and_a_copy_are_written_where_they_are_wanted(path: Path) -> None:
    told(path, "--html", "a.html", "--save", "copy.story.json.gz")
    assert Path("a.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert load(Path("copy.story.json.gz")) == a_story()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["nowhere.story.json.gz"], "No such file", id="no file"),
        pytest.param(["a.session.jsonl.gz"], "give the first file of a recorded session", id="a session"),
        pytest.param(["june.story.json.gz", "--html", "no/a.html"], "--html no/a.html: No such file", id="no folder"),
    ],
)
@pytest.mark.usefixtures("path")
def test_what_cannot_be_told_is_named(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(*words) is ExitCode.CONFIG
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["a", "--days", "3"], id="a file has its own days"),
        pytest.param(["--account", "--days", "3", "--from", "2026-07-02"], id="two beginnings"),
        pytest.param(["--account", "--from", "2026-07-02", "--to", "2026-07-01"], id="backwards"),
        pytest.param(["a", "--set", "BUFFER=0.1"], id="a file was told with its own settings"),
        pytest.param(["a", "--mode", "live"], id="a file is of no exchange"),
    ],
)
def test_flags_that_contradict_each_other_are_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert told(*words) is ExitCode.USAGE
    assert capsys.readouterr().err.startswith("trailing-edge report: --")


@pytest.mark.parametrize(
    "words",
    [[], ["a", "--account"], ["a", "--json", "--csv"], ["--account", "--days", "0"], ["--account", "--from", "July"]],
    ids=" ".join,
)
def test_other_wrong_usage_is_explained_by_the_parser(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        told(*words)
    assert ended.value.code == ExitCode.USAGE


def test_a_day_lasts_to_its_end_and_a_moment_is_a_moment() -> None:
    assert _parse_time("2026-07-02") == 1_782_950_400_000
    assert _parse_to("2026-07-02") == 1_782_950_400_000 + 86_399_999
    assert _parse_to("2026-07-02T01:00") == 1_782_950_400_000 + 3_600_000
    assert _parse_time("2026-07-02T02:00+02:00") == 1_782_950_400_000


@pytest.mark.parametrize("mode", ["sim", "paper"])
def test_an_exchange_that_ends_with_the_run_has_no_books(mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert told("--account", "--mode", mode) is ExitCode.CONFIG
    assert f"TRADING_MODE is {mode}" in capsys.readouterr().err


def test_settings_that_cannot_log_on_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert told("--account", "--mode", "testnet") is ExitCode.CONFIG
    shown = capsys.readouterr().err
    assert "BINANCE_ED25519_API_KEY" in shown
    assert "BINANCE_ED25519_PRIV_PATH" in shown


def test_an_account_is_read_and_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _settle(monkeypatch)
    assert told("--account", "--mode", "testnet", "--days", "1", "--csv") is ExitCode.OK
    shown = capsys.readouterr()
    assert list(csv.DictReader(io.StringIO(shown.out))) == []
    assert "trades: 0" in shown.err
    assert told("--account", "--mode", "testnet", "--days", "1") is ExitCode.OK
    assert "sales and buy-backs 0, fills 0" in capsys.readouterr().out


def test_an_exchange_that_cannot_be_reached_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _settle(monkeypatch)

    async def dial(_: str) -> Socket:
        raise SessionLost("connection refused")

    assert told("--account", "--mode", "testnet", means=CheckTools(dial)) is ExitCode.UNREACHABLE
    assert "connection refused; check that this machine is online" in capsys.readouterr().err


def _settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """The arena brings its own key; whether the settings name one is judged elsewhere."""
    nothing_wrong = LocalProblems((), (), (), ())
    monkeypatch.setattr(local, "validate", lambda *_: nothing_wrong)


def test_consent_to_trade_real_money_is_not_needed_to_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wants_consent = LocalProblems((), (), ("CONFIRM_LIVE is missing",), ())
    monkeypatch.setattr(local, "validate", lambda *_: wants_consent)
    assert told("--account", "--mode", "live", "--days", "1") is ExitCode.OK
    assert "CONFIRM_LIVE" not in capsys.readouterr().err


def test_a_page_goes_to_standard_output_in_place_of_the_summary(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(path, "--html", "-") is ExitCode.OK
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == (page(a_story()), "")
    assert not Path("-").exists()


def test_after_ctrl_c_a_session_is_told_as_far_as_it_was_replayed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def press_half_way(_: ProgressBar, share: float, __: str) -> None:
        if share > 0.5:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(ProgressBar, "show", press_half_way)
    assert told(path_of("fair")) is ExitCode.OK
    shown = capsys.readouterr()
    assert "  note: stopped at " in shown.out
    assert "later events are missing" in shown.out
    assert shown.err == ""


def test_after_ctrl_c_before_it_was_ready_there_is_nothing_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProgressBar, "show", lambda *_: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        told(path_of("fair"))


def nowhere(_: Settings) -> AbstractAsyncContextManager[CheckTarget]:
    raise AssertionError("nothing is opened for a file")


def test_a_file_is_told_without_any_exchange(path: Path) -> None:
    parser = argparse.ArgumentParser()
    report.add_arguments(parser)
    assert report.run(parser.parse_args([str(path)]), nowhere, {}) is ExitCode.OK

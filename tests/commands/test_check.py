"""Every setting is shown with where it came from, and all that is wrong with them is one list."""

import argparse
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.commands.fast_exchange import arena

from trailingedge.commands import check
from trailingedge.commands.checks.check_target import CheckTarget
from trailingedge.config import OPTIONS, Settings, env_example, settings_table
from trailingedge.config_validator import checked_settings
from trailingedge.core.errors import ConfigError, ExitCode


def checked(*words: str, **environ: str) -> ExitCode:
    parser = argparse.ArgumentParser()
    check.add_arguments(parser)
    return check.run(parser.parse_args(words), arena, environ)


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def row(shown: str, name: str) -> list[str]:
    (line,) = (line for line in shown.splitlines() if line.startswith(f"{name} "))
    return line.split(maxsplit=2)[1:]


def test_every_setting_is_there_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert checked() is ExitCode.OK
    shown = capsys.readouterr().out
    assert all(row(shown, name)[1] == "default" for name in OPTIONS)
    assert shown.endswith("a daemon can start with these settings\n")


def test_each_value_tells_where_it_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".env").write_text("FEE=0.001\n")
    checked("--set", "BUFFER=0.003", SYMBOL="BTCUSDT")
    shown = capsys.readouterr().out
    assert row(shown, "BUFFER") == ["0.003", "command line"]
    assert row(shown, "SYMBOL") == ["BTCUSDT", "environment"]
    assert row(shown, "FEE") == ["0.001", ".env"]


def test_only_what_differs_from_the_defaults_is_listed_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    same = ("--set", "START_FACTOR=0.5")
    assert checked("--changed", *same) is ExitCode.OK
    assert capsys.readouterr().out.startswith("all settings have their defaults\n")
    checked("--changed", *same, "--set", "FEE=0.001", "--set", "BUFFER=x", SYMBOL="BTCUSDT")
    *listed, _, _, problem = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed if line and not line.startswith("#")] == ["SYMBOL", "FEE", "BUFFER"]
    assert [line for line in listed if line.startswith("#")] == ["# Pair", "# Fees"]
    assert "BUFFER is 'x'" in problem
    checked("--changed", "--json", "--set", "FEE=0.001")
    assert list(json.loads(capsys.readouterr().out)["settings"]) == ["FEE"]


@pytest.mark.parametrize("mode", ["sim", "live"])
def test_an_unknown_name_is_judged_as_the_daemon_judges_it(mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(".env").write_text("FEEE=0.001\n")
    checked("--mode", mode)
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "FEEE" in line)
    try:
        _, _, warnings = checked_settings({"TRADING_MODE": mode}, {}, Path(".env"))
    except ConfigError as wrong:
        warnings = list(wrong.problems)
    assert line.removeprefix("  - ") in warnings


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_secrets_are_masked(form: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    checked(*form, BINANCE_ED25519_API_KEY="hush", TELEGRAM_BOT_TOKEN="1:hush")
    shown = "".join(capsys.readouterr())
    assert "(secret)" in shown
    assert "hush" not in shown


def test_everything_wrong_is_one_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert checked("--mode", "testnet", "--set", "FEE=2", "--online") is ExitCode.CONFIG
    shown = capsys.readouterr().out
    problems = [line[4:].split()[0] for line in shown.splitlines() if line.startswith("  - ")]
    assert problems[:3] == ["FEE", "BINANCE_ED25519_API_KEY", "BINANCE_ED25519_PRIV_PATH"]
    assert "3 problems:" in shown
    assert shown.endswith("not logged on: correct these settings first\n")


def test_a_log_folder_that_the_daemon_refuses_is_a_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert checked("--set", "LOG_DIR=file/logs", "--set", "FEE=2") is ExitCode.CONFIG
    shown = capsys.readouterr().out
    assert "2 problems:" in shown
    assert "  - LOG_DIR is file/logs: no log can be written there (Not a directory); choose a folder that" in shown
    assert "a daemon can start" not in shown
    assert checked("--json", "--set", "LOG_DIR=file/logs") is ExitCode.CONFIG
    assert len(json.loads(capsys.readouterr().out)["problems"]) == 1


def test_trying_the_log_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    assert checked("--set", "LOG_DIR=new/logs") is ExitCode.OK
    assert list(tmp_path.iterdir()) == []


def test_a_token_is_looked_at_although_something_else_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert checked("--set", "TELEGRAM_BOT_TOKEN=1234567890", "--set", "TELEGRAM_CHAT_ID=abc") is ExitCode.CONFIG
    shown = capsys.readouterr().out
    assert "1 problem:\n  - TELEGRAM_CHAT_ID is abc" in shown
    assert "1 warning:\n  - TELEGRAM_BOT_TOKEN is no token" in shown


def test_warnings_stop_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert checked("--set", "TAKER_ESCAPE_AFTER_SEC=600") is ExitCode.OK
    assert "1 warning:\n  - TAKER_ESCAPE_AFTER_SEC" in capsys.readouterr().out


def test_a_machine_gets_everything_alone_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert checked("--json", "--set", "MIN_NOTIONAL=7.50", "--set", "FEE=2") is ExitCode.CONFIG
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    assert shown.err == ""
    assert (report["version"], report["ok"], report["symbol"], report["mode"]) == (1, False, "ETHFDUSD", "sim")
    assert report["settings"]["MIN_NOTIONAL"] == {"value": "7.50", "source": "command line"}
    assert report["settings"]["ANCHOR_PRICE"] == {"value": None, "source": "default"}
    assert list(report["settings"]) == list(OPTIONS)
    assert len(report["problems"]) == 1


def test_it_prints_the_template_of_an_env_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert checked("--example", "--set", "FEE=2") is ExitCode.OK
    assert capsys.readouterr() == (env_example(), "")


def test_it_prints_the_table_of_settings(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for columns, width in (("60", 80), ("99", 99), ("500", 120)):
        monkeypatch.setenv("COLUMNS", columns)
        assert checked("--explain") is ExitCode.OK
        assert capsys.readouterr() == (settings_table(width), "")


@pytest.mark.parametrize("flag", ["--explain", "--example"])
def test_a_description_is_not_json(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(flag, "--changed") is ExitCode.USAGE
    assert checked(flag, "--json") is ExitCode.USAGE
    assert "--json" in capsys.readouterr().err


def test_on_demand_it_logs_on_and_places_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert checked("--online", "--json") is ExitCode.OK
    names = [finding["name"] for finding in json.loads(capsys.readouterr().out)["online"]]
    assert names == ["connection", "clock", "logon", "key permissions", "rules", "fee", "funds", "own orders"]


def test_an_exchange_that_is_away_has_a_code_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    @contextlib.asynccontextmanager
    async def ruins(settings: Settings) -> AsyncIterator[CheckTarget]:
        async with arena(settings) as venue:
            pass
        yield venue

    parser = argparse.ArgumentParser()
    check.add_arguments(parser)
    assert check.run(parser.parse_args(["--online"]), ruins, {}) is ExitCode.UNREACHABLE
    assert "failed    connection" in capsys.readouterr().out

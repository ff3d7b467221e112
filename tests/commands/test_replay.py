"""Tests of the command `replay`."""

import json
from pathlib import Path

import pytest
from tests.backtest import market_files
from tests.session_replay.golden_sessions import path_of

from trailingedge.core.errors import ExitCode
from trailingedge.eventlog.format import SUFFIX
from trailingedge.main import run


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)  # no env file of whoever runs the tests
    path = tmp_path / f"a{SUFFIX}"
    path.write_bytes(path_of("storm").read_bytes())
    return str(path)


def test_a_recorded_session_is_replayed(session: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", session]) == ExitCode.OK
    assert "no difference" in capsys.readouterr().out


def test_market_files_are_refused_in_one_line_that_names_backtest(
    session: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    klines = str(market_files.write_klines(tmp_path, 7, 92))
    trades = str(market_files.write_trades(tmp_path, 7, 92))
    for words in ([klines], [klines, trades], [session, klines]):
        assert run(["replay", *words]) == ExitCode.CONFIG
        (line,) = capsys.readouterr().err.splitlines()
        assert f"use trailing-edge backtest {klines}" in line
        assert line.startswith(klines)


def test_as_market_compares_the_session_with_a_backtest(session: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", session, "--as-market"]) == ExitCode.OK
    assert "to backtest with the measured latency: trailing-edge backtest --latency 31" in capsys.readouterr().out


def test_as_market_takes_another_latency_and_prints_json(session: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", session, "--as-market", "--latency", "250", "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["latency_ms"] == 250


def test_a_latency_without_as_market_is_refused(session: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["replay", session, "--latency", "250"]) == ExitCode.USAGE
    assert capsys.readouterr().err == "trailing-edge replay: --latency 250 is for --as-market; add it\n"


def test_a_record_that_is_cut_cannot_be_compared(session: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(session)
    path.write_bytes(path.read_bytes()[:-3000])
    assert run(["replay", session, "--as-market"]) == ExitCode.CONFIG
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{session}: the record is incomplete (")

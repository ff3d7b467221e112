"""Tests of the command `replay`."""

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

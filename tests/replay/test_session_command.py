"""The command tells how it went, to people and to machines, and by its exit code."""

import json
from pathlib import Path

import pytest
from tests.replay.golden import path_of

from trailingedge.errors import ExitCode
from trailingedge.replay.session_command import is_session, run
from trailingedge.replay.session_words import told

STORM = path_of("storm")
LESS = {"MIN_GAIN_TRIGGER_FRAC_BASE": "0.02"}


def test_a_session_is_known_by_its_name() -> None:
    assert is_session(STORM)
    assert not is_session(Path("ETHUSDT-1m-2026-07.zip"))


def test_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(STORM, {}, as_json=False) is ExitCode.OK
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{STORM}: ")
    assert "97 requests" in first
    assert second == "it goes the same way: every request, decision, event and alert is what it was, byte for byte"


def test_another_way_with_another_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(path_of("faulty"), LESS, as_json=False) is ExitCode.UNEXPECTED
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "with MIN_GAIN_TRIGGER_FRAC_BASE=0.02"
    assert lines[2].startswith("they part ways ")
    assert lines[3] == "  before:"
    assert any(line.startswith("    heard over line 1: ") for line in lines)
    assert any(line.startswith("  the record says  decision [") for line in lines)
    assert any(line.startswith("  said now         ") for line in lines)


def test_for_machines(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(path_of("faulty"), LESS, as_json=True) is ExitCode.UNEXPECTED
    data = json.loads(capsys.readouterr().out)
    assert data["version"] == 1
    assert data["same"] is False
    assert data["changed"] == LESS
    assert data["trouble"] is None
    assert json.loads(data["difference"]["recorded"])[0] == "decision"
    assert data["from"] < data["difference"]["at"] <= data["to"]


def test_a_file_that_is_no_session(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "none.session.jsonl.gz", {}, as_json=False) is ExitCode.CONFIG
    assert "No such file" in capsys.readouterr().err


def test_one_that_breaks_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / path_of("fair").name
    path.write_bytes(path_of("fair").read_bytes()[:30_000])
    assert run(path, {}, as_json=False) is ExitCode.OK
    assert capsys.readouterr().out.splitlines()[-1].startswith("replayed up to there: fair.session.jsonl.gz breaks off")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'["<",1,2,7,{"u":1}]', 'heard over line 7: {"u":1}'),
        (b'["+text",0,0,7,{"u":1}]', 'heard over line 7: {"u":1}'),
        (
            b'["!>",2,"{}",["SessionLost"]]',
            "request over line 2, not written (SessionLost): {}",
        ),
        (b'["ask",3,"the end of 1"]', "waits for the end of 1 (3)"),
        (b'["told",1,2,3,["SessionLost","closed",0.0]]', '3 came out: ["SessionLost", "closed", 0.0]'),
        (b'["alarm",3,0.5]', "alarm 3 in 0.5 s"),
        (b'["ring",1,2,3]', "alarm 3 rang"),
        (b'["tick",1,2]', "time passed"),
        (b'["obey",1,2,"flip","phone"]', "phone asked: flip"),
        (b'["stop",1,2,"quit",0]', "told to stop: quit (0)"),
        (b'["stir",1,2]', "stirred"),
        (b'["alert",20,"ready"]', "alert: ready"),
        (b'["news","ExitArmed",{"n":1}]', 'event ExitArmed: {"n": 1}'),
        (b'["over",0]', "ended: 0"),
        (b'["new",0]', '["new",0]'),
        (b"nobody listens to line 1", "nobody listens to line 1"),
    ],
)
def test_a_line_in_words(line: bytes, words: str) -> None:
    assert told(line) == words

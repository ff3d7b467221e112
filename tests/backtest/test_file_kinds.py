"""Tests of file kinds: each file given to each command is accepted, or one line names the right command."""

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.backtest import market_files
from tests.report.report_builders import a_story
from tests.session_replay.golden_sessions import path_of

from trailingedge.backtest.file_kinds import FileKind, detect_kind
from trailingedge.core.errors import ExitCode
from trailingedge.main import run
from trailingedge.report.csv_ledger import as_csv
from trailingedge.report.file_format import save

NOTES = "Dear diary,\nit went up, and then it went down.\n"


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def a_market(folder: Path) -> Path:
    return market_files.write_klines(folder, 7, 5)


def a_zipped_market(folder: Path) -> Path:
    path = folder / "ETHFDUSD-1m-2026-07.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(a_market(folder), "ETHFDUSD-1m-2026-07.csv")
    return path


def a_damaged_zip(folder: Path) -> Path:
    whole = a_zipped_market(folder).read_bytes()
    path = folder / "ETHFDUSD-1m-2026-08.zip"
    path.write_bytes(whole[: len(whole) // 2])
    return path


def a_zip_with_a_flipped_byte(folder: Path) -> Path:
    path = a_zipped_market(folder)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 3] ^= 0x40
    path.write_bytes(whole)
    return path


def saved_story(folder: Path) -> Path:
    path = folder / "june.story.json.gz"
    save(a_story(), path)
    return path


def a_story_of_another_name(folder: Path) -> Path:
    return saved_story(folder).rename(folder / "june.gz")


def a_story_with_a_flipped_byte(folder: Path) -> Path:
    path = saved_story(folder)
    whole = bytearray(path.read_bytes())
    whole[-6] ^= 1
    path.write_bytes(whole)
    return path


def a_session(folder: Path) -> Path:
    path = folder / "trailingedge_2026-07-02_00-00-00.session.jsonl.gz"
    path.write_bytes(path_of("storm").read_bytes())
    return path


def a_session_of_another_name(folder: Path) -> Path:
    return a_session(folder).rename(folder / "monday.gz")


def an_empty_session(folder: Path) -> Path:
    path = folder / "empty.session.jsonl.gz"
    path.write_bytes(b"")
    return path


def a_session_that_is_none(folder: Path) -> Path:
    path = folder / "other.session.jsonl.gz"
    path.write_bytes(gzip.compress(b"{}\n"))  # it might have been cut off
    return path


def a_folder(folder: Path) -> Path:
    path = folder / "logs"
    path.mkdir()
    return path


def a_text(folder: Path) -> Path:
    path = folder / "notes.txt"
    path.write_text(NOTES, encoding="utf-8")
    return path


def an_empty_file(folder: Path) -> Path:
    path = folder / "nothing"
    path.write_bytes(b"")
    return path


def a_packed_text(folder: Path) -> Path:
    path = folder / "notes.gz"
    path.write_bytes(gzip.compress(NOTES.encode()))
    return path


def a_picture(folder: Path) -> Path:
    path = folder / "chart.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    return path


def no_file(folder: Path) -> Path:
    return folder / "gone"


Make = Callable[[Path], Path]

REPORT_IT = "print it with trailing-edge report {}"
A_SESSION = "a recorded session, not a market file; use trailing-edge replay {}"
A_MARKET = "a market file, not a recorded session; use trailing-edge backtest {}"
NO_TRADES = "a market file, without trades of ours; use trailing-edge backtest {}"
NEITHER = "neither a recorded session nor a saved report"
EMPTY, BROKEN, DAMAGED = "empty, nothing was recorded", "breaks off after line 0", "after line 0"

# Of each file: what `backtest` says of it, what `replay` does, and what `report` does.
FILES = [
    pytest.param(a_market, "", A_MARKET, NO_TRADES),
    pytest.param(a_zipped_market, "", A_MARKET, NO_TRADES),
    pytest.param(a_damaged_zip, "is no zip archive; download it again", A_MARKET, NO_TRADES),
    pytest.param(a_zip_with_a_flipped_byte, "cannot be unpacked", A_MARKET, NO_TRADES),
    pytest.param(saved_story, REPORT_IT, REPORT_IT, ""),
    pytest.param(a_story_of_another_name, REPORT_IT, REPORT_IT, ""),
    pytest.param(a_story_with_a_flipped_byte, REPORT_IT, REPORT_IT, "damaged, its checksum is wrong"),
    pytest.param(a_session, A_SESSION, "", ""),
    pytest.param(a_session_of_another_name, A_SESSION, "", ""),
    pytest.param(an_empty_session, A_SESSION, EMPTY, EMPTY),
    pytest.param(a_session_that_is_none, A_SESSION, BROKEN, BROKEN),
    pytest.param(a_folder, "is a directory; name the files in it", "a folder; name", "a folder; name a recorded"),
    pytest.param(a_text, "name CSV or ZIP files", DAMAGED, f"{NEITHER}; name a *.session"),
    pytest.param(an_empty_file, "holds no rows; leave it out", EMPTY, "empty; name a *.session"),
    pytest.param(a_packed_text, "neither a market file nor a recorded", DAMAGED, NEITHER),
    pytest.param(a_picture, "is no CSV text", DAMAGED, NEITHER),
    pytest.param(no_file, "no such file; name CSV or ZIP files", "No such file", "No such file or directory; name"),
]


@pytest.mark.parametrize(("make", "of_backtest", "of_replay", "of_report"), FILES)
def test_each_kind_of_file_is_accepted_or_refused_with_a_remedy(
    make: Make, of_backtest: str, of_replay: str, of_report: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make(tmp_path)
    for command, said in (("backtest", of_backtest), ("replay", of_replay), ("report", of_report)):
        code = run([command, str(path)])
        told = capsys.readouterr()
        if not said:
            assert (code, told.err) == (ExitCode.OK, "")
            continue
        (line,) = told.err.splitlines()
        assert (code, told.out) == (ExitCode.CONFIG, "")
        assert str(path) in line
        assert said.replace("{}", str(path)) in line


def test_a_sweep_refuses_other_files_than_markets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved_story(tmp_path)
    assert run(["sweep", str(path), "--vary", "BUFFER=0.1"]) == ExitCode.CONFIG
    assert "a saved report, not a market file" in capsys.readouterr().err


def test_another_csv_table_is_no_market(tmp_path: Path) -> None:
    path = tmp_path / "ledger.csv"
    path.write_text(as_csv(a_story()), encoding="utf-8")
    assert detect_kind(path) is FileKind.OTHER


def test_a_later_part_of_a_session_is_a_session(tmp_path: Path) -> None:
    path = tmp_path / "part.gz"
    path.write_bytes(gzip.compress(json.dumps(["part", 2], separators=(",", ":")).encode()))
    assert detect_kind(path) is FileKind.SESSION

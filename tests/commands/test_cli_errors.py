"""One rule for what is wrong, in every command that reads files; and a help that helps."""

import argparse
import re
import shlex
import sys
from pathlib import Path

import pytest
from tests import processes
from tests.backtest import market_files
from tests.report.report_builders import a_story
from tests.session_replay.golden_sessions import path_of

from trailingedge.core.errors import ExitCode
from trailingedge.eventlog.format import SUFFIX
from trailingedge.main import command_parser, run
from trailingedge.report.file_format import save

USAGE, CONFIG = ExitCode.USAGE, ExitCode.CONFIG
KLINES, SESSION, STORY = "ETHFDUSD-1m-2026-07.csv", f"a{SUFFIX}", "a.story.json.gz"
VARY = ["--vary", "BUFFER=0.001,0.003"]
WORDS = ("backtest", "replay", "report", "sweep")


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    market_files.write_klines(tmp_path, 7, 92)
    Path(SESSION).write_bytes(path_of("storm").read_bytes())
    save(a_story(), Path(STORY))
    Path("wrong.env").write_text("BUFFER=2\n", encoding="utf-8")


def code_of(words: list[str]) -> int:
    try:
        return run(words)
    except SystemExit as ended:  # by the parser
        return int(ended.code or 0)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        # The command line by itself.
        (["backtest"], USAGE, "required: FILE"),
        (["replay"], USAGE, "required: SESSION"),
        (["backtest", KLINES, "--fee", "2"], USAGE, "not a fraction"),
        (["backtest", KLINES, "--set", "BUFFER"], USAGE, "not NAME=VALUE"),
        (["backtest", KLINES, "--set", "BUFER=1"], USAGE, "did you mean BUFFER"),
        (["backtest", KLINES, "--balance", "1"], USAGE, "not ASSET=AMOUNT"),
        (["backtest", KLINES, SESSION], CONFIG, "use trailing-edge replay"),
        (["replay", SESSION, SESSION], USAGE, "one recorded session at a time"),
        (["replay", KLINES], CONFIG, "use trailing-edge backtest"),
        (["replay", SESSION, "--set", "BUFER=1"], USAGE, "did you mean BUFFER"),
        (["replay", SESSION, "--csv", "a.csv"], USAGE, "unrecognized arguments: --csv a.csv"),
        (["backtest", KLINES, "--json", "--csv", "-"], USAGE, "--json and --csv - would share standard output"),
        (["backtest", KLINES, "--html", "-", "--csv", "-"], USAGE, "would share standard output"),
        (["backtest", KLINES, "--save", "-"], USAGE, "--save -: a saved report is binary"),
        (["backtest", KLINES, "--csv", KLINES], USAGE, f"--csv {KLINES}: is an input, and would be lost"),
        (["backtest", KLINES, "--html", f"./{KLINES}"], USAGE, "is an input"),
        (["backtest", KLINES, "--env-file", ".env", "--save", ".env"], USAGE, "is an input"),
        (["backtest", KLINES, "--csv", "a", "--html", "a"], USAGE, "is already written by --csv"),
        (["report", SESSION, "--html", SESSION], USAGE, "is an input"),
        (["report", STORY, "--save", STORY], USAGE, "is an input"),
        (["sweep", KLINES, *VARY, "--out", KLINES], USAGE, "is an input"),
        (["report"], USAGE, "required"),
        (["report", STORY, "--account"], USAGE, "not allowed with"),
        (["report", STORY, "--json", "--csv"], USAGE, "not allowed with"),
        (["report", STORY, "--json", "--html", "-"], USAGE, "would share standard output"),
        (["report", STORY, "--csv", "--html", "-"], USAGE, "would share standard output"),
        (["report", STORY, "--save", "-"], USAGE, "--save -"),
        (["report", STORY, "--days", "3"], USAGE, "--days is for --account"),
        (["report", STORY, "--set", "BUFFER=0.1"], USAGE, "--set is for --account"),
        (["report", STORY, "--env-file", "wrong.env"], USAGE, "--env-file is for --account"),
        (["report", "--account", "--set", "BUFER=1"], USAGE, "did you mean BUFFER"),
        (["sweep", KLINES], USAGE, "--vary"),
        (["sweep", KLINES, "--vary", "BUFFER"], USAGE, "is not NAME=a,b,c"),
        (["sweep", KLINES, "--vary", "BUFER=1,2"], USAGE, "unknown setting"),
        (["sweep", KLINES, "--vary", "BUFFER=x"], USAGE, "not a number"),
        (["sweep", KLINES, "--vary", "BUFFER=0.1,2"], USAGE, "at least 0 and below 1"),
        (["sweep", KLINES, "--vary", "BUFFER=0.1..0.2"], USAGE, "give the number of combinations with --random"),
        (["sweep", KLINES, *VARY, *VARY], USAGE, "given twice"),
        (["sweep", KLINES, "--vary", "SYMBOL=A,B"], USAGE, "cannot be varied"),
        (["sweep", KLINES, *VARY, "--random", "0"], USAGE, "not a number from 1"),
        (["sweep", KLINES, *VARY, "--out", "-"], USAGE, "--out -: earlier results are read from it"),
        (["sweep", KLINES, *VARY, "--set", "BUFER=1"], USAGE, "did you mean BUFFER"),
        # Settings and files.
        (["backtest", "none.csv"], CONFIG, "none.csv"),
        (["replay", f"none{SUFFIX}"], CONFIG, "No such file"),
        (["backtest", KLINES, "--set", "BUFFER=2"], CONFIG, "BUFFER is 2"),
        (["replay", SESSION, "--set", "BUFFER=2"], CONFIG, "BUFFER is 2"),
        (["backtest", KLINES, "--env-file", "wrong.env"], CONFIG, "BUFFER is 2"),
        (["backtest", KLINES, "--balance", "BTC=1"], CONFIG, "does not trade"),
        (["backtest", KLINES, "--csv", "no/where.csv"], CONFIG, "--csv no/where.csv"),
        (["report", "none.story.json.gz"], CONFIG, "No such file"),
        (["report", f"none{SUFFIX}"], CONFIG, "No such file"),
        (["report", STORY, "--html", "no/where.html"], CONFIG, "--html no/where.html"),
        (["report", "--account", "--mode", "sim"], CONFIG, "TRADING_MODE is sim"),
        (["sweep", "none.csv", *VARY], CONFIG, "none.csv"),
        (["sweep", KLINES, *VARY, "--set", "BUFFER=2"], CONFIG, "BUFFER is 2"),
        (["sweep", KLINES, *VARY, "--env-file", "wrong.env"], CONFIG, "BUFFER is 2"),
        (["sweep", KLINES, *VARY, "--out", "no/where"], CONFIG, "--out no/where"),
        (["sweep", KLINES, "--vary", "MIN_FACTOR=0.6,0.7"], CONFIG, "no combination is valid"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_command_line_is_2_and_wrong_settings_and_files_are_78(
    words: list[str], code: ExitCode, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert code_of(words) == code
    told = capsys.readouterr()
    assert said in " ".join(told.err.split())
    assert told.out == ""
    assert not Path("-").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_behind_standard_output_is_one_line_and_no_traceback() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        words = [sys.executable, "-m", "trailingedge.main", "backtest", KLINES]
        ended = processes.run(words, stdout=full, text=True)
    assert ended.returncode == CONFIG
    assert ended.stderr == "standard output cannot be written (No space left on device); nothing more is printed\n"


# Help ----------------------------------------------------------------------------------------


def examples(word: str) -> list[list[str]]:
    """The words of each example, behind the name of the command."""
    text = (command_parser(word).epilog or "").replace("\\\n", " ")
    return [shlex.split(line.partition(">")[0]) for line in re.findall(rf"trailing-edge {word} (.*)", text)]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("columns", ["80", "200"])
def test_help_fits_on_a_narrow_terminal_and_is_in_groups(
    word: str, columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    text = command_parser(word).format_help()
    assert max(map(len, text.splitlines())) <= 80
    for heading in ("input:", "output:", "settings:", "examples:", "exit codes:"):
        assert f"\n{heading}" in text


@pytest.mark.parametrize("word", WORDS)
def test_each_example_is_a_command_line(word: str) -> None:
    assert len(examples(word)) >= 2
    for words in examples(word):
        assert isinstance(command_parser(word).parse_args(words), argparse.Namespace)


def test_it_says_of_each_flag_for_which_of_the_forms_it_is() -> None:
    text = " ".join(command_parser("report").format_help().split())
    for flag in ("--days N", "--from D", "--to D"):
        assert f"{flag} --account: " in text
    assert "settings: For --account only" in text

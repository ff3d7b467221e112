"""Tests of the command `history`, and of a symbol with days in place of files."""

import io
import json
import signal
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.commands.market_history.fake_archive import Answer, FakeArchive, served_beside
from tests.commands.market_history.test_fetched_history import ALL_DAY, FIRST, day, klines
from tests.sample_market import sample

from trailingedge.commands.market_history import archive_client
from trailingedge.commands.market_history.archive_layout import day_file
from trailingedge.commands.market_history.history_span import HistorySpan
from trailingedge.commands.market_history.sample import sample_files, with_sample
from trailingedge.core.errors import ExitCode
from trailingedge.main import run
from trailingedge.simulator.feeds.csv_schemas import CsvSchema

SPAN = HistorySpan("ETHUSDT", CsvSchema.KLINES, "1m", FIRST, day(2))
DAYS = ["--from", f"{SPAN.first}", "--to", f"{SPAN.last}"]
WORDS = ["history", "ETHUSDT", *DAYS]


def packed(name: str, content: str) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.csv", content)
    return written.getvalue()


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeArchive]:
    """Three days of minutes, at the address that the settings name."""
    monkeypatch.chdir(tmp_path)
    archive = FakeArchive()
    for each in SPAN.days:
        file = day_file(SPAN, each)
        archive.put(file.path, packed(file.name.removesuffix(".zip"), klines(each, ALL_DAY)))
    with served_beside(archive) as url:
        monkeypatch.setenv("BINANCE_ARCHIVE_URL", url)
        yield archive


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_client, "_FIRST_PAUSE_S", 0.0)


def path_of(number: int) -> str:
    return day_file(SPAN, day(number)).path


@pytest.mark.usefixtures("archive")
def test_the_days_are_fetched_once_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(WORDS) == ExitCode.OK
    told = capsys.readouterr()
    assert told.out.startswith("ETHUSDT klines 1m, 2024-06-02 to 2024-06-04: 3 files in history (")
    assert told.out.endswith("; 3 fetched, 0 there before\n")
    assert told.err == ""
    assert run([*WORDS, "--json"]) == ExitCode.OK
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert [file["state"] for file in found.pop("files")] == ["kept"] * 3
    assert found == {
        "version": 1,
        "symbol": "ETHUSDT",
        "kind": "klines",
        "interval": "1m",
        "from": "2024-06-02",
        "to": "2024-06-04",
        "missing": [],
        "failed": [],
        "gaps": [],
    }


def test_a_missing_day_is_told_and_is_no_failure(archive: FakeArchive, capsys: pytest.CaptureFixture[str]) -> None:
    del archive.files[f"{path_of(1)}.CHECKSUM"]
    assert run(WORDS) == ExitCode.OK
    assert capsys.readouterr().out.splitlines()[1:] == ["missing: 2024-06-03, not published"]


@pytest.mark.usefixtures("impatient")
def test_a_file_that_fails_is_told_and_the_exit_code_says_so(
    archive: FakeArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    archive.plans[path_of(1)] = [Answer(cut=10)] * archive_client.ATTEMPTS
    assert run(WORDS) == ExitCode.UNREACHABLE
    (failed,) = capsys.readouterr().out.splitlines()[1:]
    assert failed.startswith("failed: ETHUSDT-1m-2024-06-03.zip: ")
    assert run(WORDS) == ExitCode.OK
    assert "1 fetched, 2 there before" in capsys.readouterr().out


@pytest.mark.usefixtures("archive", "impatient")
def test_an_archive_that_cannot_be_reached_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BINANCE_ARCHIVE_URL", "http://127.0.0.1:9")
    assert run(WORDS) == ExitCode.UNREACHABLE
    assert capsys.readouterr().err.startswith("http://127.0.0.1:9: ConnectError")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["history", "ETHUSDX", *DAYS], ExitCode.CONFIG, "nothing is published; check symbol and days"),
        ([*WORDS, "--kind", "bookTicker"], ExitCode.CONFIG, "no bookTicker files of spot markets"),
        (["history", "ETHUSDT", "--from", "2099-01-01", "--to", "2099-01-02"], ExitCode.CONFIG, "choose days before"),
        ([*WORDS, "--to", "2024-06-01"], ExitCode.USAGE, "--to 2024-06-01 is before --from 2024-06-02"),
        ([*WORDS, "--kind", "trades", "--interval", "5m"], ExitCode.USAGE, "--interval 5m is for klines, not for"),
        ([*WORDS, "--kind", "trades", "--source", "api"], ExitCode.USAGE, "--source api has klines only"),
        ([*WORDS, "--set", "BINANCE_ARCHIVE_URL=http://x"], ExitCode.CONFIG, "only this machine itself may"),
        ([*WORDS, "--source", "api", "--set", "BINANCE_WS_API_URL=ws://x"], ExitCode.CONFIG, "only this machine"),
        ([*WORDS, "--dir", "file"], ExitCode.CONFIG, "choose another --dir"),
    ],
)
@pytest.mark.usefixtures("archive")
def test_what_is_wrong_is_told_with_a_remedy(
    words: list[str], code: ExitCode, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").touch()
    assert run(words) == code
    assert text in capsys.readouterr().err


def test_ctrl_c_keeps_what_is_there(archive: FakeArchive, capsys: pytest.CaptureFixture[str]) -> None:
    class Interrupting(list[Answer]):
        def pop(self, _: int = -1, /) -> Answer:  # type: ignore[override]
            signal.raise_signal(signal.SIGINT)
            return Answer(cut=10, stalls=True)

    archive.plans[path_of(2)] = Interrupting([Answer()])
    assert run(WORDS) == ExitCode.INTERRUPTED
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "interrupted; the same command continues with what is in history\n")
    archive.plans.clear()
    assert run(WORDS) == ExitCode.OK
    assert capsys.readouterr().out.count("missing") == 0


# --- in place of files ---


def test_the_sample_is_small_and_what_its_program_writes() -> None:
    """The rows are compared: another version of zlib packs them differently."""
    assert sum(path.stat().st_size for path in sample_files()) < 150_000
    shipped = {path.name: rows_of(path.read_bytes()) for path in sample_files()}
    assert shipped == {name: rows_of(content) for name, content in sample()}


def rows_of(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (member,) = archive.namelist()
        return archive.read(member)


def test_a_backtest_of_the_sample_needs_no_network_and_says_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BINANCE_ARCHIVE_URL", "http://127.0.0.1:9")
    assert run(["backtest", "sample", "--json", "--paths", "1"]) == ExitCode.OK
    told = capsys.readouterr()
    report = json.loads(told.out)
    assert report["symbol"] == "SIMUSDT"
    assert report["gaps"] == ["SIMUSDT was made by the simulator: its results say nothing about a real market"]


def test_a_backtest_and_a_sweep_fetch_the_days_of_a_symbol(
    archive: FakeArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    del archive.files[f"{path_of(1)}.CHECKSUM"]
    assert (
        run(["backtest", "ethusdt", *DAYS, "--dir", "markets", "--balance", "ETH=9", "--paths", "1", "--json"])
        == ExitCode.OK
    )
    told = capsys.readouterr()
    assert told.err.splitlines()[0] == "ETHUSDT: missing: 2024-06-03, not published"
    assert json.loads(told.out)["symbol"] == "ETHUSDT"
    archive.asked.clear()
    vary = ["--vary", "BUFFER=0.001,0.002", "--jobs", "1", "--balance", "ETH=9", "--json"]
    assert run(["sweep", "ETHUSDT", *DAYS, "--dir", "markets", *vary]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["tried"] == 2
    assert set(archive.asked) == {f"{path_of(1)}.CHECKSUM"}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "command", [["backtest"], ["sweep", "--vary", "BUFFER=0.001,0.002"]], ids=["backtest", "sweep"]
)
def test_a_backtest_is_not_run_on_days_that_failed(
    command: list[str], archive: FakeArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    archive.plans[path_of(1)] = [Answer(status=403)]
    assert run([*command, "ETHUSDT", *DAYS]) == ExitCode.UNREACHABLE
    assert "1 of 3 files could not be fetched; run the same command again" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["ETHUSDT", "--from", "2024-06-02"], "--from and --to go together"),
        (["ETHUSDT", "--from", "2024-06-02", "--to", "2024-06-01"], "--to 2024-06-01 is before"),
        (["../x", *DAYS], "../x is not a symbol"),
        (["here.zip", *DAYS], "here.zip is a file; with --from and --to give a symbol"),
        (["here.zip", "--interval", "5m"], "--interval is for a symbol with --from and --to"),
    ],
)
def test_files_and_days_are_not_mixed(
    words: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("here.zip").touch()
    assert run(["backtest", *words]) == ExitCode.USAGE
    assert text in capsys.readouterr().err


def test_the_word_sample_means_the_sample_unless_there_is_such_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert with_sample([Path("sample"), Path("a.zip")]) == [*sample_files(), Path("a.zip")]
    Path("sample").touch()
    assert with_sample([Path("sample")]) == [Path("sample")]

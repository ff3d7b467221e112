"""Tests of the command `sweep`."""

import json
import signal
from pathlib import Path

import pytest
from tests.backtest import market_files
from tests.tight_settings import TIGHT_ARGV

from trailingedge.commands import sweep
from trailingedge.core.errors import ExitCode
from trailingedge.main import run
from trailingedge.report.progress import ProgressBar
from trailingedge.sweep.trial import PartResult, RunOutcome, TrialOutcome, TrialTask
from trailingedge.sweep.walk_forward import split_folds

VARIED = ["--vary", "HARD_STOP_THRESHOLD_FRAC=0.005,0.02", "--vary", "BUFFER=0.002,0.02", "--jobs", "1", *TIGHT_ARGV]


@pytest.fixture
def klines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return str(market_files.write_klines(tmp_path, 7, 92))


def test_the_table_is_printed_with_its_reliability(klines: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sweep", klines, *VARIED]) == ExitCode.OK
    told = capsys.readouterr()
    assert told.out.startswith("sweep ETHFDUSD: 4 combinations from 2026-07-02 13:47:00")
    assert "unchanged" in told.out
    assert "fewer than two whole days" in told.out
    assert told.err == ""


def test_json_stands_alone(klines: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sweep", klines, *VARIED, "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert (told["version"], told["tried"], len(told["table"]), told["folds"]) == (2, 4, 4, [])
    ranks = [row["in_sample_rank"] for row in told["table"]]
    assert ranks == sorted(ranks)


def test_stored_trials_are_not_run_again(
    klines: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sweep", klines, *VARIED, "--out", "sweep.jsonl"]
    monkeypatch.setattr(ProgressBar, "show", interrupt_after(2))
    assert run(words) == ExitCode.INTERRUPTED
    assert "2 of 4 combinations are done and stored in sweep.jsonl" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.chdir(Path(klines).parent)
    assert run(words) == ExitCode.OK
    resumed = capsys.readouterr()
    assert "2 combinations were done before" in resumed.err
    assert run(["sweep", klines, *VARIED]) == ExitCode.OK
    assert capsys.readouterr().out == resumed.out


def test_paths_and_several_markets_are_one_search(klines: str, capsys: pytest.CaptureFixture[str]) -> None:
    other = Path(klines).with_name("BTCFDUSD-1m-2026-07.csv")
    other.write_text(market_files.klines(8, 92, scripted=True))
    words = ["sweep", klines, str(other), *VARIED, "--paths", "2", "--of", "worst", "--objective", "result"]
    assert run([*words, "--json", "--balance", "BTC=2,ETH=1"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert (told["symbols"], told["objective"]) == (["ETHFDUSD", "BTCFDUSD"], "result")
    assert (told["walk"], told["paths"], told["of"], told["latency_ms"]) == ("random", 2, "worst", 500)
    for row in told["table"]:
        markets = [row["markets"][symbol]["in_sample_score"] for symbol in told["symbols"]]
        assert row["in_sample_score"] == pytest.approx(sum(markets) / 2)
    assert run(words) == ExitCode.OK
    text = " ".join(capsys.readouterr().out.split())
    assert "ranked by result (result), the mean of 2 markets; 2 random paths within the candles, of which the" in text
    assert "the winner on each market" in text


def test_an_asset_that_no_market_trades_is_refused(klines: str, capsys: pytest.CaptureFixture[str]) -> None:
    other = Path(klines).with_name("BTCFDUSD-1m-2026-07.csv")
    other.write_text(market_files.klines(8, 92, scripted=True))
    assert run(["sweep", klines, str(other), *VARIED, "--balance", "SOL=1"]) == ExitCode.CONFIG
    assert "none of these 2 markets trades it" in capsys.readouterr().err


def test_a_heat_map_of_two_settings_is_written(klines: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sweep", klines, *VARIED, "--html", "heat.html"]) == ExitCode.OK
    assert "page: file://" in capsys.readouterr().err
    assert "HARD_STOP_THRESHOLD_FRAC" in Path("heat.html").read_text(encoding="utf-8")
    assert run(["sweep", klines, *VARIED, "--html", "-"]) == ExitCode.OK
    assert capsys.readouterr().out.startswith("<!doctype html>")


def interrupt_after(count: int) -> object:
    def show(_: ProgressBar, __: float, text: str) -> None:
        if text.startswith(f"{count} of"):
            signal.raise_signal(signal.SIGINT)

    return show


def test_a_winner_is_tested_on_days_it_was_not_chosen_on(
    klines: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    day_ms = 86_400_000

    def local(task: TrialTask, trials: object, jobs: int, done: object, stopped: object) -> None:  # noqa: ARG001
        growths = {0: (1.0, 1.0), 1: (1.2, 0.8), 2: (1.1, 1.3), 3: (0.9, 1.1)}
        for number, (before, after) in growths.items():
            parts = (PartResult(before, 1.0, 0.1, 3), PartResult(after, 1.05, 0.2, 4))
            done(number, TrialOutcome((RunOutcome(0, parts),)))  # type: ignore[operator]

    monkeypatch.setattr(sweep, "backend_named", lambda _: local)
    monkeypatch.setattr(sweep, "split_folds", lambda from_ms, *_: split_folds(from_ms, from_ms + 4 * day_ms))
    assert run(["sweep", klines, *VARIED, "--objective", "result"]) == ExitCode.OK
    told = " ".join(capsys.readouterr().out.split())
    assert (
        "chosen on 2026-07-02 13:47:00 to 2026-07-05 (in-sample), tested on 2026-07-05 to 2026-07-06 13:47:00" in told
    )
    assert "-20.00 %, which was 4th of 4" in told
    assert "do not trust it" in told
    assert "the winner: --set HARD_STOP_THRESHOLD_FRAC=0.005 --set BUFFER=0.02" in told


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(["--vary", "BUFER=1,2"], ExitCode.USAGE, "unknown setting", id="a misspelt setting"),
        pytest.param(["--vary", "BUFFER=1..2"], ExitCode.USAGE, "--random", id="a range without a number"),
        pytest.param(
            ["--vary", "BUFFER=0.1", "--out", "no/where"], ExitCode.CONFIG, "--out no/where", id="no such folder"
        ),
        pytest.param(["--vary", "BUFFER=0.1", "--out", "-"], ExitCode.USAGE, "--out -", id="no file"),
        pytest.param(["--vary", "BUFFER=0.1", "--html", "a.html"], ExitCode.USAGE, "needs two settings", id="one axis"),
        pytest.param(["--vary", "BUFFER=0.1", "--folds", "3"], ExitCode.CONFIG, "too few for folds (3)", id="few days"),
        pytest.param(["--vary", "BUFFER=0.1", "--balance", "BTC=1"], ExitCode.CONFIG, "does not trade", id="an asset"),
        pytest.param(
            ["--vary", "BUFFER=0.1", "--balance", "ETH=0.001"], ExitCode.CONFIG, "too small for an order", id="dust"
        ),
    ],
)
def test_errors_name_a_remedy(
    words: list[str], code: ExitCode, said: str, klines: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["sweep", klines, *words]) == code
    assert said in capsys.readouterr().err


def test_ctrl_c_before_the_first_trial_is_reported(
    klines: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sweep, "inspect_markets", lambda _: signal.raise_signal(signal.SIGINT))
    assert run(["sweep", klines, *VARIED]) == ExitCode.INTERRUPTED
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "interrupted before the first trial\n")


def test_workers_get_no_secrets(klines: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[TrialTask] = []
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "1234567:" + "x" * 40)
    monkeypatch.setattr(sweep, "backend_named", lambda _: lambda task, *__: told.append(task))
    run(["sweep", klines, *VARIED])
    assert "TELEGRAM_BOT_TOKEN" not in told[0].settings
    assert told[0].settings["SYMBOL"]

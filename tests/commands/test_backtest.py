"""Tests of the command `backtest`."""

import contextlib
import csv
import io
import itertools
import json
import os
import re
import signal
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from tests.accounting.summary_shape import SHAPE
from tests.backtest import market_files

from trailingedge.backtest.candle_segments import Segment
from trailingedge.backtest.engine import Backtest
from trailingedge.core.errors import ExitCode
from trailingedge.main import run
from trailingedge.notifications.event_messages import percent
from trailingedge.report.progress import ProgressBar, stop_on_ctrl_c
from trailingedge.simulator.feeds.columns import Columns
from trailingedge.simulator.feeds.historical import RecordedMarket
from trailingedge.simulator.feeds.market_loader import ProgressCallback, load_columns


@pytest.fixture
def minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)  # no env file of whoever runs the tests
    return str(market_files.write_klines(tmp_path, 7, 92))


@pytest.fixture
def klines(minutes: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A market file like `minutes`; a backtest of it runs on three paths, for tests that are not about their number."""
    monkeypatch.setattr("trailingedge.commands.backtest.DEFAULT_PATHS", 3)
    return minutes


def test_only_the_summary_is_on_stdout(klines: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backtest", klines]) == ExitCode.OK
    told = capsys.readouterr()
    assert told.out.splitlines()[-1].startswith("  deepest drawdown -")
    assert "FDUSD" in told.out
    assert told.err == ""


def test_json_stands_alone_and_has_the_one_shape(klines: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backtest", klines, "--json", "--fee", "0.001", "--balance", "ETH=2,FDUSD=100"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert list(told) == SHAPE
    assert (told["symbol"], told["settings"]["FEE"]) == ("ETHFDUSD", "0.001")
    assert told["totals"]["orders"] == len(told["orders"]) > 0
    assert told["orders"][0]["base"] == "2"
    assert told["totals"]["fees"]


def test_a_setting_changes_the_result(klines: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        run(["backtest", klines, "--json", "--set", "HARD_STOP_THRESHOLD_FRAC=0.2", "--set", "HARD_STOP_MAX_FRAC=0.3"])
        == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert told["settings"]["HARD_STOP_MAX_FRAC"] == "0.3"
    assert not [each for each in told["orders"] if each["kind"] == "flush"]


def test_with_a_ledger_on_stdout_gaps_go_to_stderr(
    klines: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = Path(klines).read_text(encoding="utf-8").splitlines()
    cut = tmp_path / "cut.csv"
    cut.write_text("\n".join([*rows[:30], *rows[40:]]), encoding="utf-8")
    assert run(["backtest", str(cut), "--symbol", "ETHFDUSD", "--csv", "-"]) == ExitCode.OK
    told = capsys.readouterr()
    assert told.err.startswith("note: ")
    assert "missing" not in told.out


def test_a_pause_by_a_breaker_is_told_with_the_result(klines: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backtest", klines, "--json", "--set", "MAX_CONSECUTIVE_LOSSES=1", "--fee", "0.01"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    (said,) = [gap for gap in told["gaps"] if "MAX_CONSECUTIVE_LOSSES is 1" in gap]
    assert "until the end, because a backtest has no operator" in said


@pytest.mark.usefixtures("klines")  # no env file
def test_a_row_that_cannot_be_read_is_told_beside_the_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ETHUSDT-trades-2024-08-18.csv"
    rows = [f"{number},10.5,2,21,{1723939200000 + number},True,True" for number in range(100)]
    rows[50] = rows[50].replace(",2,", ",1" + "0" * 40 + ",")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert run(["backtest", str(path)]) == ExitCode.OK
    told = capsys.readouterr().out
    assert f"{path.name}: 1 of 100 rows left out, which cannot be read; line 51: '1000" in " ".join(told.split())


def test_an_unknown_name_in_the_env_file_is_a_warning(klines: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("odd.env").write_text("BUFER=0.003\n", encoding="utf-8")
    assert run(["backtest", klines, "--env-file", "odd.env"]) == ExitCode.OK
    assert "BUFFER" in capsys.readouterr().err


def test_an_env_file_for_live_trading_is_accepted(klines: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(".env").write_text("TRADING_MODE=live\nSYMBOL=BTCUSDT\nBASE_ASSET=BTC\nBUFFER=0.003\n", encoding="utf-8")
    assert run(["backtest", klines, "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert (told["symbol"], told["settings"]["BUFFER"]) == ("ETHFDUSD", "0.003")


def test_ledger_page_and_saved_report_are_written_and_named(
    klines: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--csv", "fills.csv", "--html", "page.html", "--save", "it.story.json.gz"]
    assert run(["backtest", klines, *words]) == ExitCode.OK
    told = capsys.readouterr()
    assert all(name in told.err for name in ("fills.csv", "page.html", "it.story.json.gz"))
    assert (tmp_path / "fills.csv").read_text(encoding="utf-8").startswith("time_utc,side")
    assert run(["report", "it.story.json.gz"]) == ExitCode.OK
    assert capsys.readouterr().out == told.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(["nowhere.csv"], ExitCode.CONFIG, "no such file", id="no file"),
        pytest.param(["a.session.jsonl.gz"], ExitCode.CONFIG, "use trailing-edge replay a.session", id="a session"),
        pytest.param(["{}", "a.session.jsonl.gz"], ExitCode.CONFIG, "use trailing-edge replay", id="a session among"),
        pytest.param(["{}", "garbled.csv"], ExitCode.CONFIG, "garbled.csv, line 2: 3 columns", id="a garbled file"),
        pytest.param(["{}", "--set", "BUFER=1"], ExitCode.USAGE, "did you mean BUFFER", id="a misspelt setting"),
        pytest.param(["{}", "--set", "BUFFER=2"], ExitCode.CONFIG, "BUFFER is 2", id="a setting out of range"),
        pytest.param(["{}", "--balance", "BTC=1"], ExitCode.CONFIG, "does not trade", id="a foreign asset"),
        pytest.param(["{}", "--csv", "no/where.csv"], ExitCode.CONFIG, "--csv no/where.csv", id="an impossible file"),
    ],
)
def test_errors_name_a_remedy(
    words: list[str], code: ExitCode, said: str, klines: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "garbled.csv").write_text("what,is,this\n1,2,3\n", encoding="utf-8")
    assert run(["backtest", *(word.replace("{}", klines) for word in words)]) == code
    assert said in capsys.readouterr().err


def test_reasons_to_distrust_the_result_are_printed(klines: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backtest", klines, "--paths", "1", "--set", "KLINE_INTERVAL=1s"]) == ExitCode.OK
    told = " ".join(capsys.readouterr().out.split())
    assert "1m klines are longer than the strategy's 1s candles" in told


def test_a_balance_that_is_too_small_ends_the_backtest_at_once_with_the_minimum(
    klines: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in ([], ["--paths", "1"]):
        assert run(["backtest", klines, "--balance", "ETH=0.001", *words]) == ExitCode.CONFIG
        told = capsys.readouterr()
        assert told.out == ""
        (line,) = told.err.splitlines()
        assert line.startswith("balance too small for an order: 0.001 ETH and 0 FDUSD; at ")
        assert line.endswith("start with more, for example --balance ETH=0.0021")


@pytest.mark.parametrize("words", [["--symbol", "BTCUSDT"], ["--set", "SYMBOL=BTCUSDT"]], ids=" ".join)
def test_a_market_of_another_symbol_is_refused(
    words: list[str], klines: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["backtest", klines, *words]) == ExitCode.CONFIG
    said = capsys.readouterr().err
    assert "ETHFDUSD-1m-2026-07.csv: the file name says ETHFDUSD, not BTCUSDT; leave --symbol out" in said


def test_after_ctrl_c_the_results_so_far_are_printed(
    klines: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("trailingedge.simulator.feeds.market_loader._ROWS_PER_PIECE", 10)  # so that there is a half-way
    shown: list[float] = []

    def press_half_way(_: ProgressBar, share: float, __: str) -> None:
        shown.append(share)
        if share > 0.5:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(ProgressBar, "show", press_half_way)
    assert run(["backtest", klines, "--json", "--paths", "1"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert told["gaps"][0].startswith("stopped at 2026-07-02")
    assert max(shown) < 1.0


def test_ctrl_c_during_the_inspection_of_files_is_reported(
    klines: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def press_twice(*_: object, **__: object) -> None:
        with contextlib.suppress(KeyboardInterrupt):  # `uv run` delivers the same request twice
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise KeyboardInterrupt

    monkeypatch.setattr("trailingedge.backtest.backtest_report.open_market_files", press_twice)
    assert run(["backtest", klines]) == ExitCode.INTERRUPTED
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "interrupted before the backtest had a result\n"


def test_ctrl_c_before_the_first_candle_prints_no_result(
    klines: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def press_at_once(market: RecordedMarket, progress: ProgressCallback) -> Iterator[Columns]:
        signal.raise_signal(signal.SIGINT)
        return load_columns(market, progress)

    monkeypatch.setattr("trailingedge.backtest.backtest_report.load_columns", press_at_once)
    assert run(["backtest", klines, "--paths", "1"]) == ExitCode.INTERRUPTED
    assert capsys.readouterr().out == ""


# Paths ---------------------------------------------------------------------------------------


def test_the_result_is_the_median_over_sixteen_paths_with_a_band(
    minutes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["backtest", minutes, "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    sure = told["robustness"]
    assert (sure["paths"], sure["planned"], sure["walk"], sure["latency_ms"]) == (16, 16, "random", 500)
    results = [each["result_frac"] for each in sure["each"]]
    assert len(set(results)) > 8
    assert sure["p5"]["result_frac"] < sure["median"]["result_frac"] < sure["p95"]["result_frac"]
    assert [each["path"] for each in sure["each"]] == list(range(1, 17))
    assert told["totals"]["result_frac"] == results[sure["listed"] - 1] == sorted(results)[7]
    assert run(["backtest", minutes, "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == told


def test_text_page_and_saved_report_tell_the_band(minutes: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["backtest", minutes, "--html", "page.html", "--save", "it.story.json.gz"]) == ExitCode.OK
    said = capsys.readouterr().out
    band = "16 random paths within the candles, latency 500 ms each way: median (5th to 95th"
    assert band in " ".join(said.split())
    assert "real stops slip more" in " ".join(said.split())
    shown = Path("page.html").read_text(encoding="utf-8")
    assert band in shown
    assert re.search("this is path [0-9]+ of 16: median .* %, .* % to .* %</p>", shown)
    assert run(["report", "it.story.json.gz"]) == ExitCode.OK
    assert capsys.readouterr().out == said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--paths", "1"], "one random path: another may change the result"),
        (["--walk", "straight"], "straight lines within the candles, latency 500 ms each way"),
        (["--walk", "opposite"], "a candle does not show the sequence of its prices"),
        (["--latency", "0"], "each order meets the book that it was priced for"),
    ],
    ids=" ".join,
)
def test_a_result_that_hides_something_says_so(
    words: list[str], said: str, klines: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["backtest", klines, *words]) == ExitCode.OK
    assert said in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--walk", "straight", "--paths", "16"], "--walk straight is one path"),
        (["--paths", "0"], "not a whole number from 1 to 1000"),
        (["--latency", "-1"], "not a whole number from 0 to 10000"),
        (["--walk", "zigzag"], "zigzag"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_paths_and_latencies_are_refused(
    words: list[str], said: str, klines: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = run(["backtest", klines, *words])
    except SystemExit as ended:  # by the parser
        code = int(ended.code or 0)
    assert code == ExitCode.USAGE
    assert said in capsys.readouterr().err


def test_candles_longer_than_a_minute_and_thin_ones_are_told_with_the_result(
    klines: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del klines
    times = [1_783_000_800_000 + 900_000 * number for number in range(99)]
    rows = [f"{time},25,{26 if n % 2 else 25},25,25,9,{time + 899_999},0,0,0,0,0" for n, time in enumerate(times)]
    (tmp_path / "ETHUSDT-15m-2026-07.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert run(["backtest", "ETHUSDT-15m-2026-07.csv", "--set", "KLINE_INTERVAL=15m"]) == ExitCode.OK
    said = " ".join(capsys.readouterr().out.split())
    assert "the prices within 15m candles are a guess" in said
    assert "a thin market (51% of the candles have one price)" in said


def test_trades_have_one_result(tmp_path: Path, klines: str, capsys: pytest.CaptureFixture[str]) -> None:
    del klines
    assert run(["backtest", str(market_files.write_trades(tmp_path, 7, 92)), "--json"]) == ExitCode.OK
    sure = json.loads(capsys.readouterr().out)["robustness"]
    assert (sure["paths"], sure["walk"], sure["latency_ms"]) == (1, "recorded", 500)


def test_after_ctrl_c_the_paths_that_are_done_are_told(
    minutes: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def press_after_five(_: ProgressBar, __: float, text: str) -> None:
        if text.startswith("5 of"):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(ProgressBar, "show", press_after_five)
    assert run(["backtest", minutes, "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert (told["robustness"]["paths"], told["robustness"]["planned"]) == (5, 16)
    assert told["gaps"][0] == "stopped: 11 of 16 paths were not run"


def test_after_ctrl_c_before_the_first_path_is_done_its_results_so_far_are_told(
    minutes: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    candles, close_candles = itertools.count(), Backtest._close_candles

    def press_at_the_fourth(backtest: Backtest, segment: Segment) -> None:
        if next(candles) == 3:
            signal.raise_signal(signal.SIGINT)
        close_candles(backtest, segment)

    monkeypatch.setattr(Backtest, "_close_candles", press_at_the_fourth)
    assert run(["backtest", minutes, "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert (told["robustness"]["paths"], told["robustness"]["planned"]) == (1, 16)
    assert told["gaps"][0].startswith("stopped before any of 16 paths was finished: this is one of them, up to 2026-07")
    assert told["to"].startswith("2026-07-02T14:4")


# Several markets -----------------------------------------------------------------------------


@pytest.fixture
def two_markets(klines: str, tmp_path: Path) -> list[str]:
    other = tmp_path / "BTCUSDT-1m-2026-07.csv"
    other.write_bytes(Path(klines).read_bytes())
    return [klines, str(other)]


def test_several_markets_are_a_row_each_and_the_mean(
    two_markets: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["backtest", *two_markets, "--paths", "3"]) == ExitCode.OK
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line]
    assert " ".join(lines[0]) == "backtest of 2 markets, 3 paths each, latency 500 ms each way"
    rows = {line[0]: line[1:] for line in lines if line[0] in ("ETHFDUSD", "BTCUSDT", "mean")}
    assert rows["ETHFDUSD"] == rows["BTCUSDT"] == rows["mean"]  # the same prices
    assert run(["backtest", *two_markets, "--paths", "3", "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert [market["symbol"] for market in told["markets"]] == ["ETHFDUSD", "BTCUSDT"]
    assert told["mean"]["median"] == told["markets"][0]["robustness"]["median"]


def test_a_market_whose_account_is_too_small_is_a_note(
    two_markets: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["backtest", *two_markets, "--paths", "1", "--balance", "ETH=1,BTC=0.0001"]) == ExitCode.OK
    said = " ".join(capsys.readouterr().out.split())
    assert "note: BTCUSDT: balance too small for an order" in said
    assert run(["backtest", *two_markets, "--balance", "XRP=1"]) == ExitCode.CONFIG
    assert "none of these 2 markets trades it" in capsys.readouterr().err
    assert run(["backtest", *two_markets, "--html", "a.html"]) == ExitCode.USAGE


@pytest.mark.parametrize("flag", ["--csv", "--html"])
def test_a_dash_prints_to_stdout_in_place_of_the_summary(
    flag: str, klines: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["backtest", klines, flag, "a.file"]) == ExitCode.OK
    capsys.readouterr()
    assert run(["backtest", klines, flag, "-"]) == ExitCode.OK
    told = capsys.readouterr()
    assert told.out.encode() == (tmp_path / "a.file").read_bytes()
    assert told.err == ""
    assert not (tmp_path / "-").exists()


def test_the_sigint_handler_is_restored() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_on_ctrl_c() as asked:
        assert not asked()
    assert signal.getsignal(signal.SIGINT) is before
    with stop_on_ctrl_c() as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked()
        signal.raise_signal(signal.SIGINT)  # `uv run` hands the same one on


def test_every_output_belongs_to_its_user_alone_whatever_the_umask(klines: str, tmp_path: Path) -> None:
    outputs = [argument for name in ("csv", "html", "save") for argument in (f"--{name}", str(tmp_path / name))]
    before = os.umask(0)
    try:
        assert run(["backtest", klines, *outputs]) == ExitCode.OK
    finally:
        os.umask(before)
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("csv", "html", "save")} == {0o600}


@pytest.mark.parametrize("flag", ["--csv", "--html"])
def test_an_output_that_is_a_link_is_refused(
    klines: str, tmp_path: Path, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "other")
    assert run(["backtest", klines, flag, str(tmp_path / "link")]) == ExitCode.CONFIG
    assert "it is a symbolic link; name the file that it leads to" in capsys.readouterr().err
    assert (tmp_path / "other").read_text() == "kept"


def test_a_market_file_that_is_refused_ends_with_the_code_for_wrong_input(
    klines: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(klines)
    path.write_text(path.read_text().replace(",", ",1e9"))
    assert run(["backtest", klines]) == ExitCode.CONFIG
    assert capsys.readouterr().err.startswith(f"{klines}, line 1: '1e9")


def test_exits_are_listed_on_demand_and_refused_where_no_text_is_printed(
    klines: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["backtest", klines, "--trades"]) == ExitCode.OK
    assert "exit id" in capsys.readouterr().out
    assert run(["backtest", klines, "--trades", "--json"]) == ExitCode.USAGE
    assert "--trades is for text; --json has every exit anyway, leave --trades out" in capsys.readouterr().err


def test_terminal_page_ledger_and_json_agree_on_the_round_trips_of_a_backtest(
    klines: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The account begins in base: each sale ends a round trip, the first that of what was held."""
    html, ledger = tmp_path / "a.html", tmp_path / "a.csv"
    told = ["backtest", klines, "--set", "HARD_STOP_THRESHOLD_FRAC=0.002", "--fee", "0.001"]
    assert run([*told, "--json", "--html", str(html), "--csv", str(ledger)]) == ExitCode.OK
    data = json.loads(capsys.readouterr().out)
    assert run(told) == ExitCode.OK
    text = capsys.readouterr().out
    totals, trips = data["totals"], data["round_trips"]
    assert totals["round_trips"] == len(trips) == sum(each["side"] == "SELL" for each in data["orders"]) > 1
    assert totals["won"] == sum(Decimal(each["result"]) > 0 for each in trips)
    assert f"  round trips {len(trips)}, won {totals['won']} (" in text
    assert f"<span>round trips</span><b>{len(trips)}</b>" in html.read_text(encoding="utf-8")
    assert f"<span>won</span><b>{totals['won']} of {len(trips)}" in html.read_text(encoding="utf-8")
    rows = [row for row in csv.DictReader(io.StringIO(ledger.read_text(encoding="utf-8"))) if row["round_trip_result"]]
    assert [row["round_trip_result"] for row in rows] == [each["result"] for each in trips]
    result = percent(totals["result_frac"])
    assert f"  result {result} in FDUSD" in text
    assert f">{result}</span>" in html.read_text(encoding="utf-8")

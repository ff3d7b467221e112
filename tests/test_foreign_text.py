"""Text of others: whatever an exchange, a file, the environment or Telegram says becomes printable where it enters."""

import contextlib
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.report.report_builders import a_story
from websockets.exceptions import ConnectionClosedError, InvalidHeader
from websockets.frames import Close

from trailingedge import main
from trailingedge.commands.checks.result import failure
from trailingedge.config import OPTIONS
from trailingedge.core.errors import ConfigError, ExitCode, ProtocolViolation, TrailingEdgeError
from trailingedge.live.control_socket import parse_response
from trailingedge.model.order_outcomes import Rejected
from trailingedge.notifications.telegram_api import BotRefused, BotUnreachable, _result
from trailingedge.report import file_format
from trailingedge.report.csv_ledger import as_csv
from trailingedge.report.page import page
from trailingedge.report.terminal import summary_text
from trailingedge.simulator.feeds.historical import open_market
from trailingedge.websocket.error_codes import classify_error
from trailingedge.websocket.event_parser import ParsedReply, Reply, StreamError, read_api_frame, read_stream_frame
from trailingedge.websocket.orders import read_replace_outcome
from trailingedge.websocket.result_parser import read_account, read_exchange_info, read_trades
from trailingedge.websocket.socket_dialer import _reason_of, shown

FORGED = "2099-01-01 00:00:00.000 INFO    trailingedge.live: order filled side=SELL"
HOSTILE = f"\x1b[2J\x1b]0;title\x07\x9b31m\u202e\u2066\u200f\r\n{FORGED}\u2028\u2029\x85\x00\x7f\ud800 end"
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tETH", "\r=1", "＝1", '=HYPERLINK("http://x")', "ETH,=1", 'ETH"', "", " "]


def assert_safe(text: str) -> None:
    """Each line is printable, and no line looks like one of ours."""
    for line in text.split("\n"):
        assert line.isprintable(), ascii(line)
        assert not line.startswith(FORGED[:10])


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(lambda: reply().text, id="message of a reply"),
        pytest.param(lambda: rejected().text, id="reason of a rejection"),
        pytest.param(lambda: stream_error().text, id="message of a stream"),
        pytest.param(lambda: half_rejected().text, id="message of half a replace"),
        pytest.param(lambda: _reason_of(ConnectionClosedError(Close(1008, HOSTILE), None)), id="reason of a close"),
        pytest.param(lambda: _reason_of(InvalidHeader("Upgrade", HOSTILE)), id="header of a handshake"),
        pytest.param(lambda: shown(json.dumps({"a": HOSTILE}, ensure_ascii=False)), id="frame in the log"),
        pytest.param(lambda: str(error_of(lambda: telegram(400))), id="refusal by Telegram"),
        pytest.param(lambda: str(error_of(lambda: telegram(502))), id="failure of Telegram"),
        pytest.param(lambda: str(failure("a", HOSTILE, HOSTILE)), id="finding of a check"),
        pytest.param(lambda: failure("a", HOSTILE, HOSTILE).as_json()["remedy"], id="finding as JSON"),
    ],
)
def test_what_others_say_is_printable(said: Callable[[], str]) -> None:
    text = said()
    assert_safe(text)
    assert "end" in text


def reply(error: object = None) -> Reply:
    message = {"id": 1, "status": 400, "error": error or {"code": -2010, "msg": HOSTILE}}
    parsed = read_api_frame(json.dumps(message).encode())
    assert isinstance(parsed, ParsedReply)
    return parsed.reply


def half() -> object:
    refused = {"code": -2010, "msg": HOSTILE}
    halves = {"cancelResult": "FAILURE", "newOrderResult": "NOT_ATTEMPTED", "cancelResponse": refused}
    return {"code": -2022, "msg": HOSTILE, "data": {**halves, "newOrderResponse": None}}


def rejected() -> Rejected:
    found = classify_error(reply())
    assert isinstance(found, Rejected)
    return found


def half_rejected() -> Rejected:
    found = read_replace_outcome(reply(half())).cancel
    assert isinstance(found, Rejected)
    return found


def stream_error() -> StreamError:
    found = read_stream_frame(json.dumps({"code": 2, "msg": HOSTILE}))
    assert isinstance(found, StreamError)
    return found


def error_of(call: Callable[[], object]) -> TrailingEdgeError:
    with pytest.raises((BotRefused, BotUnreachable)) as caught:
        call()
    return caught.value


def telegram(code: int) -> object:
    return _result(200, json.dumps({"ok": False, "error_code": code, "description": HOSTILE}).encode())


def test_an_answer_on_the_control_socket_keeps_its_lines_and_nothing_else() -> None:
    answer = json.dumps({"ok": True, "text": "one\ntwo\x1b[2J\r"}).encode()
    assert parse_response(answer)["text"] == "one\ntwo\\x1b[2J\\r"


# --- Names that become cells of a ledger --------------------------------------------------------


def listed(**changed: str) -> object:
    names = {"symbol": "ETHUSDT", "baseAsset": "ETH", "quoteAsset": "USDT", "status": "TRADING", **changed}
    return {"symbols": [{**names, "filters": []}]}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_is_no_name_of_an_asset(name: str, tmp_path: Path) -> None:
    for field in ("baseAsset", "quoteAsset"):
        with pytest.raises(ProtocolViolation, match="expected the name of an asset"):
            read_exchange_info(listed(**{field: name}), "ETHUSDT")
    with pytest.raises(ProtocolViolation):
        read_trades([{**TRADE, "commissionAsset": name}])
    saved = json.loads(gzip.decompress(story(tmp_path).read_bytes()))
    assets = ({**saved["results"], asset: name} for asset in ("base_asset", "quote_asset"))
    for change in [*({"results": results} for results in assets), {"symbol": name}]:
        with pytest.raises(ConfigError, match="incomplete report"):
            file_format.load(story(tmp_path, saved | change))
    if name:
        saved["fills"][0]["commission_asset"] = name
        with pytest.raises(ConfigError, match="incomplete report"):
            file_format.load(story(tmp_path, saved))


TRADE = {
    "id": 1,
    "orderId": 2,
    "isBuyer": True,
    "price": "1.0",
    "qty": "1.0",
    "quoteQty": "1.0",
    "commission": "0.0",
    "time": 1,
    "isMaker": True,
}


@pytest.mark.parametrize("name", ["ETH", "1INCH", "1000SATS", "币安人生", "U", "USD1", "हिन्दी", "BTC-PERP", "A.B_C"])
def test_names_of_any_script_are_names(name: str) -> None:
    rules, _ = read_exchange_info(listed(baseAsset=name, symbol=f"{name}USDT"), f"{name}USDT")
    assert rules is not None
    assert rules.base_asset == name
    assert read_trades([{**TRADE, "commissionAsset": name}])[0].commission_asset == name


def test_a_foreign_asset_of_an_odd_name_does_not_hide_the_balances() -> None:
    balances = [{"asset": name, "free": "1.0", "locked": "0.0"} for name in ("ETH", "=1+1", "USDT")]
    found = read_account({"balances": balances, "updateTime": 1})
    assert [balance.asset for balance in found.balances] == ["ETH", "USDT"]


def test_a_ledger_has_no_formula_and_keeps_negative_numbers() -> None:
    for row in as_csv(a_story()).splitlines()[1:]:
        for cell in row.split(","):
            assert not cell.startswith(("=", "+", "@", "\t"))
            assert not cell.startswith("-") or float(cell) < 0


# --- Files --------------------------------------------------------------------------------------


def story(folder: Path, data: object = None) -> Path:
    path = folder / "a.story.json.gz"
    if data is None:
        file_format.save(a_story(), path)
    else:
        path.write_bytes(gzip.compress(json.dumps(data).encode()))
    return path


def test_texts_of_a_saved_report_are_printable_on_every_face(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = json.loads(gzip.decompress(story(tmp_path).read_bytes()))
    saved |= {"gaps": [HOSTILE, "<script>alert(1)</script>"], "mode": HOSTILE}
    saved["settings"][f"ODD{HOSTILE}"] = HOSTILE
    path = story(tmp_path, saved)
    report = file_format.load(path)
    assert_safe("\n".join(report.gaps))
    assert_safe(summary_text(report, 80))
    drawn = page(report)
    assert "<script>alert" not in drawn
    assert "\x1b" not in drawn
    assert "\u202e" not in drawn
    for words in (["report", str(path)], ["report", str(path), "--json"], ["report", str(path), "--csv"]):
        assert main.run(words) == ExitCode.OK
        heard = capsys.readouterr()
        assert_safe(heard.out)
        assert_safe(heard.err)


def test_file_names_are_printable_in_errors_and_gaps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = HOSTILE.replace("\x00", "").replace("/", "").replace("\ud800", "")
    for words in (["backtest"], ["report"], ["--market"], ["--env-file"], ["sweep", "--vary", "FEE=0,1", "--out", "x"]):
        assert main.run([*words, str(tmp_path / named)]) in (ExitCode.CONFIG, ExitCode.USAGE)
        assert_safe(capsys.readouterr().err)
    row = "1748736000000,1.0,1.0,1.0,1.0,1.0,1748736059999,1.0,1,1.0,1.0,0\n"
    path = tmp_path / f"ETHUSDT-1m-2025-06-01{named}.csv"
    path.write_text(row)
    (gap,) = open_market([path], "BTCUSDT").gaps
    assert_safe(gap)


# --- Settings and the command line --------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in OPTIONS:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize("name", OPTIONS)
def test_no_setting_has_characters_that_cannot_be_printed(
    name: str, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in (HOSTILE, "a\x1b[2Jb", "1\u202e2", "ETH\u200bUSDT"):
        for words in (["check", "--set", f"{name}={value}"], ["--set", f"{name}={value}"]):
            assert main.run(words) == ExitCode.CONFIG
            heard = capsys.readouterr()
            assert_safe(heard.out)
            assert_safe(heard.err)
            assert f"{name} (command line): the value has a character that cannot be printed" in heard.out + heard.err
    assert not list(elsewhere.iterdir())


def test_names_in_the_file_and_words_of_the_command_line_are_printable(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / ".env").write_text(f"FEEE\x1b[2J=1\nODD\u202e=2\n'{FORGED}\x07'=3\nFEE='{FORGED}\x07'\n")
    for words in (["check"], ["check", "--json"], ["--json\x1b[2J"], ["--speed", "\x1b[2J"], ["--set", "\x1b[2J"]):
        with contextlib.suppress(SystemExit):
            assert main.run(words) == ExitCode.CONFIG
        heard = capsys.readouterr()
        assert_safe(heard.out)
        assert_safe(heard.err)

"""Remedies: what the message of an error advises is done, and the error is gone."""

import re
import shlex
from decimal import Decimal
from pathlib import Path

import pytest

from trailingedge import main
from trailingedge.backtest.inputs import balance_shortage, build_inputs, data_warnings
from trailingedge.commands.exchange import open_source
from trailingedge.config import (
    OPTIONS,
    Settings,
    TradingMode,
    changed_settings,
    read_settings,
    settings_without_secrets,
)
from trailingedge.config_validator import problems, warnings
from trailingedge.core.errors import ConfigError, ExitCode
from trailingedge.simulator.feeds.historical import open_market

MINUTE_MS = 60_000
NUMBERS = [name for name, option in OPTIONS.items() if option.kind in (int, float, Decimal)]


def rows(count: int, interval_ms: int = MINUTE_MS, price: str = "2500.00") -> str:
    begins = (1_748_736_000_000 + number * interval_ms for number in range(count))
    return "".join(
        f"{begin},{price},{price},{price},{price},1.0000,{begin + interval_ms - 1},1.0,1,1.0,1.0,0\n"
        for begin in begins
    )


def saved(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in OPTIONS:
        monkeypatch.delenv(name, raising=False)


def said(name: str, text: str) -> list[str]:
    read = read_settings({name: text}, {}, Path("none"))
    return [*read.problems, *problems(read.settings, read.sources, read.unread)]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("text", ["cheap", "1,5", "5%", "1.5x", "1e9999", "0.5.1"])
def test_the_number_that_a_message_suggests_is_accepted(name: str, text: str) -> None:
    (problem,) = said(name, text)
    suggested = re.search(r"such as (\S+?)(?: for \S+ percent)?$", problem)
    assert suggested, problem
    assert said(name, suggested[1]) == []


@pytest.mark.parametrize("name", [name for name in NUMBERS if OPTIONS[name].kind is float])
def test_the_number_that_a_message_suggests_instead_of_an_infinite_one_is_accepted(name: str) -> None:
    (problem,) = said(name, "1e999")
    assert said(name, problem.rpartition("such as ")[2]) == []


@pytest.mark.parametrize("name", [name for name in NUMBERS if OPTIONS[name].kind is int])
def test_the_whole_number_that_a_message_suggests_is_accepted(name: str) -> None:
    (problem,) = said(name, "1.5")
    assert said(name, problem.rpartition("such as ")[2]) == []


@pytest.mark.parametrize("name", [name for name, option in OPTIONS.items() if option.limit])
def test_the_default_that_a_message_names_is_accepted(name: str) -> None:
    for text in ("-1", "100000000000000000000"):
        for problem in said(name, text):
            if "the default is " in problem:
                assert said(name, problem.rpartition("the default is ")[2]) == []


@pytest.mark.parametrize("name", [name for name, option in OPTIONS.items() if option.choices])
def test_every_choice_that_a_message_lists_is_accepted(name: str) -> None:
    (problem,) = read_settings({name: "zzz"}, {}, Path("none")).problems
    for choice in problem.rpartition("one of ")[2].split(", "):
        assert read_settings({name: choice}, {}, Path("none")).problems == ()


@pytest.mark.parametrize(
    "written",
    ["eth/fdusd", "ETH-FDUSD", "btc usdt", "1inch_usdt", "币安人生/usdt", "1000sats:fdusd", "?", "=A1", "-", "Z" * 60],
)
def test_the_symbol_that_a_message_suggests_is_accepted(written: str) -> None:
    (problem,) = said("SYMBOL", written)
    suggested = re.search(r"; write (?:it like )?(\S+)$", problem)
    assert suggested
    assert said("SYMBOL", suggested[1]) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("BASE_ASSET", "eth"),
        ("QUOTE_ASSET", "=1+1"),
        ("TELEGRAM_CHAT_ID", "my chat"),
        ("TELEGRAM_GROUP_CHAT_ID_1", "t.me/x"),
        ("TELEGRAM_API_URL", "ftp://x"),
        ("BINANCE_ARCHIVE_URL", "http://x"),
        ("BINANCE_WS_API_URL", "http://x"),
        ("BINANCE_WS_STREAM_URL", "wss://host:9443/ws"),
    ],
)
def test_each_example_that_a_message_gives_is_accepted(name: str, text: str) -> None:
    paper = Settings(trading_mode=TradingMode.PAPER)
    (problem,) = problems(changed_settings(paper, {name: text}))
    for example in re.split(r", | or ", problem.rpartition("like ")[2]):
        assert problems(changed_settings(paper, {name: example})) == []


@pytest.mark.parametrize("trigger", ["0.001", "0.002", "0.0022", "0.0024"])
def test_what_is_advised_against_a_small_take_profit_helps(trigger: str) -> None:
    settings = changed_settings(
        Settings(), {"MIN_GAIN_TRIGGER_FRAC_BASE": trigger, "MIN_GAIN_TRIGGER_FRAC_QUOTE": "0.2"}
    )
    found = [warning for warning in warnings(settings) if "MIN_GAIN" in warning]
    assert len(found) == 1
    raised = changed_settings(settings, {"MIN_GAIN_TRIGGER_FRAC_BASE": "0.2"})
    assert not [warning for warning in warnings(raised) if "MIN_GAIN" in warning]
    lowered = changed_settings(settings, {"START_FACTOR": str(settings.min_factor)})
    helps = not [warning for warning in warnings(lowered) if "MIN_GAIN" in warning]
    assert ("lower START_FACTOR" in found[0]) is helps


# --- Files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("interval_min", [3, 7, 45, 120, 7 * 1440, 31 * 1440])
def test_the_interval_that_a_message_suggests_is_accepted(interval_min: int, tmp_path: Path) -> None:
    market = open_market([saved(tmp_path / "ETHUSDT-x.csv", rows(3, interval_min * MINUTE_MS))])
    (warning,) = data_warnings(market, "1m")
    suggested = re.search(r"KLINE_INTERVAL=(\w+)", warning)
    if suggested is None:
        assert warning.endswith("; give finer files")
        assert interval_min in (7, 7 * 1440, 31 * 1440)
        return
    assert said("KLINE_INTERVAL", suggested[1]) == []
    assert data_warnings(market, suggested[1]) == []


@pytest.mark.parametrize("price", ["2500.00", "0.37", "61234.56"])
@pytest.mark.parametrize("reserve", ["0", "0.5"])
def test_the_balance_that_a_message_suggests_suffices(price: str, reserve: str, tmp_path: Path) -> None:
    market = open_market([saved(tmp_path / "ETHUSDT-1m.csv", rows(3, price=price))])
    settings = {**settings_without_secrets(Settings()), "RESERVE_BASE": reserve}
    shortage = balance_shortage(build_inputs(market, settings, {"ETH": Decimal("0.0001")}), Decimal(price))
    assert shortage is not None
    asset, amount = re.search(r"--balance (\w+)=(\S+)$", shortage).groups()  # type: ignore[union-attr]
    assert balance_shortage(build_inputs(market, settings, {asset: Decimal(amount)}), Decimal(price)) is None


def test_a_file_without_a_symbol_can_be_named_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path / "market.csv", rows(200))
    assert main.run(["backtest", str(path)]) == ExitCode.CONFIG
    advised = re.search(r"(--symbol \w+)", capsys.readouterr().err)
    assert advised
    assert main.run(["backtest", str(path), *advised[1].split()]) == ExitCode.OK


@pytest.mark.parametrize(
    ("symbol", "base", "quote"),
    [("ABCXYZ", "ABC", "XYZ"), ("XYZTUSD", "XYZT", "USD"), ("币安人生元", "币安人生", "元")],
)
def test_assets_that_a_message_asks_for_are_taken(
    symbol: str, base: str, quote: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path / f"{symbol}-1m-2025-06-01.csv", rows(200))
    sets = ["--set", f"BASE_ASSET={base}", "--set", f"QUOTE_ASSET={quote}"]
    for words in (["backtest", str(path)], ["backtest", str(path), "--symbol", symbol]):
        assert main.run(words) == ExitCode.CONFIG
        assert "set BASE_ASSET and QUOTE_ASSET" in capsys.readouterr().err
        assert main.run([*words, *sets]) == ExitCode.OK
    with pytest.raises(ConfigError, match="set BASE_ASSET and QUOTE_ASSET"):
        open_source([str(path)], symbol, 0, 0)
    source = open_source([str(path)], symbol, 0, 0, [quote, base])
    assert (source.base_asset, source.quote_asset) == (base, quote)
    with pytest.raises(ConfigError, match="set BASE_ASSET and QUOTE_ASSET"):
        open_source(None, symbol, 0, 0)


def test_a_command_that_a_message_gives_is_one_for_a_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "my $HOME; files"
    folder.mkdir()
    path = saved(folder / "ETHUSDT-1m-2025-06-01.csv", rows(200))
    assert main.run(["report", str(path)]) == ExitCode.CONFIG
    words = shlex.split(capsys.readouterr().err.rpartition("use trailing-edge ")[2])
    assert words == ["backtest", str(path)]
    assert main.run(words) == ExitCode.OK


def test_no_key_is_made_in_another_place_than_was_meant(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = "-----BEGIN PRIVATE KEY-----"
    assert main.run(["keygen", "--set", f"BINANCE_ED25519_PRIV_PATH={key}"]) == ExitCode.CONFIG
    assert "looks like the text of a private key" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())

"""Every command reads its settings as a run with the same flags would."""

import argparse
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from trailingedge.commands import setting_flags
from trailingedge.config import TradingMode


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    setting_flags.add_arguments(parser)
    return parser.parse_args(words)


def test_a_flag_goes_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "my.env"
    file.write_text("SYMBOL=FILE\nFEE=0.001\nBUFFER=0.003\n")
    reading = setting_flags.load_settings(
        parsed("--env-file", str(file), "--symbol", "FLAG", "--mode", "testnet", "--set", "LOG_DIR=here"),
        {"SYMBOL": "ENVIRON", "BUFFER": "0.004"},
    )
    settings = reading.settings
    assert (settings.symbol, settings.buffer, str(settings.fee)) == ("FLAG", 0.004, "0.001")
    assert (settings.trading_mode, settings.log_dir) == (TradingMode.TESTNET, Path("here"))
    assert [reading.sources[name] for name in ("SYMBOL", "BUFFER", "FEE")] == ["command line", "environment", str(file)]


def test_a_file_that_is_named_must_be_there() -> None:
    assert "does not exist" in setting_flags.load_settings(parsed("--env-file", "nowhere.env"), {}).problems[0]


def test_no_file_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert setting_flags.load_settings(parsed(), {}).problems == ()


def test_secrets_are_those_that_are_set() -> None:
    reading = setting_flags.load_settings(
        parsed("--set", "TELEGRAM_BOT_TOKEN=1:token"), {"BINANCE_ED25519_API_KEY": "api-key"}
    )
    assert sorted(setting_flags.secret_values(reading.settings)) == ["1:token", "api-key"]


def test_a_secret_that_is_found_in_ordinary_words_is_not_struck_out_of_them() -> None:
    reading = setting_flags.load_settings(parsed(), {"BINANCE_ED25519_API_KEY": "order"})
    assert setting_flags.secret_values(reading.settings) == []


def test_an_assignment_is_name_and_value() -> None:
    assert setting_flags.assignment("CONFIRM_LIVE=a=b") == ("CONFIRM_LIVE", "a=b")


@pytest.mark.parametrize("text", ["SYMBOL", "=X", ""])
def test_what_is_no_assignment_is_a_fault_of_usage(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="NAME=VALUE"):
        setting_flags.assignment(text)

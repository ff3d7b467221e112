"""Secrets in the wrong place: under every setting and from every source, refused without a part of them being shown."""

import base64
import itertools
import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from trailingedge import main
from trailingedge.config import OPTIONS
from trailingedge.core.errors import ExitCode
from trailingedge.core.misplaced_secrets import API_KEY_NAME, KEY_FILE_NAME, TOKEN_NAME

_CHANCE = Random(20260701)
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_SHOWN_AT_MOST = 5  # characters in a row; six in a row of a secret are no coincidence


def _random(length: int) -> str:
    return "".join(_CHANCE.choices(_LETTERS, k=length))


def _pem(beginning: str, length: int) -> str:
    """PEM text of a private key that is none: the usual beginning of its DER, and random bytes."""
    der = base64.b64decode(beginning) + _CHANCE.randbytes(length)
    lines = textwrap.wrap(base64.b64encode(der).decode(), 64)
    return "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----", ""])


ED25519_PEM = _pem("MC4CAQAwBQYDK2VwBCIEIA==", 32)
RSA_PEM = _pem("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", 1194)
API_KEY = _random(64)
TOKEN = f"987654321:AA{_random(33)}"
SECRETS = {
    "API key": API_KEY,
    "API key with a name": f"BINANCE_API_KEY={API_KEY}",
    "token": TOKEN,
    "percent-encoded token": TOKEN.replace(":", "%3A"),
    "token in an address": f"https://api.telegram.org/bot{TOKEN}/getMe",
    "most of a token": TOKEN[:30],
    "PEM": ED25519_PEM,
    "PEM in one line": ED25519_PEM.replace("\n", "\\n"),
    "RSA PEM": RSA_PEM,
    "second line of a PEM": ED25519_PEM.splitlines()[1],
    "line of an RSA PEM": RSA_PEM.splitlines()[3],
    "end of a PEM": ED25519_PEM.splitlines()[1] + "\n-----END PRIVATE KEY-----",
    "seed in hexadecimal digits": _CHANCE.randbytes(32).hex(),
    "seed in base64": base64.b64encode(_CHANCE.randbytes(32)).decode(),
    "seed in URL-safe base64": base64.urlsafe_b64encode(_CHANCE.randbytes(32)).decode(),
    "address with a password": f"wss://me:{_random(20)}@exchange.example/ws-api/v3",
}
# What each secret has in common with our own messages: names, addresses and words.
_COMMON = ("BINANCE_API_KEY=", "https://api.telegram.org/bot", "/getMe", "wss://", "exchange.example/ws-api/v3")
# A file may have such a name, and an error must be able to tell it.
FILE_READERS = ("backtest", "replay", "report")
LIKE_A_FILE = {"most of a token", "seed in hexadecimal digits"}
AS_FILE = [["--env-file", "SECRET"], ["--market", "SECRET"], *([word, "SECRET"] for word in FILE_READERS)]
# Secrets that are where they belong.
RIGHT = {"BINANCE_ED25519_API_KEY", "TELEGRAM_BOT_TOKEN"}


def parts_of(secret: str) -> Iterator[str]:
    """Yield all runs of six characters of a secret that are not also in ordinary text."""
    for common in _COMMON:
        secret = secret.replace(common, " ")
    for line in secret.replace("\\n", "\n").split("\n"):
        if not line.startswith("-----"):
            yield from (line[at : at + _SHOWN_AT_MOST + 1] for at in range(len(line) - _SHOWN_AT_MOST))


def assert_nothing_of(secret: str, text: str) -> None:
    assert not [part for part in parts_of(secret) if part in text and " " not in part]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in OPTIONS:
        monkeypatch.delenv(name, raising=False)


def said_by(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    try:
        code = main.run(words)
    except SystemExit as end:  # argparse
        code = int(str(end.code))
    shown = capsys.readouterr()
    return code, shown.out + shown.err


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_under_any_setting_is_refused_and_not_shown(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = SECRETS[kind]
    names = sorted(OPTIONS.keys() - RIGHT)
    for name in names[list(SECRETS).index(kind) % 4 :: 4]:  # each setting meets four kinds
        monkeypatch.setenv(name, secret)
        code, shown = said_by(["check"], capsys)
        assert code == ExitCode.CONFIG, name
        assert f"{name} (environment): the value " in shown
        assert_nothing_of(secret, shown)
        monkeypatch.delenv(name)
    assert not list(tmp_path.iterdir())


READ_BY_MANY = ("FEE", "SYMBOL", "LOG_DIR", "TELEGRAM_API_URL", "TRADING_MODE", "CONFIRM_LIVE")


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, READ_BY_MANY[(at + step) % 6]) for at, kind in enumerate(SECRETS) for step in (0, 3)]
)
def test_a_secret_is_not_shown_whatever_reads_it(
    kind: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = SECRETS[kind]
    Path(".env").write_text(f"{name}='{secret}'\n")
    for words in (
        [],
        ["check", "--json"],
        ["doctor"],
        ["backtest", "x.csv"],
        ["sweep", "x.csv", "--vary", "FEE=0,0.001"],
        ["report", "x.story.json.gz", "--set", f"{name}={secret}"],
        ["status"],
        ["--set", f"{name}={secret}"],
        ["exchange", "--symbol", secret],
    ):
        code, shown = said_by(words, capsys)
        assert code != ExitCode.OK, words
        assert_nothing_of(secret, shown)
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_in_place_of_a_name_is_not_shown(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = SECRETS[kind]
    for line in (secret, f"{secret}=1", f"export {secret}=1", f"OTHER=1\n{secret}\n", f"NAME={secret}"):
        Path(".env").write_text(line)
        for words in (["check"], ["check", "--json"]):
            assert_nothing_of(secret, said_by(words, capsys)[1])
    Path(".env").unlink()
    for words in (
        ["--set", secret],
        ["--set", f"{secret}=1"],
        ["check", "--set", f"{secret}=1"],
        [secret],
        ["check", secret],
        ["--mode", secret],
        ["--symbol", secret],
        *([] if kind in LIKE_A_FILE else AS_FILE),
        ["sweep", "x.csv", "--vary", f"{secret}=1,2"],
        ["exchange", "--balance", secret],
        ["exchange", "--port", secret],
        ["--speed", secret],
        ["backtest", "x.csv", "--fee", secret],
    ):
        code, shown = said_by([word.replace("SECRET", secret) for word in words], capsys)
        assert code in (ExitCode.USAGE, ExitCode.CONFIG), words
        assert_nothing_of(secret, shown)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("pem", [ED25519_PEM, RSA_PEM], ids=["Ed25519", "RSA"])
@pytest.mark.parametrize("name", ["BINANCE_ED25519_API_KEY", "BINANCE_ED25519_PRIV_PATH", "BINANCE_PRIVATE_KEY"])
def test_a_key_pasted_over_several_lines_of_the_file_is_not_shown(
    pem: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for quote in ("", '"', "'"):
        Path(".env").write_text(f"{name}={quote}{pem}{quote}\n")
        code, shown = said_by(["check"], capsys)
        assert_nothing_of(pem, shown)
        assert code == ExitCode.CONFIG or name == "BINANCE_PRIVATE_KEY"


def test_a_private_key_or_a_token_is_no_api_key(capsys: pytest.CaptureFixture[str]) -> None:
    for secret, where in ((TOKEN, "TELEGRAM_BOT_TOKEN"), (ED25519_PEM, "BINANCE_ED25519_PRIV_PATH")):
        code, shown = said_by(["check", "--set", f"BINANCE_ED25519_API_KEY={secret}"], capsys)
        assert code == ExitCode.CONFIG
        assert where in shown.partition("problem")[2]
        assert_nothing_of(secret, shown)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(
            "LOG_DIR", "/var/lib/docker/volumes/0123456789abcdef0123456789abcdef/_data", id="hash of a volume"
        ),
        pytest.param("LOG_DIR", "/nix/store/l1bq6vzmzp1wk0ch7zq5r4yx3g2n8s7d-trailing-edge-0.2.0/logs", id="nix"),
        pytest.param("LOG_DIR", "/tmp/pytest-of-somebody/pytest-0/popen-gw0/test_session0/log_folder0", id="long path"),
        pytest.param("LOG_DIR", r"C:\Users\Trader1\AppData\Local\TrailingEdge2\Logs", id="Windows"),
        pytest.param("BINANCE_ED25519_PRIV_PATH", "/etc/credstore/binance-ed25519-private-key-2026.pem", id="key file"),
        pytest.param("BINANCE_WS_API_URL", "wss://ws-api.testnet.binance.vision:443/ws-api/v3", id="address"),
        pytest.param("BINANCE_WS_STREAM_URL", "ws://[::1]:54321", id="IPv6"),
        pytest.param("TELEGRAM_API_URL", "https://bot-api-2.internal.example.com:8081/base", id="own Bot API"),
        pytest.param("TELEGRAM_CHAT_ID", "-1001234567890", id="chat"),
        pytest.param("SYMBOL", "1000SATSFDUSD", id="symbol"),
        pytest.param("SYMBOL", "币安人生USDT", id="symbol of another script"),
        pytest.param("MIN_QTY", "0.00000000000000000000000000000000001", id="many digits"),
        pytest.param("CONFIRM_LIVE", "I-UNDERSTAND-THE-RISK", id="consent"),
    ],
)
def test_an_honest_value_is_no_secret(name: str, value: str) -> None:
    OPTIONS[name].read(value)


def test_the_defaults_are_no_secrets() -> None:
    for option in OPTIONS.values():
        if option.default is not None:
            assert option.read(option.shown(option.default)) == option.default


def test_settings_that_were_refused_are_shown_by_their_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    said_by(["check", "--json", "--set", f"TELEGRAM_CHAT_ID={TOKEN}"], capsys)
    main.run(["check", "--json", "--set", f"TELEGRAM_CHAT_ID={TOKEN}"])
    assert json.loads(capsys.readouterr().out)["settings"]["TELEGRAM_CHAT_ID"]["value"] is None


def test_cut_values_show_little(capsys: pytest.CaptureFixture[str]) -> None:
    """A part of an API key looks like nothing in particular; a long value is not quoted."""
    for name, length in itertools.product(("FEE", "TRADING_MODE", "LOG_LEVEL_FILE"), (41, 60)):
        value = "x" * length
        code, shown = said_by(["check", "--set", f"{name}={value}"], capsys)
        assert code == ExitCode.CONFIG
        assert f"{name} is a text of {length} characters" in shown
        assert value[:10] not in shown


def test_the_settings_named_as_the_right_place_exist() -> None:
    assert {API_KEY_NAME, TOKEN_NAME, KEY_FILE_NAME} <= OPTIONS.keys()
    assert {name for name, option in OPTIONS.items() if option.secret} == {API_KEY_NAME, TOKEN_NAME}

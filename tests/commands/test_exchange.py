import argparse
import asyncio
import contextlib
import json
import os
import signal
import stat
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from tests import processes
from tests.simulator.exchange_builders import KEY, signed
from websockets.asyncio.client import connect

from trailingedge.commands import exchange
from trailingedge.core.clock import RealClock

MAIN = """
import argparse, sys
from trailingedge.commands import exchange
parser = argparse.ArgumentParser()
exchange.add_arguments(parser)
sys.exit(exchange.run(parser.parse_args()))
"""


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    exchange.add_arguments(parser)
    return parser.parse_args(words)


def public_key_file(folder: Path) -> Path:
    path = folder / "pub.pem"
    path.write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def private_key(path: str) -> tuple[int, Ed25519PrivateKey]:
    """The mode of the key file, and the key in it."""
    key = load_pem_private_key(Path(path).read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return stat.S_IMODE(Path(path).stat().st_mode), key


@contextlib.asynccontextmanager
async def started(*words: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, str]]]:
    """The command in a process of its own, and its first line."""
    command_line = [sys.executable, "-c", MAIN, *words]
    async with processes.started_async(command_line, stdout=PIPE, stderr=PIPE) as process:
        assert process.stdout is not None
        yield process, json.loads(await process.stdout.readline())


async def logged_on(line: dict[str, str], params: dict[str, object]) -> int:
    async with connect(line["ws_api_url"]) as api:
        await api.send(json.dumps({"id": 1, "method": "session.logon", "params": params}))
        status: int = json.loads(await api.recv())["status"]
        return status


@pytest.mark.skipif(os.name == "nt", reason="a process cannot be sent SIGTERM to be caught there")
async def test_a_registered_key_logs_on_until_sigterm(tmp_path: Path) -> None:
    words = ["--register-key", str(public_key_file(tmp_path)), "--api-key", "mine"]
    async with started(*words) as (process, line):
        assert set(line) == {"ws_api_url", "ws_stream_url", "api_key"}
        assert line["api_key"] == "mine"
        params = signed({"apiKey": "mine", "timestamp": RealClock().unix_ms()})
        assert await logged_on(line, params) == 200
        for _ in range(2):  # as a stop of the whole group under `uv run` arrives
            process.send_signal(signal.SIGTERM)
        _, complaints = await process.communicate()
    assert (process.returncode, complaints) == (0, b"")


@pytest.mark.skipif(os.name == "nt", reason="a process cannot be sent SIGINT to be caught there")
async def test_without_a_key_one_is_made_and_removed_after_sigint() -> None:
    async with started() as (process, line):
        mode, key = private_key(line["private_key_path"])
        assert mode == 0o600
        params = signed({"apiKey": line["api_key"], "timestamp": RealClock().unix_ms()}, key)
        assert await logged_on(line, params) == 200
        process.send_signal(signal.SIGINT)
        await process.communicate()
    assert process.returncode == 0
    with pytest.raises(FileNotFoundError):
        private_key(line["private_key_path"])


def test_the_private_key_is_written_to_a_new_file_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "priv.pem"
    path.write_text("precious")
    assert exchange.run(parsed("--private-key-out", str(path))) == 78
    assert "File exists" in capsys.readouterr().err
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        pytest.param(["--register-key", "{tmp}/none.pem"], "No such file", id="no such key file"),
        pytest.param(["--register-key", "{tmp}/text.pem"], "not a public key", id="a file that is no key"),
        pytest.param(["--register-key", "{tmp}/ec.pem"], "neither an Ed25519 nor an RSA", id="a key of another kind"),
        pytest.param(["--register-key", "{tmp}/pub.pem", "--private-key-out", "x"], "no key is made", id="both keys"),
        pytest.param(["--register-key", "{tmp}/pub.pem", "--api-key", "a b"], "--api-key", id="an impossible name"),
        pytest.param(["--symbol", "NOSUCH"], "--balance ABC=1,XYZ=0", id="a symbol without known assets"),
        pytest.param(["--market", "{tmp}/none.csv"], "none.csv", id="no such market file"),
    ],
)
def test_wrong_settings_are_named_with_exit_code_78(
    words: list[str], problem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    public_key_file(tmp_path)
    (tmp_path / "text.pem").write_text("no key")
    other = generate_private_key(SECP256R1()).public_key()
    (tmp_path / "ec.pem").write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert exchange.run(parsed(*(word.replace("{tmp}", str(tmp_path)) for word in words))) == 78
    assert problem in capsys.readouterr().err


def test_a_truncated_market_file_is_named_with_exit_code_78(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ETHUSDT-1m-2025-06-01.csv"
    path.write_text("no kline\n")
    assert exchange.run(parsed("--market", str(path))) == 78
    assert path.name in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="a process cannot be sent SIGTERM to be caught there")
async def test_the_journal_is_written_at_once_and_faults_are_injected(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    words = ["--register-key", str(public_key_file(tmp_path)), "--api-key", "mine", "--latency", "0.001"]
    async with started(*words, "--journal", str(path), "--fault", "busy=1") as (process, line):
        params = {"symbol": "ETHFDUSD", "orderId": 1, "timestamp": RealClock().unix_ms(), "apiKey": "mine"}
        async with connect(line["ws_api_url"]) as api:
            for method in ("order.status", "time"):
                body = {"id": 1, "method": method, "params": signed(params) if method == "order.status" else {}}
                await api.send(json.dumps(body))
            answers = [json.loads(await api.recv()) for _ in range(2)]
        entries = [json.loads(text) for text in path.read_text().splitlines()]
        process.send_signal(signal.SIGTERM)
        await process.communicate()
    assert [answer["status"] for answer in answers] == [503, 200]
    assert [(entry["what"], entry["details"]) for entry in entries] == [("request", "time"), ("answered", "time")]
    assert set(entries[0]) == {"unix_ms", "market_ms", "what", "account", "details"}


def test_a_journal_that_cannot_be_written_is_named_with_exit_code_78(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "nowhere" / "journal.jsonl"
    assert exchange.run(parsed("--journal", str(path))) == 78
    assert str(path) in capsys.readouterr().err


def test_balances_and_fee_are_read_exactly() -> None:
    args = parsed("--balance", "ETH=1.5,FDUSD=0", "--fee", "0.001", "--speed", "60")
    assert args.balance == {"ETH": Decimal("1.5"), "FDUSD": Decimal(0)}
    assert (args.fee, args.speed) == (Decimal("0.001"), 60.0)


@pytest.mark.parametrize(
    "words",
    [
        ["--balance", "ETH"],
        ["--balance", "ETH=much"],
        ["--balance", "ETH=-1"],
        ["--balance", "=1"],
        ["--fee", "2"],
        ["--fee", "NaN"],
        ["--speed", "0"],
        ["--fault", "late_reply"],
        ["--fault", "soup=0.5"],
        ["--fault", "late_reply=2"],
        ["--latency", "-1"],
        ["--port", "99999"],
        ["--port=-1"],
        ["--port", "http"],
    ],
)
def test_malformed_amounts_are_rejected(words: list[str]) -> None:
    with pytest.raises(argparse.ArgumentError):
        parsed(*words)


def test_the_balance_determines_the_assets_of_an_ambiguous_symbol() -> None:
    source = exchange.open_source(None, "ABCXYZ", 0, 0, ["XYZ", "ABC"])
    assert (source.symbol, source.base_asset, source.quote_asset) == ("ABCXYZ", "ABC", "XYZ")


@pytest.mark.skipif(os.name == "nt", reason="a process cannot be sent SIGTERM to be caught there")
async def test_an_asset_outside_the_pair_is_owned_with_a_warning() -> None:
    async with started("--balance", "ETH=1,XRP=1") as (process, _):
        process.send_signal(signal.SIGTERM)
        _, complaints = await process.communicate()
    assert process.returncode == 0
    assert complaints == b"--balance XRP: ETHFDUSD trades ETH and FDUSD; the account holds XRP but cannot trade it\n"

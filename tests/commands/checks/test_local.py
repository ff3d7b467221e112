"""Local checks: every problem that can be found without the network."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from trailingedge.commands.checks import local
from trailingedge.commands.checks.result import CheckResult, CheckStatus, skipped
from trailingedge.commands.checks.short_session import background
from trailingedge.config import RISK_PHRASE, LoadedSettings, read_settings
from trailingedge.live.control_socket import ControlSocket
from trailingedge.model.operator_commands import CommandResult, OperatorCommand

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PRIVATE = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
PUBLIC = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def read(folder: Path, **given: str) -> LoadedSettings:
    path = str(folder / "key.pem")
    return read_settings({"BINANCE_ED25519_PRIV_PATH": path, **given}, {}, folder / "none.env")


def with_key(folder: Path, pem: bytes | None = PRIVATE, mode: int = 0o600, **given: str) -> LoadedSettings:
    """Settings that need a key, and its file."""
    if pem is not None:
        (folder / "key.pem").write_bytes(pem)
        (folder / "key.pem").chmod(mode)
    return read(folder, TRADING_MODE="testnet", BINANCE_ED25519_API_KEY="key", TELEGRAM_BOT_TOKEN="1:t", **given)


def looked_at(
    look: Callable[[LoadedSettings, local.LocalProblems], list[CheckResult]], reading: LoadedSettings
) -> list[CheckResult]:
    return look(reading, local.validate(reading, {}))


def test_the_defaults_are_fine(folder: Path) -> None:
    (finding,) = looked_at(local.settings, read(folder))
    assert finding.status is CheckStatus.OK
    assert "1 of them changed from their default" in finding.text


def test_everything_wrong_is_listed_by_what_it_is_about(folder: Path) -> None:
    reading = with_key(folder, pem=None, FEE="two", MIN_FACTOR="0.9")
    judgement = local.validate(reading, {})
    assert [problem.split()[0] for problem in judgement.settings] == ["FEE", "MIN_FACTOR"]
    secrets = ["BINANCE_ED25519_API_KEY", "TELEGRAM_BOT_TOKEN", "TELEGRAM_BOT_TOKEN"]  # too short, and no token
    assert [warning.split()[0] for warning in judgement.warnings] == secrets
    assert [problem.split()[0] for problem in judgement.key] == ["BINANCE_ED25519_PRIV_PATH"]
    assert judgement.prevents_connecting
    assert len(judgement.problems) == 3
    assert [finding.code for finding in local.settings(reading, judgement)] == [78, 78, 0, 0, 0]


def test_missing_consent_stops_a_start_but_not_a_look(folder: Path) -> None:
    reading = with_key(folder, TELEGRAM_CHAT_ID="7")
    live = read_settings({"TRADING_MODE": "live"}, {"BINANCE_ED25519_API_KEY": "k"}, folder / "none.env")
    judgement = local.validate(live, {})
    assert [problem.split()[0] for problem in judgement.consent] == ["CONFIRM_LIVE"]
    assert local.validate(reading, {}).problems == ()
    (consent,) = (each for each in local.settings(live, judgement) if "CONFIRM_LIVE" in each.text)
    assert consent.status is CheckStatus.WARNING
    assert RISK_PHRASE in consent.text


def test_warnings_are_told_beside_no_problems(folder: Path) -> None:
    verdicts = {each.status for each in looked_at(local.settings, read(folder, TAKER_ESCAPE_AFTER_SEC="600"))}
    assert verdicts == {CheckStatus.WARNING}


# --- the private key ---


def test_a_good_key_is_named_with_kind_and_mode(folder: Path) -> None:
    (finding,) = looked_at(local.private_key, with_key(folder))
    assert finding.status is CheckStatus.OK
    assert finding.text == f"{folder / 'key.pem'}, Ed25519, mode 0600"


@pytest.mark.parametrize(
    ("pem", "said"),
    [
        pytest.param(None, "no such file", id="none"),
        pytest.param(b"hello", "not a PEM file", id="no key"),
        pytest.param(PUBLIC, "this is the public key", id="the other half"),
    ],
)
def test_a_bad_key_is_named(folder: Path, pem: bytes | None, said: str) -> None:
    (finding,) = looked_at(local.private_key, with_key(folder, pem))
    assert (finding.status, finding.code) == (CheckStatus.FAILED, 78)
    assert said in finding.text


@pytest.mark.skipif(os.name == "nt", reason="files have no such mode there")
def test_a_key_that_others_may_read_is_refused_with_the_remedy(folder: Path) -> None:
    (finding,) = looked_at(local.private_key, with_key(folder, mode=0o640))
    assert "0640" in finding.text
    assert "chmod 600" in finding.text


def test_a_key_handed_over_by_systemd_may_have_any_mode(folder: Path) -> None:
    (folder / "key.pem").write_bytes(PRIVATE)
    (folder / "key.pem").chmod(0o440)
    environ = {"CREDENTIALS_DIRECTORY": str(folder)}
    given = {"TRADING_MODE": "testnet", "BINANCE_ED25519_API_KEY": "k", "BINANCE_ED25519_PRIV_PATH": "x/key.pem"}
    (finding,) = looked_at(local.private_key, read_settings(given, environ, folder / "none.env"))
    assert finding.status is CheckStatus.OK
    assert finding.text.endswith("handed over by systemd")


def test_a_mode_without_a_key_needs_none(folder: Path) -> None:
    assert looked_at(local.private_key, read(folder)) == [skipped("private key", "sim makes its own")]


# --- folders ---


def test_a_log_folder_that_is_not_there_is_tried_and_left_unmade(folder: Path) -> None:
    finding = local.log_folder(folder / "new" / "logs")
    assert finding.status is not CheckStatus.FAILED
    assert "GB free" in finding.text
    assert not (folder / "new").exists()


def test_a_log_folder_that_is_there_stays(folder: Path) -> None:
    (folder / "logs").mkdir()
    assert local.log_folder(folder / "logs").status is not CheckStatus.FAILED
    assert list((folder / "logs").iterdir()) == []


def test_a_log_folder_that_cannot_be_is_named(folder: Path) -> None:
    (folder / "file").touch()
    finding = local.log_folder(folder / "file")
    assert finding.status is CheckStatus.FAILED
    assert finding.text.startswith(f"LOG_DIR is {folder / 'file'}: no log can be written there (")


def test_the_log_folder_is_named_once(folder: Path) -> None:
    (folder / "file").touch()
    reading = read_settings({"LOG_DIR": str(folder / "file")}, {}, folder / "none.env")
    problems = local.validate(reading, {})
    assert len(problems.problems) == 1
    assert not problems.prevents_connecting
    assert [finding.status for finding in local.settings(reading, problems)] == [CheckStatus.OK]


@pytest.mark.skipif(os.name == "nt", reason="there are no such sockets")
class TestControlSocket:
    async def test_one_that_can_be_made_is_gone_again(self, folder: Path) -> None:
        finding, running = await local.control_socket(folder / "ETHFDUSD.sock")
        assert (finding.status, running) == (CheckStatus.OK, False)
        assert os.listdir(folder) == []

    async def test_a_running_daemon_is_recognized(self, folder: Path) -> None:
        def submit(_: OperatorCommand, _argument: str) -> asyncio.Future[CommandResult]:
            reply: asyncio.Future[CommandResult] = asyncio.get_running_loop().create_future()
            reply.set_result(CommandResult("live ETHFDUSD | watching | 2500.00/2500.01 FDUSD\nmore"))
            return reply

        control = ControlSocket(folder / "ETHFDUSD.sock", submit)
        async with background(control.run()):
            await control.open.wait()
            finding, running = await local.control_socket(control.path)
        assert (finding.status, running) == (CheckStatus.OK, True)
        assert finding.text.endswith("where a daemon runs: live ETHFDUSD | watching")

    async def test_one_that_cannot_be_is_a_warning(self, folder: Path) -> None:
        finding, running = await local.control_socket(folder / ("x" * 120))
        assert (finding.status, running) == (CheckStatus.WARNING, False)
        assert "longer than 107 bytes" in finding.text


# --- the service manager ---


@pytest.mark.parametrize(
    ("environ", "verdict", "said"),
    [
        pytest.param({}, CheckStatus.SKIPPED, "not started by systemd", id="not under it"),
        pytest.param({"NOTIFY_SOCKET": "@abstract"}, CheckStatus.OK, "no watchdog", id="without a watchdog"),
        pytest.param(
            {"NOTIFY_SOCKET": "@a", "WATCHDOG_USEC": "30000000"}, CheckStatus.OK, "watchdog 30 s", id="with one"
        ),
        pytest.param({"NOTIFY_SOCKET": "/nowhere/notify"}, CheckStatus.WARNING, "cannot be written", id="shut out"),
    ],
)
def test_the_service_manager_is_looked_for(environ: dict[str, str], verdict: CheckStatus, said: str) -> None:
    finding = local.service_manager(environ)
    assert finding.status is verdict
    assert said in finding.text

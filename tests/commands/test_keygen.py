"""A key is made once, for its owner's eyes alone, and no other is ever lost over it."""

import argparse
import json
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from trailingedge.commands import keygen
from trailingedge.core.errors import ConfigError, ExitCode


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    keygen.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def public_half(private_path: Path) -> str:
    key = load_pem_private_key(private_path.read_bytes(), None)
    assert isinstance(key, Ed25519PrivateKey)
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_pair_lies_where_the_daemon_looks_for_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert keygen.run(parsed(), {}) is ExitCode.OK
    private = folder / "secrets" / "ed25519-priv.pem"
    shown = capsys.readouterr()
    assert shown.out == public_half(private) == (folder / "secrets" / "ed25519-pub.pem").read_text()
    assert "API Management" in shown.err
    assert "BINANCE_ED25519_API_KEY" in shown.err


@pytest.mark.skipif(os.name == "nt", reason="files have no such mode there")
def test_the_private_half_is_its_owners_alone(folder: Path) -> None:
    keygen.run(parsed(), {})
    assert mode(folder / "secrets" / "ed25519-priv.pem") == 0o600
    assert mode(folder / "secrets") == 0o700


def test_the_private_half_is_never_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keygen.run(parsed("--json"), {})
    shown = "".join(capsys.readouterr())
    secret = (folder / "secrets" / "ed25519-priv.pem").read_text().splitlines()[1]
    assert secret not in shown
    assert "PRIVATE KEY" not in shown


def test_a_machine_gets_names_and_public_key_alone_on_stdout(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keygen.run(parsed("--json", "--out", "mine.pem"), {})
    assert json.loads(capsys.readouterr().out) == {
        "version": 1,
        "private_key_path": "mine.pem",
        "public_key_path": "mine-pub.pem",
        "public_key": public_half(folder / "mine.pem"),
    }


@pytest.mark.parametrize("file", ["ed25519-priv.pem", "ed25519-pub.pem"])
def test_no_file_is_ever_overwritten(folder: Path, file: str) -> None:
    (folder / "secrets").mkdir()
    (folder / "secrets" / file).write_text("precious")
    with pytest.raises(ConfigError, match="exists, and no key is ever overwritten"):
        keygen.run(parsed(), {})
    assert [path.name for path in (folder / "secrets").iterdir()] == [file]
    assert (folder / "secrets" / file).read_text() == "precious"


def test_a_place_where_nothing_can_be_written_is_named(folder: Path) -> None:
    (folder / "secrets").write_text("a file")
    with pytest.raises(ConfigError, match="cannot be made"):
        keygen.run(parsed(), {})


@pytest.mark.parametrize(
    ("words", "environ", "path"),
    [
        pytest.param([], {"BINANCE_ED25519_PRIV_PATH": "keys/a.pem"}, "keys/a.pem", id="where the settings say"),
        pytest.param(["--out", "b.pem"], {"BINANCE_ED25519_PRIV_PATH": "keys/a.pem"}, "b.pem", id="where it is told"),
    ],
)
def test_the_place_may_be_chosen(words: list[str], environ: dict[str, str], path: str, folder: Path) -> None:
    keygen.run(parsed(*words), environ)
    assert (folder / path).is_file()


def test_a_key_handed_over_by_systemd_stays_as_it_is(folder: Path) -> None:
    credentials = folder / "credentials"
    credentials.mkdir()
    (credentials / "ed25519-priv.pem").write_text("precious")
    keygen.run(parsed(), {"CREDENTIALS_DIRECTORY": str(credentials)})
    assert (folder / "secrets" / "ed25519-priv.pem").is_file()
    assert (credentials / "ed25519-priv.pem").read_text() == "precious"


def test_as_a_service_without_a_key_it_makes_one_where_the_settings_say(folder: Path) -> None:
    (folder / "credentials").mkdir()
    environ = {
        "CREDENTIALS_DIRECTORY": "credentials",
        "TRADING_MODE": "live",
        "BINANCE_ED25519_PRIV_PATH": "keys/a.pem",
    }
    keygen.run(parsed(), environ)
    assert (folder / "keys" / "a.pem").is_file()
    assert not list((folder / "credentials").iterdir())


@pytest.mark.parametrize(
    ("out", "said"),
    [
        pytest.param("b.pem", True, id="elsewhere"),
        pytest.param("secrets/ed25519-priv.pem", False, id="where it is looked for"),
    ],
)
def test_another_place_must_be_made_known(out: str, said: bool, capsys: pytest.CaptureFixture[str]) -> None:
    keygen.run(parsed("--out", out), {})
    assert (f"set BINANCE_ED25519_PRIV_PATH={out}" in capsys.readouterr().err) is said


def test_a_misspelt_setting_makes_no_key(folder: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean BINANCE_ED25519_PRIV_PATH"):
        keygen.run(parsed("--set", "BINANCE_ED25519_PRIV_PAHT=mine.pem"), {})
    assert list(folder.iterdir()) == []

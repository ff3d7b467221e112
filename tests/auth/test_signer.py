"""The process that signs says that it is ready, signs once, and says of a bad key what is wrong with it."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from trailingedge.auth import signer
from trailingedge.core.errors import ConfigError, ExitCode

SEED: Final = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
KEY: Final = Ed25519PrivateKey.from_private_bytes(SEED)
PROGRAM: Final = (sys.executable, "-P", "-m", "trailingedge.auth.signer")


def pem(encryption: KeySerializationEncryption | None = None) -> bytes:
    return KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


BAD: Final = [
    pytest.param(b"", "not a PEM file", id="empty"),
    pytest.param(b"garbage", "not a PEM file", id="garbage"),
    pytest.param(
        KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "it is the public key",
        id="public key",
    ),
    pytest.param(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "damaged PEM", id="damaged"),
    pytest.param(pem().replace(b"MC4C", b"MC4B"), "damaged PEM", id="damaged in its usual beginning"),
    pytest.param(pem()[:80], "damaged PEM", id="cut off"),
    pytest.param(pem(BestAvailableEncryption(b"secret")), "encrypted", id="encrypted"),
    pytest.param(
        generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "RSA, not Ed25519",
        id="another kind",
    ),
]


def run(path: Path, payload: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*PROGRAM, path], input=payload, capture_output=True, check=False, timeout=60)


def test_it_says_that_it_is_ready_and_signs_what_comes_in(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(pem())
    done = run(path, b"apiKey=TESTKEY&timestamp=1750000000000")
    signature = b"6stlUu7T3I2IXZCNGdBCdgrrW92Ny4gkYPqYCkpb7O2YGz9k7aCtgQzKIwsYzOUYmlaYov2uye1Cpwi5+Z1RBw=="
    assert (done.returncode, done.stdout, done.stderr) == (ExitCode.OK, b"ready\n" + signature, b"")


def test_told_to_sign_nothing_it_signs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(pem())
    done = run(path, b"")
    assert (done.returncode, done.stdout) == (ExitCode.OK, b"ready\n")


@pytest.mark.parametrize(("content", "said"), BAD)
def test_of_a_bad_key_it_says_what_an_examination_says(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=said) as refused:
        signer.examine(path)
    done = run(path, b"a=1")
    assert (done.returncode, json.loads(done.stdout)) == (ExitCode.CONFIG, list(refused.value.problems))
    assert done.stderr == b""


def test_of_a_file_that_is_not_there_it_says_so(tmp_path: Path) -> None:
    done = run(tmp_path / "none.pem", b"a=1")
    (problem,) = json.loads(done.stdout)
    assert done.returncode == ExitCode.CONFIG
    assert problem.startswith(f"private key {tmp_path / 'none.pem'}: no such file")


def test_it_is_there_at_once_for_it_imports_next_to_nothing() -> None:
    told = "import trailingedge.auth.signer, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, timeout=60)
    ours = {name for name in loaded.stdout.split() if name.startswith("trailingedge")}
    assert ours == {"trailingedge", "trailingedge.auth", "trailingedge.auth.signer", "trailingedge.core.errors"}
    assert not {"cryptography", "asyncio", "json", "logging"} & set(loaded.stdout.split())


def test_every_key_begins_as_it_is_told_from_others() -> None:
    for seed in (bytes(32), b"\xff" * 32, SEED):
        key = Ed25519PrivateKey.from_private_bytes(seed)
        content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        signature = base64.b64decode(signer.sign(signer.parse(content, "in memory"), b"a=1"))
        key.public_key().verify(signature, b"a=1")

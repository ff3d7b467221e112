"""The key signs as the exchange reads, and never shows itself."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

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

from trailingedge.auth.manager import KeyManager
from trailingedge.errors import ConfigError

SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
KEY = Ed25519PrivateKey.from_private_bytes(SEED)
KEYS = KeyManager.from_private_key(KEY, "TESTKEY")


def pem(encryption: KeySerializationEncryption | None = None) -> bytes:
    return KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def folded(whole: bytes) -> bytes:
    """The same in lines of 32 letters, which nobody writes and everybody reads."""
    head, line, foot = whole.splitlines()
    return b"\n".join([head, line[:32], line[32:], foot, b""])


@pytest.mark.parametrize(
    ("params", "signature"),
    [
        pytest.param(
            {"apiKey": "TESTKEY", "timestamp": 1750000000000},
            "6stlUu7T3I2IXZCNGdBCdgrrW92Ny4gkYPqYCkpb7O2YGz9k7aCtgQzKIwsYzOUYmlaYov2uye1Cpwi5+Z1RBw==",
            id="logon",
        ),
        pytest.param(
            {"timestamp": 1750000000000, "recvWindow": 5000, "apiKey": "TESTKEY", "signature": "left out"},
            "iGyZ0iLu3vlfu8q2MlAJc48Ua1vVyl748VjZlJjwWVx+EZnTT/G1klDL1X/pFQVN9RAI4kVtwou1VHWQn5qkDA==",
            id="logon with a receive window, in any order",
        ),
        pytest.param(
            {
                "symbol": "BTCUSDT",
                "side": "BUY",
                "type": "LIMIT_MAKER",
                "price": "60000.00",
                "quantity": "0.00100",
                "newClientOrderId": "mm-1",
                "apiKey": "TESTKEY",
                "timestamp": 1750000000000,
            },
            "oFtgCLpPHaDXXZJiyTzI+aX1W6utMLLC5yC50cL/djwRz7xDYtPMafdftYEbqtZlXzWIbRV0/oIqez/7+6l2DQ==",
            id="order",
        ),
    ],
)
def test_signatures_are_those_of_the_test_vectors(params: Mapping[str, str | int], signature: str) -> None:
    assert KEYS.sign(params) == signature


def test_logon_is_signed_over_its_own_parameters() -> None:
    params = KEYS.logon_params(1750000000000, 5000)
    assert params == {
        "apiKey": "TESTKEY",
        "recvWindow": 5000,
        "timestamp": 1750000000000,
        "signature": "iGyZ0iLu3vlfu8q2MlAJc48Ua1vVyl748VjZlJjwWVx+EZnTT/G1klDL1X/pFQVN9RAI4kVtwou1VHWQn5qkDA==",
    }


def test_a_boolean_is_never_signed() -> None:
    with pytest.raises(ValueError, match="returnRateLimits"):
        KEYS.sign({"returnRateLimits": True})


def test_a_key_file_signs_like_the_key_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(pem())
    assert KeyManager.from_file(path, "TESTKEY").sign({"a": 1}) == KEYS.sign({"a": 1})
    assert KeyManager.from_pem(pem(), "TESTKEY").sign({"a": 1}) == KEYS.sign({"a": 1})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"", "not a PEM file", id="empty"),
        pytest.param(b"garbage", "not a PEM file", id="garbage"),
        pytest.param(
            KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "it is the public key",
            id="public key",
        ),
        pytest.param(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "damaged PEM", id="damaged"),
        pytest.param(pem(BestAvailableEncryption(b"secret")), "encrypted", id="encrypted"),
        pytest.param(
            generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "RSA, not Ed25519",
            id="another kind",
        ),
    ],
)
def test_a_key_that_is_no_use_is_named_with_what_is_wrong(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=said) as refused:
        KeyManager.from_file(path, "TESTKEY")
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(pem(), id="as it is written"),
        pytest.param(pem().replace(b"\n", b"\r\n"), id="by an editor of Windows"),
        pytest.param(b"\n" + pem() + b"\n\n", id="with empty lines around"),
        pytest.param(b"Bag Attributes\n    friendlyName: bot\n" + pem(), id="with words before it"),
        pytest.param(folded(pem()), id="in short lines"),
    ],
)
def test_however_the_file_is_laid_out_the_key_is_the_same(content: bytes) -> None:
    assert KeyManager.from_pem(content, "TESTKEY").sign({"a": 1}) == KEYS.sign({"a": 1})


def test_the_usual_file_needs_nothing_of_the_librarys_loader(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(pem())
    program = f"""
import sys
from pathlib import Path
from trailingedge.auth.manager import KeyManager
print(KeyManager.from_file(Path({str(path)!r}), "TESTKEY").sign({{"a": 1}}))
print("cryptography.hazmat.primitives.serialization" in sys.modules)"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == [KEYS.sign({"a": 1}), "False"]


def test_a_missing_key_file_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="BINANCE_ED25519_PRIV_PATH"):
        KeyManager.from_file(tmp_path / "none.pem", "TESTKEY")


def test_a_key_file_that_is_a_directory_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        KeyManager.from_file(tmp_path, "TESTKEY")


def test_the_key_never_shows_itself() -> None:
    assert "TESTKEY" not in repr(KEYS)
    assert "TESTKEY" not in str(KEYS)

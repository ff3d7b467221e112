"""Key files for tests: a usable private key, and every kind of unusable file."""

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

SEED: Final = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
KEY: Final = Ed25519PrivateKey.from_private_bytes(SEED)
PAYLOAD: Final = b"apiKey=TESTKEY&timestamp=1750000000000"
SIGNATURE: Final = "6stlUu7T3I2IXZCNGdBCdgrrW92Ny4gkYPqYCkpb7O2YGz9k7aCtgQzKIwsYzOUYmlaYov2uye1Cpwi5+Z1RBw=="


def pem(encryption: KeySerializationEncryption | None = None) -> bytes:
    return KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


UNUSABLE: Final = [
    pytest.param(b"", "not a PEM file", id="empty"),
    pytest.param(b"garbage", "not a PEM file", id="garbage"),
    pytest.param(
        KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "this is the public key",
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

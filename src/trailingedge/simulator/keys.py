"""API keys of the simulated exchange: the account of each key, and verification of its signatures.

As on the real exchange, a request may be signed with any of three kinds of key, but only an Ed25519 key can log on a
session.
"""

import hashlib
import hmac
import re
from base64 import b64decode
from binascii import Error as NotBase64
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from trailingedge.simulator.errors import ExchangeError, invalid_api_key

API_KEY_PATTERN: Final = re.compile(r"[a-zA-Z0-9_.-]{1,128}")


@dataclass(frozen=True, slots=True, repr=False)
class HmacSecret:
    """A secret shared with the exchange. Its signature is the hexadecimal HMAC-SHA-256 of the payload."""

    secret: bytes


SigningKey = Ed25519PublicKey | RSAPublicKey | HmacSecret
# Only the first text was seen on the real exchange; the second follows it.
NO_LOGON: Final = {HmacSecret: "HMAC-SHA-256 API key is not supported", RSAPublicKey: "RSA API key is not supported"}


class KeyRing:
    """The registered keys."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[SigningKey, str]] = {}

    def register(self, key: SigningKey, account: str, api_key: str | None = None) -> str:
        """Let `key` sign for `account`. Returns its API key: the one given, else a hash of the key.

        Raises ValueError for an API key with other characters than the exchange allows.
        """
        # 64 characters, as long as a real API key.
        name = api_key or hashlib.sha256(_raw_bytes(key)).hexdigest()
        if not API_KEY_PATTERN.fullmatch(name):
            raise ValueError(f"an API key is made of letters, digits, dots, dashes and underscores: {name!r}")
        self._keys[name] = (key, account)
        return name

    def revoke(self, api_key: str) -> None:
        """Remove a key.

        As on the real exchange, a session logged on with the key gets an error at its next request.
        """
        self._keys.pop(api_key, None)

    def api_keys(self) -> list[str]:
        """The registered API keys, in the order of their registration."""
        return list(self._keys)

    def account_of(self, api_key: str) -> str:
        """The account of an API key. Raises ExchangeError if the key is malformed (−2014) or unknown (−2015)."""
        if not API_KEY_PATTERN.fullmatch(api_key):
            raise ExchangeError(-2014, "API-key format invalid.")
        # The real exchange gives this one answer to a wrong key, a wrong address and a missing permission.
        if api_key not in self._keys:
            raise invalid_api_key()
        return self._keys[api_key][1]

    def check_can_log_on(self, api_key: str) -> None:
        """Raise ExchangeError (−2028) if a registered key is of a kind that cannot log on a session."""
        key, _ = self._keys[api_key]
        for kind, text in NO_LOGON.items():
            if isinstance(key, kind):
                raise ExchangeError(-2028, text)

    def verify(self, api_key: str, payload: str, signature: str) -> None:
        """Check that `signature` is the key's signature of `payload`. Raises ExchangeError (−1022) if not."""
        key, _ = self._keys[api_key]
        try:
            _verify(key, payload.encode(), signature)
        except (InvalidSignature, NotBase64, ValueError) as exc:
            raise ExchangeError(-1022, "Signature for this request is not valid.") from exc


def _verify(key: SigningKey, payload: bytes, signature: str) -> None:
    """Check a signature (HMAC in hexadecimal, others in base64). Raises InvalidSignature or ValueError."""
    if isinstance(key, HmacSecret):
        expected = hmac.digest(key.secret, payload, "sha256").hex()
        if not hmac.compare_digest(expected.encode(), signature.lower().encode()):
            raise InvalidSignature
    elif isinstance(key, RSAPublicKey):
        key.verify(b64decode(signature, validate=True), payload, PKCS1v15(), SHA256())
    else:
        key.verify(b64decode(signature, validate=True), payload)


def _raw_bytes(key: SigningKey) -> bytes:
    if isinstance(key, HmacSecret):
        return key.secret
    if isinstance(key, RSAPublicKey):
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)

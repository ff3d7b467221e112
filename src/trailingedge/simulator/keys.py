"""API keys of the simulated exchange: the account of each key, and verification of its signatures."""

import hashlib
import re
from base64 import b64decode
from binascii import Error as NotBase64
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from trailingedge.simulator.errors import ExchangeError, invalid_api_key

API_KEY_PATTERN: Final = re.compile(r"[a-zA-Z0-9_.-]{1,128}")


class KeyRing:
    """The registered keys. Only Ed25519: the real exchange accepts no other kind for `session.logon`."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[Ed25519PublicKey, str]] = {}

    def register(self, public_key: Ed25519PublicKey, account: str, api_key: str | None = None) -> str:
        """Let `public_key` sign for `account`. Returns its API key: the one given, else a hash of the public key.

        Raises ValueError for an API key with other characters than the exchange allows.
        """
        raw = public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        # 64 characters, as long as a real API key.
        name = api_key or hashlib.sha256(raw).hexdigest()
        if not API_KEY_PATTERN.fullmatch(name):
            raise ValueError(f"an API key is made of letters, digits, dots, dashes and underscores: {name!r}")
        self._keys[name] = (public_key, account)
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

    def verify(self, api_key: str, payload: str, signature: str) -> None:
        """Raise ExchangeError (−1022) if `signature` (base64) is not this key's for `payload`."""
        public_key, _ = self._keys[api_key]
        try:
            public_key.verify(b64decode(signature, validate=True), payload.encode())
        except (InvalidSignature, NotBase64, ValueError) as exc:
            raise ExchangeError(-1022, "Signature for this request is not valid.") from exc

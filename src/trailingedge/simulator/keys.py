"""API keys: which account they open, and whether a signature was made with them."""

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
    """The keys registered: Ed25519 ones, for nothing else can log on."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[Ed25519PublicKey, str]] = {}

    def register(self, public_key: Ed25519PublicKey, account: str, api_key: str | None = None) -> str:
        """Let `public_key` act for `account`; the API key that names it, made from the key unless given."""
        raw = public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        name = api_key or hashlib.sha256(raw).hexdigest()
        if not API_KEY_PATTERN.fullmatch(name):
            raise ValueError(f"an API key is made of letters, digits, dots, dashes and underscores: {name!r}")
        self._keys[name] = (public_key, account)
        return name

    def revoke(self, api_key: str) -> None:
        """From now on the key opens nothing; sessions it opened learn it with their next request."""
        self._keys.pop(api_key, None)

    def api_keys(self) -> list[str]:
        """The API keys that open something, in the order of their registration."""
        return list(self._keys)

    def account_of(self, api_key: str) -> str:
        """The account the key opens. Raises the refusals of a malformed and of an unknown key."""
        if not API_KEY_PATTERN.fullmatch(api_key):
            raise ExchangeError(-2014, "API-key format invalid.")
        if api_key not in self._keys:
            raise invalid_api_key()
        return self._keys[api_key][1]

    def verify(self, api_key: str, payload: str, signature: str) -> None:
        """Raise the refusal of a signature that this key did not make over `payload`."""
        public_key, _ = self._keys[api_key]
        try:
            public_key.verify(b64decode(signature, validate=True), payload.encode())
        except (InvalidSignature, NotBase64, ValueError) as exc:
            raise ExchangeError(-1022, "Signature for this request is not valid.") from exc

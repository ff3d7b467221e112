"""The Ed25519 key: loaded once, used to sign, never shown.

Its words go to the exchange and to nobody else: no log line, no `repr`, no error text carries key material.
"""

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trailingedge.errors import ConfigError

# An Ed25519 key as PKCS#8 is always these bytes and then the seed (RFC 8410, section 7): one line of a PEM.
_BEFORE_THE_SEED: Final = bytes.fromhex("302e020100300506032b657004220420")
_ONE_LINE: Final = re.compile(
    rb"\s*-----BEGIN PRIVATE KEY-----\r?\n([A-Za-z0-9+/]{64})\r?\n-----END PRIVATE KEY-----\s*"
)


class KeyManager:
    """One API key and the private key that belongs to it."""

    __slots__ = ("_api_key", "_private_key")

    def __init__(self, private_key: Ed25519PrivateKey, api_key: str) -> None:
        self._private_key = private_key
        self._api_key = api_key

    @classmethod
    def from_private_key(cls, private_key: Ed25519PrivateKey, api_key: str) -> "KeyManager":
        """A key that lives in memory alone."""
        return cls(private_key, api_key)

    @classmethod
    def from_file(cls, path: Path, api_key: str) -> "KeyManager":
        """The PKCS#8 PEM at `path`. Raises ConfigError naming the file, what is wrong and the remedy."""
        try:
            pem = path.read_bytes()
        except FileNotFoundError as error:
            raise ConfigError([f"private key {path}: no such file; set BINANCE_ED25519_PRIV_PATH to it"]) from error
        except OSError as error:
            raise ConfigError([f"private key {path}: cannot be read ({error.strerror}); check its mode"]) from error
        return cls(_load(pem, str(path)), api_key)

    @classmethod
    def from_pem(cls, pem: bytes, api_key: str, origin: str = "in memory") -> "KeyManager":
        """A PKCS#8 PEM that was read elsewhere; `origin` names it in the ConfigError."""
        return cls(_load(pem, origin), api_key)

    def __repr__(self) -> str:
        return "<KeyManager: a private key and its API key>"

    @property
    def api_key(self) -> str:
        """The name of the key, for the header of a signed HTTP request and nothing else."""
        return self._api_key

    def sign(self, params: Mapping[str, str | int]) -> str:
        """The base64 signature over `params`: sorted by name, `name=value` joined by `&`, not percent-encoded.

        A `signature` among them is left out. Raises ValueError for a boolean, whose text would not be JSON's.
        """
        for name, value in params.items():
            if isinstance(value, bool):
                raise ValueError(f"{name} is a boolean: JSON writes it otherwise than Python")
        pairs = (f"{name}={value}" for name, value in sorted(params.items()) if name != "signature")
        return base64.b64encode(self._private_key.sign("&".join(pairs).encode())).decode("ascii")

    def logon_params(self, timestamp_ms: int, recv_window_ms: int) -> dict[str, str | int]:
        """The parameters of `session.logon`, signed."""
        params: dict[str, str | int] = {
            "apiKey": self._api_key,
            "recvWindow": recv_window_ms,
            "timestamp": timestamp_ms,
        }
        return {**params, "signature": self.sign(params)}


def _load(pem: bytes, origin: str) -> Ed25519PrivateKey:
    """The key in `pem`. Raises ConfigError, with `origin`, for whatever else it holds."""
    return _usual(pem) or _any_other(pem, origin)


def _usual(pem: bytes) -> Ed25519PrivateKey | None:
    """The key of a file as `keygen` and OpenSSL write it; None where a closer look is needed."""
    line = _ONE_LINE.fullmatch(pem)
    der = base64.b64decode(line[1]) if line else b""
    if not der.startswith(_BEFORE_THE_SEED):
        return None
    return Ed25519PrivateKey.from_private_bytes(der.removeprefix(_BEFORE_THE_SEED))


def _any_other(pem: bytes, origin: str) -> Ed25519PrivateKey:
    # Not above: it knows every kind of key and certificate there is, and costs more than all the rest of this file.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if b"PRIVATE KEY-----" not in pem:
        if b"PUBLIC KEY-----" in pem:
            raise ConfigError([f"private key {origin}: it is the public key; name the private one beside it"])
        raise ConfigError([f"private key {origin}: not a PEM file; export the key as PKCS#8 PEM"])
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise ConfigError(
            [f"private key {origin}: encrypted; a daemon cannot ask for the passphrase: remove it"]
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError([f"private key {origin}: damaged PEM; export the key as PKCS#8 PEM again"]) from error
    if not isinstance(key, Ed25519PrivateKey):
        kind = type(key).__name__.lstrip("_").removesuffix("PrivateKey")
        raise ConfigError([f"private key {origin}: {kind}, not Ed25519; the WebSocket logon accepts only Ed25519"])
    return key

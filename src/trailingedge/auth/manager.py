"""Key manager: the API key and its Ed25519 private key, which sign requests.

No log line, no `repr` and no error text contains them. The API key is sent to the exchange alone,
and the private key to no one.
"""

import os
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trailingedge.auth import signing_process
from trailingedge.auth.logon_signer import Sign, Signer, logon_signer
from trailingedge.core.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# An Ed25519 key in PKCS#8 is 16 fixed bytes and the seed (RFC 8410, section 7): one line with a fixed beginning.
_PLAIN_KEY_FILE: Final = re.compile(
    rb"\s*-----BEGIN PRIVATE KEY-----\r?\nMC4CAQAwBQYDK2VwBCIEI[A-P][A-Za-z0-9+/]{42}\r?\n"
    rb"-----END PRIVATE KEY-----\s*"
)
_PLAIN_KEY_BYTES: Final = 256  # the largest size of such a file; `keygen` writes 119 bytes


class KeyManager:
    """An API key and the private key that belongs to it."""

    __slots__ = ("_api_key", "_signer")

    def __init__(self, signer: Signer, api_key: str) -> None:
        self._signer = signer
        self._api_key = api_key

    @classmethod
    def from_private_key(cls, private_key: "Ed25519PrivateKey", api_key: str) -> "KeyManager":
        """Use a private key that exists only in memory, such as the embedded exchange's key.

        Requests are signed in this process, not in a separate one. Simulations and replays run on a
        virtual clock, which cannot wait for another process. And the embedded exchange has loaded
        `cryptography` anyway.
        """

        @asynccontextmanager
        async def signer() -> AsyncIterator[Sign]:
            async def sign(payload: bytes) -> str:
                return signing_process.sign(private_key, payload).decode()

            yield sign

        return cls(signer, api_key)

    @classmethod
    def from_file(cls, path: Path, api_key: str) -> "KeyManager":
        """Use the PKCS#8 PEM at `path`. The file must stay there, because each signature reads it again.

        Raises ConfigError, which names the file, the fault and the remedy. `sign` and
        `logon_params` can raise it as well; they raise SessionLost if the signing process fails.
        """
        # A file as `keygen` and OpenSSL write it is recognized by its bytes. Any other is parsed here, which loads
        # `cryptography`, so that an unusable file is reported at the start, not at the first logon.
        if not _is_plain_ed25519(path):
            try:
                signing_process.load_key(str(path))
            except ValueError as wrong:
                raise ConfigError([f"private key {path}: {wrong}"]) from wrong
        return cls(partial(logon_signer, path), api_key)

    @classmethod
    def from_pem(cls, pem: bytes, api_key: str, origin: str = "in memory") -> "KeyManager":
        """Use a PKCS#8 PEM that is in memory already; a ConfigError names it by `origin`."""
        try:
            return cls.from_private_key(signing_process.parse_key(pem), api_key)
        except ValueError as wrong:
            raise ConfigError([f"private key {origin}: {wrong}"]) from wrong

    def __repr__(self) -> str:
        return "<KeyManager: a private key and its API key>"

    @property
    def api_key(self) -> str:
        """The API key, for the header of a signed HTTP request and nothing else."""
        return self._api_key

    async def sign(self, params: Mapping[str, str | int]) -> str:
        """Return the base64 signature over `params`: sorted by name, `name=value` joined by `&`, not percent-encoded.

        A `signature` in `params` is left out. Raises ValueError for a boolean, because Python and
        JSON write it differently.
        """
        payload = _payload(params)
        async with self._signer() as sign:
            return await sign(payload)

    async def logon_params(self, now_ms: Callable[[], int], recv_window_ms: int) -> dict[str, str | int]:
        """Return the parameters of `session.logon`, signed. `now_ms` is the exchange's clock."""
        async with self._signer() as sign:
            params: dict[str, str | int] = {
                "apiKey": self._api_key,
                "recvWindow": recv_window_ms,
                "timestamp": now_ms(),  # read when the signer is ready: a slow start must not use up the window
            }
            return {**params, "signature": await sign(_payload(params))}


def _payload(params: Mapping[str, str | int]) -> bytes:
    for name, value in params.items():
        if isinstance(value, bool):
            raise ValueError(f"{name} is a boolean, which cannot be signed: JSON and Python write it differently")
    return "&".join(f"{name}={value}" for name, value in sorted(params.items()) if name != "signature").encode()


def _is_plain_ed25519(path: Path) -> bool:
    """Return whether the file has the usual form of an Ed25519 key.

    The bytes that were read are overwritten in memory afterwards.
    """
    page = bytearray(_PLAIN_KEY_BYTES)
    size = 0
    with suppress(OSError), open(path, "rb", buffering=0) as file:  # `load_key` says what is wrong
        size = file.readinto(page) or 0
    is_usual = _PLAIN_KEY_FILE.fullmatch(page, 0, size) is not None
    page[:] = bytes(_PLAIN_KEY_BYTES)
    return is_usual


def key_file_problems(path: Path, api_key: str) -> list[str]:
    """Return the problems inside the key file at `path`; an empty list if it is missing or unreadable.

    `config_validator` reports missing and unreadable files, with the other settings.
    """
    if not path.is_file() or not os.access(path, os.R_OK):
        return []
    try:
        KeyManager.from_file(path, api_key)
    except ConfigError as wrong:
        return list(wrong.problems)
    return []

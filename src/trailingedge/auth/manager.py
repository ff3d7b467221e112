"""The Ed25519 key: used to sign, never shown.

Its words go to the exchange and to nobody else: no log line, no `repr`, no error text carries key material.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from trailingedge.auth import signer
from trailingedge.auth.signing import Apart, Here, Signs

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class KeyManager:
    """One API key and the private key that belongs to it. Closed in the end by whoever has made it."""

    __slots__ = ("_api_key", "_signs")

    def __init__(self, signs: Signs, api_key: str) -> None:
        self._signs = signs
        self._api_key = api_key

    @classmethod
    def from_private_key(cls, private_key: "Ed25519PrivateKey", api_key: str) -> "KeyManager":
        """A key that lives in memory alone; it signs without a wait."""
        return cls(Here(private_key), api_key)

    @classmethod
    def from_file(cls, path: Path, api_key: str) -> "KeyManager":
        """The PKCS#8 PEM at `path`, which has to stay there: it is read again for each signature, by another process.

        Raises ConfigError naming the file, what is wrong and the remedy; so do `sign` and `logon_params`.
        """
        signer.examine(path)
        return cls(Apart(path), api_key)

    @classmethod
    def from_pem(cls, pem: bytes, api_key: str, origin: str = "in memory") -> "KeyManager":
        """A PKCS#8 PEM that was read elsewhere; `origin` names it in the ConfigError."""
        return cls(Here(signer.parse(pem, origin)), api_key)

    def __repr__(self) -> str:
        return "<KeyManager: a private key and its API key>"

    @property
    def api_key(self) -> str:
        """The name of the key, for the header of a signed HTTP request and nothing else."""
        return self._api_key

    def through(self, way: Callable[[Signs], Signs]) -> "KeyManager":
        """The same key, its signer approached that way. Closing it stays with whoever has made this one."""
        return KeyManager(way(self._signs), self._api_key)

    def prepare(self) -> None:
        """A signature will be asked for soon: begin with what it needs, so that it comes at once."""
        self._signs.prepare()

    async def aclose(self) -> None:
        """Leave nothing behind of what was prepared."""
        await self._signs.aclose()

    async def sign(self, params: Mapping[str, str | int]) -> str:
        """The base64 signature over `params`: sorted by name, `name=value` joined by `&`, not percent-encoded.

        A `signature` among them is left out. Raises ValueError for a boolean, whose text would not be JSON's.
        """
        for name, value in params.items():
            if isinstance(value, bool):
                raise ValueError(f"{name} is a boolean: JSON writes it otherwise than Python")
        pairs = (f"{name}={value}" for name, value in sorted(params.items()) if name != "signature")
        return await self._signs.sign("&".join(pairs).encode())

    async def logon_params(self, now_ms: Callable[[], int], recv_window_ms: int) -> dict[str, str | int]:
        """The parameters of `session.logon`, signed. `now_ms` is the exchange's clock, looked at at the last moment."""
        await self._signs.ready()
        params: dict[str, str | int] = {
            "apiKey": self._api_key,
            "recvWindow": recv_window_ms,
            "timestamp": now_ms(),
        }
        return {**params, "signature": await self.sign(params)}

"""Signs once, as a process of its own: `python -m trailingedge.auth.signer KEY_FILE`.

Only there, and only for that moment, are the private key and the library that can use it. What trades does not
hold them: it hands over what is to be signed and is handed a signature.

The process says READY in a line as soon as it can sign, reads what to sign from its standard input until that ends,
writes the signature in base64, and ends with 0. A key that is no use it answers with a list of what is wrong, in
JSON, and ends with 78. Told to sign nothing it signs nothing. It starts for every logon and imports next to nothing.
"""

import binascii
import os
import re
import sys
from typing import TYPE_CHECKING, Final

from trailingedge.core.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

READY: Final = b"ready\n"

# An Ed25519 key as PKCS#8 is always the same 16 bytes and then its seed (RFC 8410, section 7): one line of a PEM,
# whose first letters are the same for all keys.
_USUAL: Final = re.compile(
    rb"\s*-----BEGIN PRIVATE KEY-----\r?\n"
    rb"(MC4CAQAwBQYDK2VwBCIEI[A-P][A-Za-z0-9+/]{42})"
    rb"\r?\n-----END PRIVATE KEY-----\s*"
)
_BEFORE_THE_SEED: Final = 16
_MORE_THAN_USUAL: Final = 256  # bytes; the usual file has 119

Name = str | os.PathLike[str]


def main(path: str) -> ExitCode:
    """Sign what comes in."""
    try:
        key = load(path)
    except ConfigError as wrong:
        import json

        sys.stdout.write(json.dumps(wrong.problems))
        return ExitCode.CONFIG
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    payload = sys.stdin.buffer.read()
    if payload:
        sys.stdout.buffer.write(sign(key, payload))
    return ExitCode.OK


def sign(key: "Ed25519PrivateKey", payload: bytes) -> bytes:
    """The signature over `payload`, in base64."""
    return binascii.b2a_base64(key.sign(payload), newline=False)


def load(path: Name) -> "Ed25519PrivateKey":
    """The key at `path`. Raises ConfigError naming the file, what is wrong and the remedy."""
    try:
        with open(path, "rb") as file:
            pem = file.read()
    except FileNotFoundError as error:
        raise ConfigError([f"private key {path}: no such file; set BINANCE_ED25519_PRIV_PATH to it"]) from error
    except OSError as error:
        raise ConfigError([f"private key {path}: cannot be read ({error.strerror}); check its mode"]) from error
    return parse(pem, str(path))


def examine(path: Name) -> None:
    """Raises ConfigError as `load` does. A file as `keygen` and OpenSSL write it leaves no trace of its key here."""
    page = bytearray(_MORE_THAN_USUAL)
    try:
        with open(path, "rb", buffering=0) as file:
            length = file.readinto(page) or 0
    except OSError:
        length = 0  # it will be said below what is wrong
    is_usual = _USUAL.fullmatch(page, 0, length) is not None
    page[:] = bytes(_MORE_THAN_USUAL)
    if not is_usual:
        load(path)


def parse(pem: bytes, origin: str) -> "Ed25519PrivateKey":
    """The key in `pem`. Raises ConfigError, with `origin`, for whatever else it holds."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    usual = _USUAL.fullmatch(pem)
    if usual:
        return Ed25519PrivateKey.from_private_bytes(binascii.a2b_base64(usual[1])[_BEFORE_THE_SEED:])
    return _any_other(pem, origin)


def _any_other(pem: bytes, origin: str) -> "Ed25519PrivateKey":
    # Not above: it knows every kind of key and certificate there is, and costs more than all the rest of this file.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
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


if __name__ == "__main__":
    code = main(*sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # there is nothing to tidy up, and a logon waits for the end

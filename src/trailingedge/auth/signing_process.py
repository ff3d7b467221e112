"""Process that signs once, started by `logon_signer`: `python -I signing_process.py LIBRARY_FOLDER KEY_FILE`.

It loads the key, writes READY, reads the payload until standard input ends, and writes the
signature in base64. If the key file cannot be used, it writes UNUSABLE and the reason instead. It
imports nothing else of this package, because -I hides the package.
"""

import binascii
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

READY: Final = b"ready\n"
UNUSABLE: Final = b"unusable: "
_LARGEST_BYTES: Final = 64 << 10


def main(library_folder: str, path: str) -> None:
    """Sign the bytes of standard input with the key at `path`."""
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold the key
    # -I hides the user's site-packages and PYTHONPATH. Appended last: the standard library keeps its precedence.
    sys.path += [library_folder] if library_folder else []
    with sys.stdout.buffer as out:
        try:
            key = load_key(path)
        except ValueError as wrong:
            out.write(UNUSABLE + str(wrong).encode())
            return
        out.write(READY)
        out.flush()
        out.write(sign(key, sys.stdin.buffer.read()))


def sign(key: "Ed25519PrivateKey", payload: bytes) -> bytes:
    """Return the signature over `payload`, in base64."""
    return binascii.b2a_base64(key.sign(payload), newline=False)


def load_key(path: str) -> "Ed25519PrivateKey":
    """Return the key in the file. Raises ValueError with what is wrong and the remedy."""
    try:
        with open(path, "rb") as file:
            pem = file.read(_LARGEST_BYTES + 1)
    except FileNotFoundError as error:
        raise ValueError("no such file; set BINANCE_ED25519_PRIV_PATH to it") from error
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror}); check its mode") from error
    if len(pem) > _LARGEST_BYTES:
        raise ValueError(f"larger than {_LARGEST_BYTES >> 10} kB, so it is no key; export the key as PKCS#8 PEM")
    return parse_key(pem)


def parse_key(pem: bytes) -> "Ed25519PrivateKey":
    """Return the key in `pem`. Raises ValueError with what is wrong and the remedy."""
    from cryptography.exceptions import InternalError, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if b"PRIVATE KEY-----" not in pem:
        if b"PUBLIC KEY-----" in pem:
            raise ValueError("this is the public key; set the path of the private key instead")
        raise ValueError("not a PEM file; export the key as PKCS#8 PEM")
    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise ValueError("encrypted; a daemon cannot ask for the passphrase: remove it") from error
    except (ValueError, UnsupportedAlgorithm, InternalError) as error:  # the last for numbers that are no curve's
        raise ValueError("damaged PEM; export the key as PKCS#8 PEM again") from error
    if not isinstance(key, Ed25519PrivateKey):
        kind = type(key).__name__.lstrip("_").removesuffix("PrivateKey")
        raise ValueError(f"{kind}, not Ed25519; the WebSocket logon accepts only Ed25519")
    return key


if __name__ == "__main__":
    main(*sys.argv[1:])

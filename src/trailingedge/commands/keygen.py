"""Command `trailing-edge keygen`: makes a new Ed25519 key pair.

The private key stays on this machine, the public key is registered at the exchange. The public key
goes to stdout, so that it can be piped; instructions go to stderr. No file is ever overwritten,
because a lost key cannot be recovered.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from trailingedge.commands import setting_flags
from trailingedge.config import CREDENTIALS_FOLDER, OPTIONS
from trailingedge.core import private_files
from trailingedge.core.errors import ConfigError, ExitCode

_SETTING: Final = "BINANCE_ED25519_PRIV_PATH"
_NEXT: Final = """\
Register the public key where you trade, as a self-generated Ed25519 key; you get an API key for it:
  live     binance.com, Account, API Management, Create API, "Self-generated"; allow "Spot & Margin Trading",
           never "Withdrawals", and restrict it to this machine's address
  demo     the same page of demo.binance.com
  testnet  testnet.binance.vision, "Register Public Key"
Then set BINANCE_ED25519_API_KEY to that API key, and test it with: trailing-edge doctor
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    default = OPTIONS[_SETTING].default
    parser.add_argument("--out", type=Path, metavar="FILE", help=f"file of the private key ({_SETTING}, or {default})")
    setting_flags.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the public key and the names of both files as JSON")


def run(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> ExitCode:
    """Make the key pair. Raises ConfigError if a file exists or cannot be written, or a setting is unknown."""
    # A credential of systemd is a read-only copy of an existing key: a new one goes where the settings say.
    reading = setting_flags.load_settings(arguments, {**environ, CREDENTIALS_FOLDER: ""})
    # Without the path that was meant, the key would be written to another place.
    if setting_flags.has_unknown_setting(arguments) or _SETTING in reading.unread:
        raise ConfigError(reading.problems)
    set_path = reading.settings.binance_ed25519_priv_path
    private_path: Path = arguments.out or set_path
    public_path = public_key_path(private_path)
    public = make_pair(private_path, public_path)
    sys.stderr.write(f"private key written to {private_path}, for your user alone; public key to {public_path}\n")
    if private_path != set_path:
        sys.stderr.write(f"set {_SETTING}={private_path} to use it\n")
    sys.stderr.flush()
    if arguments.json:
        names = {"private_key_path": str(private_path), "public_key_path": str(public_path)}
        print(json.dumps({"version": 1, **names, "public_key": public}))
    else:
        print(public, end="", flush=True)
    sys.stderr.write(_NEXT)
    return ExitCode.OK


def public_key_path(private_path: Path) -> Path:
    """The file of the public key: ed25519-pub.pem for ed25519-priv.pem."""
    return private_path.with_stem(f"{private_path.stem.removesuffix('-priv')}-pub")


def make_pair(private_path: Path, public_path: Path) -> str:
    """Write both keys and return the public key as PEM.

    Raises ConfigError if that fails. In that case neither of the two new files is left.
    """
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _write(private_path, private)
    try:
        _write(public_path, public)
    except ConfigError:
        private_path.unlink()
        raise
    return public.decode()


def _write(path: Path, content: bytes) -> None:
    """Write a new file. Raises ConfigError if it exists or cannot be made."""
    try:
        private_files.make_folder(path.parent)
    except OSError as error:
        raise ConfigError([f"{path.parent} cannot be made: {error.strerror}; choose another --out"]) from error
    try:
        file = private_files.create(path)
    except FileExistsError as error:
        problem = f"{path} exists, and no key is ever overwritten; move it away, or choose another --out"
        raise ConfigError([problem]) from error
    except OSError as error:
        raise ConfigError([f"{path} cannot be made: {error.strerror}; choose another --out"]) from error
    try:
        private_files.write_all(file, content)
    except OSError as error:
        path.unlink()
        raise ConfigError([f"{path} cannot be written: {error.strerror}; choose another --out"]) from error

"""Command-line flags that choose settings: --mode, --symbol, --env-file and --set, for every command."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from trailingedge.config import OPTIONS, SHORTEST_SECRET, LoadedSettings, Settings, read_settings

ENV_FILE: Final = Path(".env")


class Arguments(Protocol):
    """An argument parser, or one of its groups."""

    def add_argument(self, *names: str, **options: Any) -> Any: ...

    def set_defaults(self, **values: Any) -> None: ...


def add_arguments(parser: Arguments, *, mode: bool = True, symbol: bool = True) -> None:
    """Add the flags.

    `mode` is False for a command that works in one mode only: it gets no `--mode`. `symbol` is False for a command that
    gets the symbol in another way: it gets no `--symbol`.
    """
    if mode:
        parser.add_argument("--mode", metavar="MODE", help="the same as --set TRADING_MODE=MODE")
    else:
        parser.set_defaults(mode=None)
    if symbol:
        parser.add_argument("--symbol", metavar="SYMBOL", help="the same as --set SYMBOL=SYMBOL")
    else:
        parser.set_defaults(symbol=None)
    parser.add_argument("--env-file", type=Path, metavar="FILE", help=f"read settings from FILE ({ENV_FILE})")
    _add_set(parser)


def add_assignments(parser: Arguments) -> None:
    """Add `--set` alone, for a command that reads no settings file."""
    parser.set_defaults(mode=None, symbol=None)
    _add_set(parser)


def _add_set(parser: Arguments) -> None:
    parser.add_argument(
        "--set",
        dest="assignments",
        type=assignment,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set any setting; can be repeated",
    )


def assignment(text: str) -> tuple[str, str]:
    """Parse `NAME=VALUE`, for argparse. An unknown name is accepted here; `load_settings` reports it."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        # Without the text: it may be a token or a key that was pasted in the wrong place.
        raise argparse.ArgumentTypeError("this is not NAME=VALUE; write it like FEE=0.001")
    return name, value


def assignments_with_fee(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """The settings given by `--set` and `--fee`, in that order. If a name is given twice, the last value counts."""
    fee = [] if arguments.fee is None else [("FEE", str(arguments.fee))]
    return [*arguments.assignments, *fee]


def flag_settings(arguments: argparse.Namespace) -> dict[str, str]:
    """The settings given on the command line, by name."""
    flags = {"TRADING_MODE": arguments.mode, "SYMBOL": arguments.symbol}
    return {name: value for name, value in flags.items() if value is not None} | dict(arguments.assignments)


def load_settings(arguments: argparse.Namespace, environ: Mapping[str, str]) -> LoadedSettings:
    """The settings of a run with these flags. Never raises: problems are in the result."""
    file_needed = arguments.env_file is not None
    return read_settings(flag_settings(arguments), environ, arguments.env_file or ENV_FILE, file_needed=file_needed)


def has_unknown_setting(arguments: argparse.Namespace) -> bool:
    """Whether a `--set` names an unknown setting; `load_settings` says which."""
    return any(name not in OPTIONS for name in flag_settings(arguments))


def secret_values(settings: Settings) -> list[str]:
    """Return the values that must not appear in any output.

    A very short value is left out, because hiding it would hide ordinary words.
    """
    chosen = [option.of(settings) for option in OPTIONS.values() if option.secret]
    return [secret for secret in chosen if secret and len(secret) >= SHORTEST_SECRET]

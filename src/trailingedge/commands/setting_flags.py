"""The flags that choose settings, as a run has them."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from trailingedge.config import OPTIONS, SHORTEST_SECRET, LoadedSettings, Settings, assignment, read_settings

ENV_FILE: Final = Path(".env")


class Arguments(Protocol):
    """A parser, or one of its groups."""

    def add_argument(self, *names: str, **options: Any) -> Any: ...

    def set_defaults(self, **values: Any) -> None: ...


def add_arguments(parser: Arguments, *, mode: bool = True) -> None:
    """`--mode`, `--symbol`, `--env-file` and `--set`; without a `mode` for what knows only one."""
    if mode:
        parser.add_argument("--mode", metavar="MODE", help="the same as --set TRADING_MODE=MODE")
    else:
        parser.set_defaults(mode=None)
    parser.add_argument("--symbol", metavar="SYMBOL", help="the same as --set SYMBOL=SYMBOL")
    parser.add_argument("--env-file", type=Path, metavar="FILE", help=f"read settings from FILE ({ENV_FILE})")
    parser.add_argument(
        "--set",
        dest="assignments",
        type=assignment,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="set any setting; can be repeated",
    )


def given(arguments: argparse.Namespace) -> dict[str, str]:
    """The settings that the command line gives, by name."""
    flags = {"TRADING_MODE": arguments.mode, "SYMBOL": arguments.symbol}
    return {name: value for name, value in flags.items() if value is not None} | dict(arguments.assignments)


def read(arguments: argparse.Namespace, environ: Mapping[str, str]) -> LoadedSettings:
    """The settings that a run with these flags would have. Never raises."""
    file_needed = arguments.env_file is not None
    return read_settings(given(arguments), environ, arguments.env_file or ENV_FILE, file_needed=file_needed)


def misspelt(arguments: argparse.Namespace) -> bool:
    """Whether a `--set` names no setting; `read` says which, among all else that is wrong."""
    return any(name not in OPTIONS for name in given(arguments))


def secrets(settings: Settings) -> list[str]:
    """Those that must not be shown, wherever they turn up. One that is too short would strike out innocent words."""
    chosen = [option.of(settings) for option in OPTIONS.values() if option.secret]
    return [secret for secret in chosen if secret and len(secret) >= SHORTEST_SECRET]

"""Remote control of a running daemon: `trailing-edge status`, `why`, `flip`, `cancel`, `pause`, `resume` and so on.

The daemon's control socket has the symbol in its name. The socket is searched in the runtime folders of this
environment, then in LOG_DIR, then in the folder of the system service. With --pid, the socket is found by the process
id instead. The answer goes to stdout. Exit codes: 0 done, 1 the daemon refused (stderr says why), 4 no daemon answers,
78 this user may not open a socket that was found, or the settings cannot be read.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from trailingedge.commands import health_check, remote_flip, setting_flags
from trailingedge.core.background_threads import DaemonThreadExecutor
from trailingedge.core.errors import ConfigError, ExitCode
from trailingedge.live.control_socket import CONTROL_VERSION, NoRunningDaemon, request, socket_candidates
from trailingedge.live.daemon_of_process import sockets_of_process

_COUNTED: Final = {"daily": "days", "trades": "sales and buy-backs"}


def add_arguments(parser: argparse.ArgumentParser, command: str = "") -> None:
    """Add the options of `command`: the options that all remote commands share, and its own."""
    if command in _COUNTED:
        parser.add_argument("count", nargs="?", metavar="N", help=f"the number of {_COUNTED[command]}")
    if command == "flip":
        remote_flip.add_arguments(parser)
    if command == "status":
        parser.add_argument(
            "--check",
            action="store_true",
            help="print one line for a monitor, and exit with 0 if all is well, 1 for a warning, 2 if it is critical",
        )
    add_socket_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the answer as one line of JSON")


def add_socket_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which daemon is meant."""
    setting_flags.add_arguments(parser)
    parser.add_argument(
        "--socket", type=Path, metavar="FILE", help="path of the daemon's control socket (from the settings)"
    )
    parser.add_argument(
        "--pid", type=int, metavar="PID", help="find the daemon by its process id, and read no settings (Linux)"
    )


def run(command: str, arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> int:
    """Send the command and print the answer. Raises ConfigError if the settings cannot be read."""
    if getattr(arguments, "check", False):
        return health_check.run(lambda: find_sockets(arguments, environ))
    try:
        answer = asyncio.run(_execute(command, arguments, find_sockets(arguments, environ)))
    except NoRunningDaemon as no_daemon:
        answer = {"version": CONTROL_VERSION, "ok": False, "text": str(no_daemon)}
        code = ExitCode.CONFIG if no_daemon.forbidden else ExitCode.UNREACHABLE
    else:
        code = ExitCode.OK if answer["ok"] else ExitCode.UNEXPECTED
    if arguments.json:
        print(json.dumps(answer, ensure_ascii=False))
    else:
        print(answer["text"], file=sys.stdout if code is ExitCode.OK else sys.stderr)
    return code


def find_sockets(arguments: argparse.Namespace, environ: Mapping[str, str]) -> list[Path]:
    """Return the control sockets on which the daemon may listen, according to the arguments or else the settings.

    Raises ConfigError if the settings have problems, because a guess might reach another daemon. Raises NoRunningDaemon
    if the process given by --pid does not listen.
    """
    if arguments.socket:
        return [arguments.socket]
    if arguments.pid is not None:
        return sockets_of_process(arguments.pid, environ)
    reading = setting_flags.load_settings(arguments, environ)
    if reading.problems:
        raise ConfigError(
            [*reading.problems, "to reach the daemon without reading the settings, give --socket FILE or --pid PID"]
        )
    return socket_candidates(reading.settings.symbol, environ, reading.settings.log_dir)


async def _execute(command: str, arguments: argparse.Namespace, places: Sequence[Path]) -> Mapping[str, object]:
    """Send the command, and return the daemon's last answer. Raises NoRunningDaemon."""
    # A thread that waits for a person keeps no command from ending.
    asyncio.get_running_loop().set_default_executor(DaemonThreadExecutor())
    count = getattr(arguments, "count", None)
    place, answer = await _ask_first_that_answers(places, command, {} if count is None else {"count": count})
    return await remote_flip.confirm_and_wait(place, answer, arguments) if command == "flip" else answer


async def _ask_first_that_answers(
    places: Sequence[Path], command: str, fields: Mapping[str, object]
) -> tuple[Path, Mapping[str, object]]:
    """Send the command to one socket after another until a daemon answers. Returns that socket and the answer.

    Raises NoRunningDaemon if none answers; the error names all sockets tried. A socket that this user may not open does
    not end the search: it may be an unrelated one in the working directory.
    """
    tried: list[tuple[Path, NoRunningDaemon]] = []
    for place in places:
        try:
            return place, await request(place, command, fields)
        except NoRunningDaemon as no_daemon:
            if no_daemon.command_sent:  # this one may have acted on it: a second must not act too
                raise NoRunningDaemon(f"{place}: {no_daemon}") from no_daemon
            tried.append((place, no_daemon))
    raise none_answers(tried, command)


def none_answers(tried: Sequence[tuple[Path, NoRunningDaemon]], command: str) -> NoRunningDaemon:
    """Return the error that none of these sockets answers, with the remedy."""
    forbidden = any(reason.forbidden for _, reason in tried)
    remedy = "start one with trailing-edge, or name its --symbol, --env-file or --socket"
    if forbidden:
        remedy = f"run this as the daemon's own user, for example: sudo -u trailing-edge trailing-edge {command}"
    places = ", ".join(f"{place} ({reason})" for place, reason in tried)
    return NoRunningDaemon(f"no daemon answers at {places}; {remedy}", forbidden=forbidden)

"""Command `trailing-edge status --check`: prints the health of a running daemon like a monitoring plugin.

It prints one line and exits with 0 (ok), 1 (warning) or 2 (critical), as Nagios and its relatives expect. The result is
also critical if no daemon runs, or if it does not answer within a few seconds.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from trailingedge.core.errors import ConfigError
from trailingedge.live.control_socket import NoRunningDaemon, request

_ANSWER_WITHIN_S: Final = 5.0  # monitors give a plugin ten seconds
_CRITICAL: Final = 2


def run(places: Callable[[], Sequence[Path]]) -> int:
    """Print the line and return the exit code. `places` returns the sockets at which to look for the daemon."""
    try:
        line, code = asyncio.run(_ask(places()))
    except (ConfigError, NoRunningDaemon) as problem:
        line, code = f"TRAILING-EDGE CRITICAL - {problem}", _CRITICAL
    print(line)
    return code


async def _ask(places: Sequence[Path]) -> tuple[str, int]:
    """Return the line and the level of the first daemon that answers. Raises NoRunningDaemon."""
    tried = []
    for place in places:
        try:
            answer = await request(place, "status", timeout_s=_ANSWER_WITHIN_S)
        except NoRunningDaemon as no_daemon:
            if no_daemon.command_sent:
                raise NoRunningDaemon(f"{place}: {no_daemon}") from no_daemon
            tried.append(f"{place} ({no_daemon})")
            continue
        health = answer.get("health")
        if isinstance(health, Mapping) and isinstance(health.get("level"), int):
            return str(health.get("line")), health["level"]
        raise NoRunningDaemon(f"{place}: the daemon there is of an older version, which reports no health")
    raise NoRunningDaemon(f"no daemon answers at {', '.join(tried)}")

"""Online run: opens the exchange of the settings and runs the online checks on it, for `check --online` and `doctor`.

A daemon tries for ever to reach an exchange. A check tries a few times and then reports why it could not.
"""

import asyncio
from dataclasses import replace
from typing import Final

from trailingedge.commands.checks.check_target import OpenCheckTarget
from trailingedge.commands.checks.online import OnlineChecks, ResultCallback
from trailingedge.commands.checks.result import failure
from trailingedge.config import Settings
from trailingedge.core.background_threads import DaemonThreadExecutor
from trailingedge.core.errors import ConfigError, ExchangeUnreachable, ExitCode, StartFailed
from trailingedge.live.factory import check_params

_RETRIES: Final = 1
_NAME: Final = "the exchange"
_REMEDY: Final = "see that this machine is online and the address is right, and try again"


async def run_online_checks(
    settings: Settings,
    open_target: OpenCheckTarget,
    on_result: ResultCallback,
    *,
    thorough: bool = True,
    place: bool = False,
    why_not: str = "",
) -> None:
    """Run the online checks; an exchange that cannot be opened is a result like any other.

    The arguments after `on_result` are those of `OnlineChecks`.
    """
    # A name lookup that hangs keeps its thread; the end of the command must not wait for it.
    asyncio.get_running_loop().set_default_executor(DaemonThreadExecutor())
    try:
        # In paper mode the real market must be reached before there is an exchange to check.
        async with open_target(replace(settings, reconnect_max_retries=_RETRIES)) as target:
            checks = OnlineChecks(
                check_params(settings), target, on_result, thorough=thorough, place=place, why_not=why_not
            )
            await checks.run()
    except ConfigError as wrong:  # a key file that has changed since the settings were validated
        for problem in wrong.problems:
            on_result(failure(_NAME, problem))
    except (ExchangeUnreachable, StartFailed) as error:
        on_result(failure(_NAME, str(error), _REMEDY, code=ExitCode.UNREACHABLE))

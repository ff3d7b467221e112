"""Online run: opens the exchange of the settings and runs the online checks on it, for `check --online` and `doctor`.

If the exchange cannot be reached (closed port, unknown host name), that is a finding, too.
"""

import asyncio
import contextlib
from contextlib import AbstractAsyncContextManager
from typing import Final

from trailingedge.commands.checks.check_target import CheckTarget
from trailingedge.commands.checks.online import OnlineChecks, ResultCallback
from trailingedge.commands.checks.result import failure
from trailingedge.core.background_threads import DaemonThreadExecutor
from trailingedge.core.errors import ConfigError, ExchangeUnreachable, ExitCode, StartFailed
from trailingedge.live.node_params import CheckParams

_NAME: Final = "the exchange"
_OPENS_WITHIN_S: Final = 60.0  # in paper mode: connect, and read rules, candles and prices
_REMEDY: Final = "check that this machine is online and the address is right, and try again"


async def run_online_checks(
    params: CheckParams,
    opening: AbstractAsyncContextManager[CheckTarget],
    on_result: ResultCallback,
    *,
    thorough: bool = True,
    place: bool = False,
    why_not: str = "",
    opens_within_s: float = _OPENS_WITHIN_S,
) -> None:
    """Run the online checks on the exchange that `opening` opens. If it cannot be opened, report a failed check.

    If a market accepts connections but does not answer, the attempt ends after `opens_within_s` seconds. The other
    arguments after `on_result` are those of `OnlineChecks`.
    """
    # A name lookup that hangs keeps its thread; the end of the command must not wait for it.
    asyncio.get_running_loop().set_default_executor(DaemonThreadExecutor())
    try:
        # In paper mode the real market must be reached before there is an exchange to check.
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout(opens_within_s):
                target = await stack.enter_async_context(opening)
            await OnlineChecks(params, target, on_result, thorough=thorough, place=place, why_not=why_not).run()
    except ConfigError as wrong:  # a key file that has changed since the settings were validated
        for problem in wrong.problems:
            on_result(failure(_NAME, problem))
    except TimeoutError:
        text = f"it did not answer within {opens_within_s:g} s"
        on_result(failure(_NAME, text, _REMEDY, code=ExitCode.UNREACHABLE))
    except (ExchangeUnreachable, StartFailed) as error:
        on_result(failure(_NAME, str(error), _REMEDY, code=ExitCode.UNREACHABLE))

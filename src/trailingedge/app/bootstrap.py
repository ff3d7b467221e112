"""First moments of a run: its connections are dialled, and what uses them is imported while they open.

Of ours, only what a dial needs is imported before it. Everything else is most of the time that a start takes.
"""

import asyncio
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from trailingedge.app.run_options import RunOptions
from trailingedge.config import Settings, endpoints
from trailingedge.console.plain_ui import InteractiveUi
from trailingedge.core.background import DaemonThreadExecutor
from trailingedge.core.errors import ExitCode, most_severe
from trailingedge.eventlog.loop_counter import new_counting_loop
from trailingedge.logging_config import Logging
from trailingedge.websocket.preconnect import market_url, preconnect
from trailingedge.websocket.transport import dial

_ON_THEIR_WAY_S: Final = 0.02  # on the loopback that is all of a handshake; elsewhere the network takes over
_TURN_S: Final = 0.001
# From the ground up, in portions of about the same size. A thread would do it without any, but what a thread
# allocates stays apart from what all others do, and that costs memory for as long as we run.
_PORTIONS: Final = (
    "trailingedge.strategy.decide",
    "trailingedge.websocket.market_stream",
    "trailingedge.execution.trading_core",
    "trailingedge.live.trading_node",
    "trailingedge.app.runner",
)


def run_session(plan: RunOptions, face: InteractiveUi, log: Logging) -> ExitCode:
    """From the first connection to the last alert. `face` and `log` are open, and stay so."""
    try:
        with asyncio.Runner(loop_factory=new_counting_loop) as runner:
            return runner.run(_run(plan, face, log))
    except BaseExceptionGroup as group:
        failure = most_severe(group)
    except Exception as error:  # noqa: BLE001 - the last chance to write it down
        failure = error
    from trailingedge.app.runner import report_failure

    return report_failure(failure)


async def _run(plan: RunOptions, face: InteractiveUi, log: Logging) -> ExitCode:
    asyncio.get_running_loop().set_default_executor(DaemonThreadExecutor())
    async with preconnect(dial, *_first_urls(plan.settings)) as ahead:
        await ahead.wait(_ON_THEIR_WAY_S)
        for portion in _PORTIONS:
            import_module(portion)
            await ahead.wait(_TURN_S)  # the handshakes want answers meanwhile
        from trailingedge.app.runner import Runner

        return await Runner(plan, face, log, ahead.dial).run()


def _first_urls(settings: Settings) -> Sequence[str]:
    """What is dialled first, the market before the account; none where an exchange is to be opened before."""
    at = endpoints(settings) if settings.trading_mode.needs_key else None
    if at is None:
        return ()
    return market_url(at.ws_stream_url, settings.symbol, settings.kline_interval), at.ws_api_url

"""Bootstrap of a run: dials the connections first, and imports the rest of the program while they open.

Imports take most of the time of a start. So before the first dial only the modules for dialing are imported. The other
modules are imported in portions, and between two portions the event loop handles the handshakes.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import Final

from trailingedge.app.run_options import RunOptions
from trailingedge.config import Settings, endpoints
from trailingedge.console.plain_ui import InteractiveUi
from trailingedge.core.background_threads import DaemonThreadExecutor
from trailingedge.core.errors import ExitCode, most_severe
from trailingedge.core.loop_watch import HAS_EPOLL, SleepTest, WatchedSelector, unknown
from trailingedge.logging_config import Logging
from trailingedge.websocket.socket_dialer import dial
from trailingedge.websocket.startup_dial import market_url, preconnect

_FIRST_HANDSHAKE_S: Final = 0.02  # on the loopback the whole handshake; elsewhere until the network has our request
_BETWEEN_PORTIONS_S: Final = 0.001
# Ordered from the lowest package up, in portions of similar size. A thread could import everything at once, but its
# allocations would come from a separate arena, which costs memory for the rest of the run.
_PORTIONS: Final = (
    "trailingedge.strategy.decide",
    "trailingedge.websocket.market_stream",
    "trailingedge.execution.trading_core",
    "trailingedge.live.node_builder",
    "trailingedge.app.runner",
)


def run_session(options: RunOptions, ui: InteractiveUi, log: Logging) -> ExitCode:
    """Run a session from the first connection to the last alert. The caller opens and closes `ui` and `log`."""
    try:
        selector = WatchedSelector() if HAS_EPOLL else None
        new_loop = None if selector is None else partial(asyncio.SelectorEventLoop, selector)
        with asyncio.Runner(loop_factory=new_loop) as runner:
            loop_sleeps = unknown if selector is None else selector.sleep_test()
            return runner.run(_run(options, ui, log, loop_sleeps))
    except BaseExceptionGroup as group:
        failure = most_severe(group)
    except Exception as error:  # noqa: BLE001 - the last place that can report it
        failure = error
    from trailingedge.app.runner import report_failure

    return report_failure(failure)


async def _run(options: RunOptions, ui: InteractiveUi, log: Logging, loop_sleeps: SleepTest) -> ExitCode:
    asyncio.get_running_loop().set_default_executor(DaemonThreadExecutor())
    async with preconnect(dial, *_first_urls(options.settings)) as ahead:
        await ahead.wait(_FIRST_HANDSHAKE_S)
        for portion in _PORTIONS:
            import_module(portion)
            await ahead.wait(_BETWEEN_PORTIONS_S)
        from trailingedge.app.runner import Runner

        return await Runner(options, ui, log, ahead.dial, loop_sleeps).run()


def _first_urls(settings: Settings) -> Sequence[str]:
    """Return the addresses to dial first: market stream, then account.

    The embedded exchange has no address before it is opened.
    """
    at = endpoints(settings) if settings.trading_mode.needs_key else None
    if at is None:
        return ()
    return market_url(at.ws_stream_url, settings.symbol, settings.kline_interval), at.ws_api_url

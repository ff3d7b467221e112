"""Trading environments: the exchange for each trading mode, embedded (sim, paper) or at Binance.

The embedded exchange is imported only when it is opened, so that a daemon with real money does not load it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

from trailingedge.app.run_options import SimulationOptions
from trailingedge.auth.manager import KeyManager
from trailingedge.commands.checks.check_target import CheckTarget
from trailingedge.config import Endpoints, Settings, TradingMode, endpoints
from trailingedge.core.clock import Clock, RealClock
from trailingedge.core.errors import ConfigError
from trailingedge.live.start_progress import StartProgress
from trailingedge.websocket.socket_dialer import dial

_COMMAND_RETRIES: Final = 1

StepPrinter = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class TradingEnvironment:
    """An exchange to trade on. `shown` holds the addresses for display; in paper mode they differ from `endpoints`.

    `ended` is set when the market of the exchange has ended; `why_ended` gives the reason. `gaps` describe missing
    market data. `reconnects` returns the number of reconnects to the real market in paper mode, else 0.
    """

    endpoints: Endpoints
    shown: Endpoints
    keys: KeyManager
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    why_ended: str = ""
    gaps: Iterable[str] = ()
    reconnects: Callable[[], int] = lambda: 0


def load_keys(settings: Settings) -> KeyManager:
    """Load the keys for a mode that needs them. Raises ConfigError if they cannot be used."""
    return KeyManager.from_file(settings.binance_ed25519_priv_path, settings.binance_ed25519_api_key or "")


@contextlib.asynccontextmanager
async def open_environment(
    settings: Settings,
    simulation: SimulationOptions | None,
    clock: Clock,
    random: Random,
    on_step: StepPrinter = lambda _name, _result: None,
    alert: Callable[[str], None] = lambda _text: None,
    progress: StartProgress | None = None,
) -> AsyncIterator[TradingEnvironment]:
    """Open the exchange that these settings choose; leaving the `with` block closes it.

    During the opening, `on_step` receives each step and `progress` each failed attempt. After it, `alert` receives
    messages for a person about the market.

    Raises ConfigError, and in paper mode also StartFailed or ExchangeUnreachable if the real market cannot be reached.
    """
    if settings.trading_mode is TradingMode.SIM:
        async with _simulation(settings, simulation, clock) as environment:
            yield environment
    elif settings.trading_mode is TradingMode.PAPER:
        async with _paper(settings, clock, random, on_step, alert, progress) as environment:
            yield environment
    else:
        # Testnet or live: the addresses follow from the mode, unless the settings name others.
        chosen = endpoints(settings)
        if chosen is None:
            raise ConfigError([f"TRADING_MODE is {settings.trading_mode.value}: no exchange address is known for it"])
        yield TradingEnvironment(chosen, chosen, load_keys(settings))


@contextlib.asynccontextmanager
async def open_check_target(settings: Settings) -> AsyncIterator[CheckTarget]:
    """Open the environment for a command that checks it. Raises as `open_environment` does.

    A daemon tries for ever to reach an exchange; a command soon gives up and shows the reason.
    """
    settings = replace(settings, reconnect_max_retries=_COMMAND_RETRIES)
    async with open_environment(settings, None, RealClock(), Random()) as environment:
        yield CheckTarget(environment.endpoints, environment.keys)


@contextlib.asynccontextmanager
async def _simulation(
    settings: Settings, simulation: SimulationOptions | None, clock: Clock
) -> AsyncIterator[TradingEnvironment]:
    """Open the embedded exchange with the market in `simulation`, or with a generated market."""
    from trailingedge.app.embedded_exchange import loopback_exchange, simulation_source

    market = simulation or SimulationOptions(simulation_source(settings, None, None))
    async with loopback_exchange(settings, market, clock) as (loopback, keys):
        at = Endpoints(loopback.ws_api_url, loopback.ws_stream_url)
        yield TradingEnvironment(at, at, keys, loopback.ended, "the recorded market has ended", market.source.gaps)


@contextlib.asynccontextmanager
async def _paper(
    settings: Settings,
    clock: Clock,
    random: Random,
    on_step: StepPrinter,
    alert: Callable[[str], None],
    progress: StartProgress | None,
) -> AsyncIterator[TradingEnvironment]:
    """Open paper mode: the embedded exchange, with the prices of the real market."""
    from trailingedge.live.factory import paper_feed_params
    from trailingedge.live.paper_exchange import paper_exchange

    sources = endpoints(settings)
    if sources is None:
        raise ConfigError(["TRADING_MODE is paper: there are no endpoints to take prices from"])
    on_step("paper", f"PAPER: no real orders; prices from {sources.ws_stream_url}")
    params = paper_feed_params(settings)
    opened = paper_exchange(params, sources, dial, clock, random, on_step=on_step, alert=alert, progress=progress)
    async with opened as paper:
        at = Endpoints(paper.loopback.ws_api_url, paper.loopback.ws_stream_url)
        shown = Endpoints(at.ws_api_url, sources.ws_stream_url)  # orders go here, prices come from there
        yield TradingEnvironment(
            at, shown, paper.keys, paper.ended, "the real market cannot be reached", paper.gaps, paper.reconnects
        )

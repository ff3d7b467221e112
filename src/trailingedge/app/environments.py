"""Which exchange a mode trades on: the embedded one with its own market or with the real one's, or a real one.

The embedded one is imported where it is opened: whoever trades with money carries none of it about.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from random import Random

from trailingedge.app.run_options import SimulationOptions
from trailingedge.auth.manager import KeyManager
from trailingedge.commands.checks.environment import CheckTarget
from trailingedge.config import Endpoints, Settings, TradingMode, endpoints
from trailingedge.core.clock import Clock, RealClock
from trailingedge.core.errors import ConfigError
from trailingedge.websocket.transport import dial

StepPrinter = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class TradingEnvironment:
    """An exchange that can be traded on. `shown` is what people are told of where that is.

    `ended` is set when its market is over, for the reason `why_ended`; `gaps` are what the market lacks, in words.
    """

    endpoints: Endpoints
    shown: Endpoints
    keys: KeyManager
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    why_ended: str = ""
    gaps: Iterable[str] = ()


def load_keys(settings: Settings) -> KeyManager:
    """The key of a mode that needs one. Raises ConfigError."""
    return KeyManager.from_file(settings.binance_ed25519_priv_path, settings.binance_ed25519_api_key or "")


@contextlib.asynccontextmanager
async def open_environment(
    settings: Settings,
    sim: SimulationOptions | None,
    clock: Clock,
    chance: Random,
    step: StepPrinter = lambda _name, _result: None,
) -> AsyncIterator[TradingEnvironment]:
    """The exchange of these settings, for as long as one is inside; `step` hears how an opening went.

    Raises ConfigError, and in paper what keeps the real market away.
    """
    if settings.trading_mode is TradingMode.SIM:
        async with _embedded(settings, sim, clock) as place:
            yield place
    elif settings.trading_mode is TradingMode.PAPER:
        async with _paper(settings, clock, chance, step) as place:
            yield place
    else:
        chosen = endpoints(settings)
        if chosen is None:
            raise ConfigError([f"TRADING_MODE is {settings.trading_mode.value}: there is no exchange for it"])
        yield TradingEnvironment(chosen, chosen, load_keys(settings))


@contextlib.asynccontextmanager
async def open_check_target(settings: Settings) -> AsyncIterator[CheckTarget]:
    """The same for a command that looks around. Raises as `open_environment` does."""
    async with open_environment(settings, None, RealClock(), Random()) as place:
        yield CheckTarget(place.endpoints, place.keys)


@contextlib.asynccontextmanager
async def _embedded(
    settings: Settings, sim: SimulationOptions | None, clock: Clock
) -> AsyncIterator[TradingEnvironment]:
    """The embedded exchange and a market of its own, the generated one unless another is given."""
    from trailingedge.app.embedded_exchange import loopback_exchange, simulation_source

    market = sim or SimulationOptions(simulation_source(settings, None, None))
    async with loopback_exchange(settings, market, clock) as (loopback, keys):
        at = Endpoints(loopback.ws_api_url, loopback.ws_stream_url)
        yield TradingEnvironment(at, at, keys, loopback.ended, "the market is over", market.source.gaps)


@contextlib.asynccontextmanager
async def _paper(
    settings: Settings, clock: Clock, chance: Random, step: StepPrinter
) -> AsyncIterator[TradingEnvironment]:
    """The embedded exchange again, at the prices of the real one."""
    from trailingedge.live.paper_feed import paper_exchange

    sources = endpoints(settings)
    if sources is None:
        raise ConfigError(["TRADING_MODE is paper: there are no endpoints to take prices from"])
    step("paper", f"PAPER: no real orders; prices from {sources.ws_stream_url}")
    async with paper_exchange(settings, sources, dial, clock, chance, step=step) as paper:
        at = Endpoints(paper.loopback.ws_api_url, paper.loopback.ws_stream_url)
        shown = Endpoints(at.ws_api_url, sources.ws_stream_url)  # orders here, prices there
        yield TradingEnvironment(at, shown, paper.keys, paper.ended, "the real market is out of reach", paper.gaps)

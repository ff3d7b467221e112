"""Which exchange a mode trades on: the embedded one with its own market or with the real one's, or a real one."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trailingedge.auth.manager import KeyManager
from trailingedge.clock import Clock, RealClock
from trailingedge.commands.venue import Venue
from trailingedge.config import Endpoints, Mode, Settings, endpoints
from trailingedge.errors import ConfigError
from trailingedge.paper import paper_exchange
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.generator import GeneratedMarket
from trailingedge.simulator.recorded import assets_of, open_market
from trailingedge.simulator.server import LoopbackExchange
from trailingedge.simulator.tape import Tape
from trailingedge.simulator.terms import Terms
from trailingedge.websocket.connection import dial

SIM_SPEED: Final = 120.0
SIM_BASE: Final = Decimal(1)

Step = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Place:
    """An exchange that can be traded on. `shown` is what people are told of where that is.

    `ended` is set when its market is over, for the reason `why_ended`; `gaps` are what the market lacks, in words.
    """

    endpoints: Endpoints
    shown: Endpoints
    keys: KeyManager
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    why_ended: str = ""
    gaps: Iterable[str] = ()


@dataclass(frozen=True, slots=True)
class SimMarket:
    """What sim plays, and how fast at most."""

    tape: Tape
    speed: float = SIM_SPEED


def sim_tape(settings: Settings, files: Sequence[Path] | None, seed: int | None) -> Tape:
    """The market that sim plays. Raises ConfigError for files that cannot be read."""
    if files:
        return recorded(settings, files, settings.symbol)
    base_asset, quote_asset = assets_of(settings.symbol, settings.base_asset, settings.quote_asset)
    return GeneratedMarket(seed or 0, RealClock().unix_ms(), settings.symbol, base_asset, quote_asset)


def recorded(settings: Settings, files: Sequence[Path], symbol: str | None) -> Tape:
    """The market of these files; without a symbol, of the one that their names tell. Raises ConfigError."""
    return open_market(files, symbol, settings.base_asset, settings.quote_asset)


def keys_of(settings: Settings) -> KeyManager:
    """The key of a mode that needs one. Raises ConfigError."""
    return KeyManager.from_file(settings.binance_ed25519_priv_path, settings.binance_ed25519_api_key or "")


@contextlib.asynccontextmanager
async def open_place(
    settings: Settings, sim: SimMarket | None, clock: Clock, chance: Random, step: Step = lambda _name, _result: None
) -> AsyncIterator[Place]:
    """The exchange of these settings, for as long as one is inside; `step` hears how an opening went.

    Raises ConfigError, and in paper what keeps the real market away.
    """
    if settings.trading_mode is Mode.SIM:
        market = sim or SimMarket(sim_tape(settings, None, None))
        async with _embedded(settings, market, clock) as place:
            yield place
    elif settings.trading_mode is Mode.PAPER:
        async with _paper(settings, clock, chance, step) as place:
            yield place
    else:
        chosen = endpoints(settings)
        if chosen is None:
            raise ConfigError([f"TRADING_MODE is {settings.trading_mode.value}: there is no exchange for it"])
        yield Place(chosen, chosen, keys_of(settings))


@contextlib.asynccontextmanager
async def open_venue(settings: Settings) -> AsyncIterator[Venue]:
    """The same for a command that looks around. Raises as `open_place` does."""
    async with open_place(settings, None, RealClock(), Random()) as place:
        yield Venue(place.endpoints, place.keys)


@contextlib.asynccontextmanager
async def _embedded(settings: Settings, market: SimMarket, clock: Clock) -> AsyncIterator[Place]:
    """The embedded exchange on the loopback, and a key made for it. It charges FEE, if that is set."""
    tape = market.tape
    private_key = Ed25519PrivateKey.generate()
    terms = dataclasses.replace(Terms().of_tape(tape), maker_fee=settings.fee or Decimal(0))
    exchange = Exchange(terms, clock, {tape.base_asset: SIM_BASE}, tape.history)
    keys = KeyManager.from_private_key(private_key, exchange.register_key(private_key.public_key()))
    async with LoopbackExchange(exchange, tape, clock, speed=market.speed) as loopback:
        at = Endpoints(loopback.ws_api_url, loopback.ws_stream_url)
        yield Place(at, at, keys, loopback.ended, "the market is over", tape.gaps)


@contextlib.asynccontextmanager
async def _paper(settings: Settings, clock: Clock, chance: Random, step: Step) -> AsyncIterator[Place]:
    """The embedded exchange again, at the prices of the real one."""
    sources = endpoints(settings)
    if sources is None:
        raise ConfigError(["TRADING_MODE is paper: there are no endpoints to take prices from"])
    step("paper", f"PAPER: no real orders; prices from {sources.ws_stream_url}")
    async with paper_exchange(settings, sources, dial, clock, chance, step=step) as paper:
        at = Endpoints(paper.loopback.ws_api_url, paper.loopback.ws_stream_url)
        shown = Endpoints(at.ws_api_url, sources.ws_stream_url)  # orders here, prices there
        yield Place(at, shown, paper.keys, paper.ended, "the real market is out of reach", paper.gaps)

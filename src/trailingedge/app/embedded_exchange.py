"""Embedded exchange as a trading environment: its market (generated or from files) and a key for its account."""

import contextlib
import dataclasses
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trailingedge.app.run_options import SimulationOptions
from trailingedge.auth.manager import KeyManager
from trailingedge.config import Settings
from trailingedge.core.clock import Clock, RealClock
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.feeds.generated import GeneratedMarket
from trailingedge.simulator.feeds.historical import open_market, split_symbol
from trailingedge.simulator.feeds.ticks import TickSource
from trailingedge.simulator.server import LoopbackExchange

SIM_BASE: Final = Decimal(1)  # base asset that the account starts with
_MOST_WARNINGS: Final = 5


def simulation_source(settings: Settings, files: Sequence[Path] | None, seed: int | None) -> TickSource:
    """Return the market of sim mode: the recorded market in `files`, or a generated market without files.

    Raises ConfigError for unreadable files.
    """
    if files:
        return recorded_market(settings, files, settings.symbol)
    # The generated market begins now, so that its candles have today's times in log and report.
    base_asset, quote_asset = split_symbol(settings.symbol, settings.base_asset, settings.quote_asset)
    return GeneratedMarket(seed or 0, RealClock().unix_ms(), settings.symbol, base_asset, quote_asset)


def recorded_market(settings: Settings, files: Sequence[Path], symbol: str | None) -> TickSource:
    """Open the recorded market in `files`. If `symbol` is None, the file names give the symbol.

    Raises ConfigError if the files cannot be used.
    """
    return open_market(files, symbol, settings.base_asset, settings.quote_asset)


def market_warnings(source: TickSource) -> list[str]:
    """Return warnings about the files of a market, for the start. Only the summary at the end names all problems."""
    left = len(source.gaps) - _MOST_WARNINGS
    return [*source.gaps[:_MOST_WARNINGS], *([f"and {left} more, which the summary lists"] if left > 0 else [])]


@contextlib.asynccontextmanager
async def loopback_exchange(
    settings: Settings, market: SimulationOptions, clock: Clock
) -> AsyncIterator[tuple[LoopbackExchange, KeyManager]]:
    """Run the embedded exchange on the loopback interface until the `with` block ends.

    Yields the exchange and the keys of its one account. The account pays FEE if that is set.
    """
    source = market.source
    # The embedded exchange verifies signatures as the real one does, so the daemon takes the same path to a logon.
    private_key = Ed25519PrivateKey.generate()
    spec = dataclasses.replace(ExchangeSpec().for_source(source), maker_fee=settings.fee or Decimal(0))
    exchange = Exchange(spec, clock, {source.base_asset: SIM_BASE}, source.history)
    keys = KeyManager.from_private_key(private_key, exchange.register_key(private_key.public_key()))
    async with LoopbackExchange(exchange, source, clock, speed=market.speed) as loopback:
        yield loopback, keys

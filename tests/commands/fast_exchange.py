"""Fast exchange: the embedded exchange of sim mode on the loopback, with a market that runs fast."""

import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trailingedge.auth.manager import KeyManager
from trailingedge.commands.checks.check_target import CheckTarget
from trailingedge.config import Endpoints, Settings
from trailingedge.core.clock import RealClock
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.feeds.generated import GeneratedMarket
from trailingedge.simulator.server import LoopbackExchange

SPEED = 600.0


@contextlib.asynccontextmanager
async def arena(_: Settings) -> AsyncIterator[CheckTarget]:
    """ETHFDUSD, and one ETH to trade with."""
    clock, private_key = RealClock(), Ed25519PrivateKey.generate()
    tape = GeneratedMarket(0, clock.unix_ms(), "ETHFDUSD", "ETH", "FDUSD")
    exchange = Exchange(ExchangeSpec().for_source(tape), clock, {"ETH": Decimal(1)}, tape.history)
    keys = KeyManager.from_private_key(private_key, exchange.register_key(private_key.public_key()))
    async with LoopbackExchange(exchange, tape, clock, speed=SPEED) as loopback:
        yield CheckTarget(Endpoints(loopback.ws_api_url, loopback.ws_stream_url), keys)

"""Virtual exchange for the online checks: the embedded exchange on the virtual loop, its market moving or not."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.daemon_harness import ONE_ETH, START_MS, URL, ConstantMarket, tick
from tests.tight_settings import TIGHT

from trailingedge.auth.api_key_permissions import Permissions
from trailingedge.auth.manager import KeyManager
from trailingedge.commands.checks.check_target import CheckTarget, CheckTools
from trailingedge.commands.checks.online import OnlineChecks
from trailingedge.commands.checks.result import CheckResult, CheckStatus
from trailingedge.commands.checks.short_session import background
from trailingedge.config import Settings
from trailingedge.core.errors import SessionLost
from trailingedge.live.factory import check_params
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.server import LoopbackExchange
from trailingedge.simulator.virtual_loop import VirtualClock, run_virtual
from trailingedge.websocket.socket_dialer import FrameHandler, Socket

D = Decimal
GOOD_KEY = Permissions(trading=True, withdrawals=False, transfers=False, ip_restricted=True)


class CheckHarness:
    """The exchange of one run of the checks."""

    def __init__(self, clock: VirtualClock, loopback: LoopbackExchange, checks: OnlineChecks) -> None:
        self.clock = clock
        self.loopback = loopback
        self.exchange = loopback.exchange
        self.checks = checks

    async def trade(self) -> None:
        """Move the market, so that there are frames."""
        while True:
            await self.clock.sleep(0.5)
            now_ms = START_MS + round(self.clock.now_s() * 1000)
            price = D(2500) + D(now_ms % 7) / 100
            self.loopback.hub.on_tick(tick(now_ms, price, price + D("0.01")))


async def all_checks(stage: CheckHarness) -> None:
    await stage.checks.run()


def run_online_checks(
    story: Callable[[CheckHarness], Awaitable[None]] = all_checks,
    *,
    settings: Settings | None = None,
    terms: ExchangeSpec | None = None,
    balances: Mapping[str, Decimal] = ONE_ETH,
    key_is_known: bool = True,
    shut: str = "nothing is blocked",
    deaf_to: str = "nothing of the kind",
    clock_off_ms: int = 0,
    moving: bool = True,
    thorough: bool = True,
    place: bool = True,
    permissions: Permissions | Exception = GOOD_KEY,
    prepare: Callable[[LoopbackExchange], None] = lambda _: None,
) -> tuple[dict[str, CheckResult], Exchange]:
    """Run the checks on an exchange. Returns the last result of each name, and the exchange."""
    found: list[CheckResult] = []

    async def ask_permissions(_keys: KeyManager, url: str, timestamp_ms: int) -> Permissions:
        assert url == "https://api.binance.com"
        assert timestamp_ms >= START_MS
        if isinstance(permissions, Exception):
            raise permissions
        return permissions

    async def live(clock: VirtualClock) -> Exchange:
        market = ConstantMarket()
        exchange = Exchange(
            (terms or ExchangeSpec()).for_source(market), clock, balances, market.history, keep_all=True
        )
        private_key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        api_key = exchange.register_key(private_key.public_key()) if key_is_known else "nobody"
        keys = KeyManager.from_private_key(private_key, api_key)
        async with LoopbackExchange(
            exchange, market, clock, listen=False, latency_s=0.01, chance=Random(1)
        ) as loopback:
            # A market that stands still has a forming candle, which its stream would publish once.
            loopback.hub.streams_muted = not moving
            prepare(loopback)

            async def dial(url: str) -> Socket:
                if shut in url:
                    raise SessionLost("connection refused")
                return DeafSocket(await loopback.connect(url), deaf_to)

            own_clock = VirtualClock(asyncio.get_running_loop(), START_MS + clock_off_ms)  # type: ignore[arg-type]  # it is a virtual one
            checks = OnlineChecks(
                check_params(settings or TIGHT),
                CheckTarget(URL, keys),
                found.append,
                thorough=thorough,
                place=place,
                tools=CheckTools(dial, own_clock, Random(2)),
                ask_permissions=ask_permissions,
            )
            stage = CheckHarness(clock, loopback, checks)
            async with background(stage.trade() if moving else asyncio.sleep(0)):
                await story(stage)
        return exchange

    exchange = run_virtual(live, start_unix_ms=START_MS)
    return {result.name: result for result in found}, exchange


def names_with_status(found: Mapping[str, CheckResult], status: CheckStatus) -> list[str]:
    """The names of the results with that status."""
    return [name for name, result in found.items() if result.status is status]


def orders_of(exchange: Exchange) -> list[str]:
    """Client order ids of the open orders."""
    return [order.client_order_id for order in exchange.account().open_orders()]


class DeafSocket:
    """A socket over which some frames do not arrive."""

    def __init__(self, socket: Socket, deaf_to: str) -> None:
        self.send = socket.send
        self.close = socket.close
        self._listen = socket.receive
        self._deaf_to = deaf_to

    async def receive(self, hear: FrameHandler) -> None:
        await self._listen(lambda frames: hear([frame for frame in frames if self._deaf_to not in str(frame)]))

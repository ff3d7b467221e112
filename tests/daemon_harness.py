"""Daemon harness: runs a whole trading node against the embedded exchange, on the virtual event loop.

The test plays the market, the operator and the network: the market is constant except for what the test does to it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.tight_settings import TIGHT, tight

from trailingedge.auth.manager import KeyManager
from trailingedge.config import Endpoints, Settings
from trailingedge.core.clock import Clock
from trailingedge.core.errors import ExitCode, SessionLost
from trailingedge.live.factory import node_params
from trailingedge.live.node_builder import build_node
from trailingedge.live.node_components import EventObserver
from trailingedge.live.node_dependencies import Runtime
from trailingedge.live.slow_tick_monitor import SlowTickMonitor
from trailingedge.live.trading_node import TradingNode
from trailingedge.model.client_order_ids import is_own
from trailingedge.model.market import Kline, Side
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.notifications.status import StatusView, status
from trailingedge.simulator.audit_log import AuditLog
from trailingedge.simulator.exchange import Exchange, ManualTrader
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.faults import FaultInjector, Faults
from trailingedge.simulator.feeds.ticks import LargestNumbers, Tick
from trailingedge.simulator.orders import SimOrder
from trailingedge.simulator.server import LoopbackExchange
from trailingedge.simulator.virtual_loop import VirtualClock, run_virtual
from trailingedge.websocket.socket_dialer import FrameHandler, Socket

Done = TypeVar("Done")

D = Decimal
TICK = D("0.01")
START_MS = 1_783_000_020_000  # a full minute
URL = Endpoints("ws://memory/ws-api/v3", "ws://memory")
ONE_ETH: Mapping[str, Decimal] = {"ETH": D(1)}
CASH: Mapping[str, Decimal] = {"FDUSD": D(2500)}


@dataclass
class RecordingUi:
    """An operator UI and alert sink that keeps what it is given."""

    lines: list[str] = field(default_factory=list)
    alerts: list[tuple[int, str]] = field(default_factory=list)
    next_status_s: float = 0.0

    def print_line(self, text: str) -> None:
        self.lines.append(text)

    def show_step(self, name: str, result: str) -> None:
        self.lines.append(f"{name}: {result}")

    def show_status(self, view: Callable[[], StatusView], now_s: float) -> None:
        if now_s >= self.next_status_s:
            self.next_status_s = now_s + 1.0
            self.lines.append(f"{now_s:.0f}: {status(view())}")

    def close(self) -> None:
        pass

    def send(self, text: str, level: int = logging.INFO) -> None:
        self.alerts.append((level, text))


class ConstantMarket:
    """A tick source of one tick at 2500; the test plays the ticks after it."""

    def __init__(self, closes: Sequence[Decimal] = (D(2500),) * 100) -> None:
        self.symbol, self.base_asset, self.quote_asset = "ETHFDUSD", "ETH", "FDUSD"
        self.tick_size, self.step_size = TICK, D("0.0001")
        self.largest: LargestNumbers | None = None
        self.gaps: Sequence[str] = ()
        first_ms = START_MS - len(closes) * 60_000
        self.history: Sequence[Kline] = tuple(
            Kline(first_ms + i * 60_000, first_ms + i * 60_000 + 59_999, close, close, close, close, D(1))
            for i, close in enumerate(closes)
        )

    def __iter__(self) -> Iterator[Tick]:
        yield tick(START_MS, D(2500), D("2500.01"))


def tick(time_ms: int, bid: Decimal, ask: Decimal) -> Tick:
    """Best prices of other traders, ten deep, with a small sale at the bid, because candles are made of trades."""
    return Tick(time_ms, bid, D(10), ask, D(10), bid, D("0.001"), Side.SELL)


class FaultyNetwork:
    """The network to the exchange. Dialling an address that contains one of the `blocked` parts fails.

    While the market is muted, its frames and the requests for best prices are lost; open connections stay open.
    """

    def __init__(self, loopback: LoopbackExchange) -> None:
        self.blocked: set[str] = set()
        self.dials = 0
        self.market_muted = False
        self.sent: list[str] = []
        self._loopback = loopback

    async def dial(self, url: str) -> Socket:
        self.dials += 1
        if any(part in url for part in self.blocked):
            raise SessionLost("connection refused")
        return _MutableSocket(await self._loopback.connect(url), self)


class _MutableSocket:
    """A socket on which the market can be muted."""

    def __init__(self, socket: Socket, network: FaultyNetwork) -> None:
        self._socket = socket
        self._network = network

    def send(self, text: str) -> None:
        self._network.sent.append(text)
        if not (self._network.market_muted and '"ticker.book"' in text):
            self._socket.send(text)

    async def receive(self, on_frames: FrameHandler) -> None:
        await self._socket.receive(lambda frames: on_frames([frame for frame in frames if self._passes(frame)]))

    def _passes(self, frame: str | bytes) -> bool:
        return not (self._network.market_muted and '"stream"' in str(frame))

    async def close(self) -> None:
        await self._socket.close()


class NodeHarness:
    """What a scenario can do and see. Prices are quote per base."""

    def __init__(
        self,
        clock: VirtualClock,
        loopback: LoopbackExchange,
        daemon: TradingNode,
        network: FaultyNetwork,
        output: RecordingUi,
    ) -> None:
        self.clock = clock
        self.loopback = loopback
        self.network = network
        self.exchange = loopback.exchange
        self.node = daemon
        self.output = output

    # The market

    async def price(self, bid: str | Decimal, ask: str | Decimal | None = None, wait_s: float = 0.5) -> None:
        """Move the other traders' best prices (one tick apart by default) and give the node time to react."""
        self.set_price(bid, ask)
        await self.clock.sleep(wait_s)

    def set_price(self, bid: str | Decimal, ask: str | Decimal | None = None) -> None:
        """Move the best prices without waiting."""
        lower = D(bid)
        upper = lower + TICK if ask is None else D(ask)
        self.loopback.hub.on_tick(tick(self.market_ms, lower, upper))

    @property
    def market_ms(self) -> int:
        return START_MS + round(self.clock.now_s() * 1000)

    async def minute(self, close: str | Decimal) -> None:
        """Move the price to `close` and let the candle close there."""
        await self.price(close)
        await self.clock.sleep(60.5 - self.clock.now_s() % 60)
        await self.price(close)

    async def wait(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    async def until(self, true: Callable[[], object], within_s: float = 30.0) -> None:
        """Wait until `true` holds; the scenario fails if it does not in time."""
        deadline_s = self.clock.now_s() + within_s
        while not true():
            assert self.clock.now_s() < deadline_s, f"not within {within_s} s; alerts: {self.alert_texts}"
            await self.clock.sleep(0.01)

    async def ready(self) -> None:
        """Wait for the start to end and the anchor marker to be written, unless the marker has to wait."""
        await self.until(lambda: self.alerts_starting_with("ready:"))
        await self.until(lambda: not self.node.anchor_marker_pending or self._cannot_be_noted)

    @property
    def _cannot_be_noted(self) -> bool:
        desk = self.node.services
        exiting = desk is not None and desk.core.state.exit is not None
        return exiting or self.exchange.engine.symbol_status != "TRADING"

    # The operator, the account owner elsewhere, and faults

    def submit(self, instruction: OperatorCommand) -> None:
        reply = self.node.submit(instruction)
        if reply.done():
            self.output.print_line(reply.result().text)
        else:
            reply.add_done_callback(lambda done: self.output.print_line(done.result().text))

    def trade_manually(self, act: Callable[[ManualTrader], Done]) -> Done:
        """Trade on the account from elsewhere; the account's stream reports it."""
        done = act(self.exchange.manual_trader())
        self.loopback.hub.publish_events()
        return done

    @property
    def faults(self) -> FaultInjector:
        return self.loopback.hub.fault_injector

    def mute_market(self) -> None:
        """Lose all market frames while the connections stay open."""
        self.network.market_muted = True

    def unmute_market(self) -> None:
        self.network.market_muted = False

    def cut(self, *, streams: bool = False, api: bool = False) -> None:
        self.loopback.hub.disconnect(streams=streams, api=api)

    # Observations

    def requests_sent(self, method: str) -> int:
        """How many requests of `method` the node has sent."""
        return sum(f'"method":"{method}"' in text.replace(" ", "") for text in self.network.sent)

    @property
    def alert_texts(self) -> list[str]:
        """The alerts so far."""
        return [text for _, text in self.output.alerts]

    def alerts_starting_with(self, beginning: str) -> list[str]:
        """The alerts that begin with `beginning`."""
        return [text for text in self.alert_texts if text.startswith(beginning)]

    @property
    def own_orders(self) -> list[SimOrder]:
        """Our open orders at the exchange."""
        return [order for order in self.exchange.account().open_orders() if is_own(order.client_order_id)]

    @property
    def own_order(self) -> SimOrder:
        """Our only open order."""
        (order,) = self.own_orders
        return order

    def keep_klines(self) -> None:
        """Keep the kline history, which the node drops once its channel has taken it in."""
        self.node.market_state.release_history = lambda: None  # type: ignore[method-assign]

    def total(self, asset: str) -> Decimal:
        return self.exchange.account().balance(asset).total


@dataclass(frozen=True)
class ScenarioResult:
    """How the run ended: by an exit code or by an error."""

    code: ExitCode | None
    error: Exception | None
    output: RecordingUi
    exchange: Exchange
    shutdown_s: float

    @property
    def alert_texts(self) -> list[str]:
        return [text for _, text in self.output.alerts]

    @property
    def left_orders(self) -> list[SimOrder]:
        """Our orders that are still open."""
        return [order for order in self.exchange.account().open_orders() if is_own(order.client_order_id)]

    @property
    def audit_log(self) -> AuditLog:
        return self.exchange.audit_log


Scenario = Callable[[NodeHarness], Awaitable[None]]


def run_scenario(
    scenario: Scenario,
    *,
    settings: Settings | None = None,
    terms: ExchangeSpec | None = None,
    balances: Mapping[str, Decimal] = ONE_ETH,
    closes: Sequence[Decimal] = (D(2500),) * 100,
    key_is_known: bool = True,
    faults: Faults | None = None,
    latency_s: float = 0.01,
    events_first: bool = False,
    shut: frozenset[str] = frozenset(),
    prepare: Callable[[Exchange], None] = lambda _: None,
    stopwatch: Clock | None = None,
    before_ready: Callable[[], None] = lambda: None,
    observe: EventObserver = lambda _event, _market_ms: None,
) -> ScenarioResult:
    """Run a scenario beside a node, and stop the node after it unless it has ended before."""

    async def live(clock: VirtualClock) -> ScenarioResult:
        market = ConstantMarket(closes)
        exchange = Exchange(
            (terms or ExchangeSpec()).for_source(market), clock, balances, market.history, keep_all=True
        )
        prepare(exchange)
        private_key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        api_key = exchange.register_key(private_key.public_key()) if key_is_known else "nobody"
        keys = KeyManager.from_private_key(private_key, api_key)
        output = RecordingUi()
        async with LoopbackExchange(
            exchange,
            market,
            clock,
            listen=False,
            faults=faults,
            chance=Random(1),
            events_first=events_first,
            latency_s=latency_s,
        ) as loopback:
            network = FaultyNetwork(loopback)
            network.blocked |= shut
            runtime = Runtime(URL, keys, network.dial, clock, Random(2))
            daemon = build_node(
                node_params(settings or TIGHT),
                runtime,
                output,
                output,
                before_ready=before_ready,
                on_event=observe,
            )
            if stopwatch is not None:  # the virtual clock stands still during a tick
                daemon._monitor = SlowTickMonitor(stopwatch)
            harness = NodeHarness(clock, loopback, daemon, network, output)
            try:
                return await _perform(scenario, harness, daemon)
            except BaseExceptionGroup as group:
                raise _first(group) from None

    return run_virtual(live, start_unix_ms=START_MS)


async def _perform(scenario: Scenario, harness: NodeHarness, daemon: TradingNode) -> ScenarioResult:
    code: ExitCode | None = None
    error: Exception | None = None
    stopped_s = harness.clock.now_s()

    async def tell() -> None:
        nonlocal stopped_s
        await scenario(harness)
        stopped_s = harness.clock.now_s()
        daemon.stop("the scenario is over")

    async with asyncio.TaskGroup() as tasks:
        telling = tasks.create_task(tell())
        try:
            code = await daemon.run()
        except Exception as ended:  # noqa: BLE001 - for the scenario to judge
            error = ended
        telling.cancel()
    return ScenarioResult(code, error, harness.output, harness.exchange, harness.clock.now_s() - stopped_s)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


async def only_start(harness: NodeHarness) -> None:
    """A scenario of a start and nothing else."""
    await harness.ready()


def with_settings(**changes: object) -> Settings:
    """The tight settings with these changes."""
    return tight(**changes)

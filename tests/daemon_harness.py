"""A stage for the whole daemon: the embedded exchange behind it, and the test as the market, the operator, fate.

Everything runs on the virtual loop. The market stands still but for what the test does to it.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trailingedge.auth.manager import KeyManager
from trailingedge.config import Endpoints, Settings
from trailingedge.core.errors import ExitCode, SessionLost
from trailingedge.live.factory import Runtime
from trailingedge.live.trading_node import TradingNode
from trailingedge.model.client_order_ids import is_own
from trailingedge.model.market import Kline, Side
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.notifications.status import StatusView, status
from trailingedge.simulator.audit_log import AuditLog
from trailingedge.simulator.exchange import Exchange, ManualTrader
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.faults import FaultInjector, Faults
from trailingedge.simulator.feeds.ticks import Tick
from trailingedge.simulator.orders import SimOrder
from trailingedge.simulator.server import LoopbackExchange
from trailingedge.simulator.virtual_loop import VirtualClock, run_virtual
from trailingedge.websocket.transport import FrameHandler, Socket

Done = TypeVar("Done")

D = Decimal
TICK = D("0.01")
START_MS = 1_783_000_020_000  # a full minute
URL = Endpoints("ws://memory/ws-api/v3", "ws://memory")
ONE_ETH: Mapping[str, Decimal] = {"ETH": D(1)}
CASH: Mapping[str, Decimal] = {"FDUSD": D(2500)}


@dataclass
class RecordingUi:
    """A face and an alert sink that only remember."""

    lines: list[str] = field(default_factory=list)
    alerts: list[tuple[int, str]] = field(default_factory=list)

    def print_line(self, text: str) -> None:
        self.lines.append(text)

    def show_step(self, name: str, result: str) -> None:
        self.lines.append(f"{name}: {result}")

    def show_status(self, view: StatusView, now_s: float) -> None:
        self.lines.append(f"{now_s:.0f}: {status(view)}")

    def close(self) -> None:
        pass

    def send(self, text: str, level: int = logging.INFO) -> None:
        self.alerts.append((level, text))


class ConstantMarket:
    """A tape of a single tick at 2500; what comes after it, the test plays by hand."""

    def __init__(self, closes: Sequence[Decimal] = (D(2500),) * 100) -> None:
        self.symbol, self.base_asset, self.quote_asset = "ETHFDUSD", "ETH", "FDUSD"
        self.tick_size, self.step_size = TICK, D("0.0001")
        self.gaps: Sequence[str] = ()
        first_ms = START_MS - len(closes) * 60_000
        self.history: Sequence[Kline] = tuple(
            Kline(first_ms + i * 60_000, first_ms + i * 60_000 + 59_999, close, close, close, close, D(1))
            for i, close in enumerate(closes)
        )

    def __iter__(self) -> Iterator[Tick]:
        yield tick(START_MS, D(2500), D("2500.01"))


def tick(time_ms: int, bid: Decimal, ask: Decimal) -> Tick:
    """The best prices of the others, ten deep, and a small sale at the bid, for candles are made of trades."""
    return Tick(time_ms, bid, D(10), ask, D(10), bid, D("0.001"), Side.SELL)


class FaultyNetwork:
    """The way to the exchange: who dials an address with one of the `shut` parts does not get through.

    While it is `deaf`, frames and answers to probes are lost; whatever is open stays open.
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
        return _Ear(await self._loopback.connect(url), self)


class _Ear:
    """A socket that may go deaf to the market."""

    def __init__(self, socket: Socket, doors: FaultyNetwork) -> None:
        self._socket = socket
        self._doors = doors

    def send(self, text: str) -> None:
        self._doors.sent.append(text)
        if not (self._doors.market_muted and '"ticker.book"' in text):
            self._socket.send(text)

    async def receive(self, hear: FrameHandler) -> None:
        await self._socket.receive(lambda frames: hear([frame for frame in frames if self._comes_through(frame)]))

    def _comes_through(self, frame: str | bytes) -> bool:
        return not (self._doors.market_muted and '"stream"' in str(frame))

    async def close(self) -> None:
        await self._socket.close()


class NodeHarness:
    """What a story may touch. Prices are quote per base."""

    def __init__(
        self,
        clock: VirtualClock,
        loopback: LoopbackExchange,
        daemon: TradingNode,
        doors: FaultyNetwork,
        notes: RecordingUi,
    ) -> None:
        self.clock = clock
        self.loopback = loopback
        self.network = doors
        self.exchange = loopback.exchange
        self.node = daemon
        self.output = notes

    # The market

    async def price(self, bid: str | Decimal, ask: str | Decimal | None = None, wait_s: float = 0.5) -> None:
        """The others' best prices move (a spread of one tick unless told), and everybody has had time to react."""
        self.set_price(bid, ask)
        await self.clock.sleep(wait_s)

    def set_price(self, bid: str | Decimal, ask: str | Decimal | None = None) -> None:
        """The same, without waiting."""
        lower = D(bid)
        upper = lower + TICK if ask is None else D(ask)
        self.loopback.hub.on_tick(tick(self.market_ms, lower, upper))

    @property
    def market_ms(self) -> int:
        return START_MS + round(self.clock.now_s() * 1000)

    async def minute(self, close: str | Decimal) -> None:
        """The price goes there, and the candle closes there."""
        await self.price(close)
        await self.clock.sleep(60.5 - self.clock.now_s() % 60)
        await self.price(close)

    async def wait(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    async def until(self, true: Callable[[], object], within_s: float = 30.0) -> None:
        """Until it is true, looking often; the story fails when it does not come true."""
        deadline_s = self.clock.now_s() + within_s
        while not true():
            assert self.clock.now_s() < deadline_s, f"not within {within_s} s; said was: {self.alert_texts}"
            await self.clock.sleep(0.01)

    async def ready(self) -> None:
        """Started, and the anchor is written down, unless that has to wait."""
        await self.until(lambda: self.alerts_starting_with("ready:"))
        await self.until(lambda: not self.node.anchor_marker_pending or self._cannot_be_noted)

    @property
    def _cannot_be_noted(self) -> bool:
        desk = self.node.services
        exiting = desk is not None and desk.core.state.exit is not None
        return exiting or self.exchange.engine.symbol_status != "TRADING"

    # The operator, the owner's other screen, and fate

    def submit(self, instruction: OperatorCommand) -> None:
        self.node.submit(instruction, lambda answer: self.output.print_line(answer.text))

    def trade_manually(self, act: Callable[[ManualTrader], Done]) -> Done:
        """The owner does something to his account elsewhere, and the stream tells it."""
        done = act(self.exchange.manual_trader())
        self.loopback.hub.publish_events()
        return done

    @property
    def faults(self) -> FaultInjector:
        return self.loopback.hub.fault_injector

    def mute_market(self) -> None:
        """Nothing is heard of the market any more, though every connection stands."""
        self.network.market_muted = True

    def unmute_market(self) -> None:
        self.network.market_muted = False

    def cut(self, *, streams: bool = False, api: bool = False) -> None:
        self.loopback.hub.disconnect(streams=streams, api=api)

    # What there is to see

    def requests_sent(self, method: str) -> int:
        """How often the daemon has sent that, whatever became of it."""
        return sum(f'"method":"{method}"' in text.replace(" ", "") for text in self.network.sent)

    @property
    def alert_texts(self) -> list[str]:
        """The alerts so far."""
        return [text for _, text in self.output.alerts]

    def alerts_starting_with(self, beginning: str) -> list[str]:
        """The alerts that begin like that."""
        return [text for text in self.alert_texts if text.startswith(beginning)]

    @property
    def own_orders(self) -> list[SimOrder]:
        """Our open orders, by the exchange's books."""
        return [order for order in self.exchange.account().open_orders() if is_own(order.client_order_id)]

    @property
    def own_order(self) -> SimOrder:
        """The one that there is."""
        (order,) = self.own_orders
        return order

    def keep_klines(self) -> None:
        """It is let go once the channel has taken it in; in this story it is to be looked at."""
        self.node.market_state.release_history = lambda: None  # type: ignore[method-assign]

    def total(self, asset: str) -> Decimal:
        return self.exchange.account().balance(asset).total


@dataclass(frozen=True)
class ScenarioResult:
    """How it ended: an exit code, or the error that ended it."""

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
    story: Scenario,
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
) -> ScenarioResult:
    """Tell a story beside the daemon; when it is told, the daemon is stopped, unless it has ended before."""

    async def live(clock: VirtualClock) -> ScenarioResult:
        market = ConstantMarket(closes)
        exchange = Exchange(
            (terms or ExchangeSpec()).for_source(market), clock, balances, market.history, keep_all=True
        )
        prepare(exchange)
        private_key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        api_key = exchange.register_key(private_key.public_key()) if key_is_known else "nobody"
        keys = KeyManager.from_private_key(private_key, api_key)
        notes = RecordingUi()
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
            doors = FaultyNetwork(loopback)
            doors.blocked |= shut
            surroundings = Runtime(URL, keys, doors.dial, clock, Random(2))
            daemon = TradingNode(settings or Settings(), surroundings, notes, notes)
            stage = NodeHarness(clock, loopback, daemon, doors, notes)
            try:
                return await _perform(story, stage, daemon)
            except BaseExceptionGroup as group:
                raise _first(group) from None

    return run_virtual(live, start_unix_ms=START_MS)


async def _perform(story: Scenario, stage: NodeHarness, daemon: TradingNode) -> ScenarioResult:
    code: ExitCode | None = None
    error: Exception | None = None
    stopped_s = stage.clock.now_s()

    async def tell() -> None:
        nonlocal stopped_s
        await story(stage)
        stopped_s = stage.clock.now_s()
        daemon.stop("the story is told")

    async with asyncio.TaskGroup() as tasks:
        telling = tasks.create_task(tell())
        try:
            code = await daemon.run()
        except Exception as ended:  # noqa: BLE001 - for the story to judge
            error = ended
        telling.cancel()
    return ScenarioResult(code, error, stage.output, stage.exchange, stage.clock.now_s() - stopped_s)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


async def only_start(stage: NodeHarness) -> None:
    """A story in which nothing happens beyond the start."""
    await stage.ready()


def with_settings(**changes: object) -> Settings:
    """The defaults, but for these."""
    return dataclasses.replace(Settings(), **changes)  # type: ignore[arg-type]  # a test that errs here fails at once

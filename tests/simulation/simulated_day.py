"""One simulated day: the whole daemon and the embedded exchange on a virtual loop, everything from one seed.

A day is checked by the exchange's audit log and balances, never by the daemon's own state.
"""

import asyncio
import dataclasses
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.tight_settings import TIGHT

from trailingedge.auth.manager import KeyManager
from trailingedge.config import Endpoints, Settings, settings_without_secrets
from trailingedge.core.clock import Clock
from trailingedge.core.errors import ExitCode
from trailingedge.eventlog.format import LineSink
from trailingedge.eventlog.recording_start import RecordedSession, UnrecordedSession, start_recording
from trailingedge.live.factory import node_params
from trailingedge.live.node_builder import build_node
from trailingedge.live.node_dependencies import Runtime
from trailingedge.live.trading_node import TradingNode
from trailingedge.model.market import OrderStatus, Side
from trailingedge.notifications.status import StatusView
from trailingedge.simulator.accounts import SimAccount
from trailingedge.simulator.audit_log import AuditEntry, AuditLog
from trailingedge.simulator.exchange import OWNER, Exchange
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.faults import DriftingClock, Faults
from trailingedge.simulator.feeds.generated import GeneratedMarket
from trailingedge.simulator.feeds.ticks import TickSource
from trailingedge.simulator.orders import SimOrder
from trailingedge.simulator.server import LoopbackExchange
from trailingedge.simulator.virtual_loop import run_virtual

START_MS: Final = 1_783_000_000_000
EXIT_KINDS: Final = ("TE-t-", "TE-m-", "TE-b-", "TE-f-", "TE-e-")
# Not EXPIRED_IN_MATCH: that is the owner's own manual trade meeting the owner's own order.
ENDED_BY_OTHERS: Final = {OrderStatus.CANCELED, OrderStatus.EXPIRED}
URL: Final = Endpoints("ws://memory/ws-api/v3", "ws://memory")


@dataclass
class CollectedOutput:
    """A UI and an alert sink that collect what they are given; `times_s` are the alerts' times, given a clock."""

    clock: Clock | None = None
    lines: list[str] = field(default_factory=list)
    alerts: list[tuple[int, str]] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    next_status_s: float = 0.0

    def print_line(self, text: str) -> None:
        self.lines.append(text)

    def show_step(self, name: str, result: str) -> None:
        self.lines.append(f"{name}: {result}")

    def show_status(self, view: Callable[[], StatusView], now_s: float) -> None:
        if now_s >= self.next_status_s:  # it can be built at any time of a day
            self.next_status_s = now_s + 10.0
            view()

    def close(self) -> None:
        pass

    def send(self, text: str, level: int = logging.INFO) -> None:
        self.alerts.append((level, text))
        self.times_s.append(self.clock.now_s() if self.clock is not None else 0.0)


class OpenOrderWatcher:
    """Checks at each entry of the audit log that at most one exit order is open, and keeps the entries.

    The entries carry the virtual loop's time: the exchange's own clock may be stepped by a fault.
    """

    def __init__(self, exchange: Exchange, clock: Clock) -> None:
        self.faults: list[str] = []
        self.entries: list[tuple[float, str]] = []
        self._exchange = exchange
        self._clock = clock
        exchange.audit_log.on_entry = self._on_entry

    def _on_entry(self, entry: AuditEntry) -> None:
        self.entries.append((self._clock.now_s(), f"{entry.what} {entry.details}"))
        if entry.what == "placed" and len(ours := open_exits(self._exchange.account())) > 1:
            ids = ", ".join(f"{order.order_id} {order.client_order_id}" for order in ours)
            self.faults.append(f"more than one own exit order open: {ids}")


def open_exits(account: SimAccount) -> list[SimOrder]:
    """The bot's open exit orders: all its orders but the jumpstart's and the anchor marker, which exist briefly."""
    return [order for order in account.open_orders() if order.client_order_id.startswith(EXIT_KINDS)]


@dataclass(frozen=True)
class Day:
    """The end of a simulated day.

    `failure` is the exception that ended the daemon, if any; `watch_faults` what was wrong during the day;
    `entries` the exchange's audit log, each entry with its second. `restored_balances` are the final balances with all
    trades and transfers undone: equal to `initial_balances` if no asset was lost.
    """

    seed: int
    code: ExitCode
    failure: Exception | None
    exchange: Exchange
    output: CollectedOutput
    manual_order_ids: tuple[int, ...]
    open_order_ids: tuple[int, ...]
    restored_balances: Mapping[str, Decimal]
    initial_balances: Mapping[str, Decimal]
    watch_faults: Sequence[str]
    entries: Sequence[tuple[float, str]]

    @property
    def audit_log(self) -> AuditLog:
        return self.exchange.audit_log

    def order(self, order_id: int) -> SimOrder:
        return self.exchange.account(OWNER).orders[order_id]

    def filled(self, kind: str, side: Side) -> int:
        """How many orders of one kind of client order id were filled in full."""
        counts = self.audit_log.counts_by_kind.get((f"TE-{kind}", side))
        return counts.filled if counts is not None else 0

    def faults(self) -> list[str]:
        """Everything that must never happen and did."""
        audit_log = self.audit_log
        wrong = Counter(
            {
                "taker fills": audit_log.taker_fills,
                "filter refusals": audit_log.filter_failures,
                "foreign orders cancelled": audit_log.foreign_cancels,
                "foreign orders gone": len(
                    [each for each in self.manual_order_ids if self.order(each).status in ENDED_BY_OTHERS]
                ),
                "own orders left": len([each for each in self.open_order_ids if not self.order(each).is_manual]),
                "exit code": int(self.code) if self.failure is None else 0,
            }
        )
        found = [*self.watch_faults, *(f"{what}: {count}" for what, count in wrong.items() if count)]
        if self.failure is not None:
            found.append(f"ended by {type(self.failure).__name__}: {self.failure}")
        found += [
            f"{asset} not conserved"
            for asset in self.initial_balances
            if self.initial_balances[asset] != self.restored_balances[asset]
        ]
        return found

    def is_complete(self) -> bool:
        """Whether the day had an exit of each side and a hard stop filled: otherwise it shows too little."""
        sold = any(self.filled(kind, Side.SELL) for kind in "tmb")
        bought = any(self.filled(kind, Side.BUY) for kind in "tmb")
        return sold and bought and bool(self.filled("f", Side.SELL))


DayScript = Callable[[TradingNode, LoopbackExchange, Clock], Awaitable[None]]


def simulate(
    seed: int,
    hours: float = 2.0,
    *,
    settings: Settings | None = None,
    spec: ExchangeSpec | None = None,
    faults: Faults | None = None,
    source: TickSource | None = None,
    latency_s: float = 0.05,
    script: DayScript | None = None,
    balances: Mapping[str, Decimal] | None = None,
    lines: LineSink | None = None,
) -> Day:
    """Simulate a day and return its end.

    `script` runs beside the daemon: it plays the operator, the account's owner or faults. `lines` receives the session
    record. Unless `balances` are given, the account starts with a manual order of its owner, which must survive.
    """

    async def live(clock: Clock) -> Day:
        return await _live(seed, hours, clock, settings, spec, faults, source, latency_s, script, balances, lines)

    return run_virtual(live, start_unix_ms=START_MS)


async def _live(
    seed: int,
    hours: float,
    clock: Clock,
    settings: Settings | None,
    spec: ExchangeSpec | None,
    faults: Faults | None,
    source: TickSource | None,
    latency_s: float,
    script: DayScript | None,
    balances: Mapping[str, Decimal] | None,
    lines: LineSink | None,
) -> Day:
    market = source or GeneratedMarket(seed, START_MS)
    settings = dataclasses.replace(settings or TIGHT, symbol=market.symbol)
    spec = (spec or ExchangeSpec()).for_source(market)
    initial_balances = balances or {market.base_asset: Decimal(1), market.quote_asset: Decimal(1000)}
    exchange = Exchange(spec, DriftingClock(clock), initial_balances, market.history, keep_all=True)
    private_key = Ed25519PrivateKey.from_private_bytes(Random(seed).randbytes(32))
    keys = KeyManager.from_private_key(private_key, exchange.register_key(private_key.public_key()))
    output, watcher = CollectedOutput(clock), OpenOrderWatcher(exchange, clock)
    manual_orders: list[int] = []
    async with LoopbackExchange(
        exchange, market, clock, listen=False, faults=faults, chance=Random(seed), latency_s=latency_s
    ) as loopback:
        if not balances:
            manual_orders.append(_manual_order(exchange))
        runtime = Runtime(URL, keys, loopback.connect, clock, Random(seed))
        session: RecordedSession = UnrecordedSession(runtime)
        if lines is not None:
            session = start_recording(settings_without_secrets(settings), runtime, lines)
        daemon = build_node(node_params(settings), session.runtime, output, session.wrap_alerts(output))

        async def stop_at_the_end() -> None:
            await clock.sleep(hours * 3600)
            daemon.stop("the day is over")

        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(stop_at_the_end())]
            if script is not None:
                beside.append(tasks.create_task(_awaited(script(daemon, loopback, clock))))
            code, failure = ExitCode.UNEXPECTED, None
            try:
                code = await session.run_session(daemon.run)
            except Exception as error:  # noqa: BLE001 - any exception is a fault of the day, found by `faults`
                failure = error
            for task in beside:
                task.cancel()
        return _day(seed, code, failure, exchange, output, watcher, tuple(manual_orders), initial_balances)


async def _awaited(job: Awaitable[None]) -> None:
    await job


def _manual_order(exchange: Exchange) -> int:
    """Place a manual order of the owner, far below the market, that locks most of the quote asset."""
    price = (exchange.top().bid / 2).quantize(exchange.spec.tick_size)
    return exchange.manual_trader().place(Side.BUY, price, Decimal("0.7")).order_id


def _day(
    seed: int,
    code: ExitCode,
    failure: Exception | None,
    exchange: Exchange,
    output: CollectedOutput,
    watcher: OpenOrderWatcher,
    manual_orders: tuple[int, ...],
    initial_balances: Mapping[str, Decimal],
) -> Day:
    account = exchange.account(OWNER)
    return Day(
        seed=seed,
        code=code,
        failure=failure,
        exchange=exchange,
        output=output,
        manual_order_ids=manual_orders,
        open_order_ids=tuple(order.order_id for order in account.open_orders()),
        restored_balances=_restored_balances(exchange),
        initial_balances=initial_balances,
        watch_faults=watcher.faults,
        entries=watcher.entries,
    )


def _restored_balances(exchange: Exchange) -> Mapping[str, Decimal]:
    """The balances with all trades, fees and transfers undone: the initial ones, if no asset was lost."""
    account, audit_log = exchange.account(OWNER), exchange.audit_log
    base_asset, quote_asset = exchange.spec.base_asset, exchange.spec.quote_asset
    restored = {asset: account.balance(asset).total for asset in (base_asset, quote_asset)}
    all_counts = [(side, counts) for (_, side), counts in audit_log.counts_by_kind.items()]
    for side, counts in [*all_counts, *audit_log.manual_counts.items()]:
        sign = 1 if side is Side.SELL else -1
        restored[base_asset] += sign * counts.base
        restored[quote_asset] -= sign * counts.quote
    for asset in restored:
        restored[asset] += audit_log.fees.get(asset, Decimal(0)) + audit_log.manual_fees.get(asset, Decimal(0))
        restored[asset] -= audit_log.transfers.get(asset, Decimal(0))
    return restored

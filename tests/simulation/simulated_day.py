"""One simulated day: the whole daemon and the embedded exchange on a virtual loop, everything from one seed.

The exchange's journal is the judge; the daemon's own state is never asked whether it behaved.
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

from trailingedge.auth.manager import KeyManager
from trailingedge.config import Endpoints, Settings
from trailingedge.core.clock import Clock
from trailingedge.core.errors import ExitCode
from trailingedge.eventlog.format import FrameSink
from trailingedge.eventlog.session_record import RecordedSession, UnrecordedSession, start_recording
from trailingedge.live.factory import Runtime
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
# What an owner's own trade takes off the book expires in match; that is his affair.
ENDED_BY_OTHERS: Final = {OrderStatus.CANCELED, OrderStatus.EXPIRED}
URL: Final = Endpoints("ws://memory/ws-api/v3", "ws://memory")


@dataclass
class CollectedOutput:
    """A face and an alert sink that only remember; `times_s` are those of the alerts, where there is a clock."""

    clock: Clock | None = None
    lines: list[str] = field(default_factory=list)
    alerts: list[tuple[int, str]] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)

    def print_line(self, text: str) -> None:
        self.lines.append(text)

    def show_step(self, name: str, result: str) -> None:
        self.lines.append(f"{name}: {result}")

    def show_status(self, view: StatusView, now_s: float) -> None:
        pass

    def close(self) -> None:
        pass

    def send(self, text: str, level: int = logging.INFO) -> None:
        self.alerts.append((level, text))
        self.times_s.append(self.clock.now_s() if self.clock is not None else 0.0)


class OpenOrderWatcher:
    """Looks at the exchange with each entry of its journal, and keeps them with their second by the inner clock."""

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
    """The bot's open orders, but for those that are there for a moment only: jumpstart and note."""
    return [order for order in account.open_orders() if order.client_order_id.startswith(EXIT_KINDS)]


@dataclass(frozen=True)
class Day:
    """What was left when it was over. `foreign` are the ids of orders placed by hand, `still_open` all open ones.

    `died`: what ended the daemon, where it did not end in good order; `watched`: what was wrong on the way;
    `entries`: the exchange's journal, each with its second.
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
        """Orders of a kind of client order id that were filled to the end."""
        tally = self.audit_log.counts_by_kind.get((f"TE-{kind}", side))
        return tally.filled if tally is not None else 0

    def faults(self) -> list[str]:
        """What must never happen and did."""
        journal = self.audit_log
        wrong = Counter(
            {
                "taker fills": journal.taker_fills,
                "filter refusals": journal.filter_failures,
                "foreign orders cancelled": journal.foreign_cancels,
                "foreign orders gone": len(
                    [each for each in self.manual_order_ids if self.order(each).status in ENDED_BY_OTHERS]
                ),
                "own orders left": len([each for each in self.open_order_ids if not self.order(each).is_manual]),
                "exit code": int(self.code) if self.failure is None else 0,
            }
        )
        said = [*self.watch_faults, *(f"{what}: {count}" for what, count in wrong.items() if count)]
        if self.failure is not None:
            said.append(f"died of {type(self.failure).__name__}: {self.failure}")
        said += [
            f"{asset} not conserved"
            for asset in self.initial_balances
            if self.initial_balances[asset] != self.restored_balances[asset]
        ]
        return said

    def is_complete(self) -> bool:
        """An exit of each side and a flush: only then does the day count."""
        sold = any(self.filled(kind, Side.SELL) for kind in "tmb")
        bought = any(self.filled(kind, Side.BUY) for kind in "tmb")
        return sold and bought and bool(self.filled("f", Side.SELL))


DayScript = Callable[[TradingNode, LoopbackExchange, Clock], Awaitable[None]]


def simulate(
    seed: int,
    hours: float = 2.0,
    *,
    settings: Settings | None = None,
    terms: ExchangeSpec | None = None,
    faults: Faults | None = None,
    tape: TickSource | None = None,
    latency_s: float = 0.05,
    script: DayScript | None = None,
    balances: Mapping[str, Decimal] | None = None,
    lines: FrameSink | None = None,
) -> Day:
    """Run a day. `script` acts beside it: the operator, the owner's hand, the weather. `lines` takes its record."""

    async def live(clock: Clock) -> Day:
        return await _live(seed, hours, clock, settings, terms, faults, tape, latency_s, script, balances, lines)

    return run_virtual(live, start_unix_ms=START_MS)


async def _live(
    seed: int,
    hours: float,
    clock: Clock,
    settings: Settings | None,
    terms: ExchangeSpec | None,
    faults: Faults | None,
    tape: TickSource | None,
    latency_s: float,
    script: DayScript | None,
    balances: Mapping[str, Decimal] | None,
    lines: FrameSink | None,
) -> Day:
    market = tape or GeneratedMarket(seed, START_MS)
    settings = dataclasses.replace(settings or Settings(), symbol=market.symbol)
    terms = (terms or ExchangeSpec()).for_source(market)
    given = balances or {market.base_asset: Decimal(1), market.quote_asset: Decimal(1000)}
    exchange = Exchange(terms, DriftingClock(clock), given, market.history, keep_all=True)
    private_key = Ed25519PrivateKey.from_private_bytes(Random(seed).randbytes(32))
    keys = KeyManager.from_private_key(private_key, exchange.register_key(private_key.public_key()))
    notes, watcher = CollectedOutput(clock), OpenOrderWatcher(exchange, clock)
    foreign: list[int] = []
    async with LoopbackExchange(
        exchange, market, clock, listen=False, faults=faults, chance=Random(seed), latency_s=latency_s
    ) as loopback:
        if not balances:
            foreign.append(_foreign_order(exchange))
        world = Runtime(URL, keys, loopback.connect, clock, Random(seed))
        life: RecordedSession = (
            UnrecordedSession(world) if lines is None else start_recording(settings, world, lines, seed=seed)
        )
        daemon = TradingNode(settings, life.runtime, notes, life.wrap_alerts(notes))

        async def call_it_a_day() -> None:
            await clock.sleep(hours * 3600)
            daemon.stop("the day is over")

        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(call_it_a_day())]
            if script is not None:
                beside.append(tasks.create_task(_quietly(script(daemon, loopback, clock))))
            code, died = ExitCode.UNEXPECTED, None
            try:
                code = await life.run_session(daemon.run)
            except Exception as failure:  # noqa: BLE001 - whatever it was, it is for the judge
                died = failure
            for task in beside:
                task.cancel()
        return _judged(seed, code, died, exchange, notes, watcher, tuple(foreign), given)


async def _quietly(job: Awaitable[None]) -> None:
    await job


def _foreign_order(exchange: Exchange) -> int:
    """An order of the owner's own, far below the market, with most of the quote asset in it."""
    price = (exchange.engine.top().bid / 2).quantize(exchange.spec.tick_size)
    return exchange.manual_trader().place(Side.BUY, price, Decimal("0.7")).order_id


def _judged(
    seed: int,
    code: ExitCode,
    died: Exception | None,
    exchange: Exchange,
    notes: CollectedOutput,
    watcher: OpenOrderWatcher,
    foreign: tuple[int, ...],
    given: Mapping[str, Decimal],
) -> Day:
    account = exchange.account(OWNER)
    return Day(
        seed=seed,
        code=code,
        failure=died,
        exchange=exchange,
        output=notes,
        manual_order_ids=foreign,
        open_order_ids=tuple(order.order_id for order in account.open_orders()),
        restored_balances=_as_given(exchange),
        initial_balances=given,
        watch_faults=watcher.faults,
        entries=watcher.entries,
    )


def _as_given(exchange: Exchange) -> Mapping[str, Decimal]:
    """The balances with all trades and transfers undone: what the account was given, if nothing was lost."""
    account, journal = exchange.account(OWNER), exchange.audit_log
    base_asset, quote_asset = exchange.spec.base_asset, exchange.spec.quote_asset
    worth = {asset: account.balance(asset).total for asset in (base_asset, quote_asset)}
    tallies = [(side, tally) for (_, side), tally in journal.counts_by_kind.items()]
    for side, tally in [*tallies, *journal.manual_counts.items()]:
        sign = 1 if side is Side.SELL else -1
        worth[base_asset] += sign * tally.base
        worth[quote_asset] -= sign * tally.quote
    for asset in worth:
        worth[asset] += journal.fees.get(asset, Decimal(0)) + journal.manual_fees.get(asset, Decimal(0))
        worth[asset] -= journal.transfers.get(asset, Decimal(0))
    return worth

"""One simulated day: the whole daemon and the embedded exchange on a virtual loop, everything from one seed.

The exchange's journal is the judge; the daemon's own state is never asked whether it behaved.
"""

import asyncio
import dataclasses
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from random import Random
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from trailingedge.auth.manager import KeyManager
from trailingedge.clock import Clock
from trailingedge.config import Endpoints, Settings
from trailingedge.daemon import Daemon
from trailingedge.errors import ExitCode
from trailingedge.market import Side
from trailingedge.notifications.status import StatusView
from trailingedge.simulator.exchange import OWNER, Exchange
from trailingedge.simulator.faults import Faults
from trailingedge.simulator.generator import GeneratedMarket
from trailingedge.simulator.journal import Journal
from trailingedge.simulator.server import LoopbackExchange
from trailingedge.simulator.tape import Tape
from trailingedge.simulator.terms import Terms
from trailingedge.simulator.virtual_loop import run_virtual
from trailingedge.wiring import Surroundings

START_MS: Final = 1_783_000_000_000
URL: Final = Endpoints("ws://memory/ws-api/v3", "ws://memory")


@dataclass
class Notes:
    """A face and an alert sink that only remember."""

    lines: list[str] = field(default_factory=list)
    alerts: list[tuple[int, str]] = field(default_factory=list)

    def line(self, text: str) -> None:
        self.lines.append(text)

    def step(self, name: str, result: str) -> None:
        self.lines.append(f"{name}: {result}")

    def show(self, view: StatusView, now_s: float) -> None:
        pass

    def close(self) -> None:
        pass

    def send(self, text: str, level: int = logging.INFO) -> None:
        self.alerts.append((level, text))


@dataclass(frozen=True)
class Day:
    """What was left when it was over. `foreign` are the ids of orders placed by hand, `still_open` all open ones."""

    seed: int
    code: ExitCode
    exchange: Exchange
    notes: Notes
    foreign: tuple[int, ...]
    still_open: tuple[int, ...]
    worth: Mapping[str, Decimal]
    given: Mapping[str, Decimal]

    @property
    def journal(self) -> Journal:
        return self.exchange.journal

    def filled(self, kind: str, side: Side) -> int:
        """Orders of a kind of client order id that were filled to the end."""
        tally = self.journal.tallies.get((f"TE-{kind}", side))
        return tally.filled if tally is not None else 0

    def faults(self) -> list[str]:
        """What must never happen and did."""
        journal = self.journal
        wrong = Counter(
            {
                "taker fills": journal.taker_fills,
                "filter refusals": journal.filter_refusals,
                "foreign orders cancelled": journal.foreign_cancels,
                "foreign orders gone": len(set(self.foreign) - set(self.still_open)),
                "own orders left": len(set(self.still_open) - set(self.foreign)),
                "more than one own order open": max(0, journal.most_open_orders - 1),
                "exit code": int(self.code),
            }
        )
        said = [f"{what}: {count}" for what, count in wrong.items() if count]
        said += [f"{asset} not conserved" for asset in self.given if self.given[asset] != self.worth[asset]]
        return said

    def complete(self) -> bool:
        """An exit of each side and a flush: only then does the day count."""
        sold = any(self.filled(kind, Side.SELL) for kind in "tmb")
        bought = any(self.filled(kind, Side.BUY) for kind in "tmb")
        return sold and bought and bool(self.filled("f", Side.SELL))


Script = Callable[[Daemon, LoopbackExchange, Clock], Awaitable[None]]


def simulate(
    seed: int,
    hours: float = 2.0,
    *,
    settings: Settings | None = None,
    terms: Terms | None = None,
    faults: Faults | None = None,
    tape: Tape | None = None,
    latency_s: float = 0.05,
    script: Script | None = None,
    balances: Mapping[str, Decimal] | None = None,
) -> Day:
    """Run a day. `script` acts beside it: the operator, the owner's hand, the weather."""

    async def live(clock: Clock) -> Day:
        return await _live(seed, hours, clock, settings, terms, faults, tape, latency_s, script, balances)

    return run_virtual(live, start_unix_ms=START_MS)


async def _live(
    seed: int,
    hours: float,
    clock: Clock,
    settings: Settings | None,
    terms: Terms | None,
    faults: Faults | None,
    tape: Tape | None,
    latency_s: float,
    script: Script | None,
    balances: Mapping[str, Decimal] | None,
) -> Day:
    market = tape or GeneratedMarket(seed, START_MS)
    settings = dataclasses.replace(settings or Settings(), symbol=market.symbol)
    terms = (terms or Terms()).of_tape(market)
    given = balances or {market.base_asset: Decimal(1), market.quote_asset: Decimal(1000)}
    exchange = Exchange(terms, clock, given, market.history, keep_all=True)
    private_key = Ed25519PrivateKey.from_private_bytes(Random(seed).randbytes(32))
    keys = KeyManager.from_private_key(private_key, exchange.register_key(private_key.public_key()))
    notes = Notes()
    foreign: list[int] = []
    async with LoopbackExchange(
        exchange, market, clock, listen=False, faults=faults, chance=Random(seed), latency_s=latency_s
    ) as loopback:
        if not balances:
            foreign.append(_foreign_order(exchange))
        daemon = Daemon(settings, Surroundings(URL, keys, loopback.connect, clock, Random(seed)), notes, notes)

        async def call_it_a_day() -> None:
            await clock.sleep(hours * 3600)
            daemon.stop("the day is over")

        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(call_it_a_day())]
            if script is not None:
                beside.append(tasks.create_task(_quietly(script(daemon, loopback, clock))))
            code = await daemon.run()
            for task in beside:
                task.cancel()
        return _judged(seed, code, exchange, notes, tuple(foreign), given)


async def _quietly(job: Awaitable[None]) -> None:
    await job


def _foreign_order(exchange: Exchange) -> int:
    """An order of the owner's own, far below the market, with most of the quote asset in it."""
    price = (exchange.engine.top().bid / 2).quantize(exchange.terms.tick_size)
    return exchange.by_hand().place(Side.BUY, price, Decimal("0.7")).order_id


def _judged(
    seed: int, code: ExitCode, exchange: Exchange, notes: Notes, foreign: tuple[int, ...], given: Mapping[str, Decimal]
) -> Day:
    account = exchange.account(OWNER)
    return Day(
        seed=seed,
        code=code,
        exchange=exchange,
        notes=notes,
        foreign=foreign,
        still_open=tuple(order.order_id for order in account.open_orders()),
        worth=_as_given(exchange),
        given=given,
    )


def _as_given(exchange: Exchange) -> Mapping[str, Decimal]:
    """The balances with all trades undone: what the account was given, if nothing was lost on the way."""
    account = exchange.account(OWNER)
    base_asset, quote_asset = exchange.terms.base_asset, exchange.terms.quote_asset
    base, quote = (account.balance(asset).total for asset in (base_asset, quote_asset))
    for (_, side), tally in exchange.journal.tallies.items():
        sign = 1 if side is Side.SELL else -1
        base += sign * tally.base
        quote -= sign * tally.quote
    base += exchange.journal.fees.get(base_asset, Decimal(0))
    quote += exchange.journal.fees.get(quote_asset, Decimal(0))
    return {base_asset: base, quote_asset: quote}

"""Lives that end abruptly: a session is killed, a fresh one starts on the same account, and a twin lives on.

Market and operator are the same for both, so that what the fresh daemon remembers can be held against what
the twin never forgot.
"""

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from random import Random
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.simulation.simulated_day import START_MS, URL, CollectedOutput

from trailingedge.auth.manager import KeyManager
from trailingedge.config import Settings
from trailingedge.core.clock import Clock
from trailingedge.live.factory import Runtime
from trailingedge.live.trading_node import TradingNode
from trailingedge.model.market import Regime
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.simulator.exchange import OWNER, Exchange
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.feeds.generated import GeneratedMarket
from trailingedge.simulator.server import LoopbackExchange
from trailingedge.simulator.virtual_loop import run_virtual
from trailingedge.strategy.regime import price_at
from trailingedge.strategy.state import StrategyState

SAMPLE_EVERY_S: Final = 0.05
READY_WITHIN_S: Final = 30.0
TICK: Final = 0.0101
BALANCES: Final = {"ETH": Decimal(1), "FDUSD": Decimal(40)}


@dataclass(frozen=True, slots=True)
class StateSample:
    """What a daemon remembered at one moment. `noted`: no anchor was waiting to be written down."""

    now_s: float
    market_ms: int
    state: StrategyState
    anchor_saved: bool


@dataclass
class StateHistory:
    """One daemon's glances, oldest first."""

    samples: list[StateSample] = field(default_factory=list)

    def at(self, now_s: float) -> StateSample:
        """The last glance not after that moment."""
        return self.samples[bisect_right([glance.now_s for glance in self.samples], now_s) - 1]

    def exits(self, now_s: float) -> bool:
        """Whether an exit was in progress at that moment or within a second of it."""
        return any(abs(glance.now_s - now_s) <= 1.0 and glance.state.exit is not None for glance in self.samples)


@dataclass(frozen=True)
class RestartOutcome:
    """A fresh daemon's first glance after it was ready, a little later, and what was filled while nobody lived."""

    ready: StateSample
    later: StateSample
    filled_while_down: bool


def operator_commands(seed: int, hours: float) -> list[tuple[float, OperatorCommand]]:
    """When the operator lays hands on it, at market minutes of no meaning."""
    chance = Random(f"presses {seed}")
    times = sorted(chance.uniform(60, hours * 3600) for _ in range(round(4 * hours)))
    return [
        (time_s, chance.choice([OperatorCommand.FLIP, OperatorCommand.FLIP, OperatorCommand.CANCEL]))
        for time_s in times
    ]


def run_uninterrupted(seed: int, hours: float) -> StateHistory:
    """The twin that nobody kills."""
    life = StateHistory()

    async def live(clock: Clock, start: Callable[[], TradingNode], _: Exchange) -> None:
        await _one_life(clock, start(), seed, hours, hours * 3600, life)

    _on_an_exchange(seed, live)
    return life


def run_killed(seed: int, hours: float, kill_s: float, dead_s: float) -> RestartOutcome:
    """A life that is killed at that moment, and the next one, which begins so many seconds later."""
    back: list[RestartOutcome] = []

    async def live(clock: Clock, start: Callable[[], TradingNode], exchange: Exchange) -> None:
        await _one_life(clock, start(), seed, hours, kill_s, StateHistory())
        fills = len(exchange.account(OWNER).trades)
        await clock.sleep(dead_s)
        back.append(await _come_back(clock, start(), exchange, fills))

    _on_an_exchange(seed, live)
    return back[0]


SimulatedRun = Callable[[Clock, Callable[[], TradingNode], Exchange], Awaitable[None]]


def _on_an_exchange(seed: int, live: SimulatedRun) -> None:
    async def main(clock: Clock) -> None:
        market = GeneratedMarket(seed, START_MS)
        exchange = Exchange(ExchangeSpec().for_source(market), clock, BALANCES, market.history, keep_all=True)
        private_key = Ed25519PrivateKey.from_private_bytes(Random(seed).randbytes(32))
        keys = KeyManager.from_private_key(private_key, exchange.register_key(private_key.public_key()))
        settings = replace(Settings(), symbol=market.symbol)
        async with LoopbackExchange(
            exchange, market, clock, listen=False, chance=Random(seed), latency_s=0.02
        ) as loopback:

            def start() -> TradingNode:
                notes = CollectedOutput(clock)
                return TradingNode(settings, Runtime(URL, keys, loopback.connect, clock, Random(seed)), notes, notes)

            await live(clock, start, exchange)

    run_virtual(main, start_unix_ms=START_MS)


async def _one_life(
    clock: Clock, daemon: TradingNode, seed: int, hours: float, until_s: float, life: StateHistory
) -> None:
    """Live, watched and with an operator, until the moment at which all of it just stops."""
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(_ignoring_the_end(daemon))
        pressing = tasks.create_task(_operate(clock, daemon, operator_commands(seed, hours)))
        while clock.now_s() < until_s:
            await clock.sleep(min(SAMPLE_EVERY_S, until_s - clock.now_s()))
            _glance(clock, daemon, life)
        pressing.cancel()
        running.cancel()


async def _ignoring_the_end(daemon: TradingNode) -> None:
    await daemon.run()


async def _operate(clock: Clock, daemon: TradingNode, what: Sequence[tuple[float, OperatorCommand]]) -> None:
    for time_s, instruction in what:
        await clock.sleep(max(0.0, time_s - clock.now_s()))
        daemon.submit(instruction)


async def _come_back(clock: Clock, daemon: TradingNode, exchange: Exchange, fills: int) -> RestartOutcome:
    life = StateHistory()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(_ignoring_the_end(daemon))
        deadline_s = clock.now_s() + READY_WITHIN_S
        while not _glance(clock, daemon, life) and clock.now_s() < deadline_s:
            await clock.sleep(0.001)
        filled = len(exchange.account(OWNER).trades) > fills
        ready = life.samples[0]
        await clock.sleep(SAMPLE_EVERY_S)
        _glance(clock, daemon, life)
        running.cancel()
    return RestartOutcome(ready, life.samples[-1], filled)


def _glance(clock: Clock, daemon: TradingNode, life: StateHistory) -> bool:
    desk = daemon.services
    if desk is None or desk.core.decision is None or desk.core.state.funded is None:
        return False
    noted = not daemon.anchor_marker_pending
    life.samples.append(StateSample(clock.now_s(), desk.market_ms(), desk.core.state, noted))
    return True


def price_uncertainty(seed: int, regime: Regime, from_ms: int, until_ms: int) -> float:
    """How far klines can be from the book between two moments: the widest spread, or what no trade told of."""
    widest, best, traded = 0.0, None, None
    sign = 1 if regime is Regime.BASE else -1
    for tick in GeneratedMarket(seed, START_MS):
        if tick.time_ms > until_ms:
            break
        spread = float(tick.ask - tick.bid)
        if tick.time_ms < from_ms:
            widest = spread
            continue
        widest = max(widest, spread)
        ours = sign * float(tick.bid if regime is Regime.BASE else tick.ask)
        best = ours if best is None else max(best, ours)
        if tick.aggressor is not None:
            last = sign * float(tick.last_price)
            traded = last if traded is None else max(traded, last)
    untold = best - traded if best is not None and traded is not None else 0.0
    return max(widest, untold)


@dataclass(frozen=True)
class RestartReport:
    """What became of one seed's lives: how many could be compared, and what was wrong."""

    seed: int
    compared: int
    in_exits: int
    problems: list[str]


def compare_restarts(seed: int, hours: float = 0.8, deaths: int = 4) -> RestartReport:
    """A whole life, and the same life cut off at some moments, half of them in the middle of an exit."""
    twin = run_uninterrupted(seed, hours)
    chance = Random(f"deaths {seed}")
    exiting = [glance for glance in twin.samples if glance.state.exit is not None]
    wrong: list[str] = []
    compared = in_exits = 0
    for number in range(deaths):
        glance = chance.choice(exiting if exiting and number % 2 else twin.samples)
        kill_s, dead_s = glance.now_s + chance.uniform(0.0, SAMPLE_EVERY_S), chance.choice([0.2, 1.0, 5.0, 20.0])
        back = run_killed(seed, hours, kill_s, dead_s)
        before, then = twin.at(kill_s), twin.at(back.ready.now_s)
        where = f"seed {seed}, killed at {kill_s:.3f} s, back after {dead_s} s: "
        if not before.anchor_saved or back.filled_while_down or _mind(before.state) != _mind(then.state):
            continue  # what was not written down yet is lost, and what happened meanwhile happened to one alone
        compared += 1
        in_exits += before.state.exit is not None
        if _mind(back.ready.state) != _mind(then.state):
            wrong.append(f"{where}{_mind(back.ready.state)}, not {_mind(then.state)}")
            continue
        regime, since_ms = then.state.regime or Regime.BASE, then.state.anchor_ms
        high = high_price(back.ready.state)
        # The last tick may have reached one of them only.
        twins = (then, twin.at(back.ready.now_s + 2 * SAMPLE_EVERY_S))
        apart = min(abs(high - high_price(glance.state)) for glance in twins)
        allowed = price_uncertainty(seed, regime, since_ms, then.market_ms) + TICK
        if apart > allowed:
            wrong.append(f"{where}high is {apart:.4f} off, {allowed:.4f} allowed")
        begun = back.later.state.exit
        if begun is not None and before.state.exit is None and not twin.exits(back.ready.now_s):
            wrong.append(f"{where}an exit that the twin did not make: {begun}")
    return RestartReport(seed, compared, in_exits, wrong)


def _mind(memory: StrategyState) -> tuple[object, ...]:
    """What must be the same, in a form that can be compared: times of our own are not."""
    held, gate = memory.exit, memory.gate
    return (
        memory.regime,
        memory.phase,
        None if held is None else (held.kind, held.side, held.number, held.ending),
        None if gate is None else (gate.shut_by, round(gate.price, 6)),
        round(memory.anchor, 12),
    )


def high_price(memory: StrategyState) -> float:
    return price_at(memory.regime or Regime.BASE, memory.high)

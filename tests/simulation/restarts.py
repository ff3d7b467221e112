"""Restart simulation: a daemon is killed, a new one starts on the same account, and a reference was never killed.

All three see the same market and operator commands, so the state that the new daemon rebuilds from the account's
history can be compared with the state that the reference kept in memory.
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
from tests.tight_settings import TIGHT

from trailingedge.auth.manager import KeyManager
from trailingedge.config import Settings
from trailingedge.core.clock import Clock
from trailingedge.live.factory import node_params
from trailingedge.live.node_builder import build_node
from trailingedge.live.node_dependencies import Runtime
from trailingedge.live.trading_node import TradingNode
from trailingedge.model.market import Regime
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.model.trigger_mode import TriggerOn
from trailingedge.simulator.exchange import OWNER, Exchange
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.feeds.generated import GeneratedMarket
from trailingedge.simulator.server import LoopbackExchange
from trailingedge.simulator.virtual_loop import run_virtual
from trailingedge.strategy.state import StrategyState
from trailingedge.strategy.unit_value import price_at

SAMPLE_EVERY_S: Final = 0.2
READY_WITHIN_S: Final = 30.0
TICK: Final = 0.0101
BREACH_MS: Final = 10_000  # a kline shows trades, which come some seconds after the bid
BALANCES: Final = {"ETH": Decimal(1), "FDUSD": Decimal(40)}


@dataclass(frozen=True, slots=True)
class StateSample:
    """A daemon's strategy state at one time. `anchor_saved`: no anchor marker was waiting to be placed."""

    now_s: float
    market_ms: int
    state: StrategyState
    anchor_saved: bool


@dataclass
class StateHistory:
    """The samples of one daemon, oldest first."""

    samples: list[StateSample] = field(default_factory=list)

    def at(self, now_s: float) -> StateSample:
        """The newest sample at or before that time."""
        return self.samples[bisect_right([sample.now_s for sample in self.samples], now_s) - 1]

    def exits(self, now_s: float) -> bool:
        """Whether an exit was in progress within a second of that time."""
        return any(abs(sample.now_s - now_s) <= 1.0 and sample.state.exit is not None for sample in self.samples)


@dataclass(frozen=True)
class RestartOutcome:
    """The new daemon's first sample, one a little later, and whether an order filled while no daemon ran."""

    ready: StateSample
    later: StateSample
    filled_while_down: bool


def operator_commands(seed: int, hours: float) -> list[tuple[float, OperatorCommand]]:
    """Random operator commands, each with its time."""
    chance = Random(f"presses {seed}")
    times = sorted(chance.uniform(60, hours * 3600) for _ in range(round(4 * hours)))
    return [
        (time_s, chance.choice([OperatorCommand.FLIP, OperatorCommand.FLIP, OperatorCommand.CANCEL]))
        for time_s in times
    ]


def run_uninterrupted(seed: int, hours: float, settings: Settings) -> StateHistory:
    """The history of the reference: the daemon that is never killed."""
    history = StateHistory()

    async def run(clock: Clock, start: Callable[[], TradingNode], _: Exchange) -> None:
        await _run_until(clock, start(), seed, hours, hours * 3600, history)

    _with_exchange(seed, settings, run)
    return history


def run_killed(seed: int, hours: float, settings: Settings, kill_s: float, down_s: float) -> RestartOutcome:
    """Kill a daemon at `kill_s`, start a new one `down_s` seconds later, and sample that one."""
    restarted: list[RestartOutcome] = []

    async def run(clock: Clock, start: Callable[[], TradingNode], exchange: Exchange) -> None:
        await _run_until(clock, start(), seed, hours, kill_s)
        fills = len(exchange.account(OWNER).trades)
        await clock.sleep(down_s)
        restarted.append(await _restart(clock, start(), exchange, fills))

    _with_exchange(seed, settings, run)
    return restarted[0]


SimulatedRun = Callable[[Clock, Callable[[], TradingNode], Exchange], Awaitable[None]]


def _with_exchange(seed: int, settings: Settings, run: SimulatedRun) -> None:
    async def main(clock: Clock) -> None:
        market = GeneratedMarket(seed, START_MS)
        exchange = Exchange(ExchangeSpec().for_source(market), clock, BALANCES, market.history, keep_all=True)
        private_key = Ed25519PrivateKey.from_private_bytes(Random(seed).randbytes(32))
        keys = KeyManager.from_private_key(private_key, exchange.register_key(private_key.public_key()))
        async with LoopbackExchange(
            exchange, market, clock, listen=False, chance=Random(seed), latency_s=0.02
        ) as loopback:

            def start() -> TradingNode:
                notes = CollectedOutput(clock)
                return build_node(
                    node_params(replace(settings, symbol=market.symbol)),
                    Runtime(URL, keys, loopback.connect, clock, Random(seed)),
                    notes,
                    notes,
                )

            await run(clock, start, exchange)

    run_virtual(main, start_unix_ms=START_MS)


async def _run_until(
    clock: Clock, node: TradingNode, seed: int, hours: float, until_s: float, history: StateHistory | None = None
) -> None:
    """Run a daemon with its operator until `until_s`, then cancel it without a shutdown; take samples for a history."""
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(_run_node(node))
        operating = tasks.create_task(_operate(clock, node, operator_commands(seed, hours)))
        while clock.now_s() < until_s:
            left_s = until_s - clock.now_s()
            await clock.sleep(left_s if history is None else min(SAMPLE_EVERY_S, left_s))
            if history is not None:
                _take_sample(clock, node, history)
        operating.cancel()
        running.cancel()


async def _run_node(node: TradingNode) -> None:
    await node.run()


async def _operate(clock: Clock, node: TradingNode, what: Sequence[tuple[float, OperatorCommand]]) -> None:
    for time_s, command in what:
        await clock.sleep(max(0.0, time_s - clock.now_s()))
        node.submit(command)


async def _restart(clock: Clock, node: TradingNode, exchange: Exchange, fills: int) -> RestartOutcome:
    history = StateHistory()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(_run_node(node))
        deadline_s = clock.now_s() + READY_WITHIN_S
        while not _take_sample(clock, node, history) and clock.now_s() < deadline_s:
            await clock.sleep(0.001)
        filled = len(exchange.account(OWNER).trades) > fills
        ready = history.samples[0]
        await clock.sleep(SAMPLE_EVERY_S)
        _take_sample(clock, node, history)
        running.cancel()
    return RestartOutcome(ready, history.samples[-1], filled)


def _take_sample(clock: Clock, node: TradingNode, history: StateHistory) -> bool:
    desk = node.services
    if desk is None or desk.core.decision is None or desk.core.state.funded is None:
        return False
    anchor_saved = not node.anchor_marker_pending
    history.samples.append(StateSample(clock.now_s(), desk.market_ms, desk.core.state, anchor_saved))
    return True


def price_uncertainty(seed: int, regime: Regime, from_ms: int, until_ms: int) -> float:
    """How far the klines can be from the best prices of a span: a restart knows only klines.

    It is the widest spread, or how far the best price went beyond the last price that traded.
    """
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
        price_seen = sign * float(tick.bid if regime is Regime.BASE else tick.ask)
        best = price_seen if best is None else max(best, price_seen)
        if tick.aggressor is not None:
            last = sign * float(tick.last_price)
            traded = last if traded is None else max(traded, last)
    untraded = best - traded if best is not None and traded is not None else 0.0
    return max(widest, untraded)


@dataclass(frozen=True)
class RestartReport:
    """The comparisons of one seed: how many, how many during an exit and at the hard stop; and the problems found."""

    seed: int
    compared: int
    in_exits: int
    breaches: int
    problems: list[str]


def compare_restarts(seed: int, hours: float = 0.8, kills: int = 4, settings: Settings | None = None) -> RestartReport:
    """Kill and restart a daemon at several times, half of them during an exit, and compare it with the reference.

    One time, if there is such a time, it is killed while the price has been at the hard stop for a while.
    """
    settings = TIGHT if settings is None else settings
    reference = run_uninterrupted(seed, hours, settings)
    chance = Random(f"deaths {seed}")
    exiting = [sample for sample in reference.samples if sample.state.exit is not None]
    breaching = [sample for sample in reference.samples if _breach_lasts(sample)]
    problems: list[str] = []
    compared = in_exits = breaches = 0
    for number in range(kills):
        sample = chance.choice(exiting if exiting and number % 2 else reference.samples)
        if number == 2 and breaching:
            sample = chance.choice(breaching)
        kill_s, down_s = sample.now_s + chance.uniform(0.0, SAMPLE_EVERY_S), chance.choice([0.2, 1.0, 5.0, 20.0])
        restarted = run_killed(seed, hours, settings, kill_s, down_s)
        before, expected = reference.at(kill_s), reference.at(restarted.ready.now_s)
        where = f"seed {seed}, killed at {kill_s:.3f} s, back after {down_s} s: "
        unchanged = _comparable(before.state) == _comparable(expected.state)
        if not before.anchor_saved or restarted.filled_while_down or not unchanged:
            # Not comparable: an anchor that was not saved yet is lost, and an event while the daemon was down
            # happened to the reference alone.
            continue
        compared += 1
        in_exits += before.state.exit is not None
        if _comparable(restarted.ready.state) != _comparable(expected.state):
            problems.append(f"{where}{_comparable(restarted.ready.state)}, not {_comparable(expected.state)}")
            continue
        regime, since_ms = expected.state.regime or Regime.BASE, expected.state.anchor_ms
        high = high_price(restarted.ready.state)
        # The newest tick may have reached only one of the two.
        candidates = (expected, reference.at(restarted.ready.now_s + 2 * SAMPLE_EVERY_S))
        difference = min(abs(high - high_price(sample.state)) for sample in candidates)
        allowed = 1e-6  # closes are the same for both
        if settings.trigger_on is TriggerOn.TICK:
            allowed = price_uncertainty(seed, regime, since_ms, expected.market_ms) + TICK
        if difference > allowed:
            problems.append(f"{where}high is {difference:.4f} off, {allowed:.4f} allowed")
        if _breach_lasts(expected):
            breaches += 1
            breach_ms, found_ms = (each.state.stop_breach_since_ms for each in (expected, restarted.ready))
            if breach_ms is None or found_ms is None or abs(found_ms - breach_ms) > BREACH_MS:
                problems.append(f"{where}at the hard stop since {found_ms}, not {breach_ms}")
        exit_begun = restarted.later.state.exit
        if exit_begun is not None and before.state.exit is None and not reference.exits(restarted.ready.now_s):
            problems.append(f"{where}an exit that the reference did not make: {exit_begun}")
    return RestartReport(seed, compared, in_exits, breaches, problems)


def _breach_lasts(sample: StateSample) -> bool:
    """Whether the price has been at the hard stop for half a minute."""
    since_ms = sample.state.stop_breach_since_ms
    return since_ms is not None and sample.state.exit is None and sample.market_ms - since_ms > 30_000


def _comparable(state: StrategyState) -> tuple[object, ...]:
    """The parts of the state that must be equal; those with the daemon's own times are left out."""
    exit_, gate = state.exit, state.gate
    return (
        state.regime,
        state.phase,
        None if exit_ is None else (exit_.kind, exit_.side, exit_.number, exit_.ending),
        None if gate is None else (gate.shut_by, round(gate.price, 6)),
        round(state.anchor, 12),
    )


def high_price(state: StrategyState) -> float:
    return price_at(state.regime or Regime.BASE, state.high)

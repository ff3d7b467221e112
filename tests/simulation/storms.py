"""Storms: simulated days with random faults. Nothing may break during one, and the daemon must recover after it.

The exchange's audit log and balances decide what went wrong. The daemon's own state is read only after the faults
have stopped, and only to be compared with them.
`python -m tests.simulation.storms SEED` replays one storm and prints its timeline; `FIRST-LAST` runs many.
"""

import logging
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from multiprocessing import get_context
from random import Random
from typing import Final

from tests.processes import guard_this_process
from tests.simulation.fault_schedule import FaultSchedule
from tests.simulation.simulated_day import Day, open_exits, simulate
from tests.tight_settings import TIGHT

from trailingedge.config import Settings
from trailingedge.core.clock import Clock
from trailingedge.eventlog.format import LineSink
from trailingedge.live.trading_node import TradingNode
from trailingedge.model.market import Side
from trailingedge.model.pricing_mode import Pricing
from trailingedge.simulator.errors import DUPLICATE_ORDER
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.server import LoopbackExchange

STORM_S: Final = 1500.0
CALM_S: Final = 60.0
BACK_WITHIN_S: Final = 10.0
POLL_EVERY_S: Final = 0.25
RULES_READ_EVERY_S: Final = 60.0  # how often a daemon reads the rules of a symbol that does not trade
SILENCE_DETECTED_S: Final = 75.0  # the interval of the account probe and its timeout: when silence is noticed
REQUEST_TIMEOUT_S: Final = 11.0  # a request lost right before the end must time out first; then time to log on


@dataclass(frozen=True)
class StormResult:
    """The outcome of one storm. `faults` must be empty; the rest helps to find out why it is not.

    `timeline` lists faults, log records, alerts and the exchange's audit log, each with its second.
    """

    seed: int
    faults: list[str]
    replay_command: str
    timeline: list[str] = field(
        default_factory=list
    )  # weather, alerts and the exchange's journal, each with its second
    counts: dict[str, int] = field(default_factory=dict)
    digest: str = ""


class WarningCollector(logging.Handler):
    """Collects the daemon's log records of WARNING and above. One with an exception is a fault: none is expected."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.faults: list[str] = []
        self.schedule: FaultSchedule | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self.schedule is not None:
            self.schedule.log_event(f"{record.levelname} {record.getMessage()[:200]}")
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            self.faults.append(f"logged: {record.getMessage()[:200]} ({type(error).__name__}: {error})")


@dataclass
class ScriptOutcome:
    """What the script of a storm leaves: its fault schedule, and what the checks after it found."""

    schedule: FaultSchedule
    faults: list[str] = field(default_factory=list)


def settings_of_seed(seed: int, base: Settings) -> tuple[Settings, ExchangeSpec]:
    """The daemon's settings, which are `base` but for a few, and the exchange's fee for a seed."""
    chance = Random(f"settings {seed}")
    settings = replace(
        base,
        exit_pricing=chance.choice((Pricing.IMPROVE, Pricing.IMPROVE, Pricing.OPPOSITE, Pricing.JOIN)),
        hard_stop_pricing=chance.choice((Pricing.OPPOSITE, Pricing.IMPROVE)),
        reconnect_max_sec=chance.choice((5.0, 20.0, 60.0)),
    )
    return settings, replace(ExchangeSpec(), maker_fee=Decimal(chance.choice(("0", "0", "0.0002"))))


def run_storm(
    seed: int, storm_s: float = STORM_S, lines: LineSink | None = None, *, defaults: bool = False
) -> StormResult:
    """Run the storm of a seed, with the tight settings or with the `defaults`. `lines` receives the session record."""
    settings, spec = settings_of_seed(seed, Settings() if defaults else TIGHT)
    outcomes: list[ScriptOutcome] = []

    async def script(node: TradingNode, loopback: LoopbackExchange, clock: Clock) -> None:
        schedule = FaultSchedule(seed, node, loopback, clock, Random(f"storm {seed}"))
        outcome = ScriptOutcome(schedule)
        outcomes.append(outcome)
        warnings.schedule = schedule
        await clock.sleep(30.0)
        await schedule.run(storm_s)
        outcome.faults += await check_recovery(schedule, settings)
        # A ban may outlast all that: nothing could be cancelled at the end of the day.
        await clock.sleep(max(0.0, blocked_for_s(schedule)) + CALM_S)
        outcome.faults += await check_balances(schedule)
        node.stop("the storm is over")

    with collecting_warnings() as warnings:
        day = simulate(seed, 24.0, settings=settings, spec=spec, script=script, lines=lines)
    schedule = outcomes[0].schedule
    return StormResult(
        seed=seed,
        faults=[*outcomes[0].faults, *final_faults(day), *warnings.faults],
        replay_command=f"uv run python -m tests.simulation.storms {seed}{' --defaults' if defaults else ''}",
        timeline=timeline_of(schedule, day),
        counts=dict(day.audit_log.requests),
        digest=day.audit_log.digest,
    )


def timeline_of(schedule: FaultSchedule, day: Day) -> list[str]:
    """Everything that happened, by the virtual loop's clock (the exchange's own clock may have been stepped)."""
    said = [(second, what) for second, what in schedule.events]
    said += [(second, f"! {text}") for second, (_, text) in zip(day.output.times_s, day.output.alerts, strict=True)]
    said += [(second, f"= {what}") for second, what in day.entries]
    return [f"{second:9.3f} {what}" for second, what in sorted(said, key=lambda each: each[0])]


@contextmanager
def collecting_warnings() -> Iterator[WarningCollector]:
    """Collect the daemon's warnings within the block."""
    handler, logger = WarningCollector(), logging.getLogger("trailingedge")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(level or logging.WARNING)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


async def check_recovery(schedule: FaultSchedule, settings: Settings) -> list[str]:
    """Wait until the daemon is back after the faults: first connected, then with its order at the best price."""
    clock, exchange = schedule.clock, schedule.exchange
    calm_s = clock.now_s()
    until_s = calm_s + max_disconnected_s(schedule, settings)
    while not is_connected(schedule.node, settings, clock.now_s()):
        if clock.now_s() > until_s:
            return [f"not reconnected {clock.now_s() - calm_s:.0f} s after the storm"]
        await clock.sleep(POLL_EVERY_S)
    until_s = clock.now_s() + max_paused_s(schedule) + BACK_WITHIN_S
    while (missing := misplaced_order(schedule.node, exchange)) is not None:
        if clock.now_s() > until_s:
            return [f"{clock.now_s() - calm_s:.0f} s after the storm: {missing}"]
        await clock.sleep(POLL_EVERY_S)
    return []


def max_disconnected_s(schedule: FaultSchedule, settings: Settings) -> float:
    """How long reconnecting may take: backoff or Retry-After, and the time until silence is noticed."""
    silent_s = max(0.0, schedule.silent_since_s + SILENCE_DETECTED_S - schedule.clock.now_s())
    return max(settings.reconnect_max_sec, blocked_for_s(schedule)) + silent_s + REQUEST_TIMEOUT_S


def blocked_for_s(schedule: FaultSchedule) -> float:
    """How long the exchange still refuses requests: by its own clock, or by ours when the block was announced."""
    exchange = schedule.exchange
    by_its_clock_s = (exchange.weight_limiter.blocked_until_ms - exchange.clock.unix_ms()) / 1000
    return max(by_its_clock_s, schedule.blocked_until_s - schedule.clock.now_s())


def max_paused_s(schedule: FaultSchedule) -> float:
    """How long a connected daemon may still have to wait: for the symbol to trade, or for an event that was lost."""
    now_s = schedule.clock.now_s()
    halted_s, silent_s = (
        schedule.status_changed_s + RULES_READ_EVERY_S - now_s,
        schedule.silent_since_s + SILENCE_DETECTED_S - now_s,
    )
    return max(0.0, halted_s, silent_s, blocked_for_s(schedule))


def is_connected(node: TradingNode, settings: Settings, now_s: float) -> bool:
    """Whether the daemon considers its account connection working and its market data fresh."""
    snapshots = node.market_state
    return snapshots.account_proven and now_s - snapshots.top_confirmed_s < settings.stale_after_sec


def misplaced_order(node: TradingNode, exchange: Exchange) -> str | None:
    """What is still wrong after the storm: an order away from the best price, or a state that the account belies."""
    desk = node.services
    if desk is None or desk.core.decision is None:
        return "nothing is decided"
    if desk.core.halted:
        return "halted"
    ours, phase = open_exits(exchange.account()), desk.core.decision.phase.name
    top = exchange.top()
    for order in ours:
        if order.price != top.best(order.side):
            return f"{order.client_order_id} rests at {order.price}, the book is {top.bid} to {top.ask}"
    if ours and phase not in {"EXITING", "FLUSHING"}:
        return f"{phase}, and {ours[0].client_order_id} is open"
    if not ours and phase in {"EXITING", "FLUSHING"}:
        return f"{phase} without an order"
    return state_mismatch(node, exchange)


def state_mismatch(node: TradingNode, exchange: Exchange) -> str | None:
    """How the daemon's regime or phase contradicts the account's balances; None if it does not."""
    desk, account, spec, top = node.services, exchange.account(), exchange.spec, exchange.top()
    if desk is None or desk.core.decision is None:
        return None
    foreign = [order for order in account.open_orders() if order not in open_exits(account)]
    locked = {side: sum((o.locked for o in foreign if o.side is side), Decimal(0)) for side in Side}
    base = account.balance(spec.base_asset).total - locked[Side.SELL]
    quote = account.balance(spec.quote_asset).total - locked[Side.BUY]
    margin = Decimal("1.05")  # close to the minimum notional either answer is right
    sellable, buyable = (worth > spec.min_notional * margin for worth in (base * top.bid, quote))
    decision = desk.core.decision
    held = decision.regime.name if decision.regime is not None else "NONE"
    if decision.phase.name == "UNFUNDED":
        return f"UNFUNDED with {base} and {quote}" if sellable or buyable else None
    if (held == "BASE" and buyable and base * top.bid * margin < spec.min_notional) or (
        held == "QUOTE" and sellable and quote * margin < spec.min_notional
    ):
        return f"regime {held} with {base} and {quote}"
    return None


async def check_balances(schedule: FaultSchedule) -> list[str]:
    """After a minute without faults, the daemon's balances must be the exchange's."""
    account, spec = schedule.exchange.account(), schedule.exchange.spec
    wrong: list[str] = []
    for _ in range(40):
        believed = schedule.node.market_state.balances
        wrong = [
            f"the bot believes {believed.get(asset)}, the exchange says {account.balance(asset)}"
            for asset in (spec.base_asset, spec.quote_asset)
            if believed.get(asset) != account.balance(asset)
        ]
        if not wrong:
            break
        await schedule.clock.sleep(POLL_EVERY_S)
    return wrong


def final_faults(day: Day) -> Iterator[str]:
    """The faults found at the end of the day."""
    yield from day.faults()
    wrong = {
        "the same order sent twice": day.audit_log.errors_by_text[DUPLICATE_ORDER],
        "bans that the bot caused": day.exchange.weight_limiter.bans,
    }
    yield from (f"{what}: {count}" for what, count in wrong.items() if count)


def main(words: list[str]) -> int:
    """Run one seed and print its timeline, or `FIRST-LAST` in worker processes and print those with faults.

    With `--defaults` the daemon has its default settings, else the tight ones.
    """
    defaults = "--defaults" in words
    (seeds_wanted,) = (word for word in words if word != "--defaults")
    first, _, last = seeds_wanted.partition("-")
    if not last:
        return print_timeline(run_storm(int(first), defaults=defaults))
    seeds = range(int(first), int(last) + 1)
    bad = 0
    guard_this_process()
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for result in pool.map(partial(run_storm, defaults=defaults), seeds):
            if result.faults:
                bad += 1
                print(f"seed {result.seed}: {'; '.join(result.faults)}", flush=True)
    print(f"{len(seeds)} storms, {bad} with faults")
    return 1 if bad else 0


def print_timeline(result: StormResult) -> int:
    """Print the timeline of one storm, and its faults."""
    for line in result.timeline:
        print(line)
    print(f"seed {result.seed}: {'; '.join(result.faults) or 'well'}")
    return 1 if result.faults else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

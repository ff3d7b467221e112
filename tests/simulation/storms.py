"""One day in a storm, judged: while it blows nothing may break, and after it all must soon be well again.

The exchange's journal and its ledger are the judges. The daemon is asked for its phase only once it is
calm, and only to be compared with them. `python -m tests.simulation.storms SEED` replays one day and tells it.
"""

import logging
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from multiprocessing import get_context
from random import Random
from typing import Final

from tests.processes import guard_this_process
from tests.simulation.fault_schedule import FaultSchedule
from tests.simulation.simulated_day import Day, open_exits, simulate

from trailingedge.config import Settings
from trailingedge.core.clock import Clock
from trailingedge.eventlog.format import FrameSink
from trailingedge.live.trading_node import TradingNode
from trailingedge.model.market import Side
from trailingedge.model.pricing import Pricing
from trailingedge.simulator.errors import DUPLICATE_ORDER
from trailingedge.simulator.exchange import Exchange
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.server import LoopbackExchange

STORM_S: Final = 1500.0
CALM_S: Final = 60.0
BACK_WITHIN_S: Final = 10.0
POLL_EVERY_S: Final = 0.25
RULES_READ_EVERY_S: Final = 60.0  # design, section 6: what a halted symbol costs
SILENCE_DETECTED_S: Final = 75.0  # design, section 7: the account's probe and its patience
REQUEST_TIMEOUT_S: Final = 11.0  # a question lost just before the end must be given up first; and time to log on


@dataclass(frozen=True)
class StormResult:
    """`faults` is what must never happen and did. The rest helps whoever has to find out why."""

    seed: int
    faults: list[str]
    replay_command: str
    timeline: list[str] = field(
        default_factory=list
    )  # weather, alerts and the exchange's journal, each with its second
    counts: dict[str, int] = field(default_factory=dict)
    digest: str = ""


class WarningCollector(logging.Handler):
    """What the daemon logs. Exceptions that it caught, logged and survived are faults: none was expected."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.faults: list[str] = []
        self.storm: FaultSchedule | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self.storm is not None:
            self.storm.log_event(f"{record.levelname} {record.getMessage()[:200]}")
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            self.faults.append(f"logged: {record.getMessage()[:200]} ({type(error).__name__}: {error})")


@dataclass
class ScriptOutcome:
    """What the script of the day leaves behind."""

    storm: FaultSchedule
    faults: list[str] = field(default_factory=list)


def settings_of_seed(seed: int) -> tuple[Settings, ExchangeSpec]:
    """The settings and the fee of a seed's day."""
    chance = Random(f"settings {seed}")
    settings = replace(
        Settings(),
        exit_pricing=chance.choice((Pricing.IMPROVE, Pricing.IMPROVE, Pricing.OPPOSITE, Pricing.JOIN)),
        hard_stop_pricing=chance.choice((Pricing.OPPOSITE, Pricing.IMPROVE)),
        reconnect_max_sec=chance.choice((5.0, 20.0, 60.0)),
    )
    return settings, replace(ExchangeSpec(), maker_fee=Decimal(chance.choice(("0", "0", "0.0002"))))


def run_storm(seed: int, storm_s: float = STORM_S, lines: FrameSink | None = None) -> StormResult:
    """Run the day of a seed; `lines` takes its record."""
    settings, terms = settings_of_seed(seed)
    endings: list[ScriptOutcome] = []

    async def script(daemon: TradingNode, loopback: LoopbackExchange, clock: Clock) -> None:
        storm = FaultSchedule(seed, daemon, loopback, clock, Random(f"storm {seed}"))
        ending = ScriptOutcome(storm)
        endings.append(ending)
        heard.storm = storm
        await clock.sleep(30.0)
        await storm.run(storm_s)
        ending.faults += await check_recovery(storm, settings)
        await clock.sleep(CALM_S)
        ending.faults += await check_balances(storm)
        daemon.stop("the storm is over")

    with collecting_warnings() as heard:
        day = simulate(seed, 24.0, settings=settings, terms=terms, script=script, lines=lines)
    storm = endings[0].storm
    return StormResult(
        seed=seed,
        faults=[*endings[0].faults, *final_faults(day), *heard.faults],
        replay_command=f"uv run python -m tests.simulation.storms {seed}",
        timeline=timeline_of(storm, day),
        counts=dict(day.audit_log.requests),
        digest=day.audit_log.digest,
    )


def timeline_of(storm: FaultSchedule, day: Day) -> list[str]:
    """All that happened, in order of time by the inner clock, where the exchange's own may have been off."""
    said = [(second, what) for second, what in storm.events]
    said += [(second, f"! {text}") for second, (_, text) in zip(day.output.times_s, day.output.alerts, strict=True)]
    said += [(second, f"= {what}") for second, what in day.entries]
    return [f"{second:9.3f} {what}" for second, what in sorted(said, key=lambda each: each[0])]


@contextmanager
def collecting_warnings() -> Iterator[WarningCollector]:
    handler, logger = WarningCollector(), logging.getLogger("trailingedge")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(level or logging.WARNING)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


async def check_recovery(storm: FaultSchedule, settings: Settings) -> list[str]:
    """The faults have stopped: see the daemon come back, first to the exchange, then to its best price."""
    clock, exchange = storm.clock, storm.exchange
    calm_s = clock.now_s()
    until_s = calm_s + max_disconnected_s(storm, settings)
    while not is_connected(storm.node, settings, clock.now_s()):
        if clock.now_s() > until_s:
            return [f"not reconnected {clock.now_s() - calm_s:.0f} s after the storm"]
        await clock.sleep(POLL_EVERY_S)
    until_s = clock.now_s() + max_paused_s(storm) + BACK_WITHIN_S
    while (missing := misplaced_order(storm.node, exchange)) is not None:
        if clock.now_s() > until_s:
            return [f"{clock.now_s() - calm_s:.0f} s after the storm: {missing}"]
        await clock.sleep(POLL_EVERY_S)
    return []


def max_disconnected_s(storm: FaultSchedule, settings: Settings) -> float:
    """Back-off and retryAfter, and how long a line may be deaf before it is found out."""
    deaf_s = max(0.0, storm.silent_since_s + SILENCE_DETECTED_S - storm.clock.now_s())
    return max(settings.reconnect_max_sec, blocked_for_s(storm)) + deaf_s + REQUEST_TIMEOUT_S


def blocked_for_s(storm: FaultSchedule) -> float:
    """How long until the exchange listens again, by its retryAfter: as it is, or as it was when it was told."""
    exchange = storm.exchange
    by_its_clock_s = (exchange.weight_limiter.blocked_until_ms - exchange.clock.unix_ms()) / 1000
    return max(by_its_clock_s, storm.blocked_until_s - storm.clock.now_s())


def max_paused_s(storm: FaultSchedule) -> float:
    """What the daemon may have to wait for though it is connected: by refusals, or for want of an event never told."""
    now_s = storm.clock.now_s()
    halted_s, deaf_s = (
        storm.status_changed_s + RULES_READ_EVERY_S - now_s,
        storm.silent_since_s + SILENCE_DETECTED_S - now_s,
    )
    return max(0.0, halted_s, deaf_s, blocked_for_s(storm))


def is_connected(daemon: TradingNode, settings: Settings, now_s: float) -> bool:
    """The account is proven and the market fresh, as far as the daemon knows."""
    snapshots = daemon.market_state
    return snapshots.account_proven and now_s - snapshots.top_confirmed_s < settings.stale_after_sec


def misplaced_order(daemon: TradingNode, exchange: Exchange) -> str | None:
    """What is not as it should be: an order away from the best price, a phase that does not fit the ledger."""
    desk, engine = daemon.services, exchange.engine
    if desk is None or desk.core.decision is None:
        return "nothing is decided"
    if desk.core.halted:
        return "halted"
    ours, phase = open_exits(exchange.account()), desk.core.decision.phase.name
    top = engine.top()
    for order in ours:
        if order.price != top.best(order.side):
            return f"{order.client_order_id} rests at {order.price}, the book is {top.bid} to {top.ask}"
    if ours and phase not in {"EXITING", "FLUSHING"}:
        return f"{phase}, and {ours[0].client_order_id} is open"
    if not ours and phase in {"EXITING", "FLUSHING"}:
        return f"{phase} without an order"
    return state_mismatch(daemon, exchange)


def state_mismatch(daemon: TradingNode, exchange: Exchange) -> str | None:
    """Why regime and phase do not fit what the account holds."""
    desk, account, terms, top = daemon.services, exchange.account(), exchange.spec, exchange.engine.top()
    if desk is None or desk.core.decision is None:
        return None
    foreign = [order for order in account.open_orders() if order not in open_exits(account)]
    locked = {side: sum((o.locked for o in foreign if o.side is side), Decimal(0)) for side in Side}
    base = account.balance(terms.base_asset).total - locked[Side.SELL]
    quote = account.balance(terms.quote_asset).total - locked[Side.BUY]
    margin = Decimal("1.05")  # at the very edge either may be right
    sellable, buyable = (worth > terms.min_notional * margin for worth in (base * top.bid, quote))
    decision = desk.core.decision
    held = decision.regime.name if decision.regime is not None else "NONE"
    if decision.phase.name == "UNFUNDED":
        return f"UNFUNDED with {base} and {quote}" if sellable or buyable else None
    if (held == "BASE" and buyable and base * top.bid * margin < terms.min_notional) or (
        held == "QUOTE" and sellable and quote * margin < terms.min_notional
    ):
        return f"regime {held} with {base} and {quote}"
    return None


async def check_balances(storm: FaultSchedule) -> list[str]:
    """All has been well for a while: the bot knows what it owns."""
    account, terms = storm.exchange.account(), storm.exchange.spec
    wrong: list[str] = []
    for _ in range(40):
        timeline_of = storm.node.market_state.balances
        wrong = [
            f"the bot believes {told.get(asset)}, the ledger says {account.balance(asset)}"
            for asset in (terms.base_asset, terms.quote_asset)
            if timeline_of.get(asset) != account.balance(asset)
        ]
        if not wrong:
            break
        await storm.clock.sleep(POLL_EVERY_S)
    return wrong


def final_faults(day: Day) -> Iterator[str]:
    """What the ledger says when it is all over."""
    yield from day.faults()
    wrong = {
        "the same order sent twice": day.audit_log.errors_by_text[DUPLICATE_ORDER],
        "bans of our own making": day.exchange.weight_limiter.bans,
    }
    yield from (f"{what}: {count}" for what, count in wrong.items() if count)


def main(words: list[str]) -> int:
    """Replay and tell: one seed in full, `FIRST-LAST` in worker processes, one line each."""
    first, _, last = words[0].partition("-")
    if not last:
        return print_timeline(run_storm(int(first)))
    seeds = range(int(first), int(last) + 1)
    bad = 0
    guard_this_process()
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for verdict in pool.map(run_storm, seeds):
            if verdict.faults:
                bad += 1
                print(f"seed {verdict.seed}: {'; '.join(verdict.faults)}", flush=True)
    print(f"{len(seeds)} storms, {bad} with faults")
    return 1 if bad else 0


def print_timeline(verdict: StormResult) -> int:
    """The whole story of one day."""
    for line in verdict.timeline:
        print(line)
    print(f"seed {verdict.seed}: {'; '.join(verdict.faults) or 'well'}")
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

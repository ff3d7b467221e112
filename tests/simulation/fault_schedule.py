"""Fault schedule of a storm: which faults, when and for how long, all drawn from one seed.

Each seed enables a random subset of the faults, so that every seed is a different exchange, and every pair of faults
occurs together in some seed. When the storm is over all faults are cleared, but for those that last by nature:
a ban ends at its announced time, and a half-open connection never comes back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_DOWN, Decimal
from random import Random
from typing import Final

from trailingedge.core.clock import Clock
from trailingedge.live.trading_node import TradingNode
from trailingedge.model.market import Side
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.simulator.connection_hub import ConnectionHub
from trailingedge.simulator.engine import BREAK, CANCEL_ONLY, HALT, TRADING
from trailingedge.simulator.errors import ExchangeError
from trailingedge.simulator.exchange import Exchange, ManualTrader
from trailingedge.simulator.faults import (
    ANY_REQUEST_ERROR,
    NO_FAULTS,
    REQUEST_FAULTS,
    DriftingClock,
    Faults,
    FrameFaults,
)
from trailingedge.simulator.orders import OrderType, SimOrder
from trailingedge.simulator.server import LoopbackExchange

STEP: Final = Decimal("0.0001")
ALL_METHODS: Final = ("",)  # a prefix of every method
ORDER_METHODS: Final = ("order.", "openOrders.", "allOrders", "myTrades", "account.status")


@dataclass
class FaultSchedule:
    """The faults of one storm, and when they happened.

    `events` are what happened, each with its second. The times say when the symbol's status last changed, since when
    events may have been lost (infinity while they are), and until when the exchange refuses requests: the checks
    after the storm allow the daemon that much longer.
    """

    seed: int
    node: TradingNode
    loopback: LoopbackExchange
    clock: Clock
    chance: Random
    events: list[tuple[float, str]] = field(default_factory=list)
    status_changed_s: float = float("-inf")
    silent_since_s: float = float("-inf")
    blocked_until_s: float = float("-inf")

    @property
    def exchange(self) -> Exchange:
        return self.loopback.exchange

    @property
    def hub(self) -> ConnectionHub:
        return self.loopback.hub

    @property
    def owner(self) -> ManualTrader:
        """The account's owner, trading by hand beside the daemon."""
        return self.exchange.manual_trader()

    def log_event(self, what: str) -> None:
        self.events.append((self.clock.now_s(), what))

    def block(self, seconds: float) -> None:
        """Note that the exchange refuses requests for so many seconds, by our clock: the exchange's may be stepped."""
        self.blocked_until_s = max(self.blocked_until_s, self.clock.now_s() + seconds)

    async def run(self, seconds: float) -> None:
        """Inject the seed's faults for so many seconds, then clear them. The operator's flips run in every seed."""
        chance = self.chance
        chosen = [name for name in FAULT_ACTIONS if chance.random() < 0.2 and name != "flip"]
        self.hub.fault_injector.faults = faults = draw_faults(chance)
        self.log_event(f"~ {faults}")
        self.log_event(f"~ actions {', '.join(chosen) or 'none'}")
        async with asyncio.TaskGroup() as tasks:
            repeating = [tasks.create_task(self._repeat(name)) for name in [*chosen, "flip"]]
            await self.clock.sleep(seconds)
            for each in repeating:
                each.cancel()
        self.clear_faults()

    def clear_faults(self) -> None:
        """End every fault that can be ended from here."""
        hub = self.hub
        hub.fault_injector.faults = NO_FAULTS
        hub.refuses_connections = hub.streams_muted = hub.account_muted = False
        self.exchange.engine.symbol_status = TRADING
        self.server_clock.set_drift(0)
        self.log_event("~ faults cleared")

    @property
    def server_clock(self) -> DriftingClock:
        clock = self.exchange.clock
        if not isinstance(clock, DriftingClock):
            raise TypeError("the exchange's clock cannot drift")
        return clock

    async def _repeat(self, name: str) -> None:
        pause_s = self.chance.uniform(40.0, 400.0)
        while True:
            await self.clock.sleep(self.chance.expovariate(1 / pause_s))
            self.log_event(f"~ {name}")
            await FAULT_ACTIONS[name](self)


def draw_faults(chance: Random) -> Faults:
    """A few request faults, each with its own likelihood, and a few frame faults."""
    requests = {name: chance.choice((0.01, 0.05, 0.2)) for name in REQUEST_FAULTS if chance.random() < 0.15}
    return Faults(
        requests=requests,
        # An error of the key at logon ends the daemon, rightly: a person must act. So no random errors for logons.
        methods=ALL_METHODS if chance.random() < 0.3 and ANY_REQUEST_ERROR not in requests else ORDER_METHODS,
        market=draw_frame_faults(chance),
        account=draw_frame_faults(chance),
        partial_fill=chance.choice((0.0, 0.0, 0.02, 0.3)),
    )


def draw_frame_faults(chance: Random) -> FrameFaults:
    likely = {"duplicate": 0.1, "delay": 0.1, "truncated": 0.003, "oversized": 0.0005, "disconnect": 0.002}
    drawn = {name: likelihood for name, likelihood in likely.items() if chance.random() < 0.2}
    return replace(FrameFaults(), **drawn)


# The actions. One that lasts returns when it is over.


async def cut_streams(schedule: FaultSchedule) -> None:
    schedule.hub.disconnect(api=False)


async def cut_account(schedule: FaultSchedule) -> None:
    schedule.hub.disconnect(streams=False)


async def half_open_streams(schedule: FaultSchedule) -> None:
    schedule.silent_since_s = schedule.clock.now_s()
    schedule.hub.half_open(api=False)


async def half_open_account(schedule: FaultSchedule) -> None:
    schedule.silent_since_s = schedule.clock.now_s()
    schedule.hub.half_open(streams=False)


async def mute_streams(schedule: FaultSchedule) -> None:
    schedule.silent_since_s = float("inf")
    schedule.hub.streams_muted = True
    await schedule.clock.sleep(schedule.chance.uniform(0.5, 40.0))
    schedule.hub.streams_muted = False
    schedule.silent_since_s = schedule.clock.now_s()


async def mute_account(schedule: FaultSchedule) -> None:
    schedule.silent_since_s = float("inf")
    schedule.hub.account_muted = True
    await schedule.clock.sleep(schedule.chance.uniform(0.5, 100.0))
    schedule.hub.account_muted = False
    schedule.silent_since_s = schedule.clock.now_s()


async def server_refuses(schedule: FaultSchedule) -> None:
    schedule.hub.refuses_connections = True
    schedule.hub.disconnect()
    await schedule.clock.sleep(schedule.chance.uniform(1.0, 60.0))
    schedule.hub.refuses_connections = False


async def server_shuts_down(schedule: FaultSchedule) -> None:
    streams, api = schedule.chance.choice(((True, True), (True, False), (False, True)))
    schedule.hub.announce_shutdown(streams, api, leave_s=schedule.chance.uniform(0.0, 15.0))


async def subscriptions_end(schedule: FaultSchedule) -> None:
    schedule.hub.terminate_subscriptions()


async def weight_exhausted(schedule: FaultSchedule) -> None:
    now_ms = schedule.exchange.clock.unix_ms()
    schedule.block((schedule.exchange.weight_limiter.exhaust(now_ms) - now_ms) / 1000)


async def address_banned(schedule: FaultSchedule) -> None:
    exchange, seconds = schedule.exchange, schedule.chance.uniform(5.0, 120.0)
    exchange.weight_limiter.ban(exchange.clock.unix_ms() + round(seconds * 1000))
    schedule.block(seconds)


async def symbol_halts(schedule: FaultSchedule) -> None:
    schedule.exchange.engine.symbol_status = schedule.chance.choice((HALT, BREAK, CANCEL_ONLY))
    schedule.status_changed_s = float("inf")
    await schedule.clock.sleep(schedule.chance.uniform(2.0, 150.0))
    schedule.exchange.engine.symbol_status = TRADING
    schedule.status_changed_s = schedule.clock.now_s()


async def clock_steps(schedule: FaultSchedule) -> None:
    schedule.server_clock.step(schedule.chance.choice((-1, 1)) * schedule.chance.uniform(500, 20_000))


async def clock_drifts(schedule: FaultSchedule) -> None:
    schedule.server_clock.set_drift(schedule.chance.uniform(-10.0, 10.0))


async def deposit(schedule: FaultSchedule) -> None:
    spec, chance = schedule.exchange.spec, schedule.chance
    if chance.random() < 0.5:
        schedule.owner.deposit(spec.base_asset, random_part(Decimal("0.5"), chance))
    else:
        schedule.owner.deposit(spec.quote_asset, random_part(Decimal(800), chance))
    schedule.hub.publish_events()


async def withdrawal(schedule: FaultSchedule) -> None:
    """Withdraw a part of what is free; half of the time the owner first cancels the bot's order, which frees more."""
    spec, chance = schedule.exchange.spec, schedule.chance
    if chance.random() < 0.5:
        await own_order_cancelled(schedule)
    asset = chance.choice((spec.base_asset, spec.quote_asset))
    free = schedule.exchange.account().balance(asset).free
    if free > STEP:
        schedule.owner.withdraw(asset, random_part(free, chance))
    schedule.hub.publish_events()


async def own_order_cancelled(schedule: FaultSchedule) -> None:
    """The owner cancels the bot's open orders."""
    for order in schedule.exchange.account().open_orders():
        if not order.is_manual:
            schedule.owner.cancel(order.order_id)
    schedule.hub.publish_events()


async def manual_trade(schedule: FaultSchedule) -> None:
    """The owner trades by MARKET order, at most the quantity at the best price.

    A larger one would reach an order of the same account behind that price and expire it (self-trade prevention).
    """
    chance, exchange = schedule.chance, schedule.exchange
    side = chance.choice((Side.BUY, Side.SELL))
    account, spec, top = exchange.account(), exchange.spec, exchange.top()
    if side is Side.SELL:
        most = min(account.balance(spec.base_asset).free, top.bid_quantity)
    else:
        most = min(account.balance(spec.quote_asset).free / top.ask / Decimal("1.01"), top.ask_quantity)
    quantity = random_part(most, chance)
    if quantity * top.bid > 2 * spec.min_notional:
        unless_rejected(lambda: schedule.owner.place(side, top.best(side.opposite), quantity, OrderType.MARKET))
    schedule.hub.publish_events()


async def manual_order(schedule: FaultSchedule) -> None:
    """The owner places an order at or behind the best price, and cancels it some time later if it still rests."""
    chance, exchange = schedule.chance, schedule.exchange
    side = chance.choice((Side.BUY, Side.SELL))
    account, spec, top = exchange.account(), exchange.spec, exchange.top()
    away = spec.tick_size * chance.choice((0, 1, 5, 100)) * (1 if side is Side.SELL else -1)
    price = top.best(side) + away
    sold, worth = (spec.base_asset, Decimal(1)) if side is Side.SELL else (spec.quote_asset, price)
    quantity = random_part(account.balance(sold).free / worth, chance)
    if quantity * price < 2 * spec.min_notional:
        return
    order = unless_rejected(lambda: schedule.owner.place(side, price, quantity))
    schedule.hub.publish_events()
    await schedule.clock.sleep(chance.uniform(1.0, 200.0))
    if order is not None and not order.status.final:
        schedule.owner.cancel(order.order_id)
        schedule.hub.publish_events()


async def flip(schedule: FaultSchedule) -> None:
    schedule.node.submit(OperatorCommand.FLIP)


async def cancel_exit(schedule: FaultSchedule) -> None:
    schedule.node.submit(OperatorCommand.CANCEL)


def random_part(whole: Decimal, chance: Random) -> Decimal:
    """A random part of `whole`, one time in five all of it, on the step size."""
    share = Decimal(1) if chance.random() < 0.2 else Decimal(f"{chance.random():.3f}")
    return (whole * share).quantize(STEP, rounding=ROUND_DOWN)


def unless_rejected(act: Callable[[], SimOrder]) -> SimOrder | None:
    """The order that `act` places, or None if the exchange rejects it."""
    try:
        return act()
    except ExchangeError:
        return None


FAULT_ACTIONS: Final[Mapping[str, Callable[[FaultSchedule], Awaitable[None]]]] = {
    each.__name__: each
    for each in (
        cut_streams,
        cut_account,
        half_open_streams,
        half_open_account,
        mute_streams,
        mute_account,
        server_refuses,
        server_shuts_down,
        subscriptions_end,
        weight_exhausted,
        address_banned,
        symbol_halts,
        clock_steps,
        clock_drifts,
        deposit,
        withdrawal,
        own_order_cancelled,
        manual_trade,
        manual_order,
        flip,
        cancel_exit,
    )
}

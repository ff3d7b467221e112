"""Bad weather for a day: which misbehaviour, when, and for how long, all drawn from one seed.

A storm enables a random part of what there is, so that each seed is a different exchange to live with;
what never happens together in one seed happens together in another. When it is over, all is well again,
but for what takes time by nature: a ban ends when it said, a half-open line never comes back.
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
from trailingedge.simulator.connections import ConnectionHub
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
ALL_METHODS: Final = ("",)  # every method begins like that
ORDER_METHODS: Final = ("order.", "openOrders.", "allOrders", "myTrades", "account.status")


@dataclass
class FaultSchedule:
    """The weather of one day. `events` are what came, each with its second."""

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
        return self.exchange.manual_trader()

    def log_event(self, what: str) -> None:
        self.events.append((self.clock.now_s(), what))

    def block(self, seconds: float) -> None:
        """The exchange listens to nobody for that long. Its clock may be set meanwhile, ours is not."""
        self.blocked_until_s = max(self.blocked_until_s, self.clock.now_s() + seconds)

    async def run(self, seconds: float) -> None:
        """For that long; then all is well again."""
        chance = self.chance
        chosen = [name for name in FAULT_ACTIONS if chance.random() < 0.2 and name != "flip"]
        self.hub.fault_injector.faults = faults = draw_faults(chance)
        self.log_event(f"~ {faults}")
        self.log_event(f"~ weather {', '.join(chosen) or 'fair'}")
        async with asyncio.TaskGroup() as tasks:
            blowing = [tasks.create_task(self._repeat(name)) for name in [*chosen, "flip"]]
            await self.clock.sleep(seconds)
            for each in blowing:
                each.cancel()
        self.clear_faults()

    def clear_faults(self) -> None:
        switchboard = self.hub
        switchboard.fault_injector.faults = NO_FAULTS
        switchboard.refuses_connections = switchboard.streams_muted = switchboard.account_muted = False
        self.exchange.engine.symbol_status = TRADING
        self.server_clock.set_drift(0)
        self.log_event("~ calm")

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
    """A few dishes of the menu, each with a likelihood of its own, and a few mishaps."""
    dishes = {name: chance.choice((0.01, 0.05, 0.2)) for name in REQUEST_FAULTS if chance.random() < 0.15}
    return Faults(
        requests=dishes,
        # A logon refused for a code of the key's is for a person to mend, not for a daemon to survive.
        methods=ALL_METHODS if chance.random() < 0.3 and ANY_REQUEST_ERROR not in dishes else ORDER_METHODS,
        market=draw_frame_faults(chance),
        account=draw_frame_faults(chance),
        partial_fill=chance.choice((0.0, 0.0, 0.02, 0.3)),
    )


def draw_frame_faults(chance: Random) -> FrameFaults:
    likely = {"twice": 0.1, "late": 0.1, "torn": 0.003, "huge": 0.0005, "cut": 0.002}
    drawn = {name: likelihood for name, likelihood in likely.items() if chance.random() < 0.2}
    return replace(FrameFaults(), **drawn)


# Each kind of weather, once. Those that last return when they are over.


async def cut_streams(storm: FaultSchedule) -> None:
    storm.hub.disconnect(api=False)


async def cut_account(storm: FaultSchedule) -> None:
    storm.hub.disconnect(streams=False)


async def half_open_streams(storm: FaultSchedule) -> None:
    storm.silent_since_s = storm.clock.now_s()
    storm.hub.half_open(api=False)


async def half_open_account(storm: FaultSchedule) -> None:
    storm.silent_since_s = storm.clock.now_s()
    storm.hub.half_open(streams=False)


async def mute_streams(storm: FaultSchedule) -> None:
    storm.silent_since_s = float("inf")
    storm.hub.streams_muted = True
    await storm.clock.sleep(storm.chance.uniform(0.5, 40.0))
    storm.hub.streams_muted = False
    storm.silent_since_s = storm.clock.now_s()


async def mute_account(storm: FaultSchedule) -> None:
    storm.silent_since_s = float("inf")
    storm.hub.account_muted = True
    await storm.clock.sleep(storm.chance.uniform(0.5, 100.0))
    storm.hub.account_muted = False
    storm.silent_since_s = storm.clock.now_s()


async def server_refuses(storm: FaultSchedule) -> None:
    storm.hub.refuses_connections = True
    storm.hub.disconnect()
    await storm.clock.sleep(storm.chance.uniform(1.0, 60.0))
    storm.hub.refuses_connections = False


async def server_shuts_down(storm: FaultSchedule) -> None:
    streams, api = storm.chance.choice(((True, True), (True, False), (False, True)))
    storm.hub.announce_shutdown(streams, api, leave_s=storm.chance.uniform(0.0, 15.0))


async def subscriptions_end(storm: FaultSchedule) -> None:
    storm.hub.terminate_subscriptions()


async def weight_exhausted(storm: FaultSchedule) -> None:
    now_ms = storm.exchange.clock.unix_ms()
    storm.block((storm.exchange.weight_limiter.exhaust(now_ms) - now_ms) / 1000)


async def address_banned(storm: FaultSchedule) -> None:
    exchange, seconds = storm.exchange, storm.chance.uniform(5.0, 120.0)
    exchange.weight_limiter.ban(exchange.clock.unix_ms() + round(seconds * 1000))
    storm.block(seconds)


async def symbol_halts(storm: FaultSchedule) -> None:
    storm.exchange.engine.symbol_status = storm.chance.choice((HALT, BREAK, CANCEL_ONLY))
    storm.status_changed_s = float("inf")
    await storm.clock.sleep(storm.chance.uniform(2.0, 150.0))
    storm.exchange.engine.symbol_status = TRADING
    storm.status_changed_s = storm.clock.now_s()


async def clock_steps(storm: FaultSchedule) -> None:
    storm.server_clock.step(storm.chance.choice((-1, 1)) * storm.chance.uniform(500, 20_000))


async def clock_drifts(storm: FaultSchedule) -> None:
    storm.server_clock.set_drift(storm.chance.uniform(-10.0, 10.0))


async def deposit(storm: FaultSchedule) -> None:
    terms, chance = storm.exchange.spec, storm.chance
    if chance.random() < 0.5:
        storm.owner.deposit(terms.base_asset, random_part(Decimal("0.5"), chance))
    else:
        storm.owner.deposit(terms.quote_asset, random_part(Decimal(800), chance))
    storm.hub.publish_events()


async def withdrawal(storm: FaultSchedule) -> None:
    """Of what is free; of what the bot's order locks as well, where its owner takes that order back first."""
    terms, chance = storm.exchange.spec, storm.chance
    if chance.random() < 0.5:
        await own_order_cancelled(storm)
    asset = chance.choice((terms.base_asset, terms.quote_asset))
    free = storm.exchange.account().balance(asset).free
    if free > STEP:
        storm.owner.withdraw(asset, random_part(free, chance))
    storm.hub.publish_events()


async def own_order_cancelled(storm: FaultSchedule) -> None:
    """The owner cancels what the bot has placed."""
    for order in storm.exchange.account().open_orders():
        if not order.is_manual:
            storm.owner.cancel(order.order_id)
    storm.hub.publish_events()


async def manual_trade(storm: FaultSchedule) -> None:
    """Of no more than the best price offers, so that it meets no order of the owner's own far behind it."""
    chance, exchange = storm.chance, storm.exchange
    side = chance.choice((Side.BUY, Side.SELL))
    account, terms, top = exchange.account(), exchange.spec, exchange.engine.top()
    if side is Side.SELL:
        most = min(account.balance(terms.base_asset).free, top.bid_quantity)
    else:
        most = min(account.balance(terms.quote_asset).free / top.ask / Decimal("1.01"), top.ask_quantity)
    quantity = random_part(most, chance)
    if quantity * top.bid > 2 * terms.min_notional:
        unless_rejected(lambda: storm.owner.place(side, top.best(side.opposite), quantity, OrderType.MARKET))
    storm.hub.publish_events()


async def manual_order(storm: FaultSchedule) -> None:
    """A resting order at or behind the best price, taken back some time later."""
    chance, exchange = storm.chance, storm.exchange
    side = chance.choice((Side.BUY, Side.SELL))
    account, terms, top = exchange.account(), exchange.spec, exchange.engine.top()
    away = terms.tick_size * chance.choice((0, 1, 5, 100)) * (1 if side is Side.SELL else -1)
    price = top.best(side) + away
    sold, worth = (terms.base_asset, Decimal(1)) if side is Side.SELL else (terms.quote_asset, price)
    quantity = random_part(account.balance(sold).free / worth, chance)
    if quantity * price < 2 * terms.min_notional:
        return
    order = unless_rejected(lambda: storm.owner.place(side, price, quantity))
    storm.hub.publish_events()
    await storm.clock.sleep(chance.uniform(1.0, 200.0))
    if order is not None and not order.status.final:
        storm.owner.cancel(order.order_id)
        storm.hub.publish_events()


async def flip(storm: FaultSchedule) -> None:
    storm.node.submit(OperatorCommand.FLIP)


async def cancel_exit(storm: FaultSchedule) -> None:
    storm.node.submit(OperatorCommand.CANCEL)


def random_part(whole: Decimal, chance: Random) -> Decimal:
    """Some of it, sometimes all."""
    share = Decimal(1) if chance.random() < 0.2 else Decimal(f"{chance.random():.3f}")
    return (whole * share).quantize(STEP, rounding=ROUND_DOWN)


def unless_rejected(act: Callable[[], SimOrder]) -> SimOrder | None:
    """What an owner is refused leaves him where he was."""
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

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
from trailingedge.simulator.faults import ANY_REJECT, MENU, NONE, DriftingClock, Faults, FrameFaults
from trailingedge.simulator.orders import OrderType, SimOrder
from trailingedge.simulator.server import LoopbackExchange

STEP: Final = Decimal("0.0001")
EVERYTHING: Final = ("",)  # every method begins like that
ORDERS: Final = ("order.", "openOrders.", "allOrders", "myTrades", "account.status")


@dataclass
class Storm:
    """The weather of one day. `events` are what came, each with its second."""

    seed: int
    daemon: TradingNode
    loopback: LoopbackExchange
    clock: Clock
    chance: Random
    events: list[tuple[float, str]] = field(default_factory=list)
    status_changed_s: float = float("-inf")
    deafened_s: float = float("-inf")
    closed_until_s: float = float("-inf")

    @property
    def exchange(self) -> Exchange:
        return self.loopback.exchange

    @property
    def switchboard(self) -> ConnectionHub:
        return self.loopback.switchboard

    @property
    def hand(self) -> ManualTrader:
        return self.exchange.by_hand()

    def note(self, what: str) -> None:
        self.events.append((self.clock.now_s(), what))

    def close(self, seconds: float) -> None:
        """The exchange listens to nobody for that long. Its clock may be set meanwhile, ours is not."""
        self.closed_until_s = max(self.closed_until_s, self.clock.now_s() + seconds)

    async def blow(self, seconds: float) -> None:
        """For that long; then all is well again."""
        chance = self.chance
        chosen = [name for name in WEATHER if chance.random() < 0.2 and name != "flip"]
        self.switchboard.misfortune.faults = faults = drawn_faults(chance)
        self.note(f"~ {faults}")
        self.note(f"~ weather {', '.join(chosen) or 'fair'}")
        async with asyncio.TaskGroup() as tasks:
            blowing = [tasks.create_task(self._again_and_again(name)) for name in [*chosen, "flip"]]
            await self.clock.sleep(seconds)
            for each in blowing:
                each.cancel()
        self.calm()

    def calm(self) -> None:
        switchboard = self.switchboard
        switchboard.misfortune.faults = NONE
        switchboard.closed = switchboard.mute_streams = switchboard.mute_account = False
        self.exchange.engine.status = TRADING
        self.server_clock.drift(0)
        self.note("~ calm")

    @property
    def server_clock(self) -> DriftingClock:
        clock = self.exchange.clock
        if not isinstance(clock, DriftingClock):
            raise TypeError("the exchange's clock cannot drift")
        return clock

    async def _again_and_again(self, name: str) -> None:
        pause_s = self.chance.uniform(40.0, 400.0)
        while True:
            await self.clock.sleep(self.chance.expovariate(1 / pause_s))
            self.note(f"~ {name}")
            await WEATHER[name](self)


def drawn_faults(chance: Random) -> Faults:
    """A few dishes of the menu, each with a likelihood of its own, and a few mishaps."""
    dishes = {name: chance.choice((0.01, 0.05, 0.2)) for name in MENU if chance.random() < 0.15}
    return Faults(
        requests=dishes,
        # A logon refused for a code of the key's is for a person to mend, not for a daemon to survive.
        methods=EVERYTHING if chance.random() < 0.3 and ANY_REJECT not in dishes else ORDERS,
        market=drawn_mishaps(chance),
        account=drawn_mishaps(chance),
        nibble=chance.choice((0.0, 0.0, 0.02, 0.3)),
    )


def drawn_mishaps(chance: Random) -> FrameFaults:
    likely = {"twice": 0.1, "late": 0.1, "torn": 0.003, "huge": 0.0005, "cut": 0.002}
    drawn = {name: likelihood for name, likelihood in likely.items() if chance.random() < 0.2}
    return replace(FrameFaults(), **drawn)


# Each kind of weather, once. Those that last return when they are over.


async def cut_streams(storm: Storm) -> None:
    storm.switchboard.cut(api=False)


async def cut_account(storm: Storm) -> None:
    storm.switchboard.cut(streams=False)


async def half_open_streams(storm: Storm) -> None:
    storm.deafened_s = storm.clock.now_s()
    storm.switchboard.half_open(api=False)


async def half_open_account(storm: Storm) -> None:
    storm.deafened_s = storm.clock.now_s()
    storm.switchboard.half_open(streams=False)


async def mute_streams(storm: Storm) -> None:
    storm.deafened_s = float("inf")
    storm.switchboard.mute_streams = True
    await storm.clock.sleep(storm.chance.uniform(0.5, 40.0))
    storm.switchboard.mute_streams = False
    storm.deafened_s = storm.clock.now_s()


async def mute_account(storm: Storm) -> None:
    storm.deafened_s = float("inf")
    storm.switchboard.mute_account = True
    await storm.clock.sleep(storm.chance.uniform(0.5, 100.0))
    storm.switchboard.mute_account = False
    storm.deafened_s = storm.clock.now_s()


async def server_away(storm: Storm) -> None:
    storm.switchboard.closed = True
    storm.switchboard.cut()
    await storm.clock.sleep(storm.chance.uniform(1.0, 60.0))
    storm.switchboard.closed = False


async def shut_down(storm: Storm) -> None:
    streams, api = storm.chance.choice(((True, True), (True, False), (False, True)))
    storm.switchboard.shut_down(streams, api, leave_s=storm.chance.uniform(0.0, 15.0))


async def subscriptions_end(storm: Storm) -> None:
    storm.switchboard.terminate_subscriptions()


async def weight_used_up(storm: Storm) -> None:
    now_ms = storm.exchange.clock.unix_ms()
    storm.close((storm.exchange.weights.exhaust(now_ms) - now_ms) / 1000)


async def banned(storm: Storm) -> None:
    exchange, seconds = storm.exchange, storm.chance.uniform(5.0, 120.0)
    exchange.weights.ban(exchange.clock.unix_ms() + round(seconds * 1000))
    storm.close(seconds)


async def symbol_halts(storm: Storm) -> None:
    storm.exchange.engine.status = storm.chance.choice((HALT, BREAK, CANCEL_ONLY))
    storm.status_changed_s = float("inf")
    await storm.clock.sleep(storm.chance.uniform(2.0, 150.0))
    storm.exchange.engine.status = TRADING
    storm.status_changed_s = storm.clock.now_s()


async def clock_steps(storm: Storm) -> None:
    storm.server_clock.step(storm.chance.choice((-1, 1)) * storm.chance.uniform(500, 20_000))


async def clock_drifts(storm: Storm) -> None:
    storm.server_clock.drift(storm.chance.uniform(-10.0, 10.0))


async def deposit(storm: Storm) -> None:
    terms, chance = storm.exchange.terms, storm.chance
    if chance.random() < 0.5:
        storm.hand.deposit(terms.base_asset, part(Decimal("0.5"), chance))
    else:
        storm.hand.deposit(terms.quote_asset, part(Decimal(800), chance))
    storm.switchboard.deliver()


async def withdrawal(storm: Storm) -> None:
    """Of what is free; of what the bot's order locks as well, where its owner takes that order back first."""
    terms, chance = storm.exchange.terms, storm.chance
    if chance.random() < 0.5:
        await own_order_cancelled(storm)
    asset = chance.choice((terms.base_asset, terms.quote_asset))
    free = storm.exchange.account().balance(asset).free
    if free > STEP:
        storm.hand.withdraw(asset, part(free, chance))
    storm.switchboard.deliver()


async def own_order_cancelled(storm: Storm) -> None:
    """The owner cancels what the bot has placed."""
    for order in storm.exchange.account().open_orders():
        if not order.by_hand:
            storm.hand.cancel(order.order_id)
    storm.switchboard.deliver()


async def manual_trade(storm: Storm) -> None:
    """Of no more than the best price offers, so that it meets no order of the owner's own far behind it."""
    chance, exchange = storm.chance, storm.exchange
    side = chance.choice((Side.BUY, Side.SELL))
    account, terms, top = exchange.account(), exchange.terms, exchange.engine.top()
    if side is Side.SELL:
        most = min(account.balance(terms.base_asset).free, top.bid_quantity)
    else:
        most = min(account.balance(terms.quote_asset).free / top.ask / Decimal("1.01"), top.ask_quantity)
    quantity = part(most, chance)
    if quantity * top.bid > 2 * terms.min_notional:
        by_hand(lambda: storm.hand.place(side, top.best(side.opposite), quantity, OrderType.MARKET))
    storm.switchboard.deliver()


async def manual_order(storm: Storm) -> None:
    """A resting order at or behind the best price, taken back some time later."""
    chance, exchange = storm.chance, storm.exchange
    side = chance.choice((Side.BUY, Side.SELL))
    account, terms, top = exchange.account(), exchange.terms, exchange.engine.top()
    away = terms.tick_size * chance.choice((0, 1, 5, 100)) * (1 if side is Side.SELL else -1)
    price = top.best(side) + away
    sold, worth = (terms.base_asset, Decimal(1)) if side is Side.SELL else (terms.quote_asset, price)
    quantity = part(account.balance(sold).free / worth, chance)
    if quantity * price < 2 * terms.min_notional:
        return
    order = by_hand(lambda: storm.hand.place(side, price, quantity))
    storm.switchboard.deliver()
    await storm.clock.sleep(chance.uniform(1.0, 200.0))
    if order is not None and not order.status.final:
        storm.hand.cancel(order.order_id)
        storm.switchboard.deliver()


async def flip(storm: Storm) -> None:
    storm.daemon.obey(OperatorCommand.FLIP)


async def take_back(storm: Storm) -> None:
    storm.daemon.obey(OperatorCommand.WITHDRAW)


def part(whole: Decimal, chance: Random) -> Decimal:
    """Some of it, sometimes all."""
    share = Decimal(1) if chance.random() < 0.2 else Decimal(f"{chance.random():.3f}")
    return (whole * share).quantize(STEP, rounding=ROUND_DOWN)


def by_hand(act: Callable[[], SimOrder]) -> SimOrder | None:
    """What an owner is refused leaves him where he was."""
    try:
        return act()
    except ExchangeError:
        return None


WEATHER: Final[Mapping[str, Callable[[Storm], Awaitable[None]]]] = {
    each.__name__: each
    for each in (
        cut_streams,
        cut_account,
        half_open_streams,
        half_open_account,
        mute_streams,
        mute_account,
        server_away,
        shut_down,
        subscriptions_end,
        weight_used_up,
        banned,
        symbol_halts,
        clock_steps,
        clock_drifts,
        deposit,
        withdrawal,
        own_order_cancelled,
        manual_trade,
        manual_order,
        flip,
        take_back,
    )
}

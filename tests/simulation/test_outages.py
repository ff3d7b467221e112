"""One kind of bad weather at a time, and the behaviour that is documented for it: wait, alert, or end with its code."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from tests.simulation.simulated_day import Day, own_exits, simulate
from tests.simulation.still_market import ASK, BID, StillMarket

from trailingedge.config import Settings
from trailingedge.core.clock import Clock
from trailingedge.core.errors import LogonRefused
from trailingedge.live.trading_node import TradingNode
from trailingedge.model.market import Regime, Side
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.simulator.connections import ConnectionHub
from trailingedge.simulator.engine import BREAK, CANCEL_ONLY, HALT, TRADING
from trailingedge.simulator.exchange import Exchange, ManualTrader
from trailingedge.simulator.faults import DriftingClock
from trailingedge.simulator.orders import OrderType, SimOrder
from trailingedge.simulator.server import LoopbackExchange


@dataclass
class Scene:
    """A day on a still market, seen from inside. `seen` is whatever the story wants to remember."""

    daemon: TradingNode
    loopback: LoopbackExchange
    clock: Clock
    seen: dict[str, object] = field(default_factory=dict)

    @property
    def exchange(self) -> Exchange:
        return self.loopback.exchange

    @property
    def switchboard(self) -> ConnectionHub:
        return self.loopback.switchboard

    @property
    def hand(self) -> ManualTrader:
        return self.exchange.by_hand()

    @property
    def order(self) -> SimOrder | None:
        """The bot's own exit order, if one rests."""
        return next(iter(own_exits(self.exchange.account())), None)

    async def wait(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    async def until(self, true: Callable[[], bool], within_s: float) -> float:
        """How long it took; raises TimeoutError."""
        started_s = self.clock.now_s()
        while not true():
            if self.clock.now_s() - started_s > within_s:
                raise TimeoutError(f"not within {within_s:g} s")
            await self.clock.sleep(0.1)
        return self.clock.now_s() - started_s

    async def flip(self) -> None:
        """Ask for it and see the order rest."""
        self.daemon.obey(OperatorCommand.FLIP)
        await self.until(lambda: self.order is not None, 5)

    async def fill(self) -> None:
        """A stranger takes all of our order."""
        order = self.order
        if order is not None:
            self.exchange.engine.nibble(order, order.remaining)
            self.switchboard.deliver()
        await self.wait(2)

    def act(self, deed: Callable[[ManualTrader], object]) -> None:
        """The owner does something by hand."""
        deed(self.hand)
        self.switchboard.deliver()

    def asked(self, method: str = "") -> int:
        """How often anything, or that, has been requested so far."""
        requests = self.exchange.journal.requests
        return requests[method] if method else sum(requests.values())


Story = Callable[[Scene], Awaitable[None]]


def played(story: Story) -> tuple[Day, Scene]:
    """The day of a story, which is over when the story is."""
    scenes: list[Scene] = []

    async def script(daemon: TradingNode, loopback: LoopbackExchange, clock: Clock) -> None:
        scene = Scene(daemon, loopback, clock)
        scenes.append(scene)
        await clock.sleep(5)
        await story(scene)
        daemon.stop("the story is over")

    settings = replace(Settings(), manual_exit_ttl_sec=600.0)  # so that a command outlives the weather
    return simulate(1, 24.0, settings=settings, tape=StillMarket(), script=script), scenes[0]


def well(day: Day) -> bool:
    """It ended in good order, and the ledger has nothing to say against it."""
    return day.faults() == []


def alerts(day: Day) -> str:
    return "\n".join(text for _, text in day.notes.alerts)


# The key ---------------------------------------------------------------------------------------


def revoke(scene: Scene) -> None:
    """Its holder opens nothing any more."""
    for api_key in scene.exchange.keys.names():
        scene.exchange.keys.revoke(api_key)


@pytest.mark.parametrize("chasing", [True, False], ids=["in a chase", "while idle"])
def test_a_revoked_key_ends_the_daemon_for_a_person_to_act(chasing: bool) -> None:
    async def story(scene: Scene) -> None:
        if chasing:
            await scene.flip()
        revoke(scene)
        await scene.wait(180)

    day, _ = played(story)
    assert isinstance(day.died, LogonRefused)
    assert "-2015" in str(day.died)


def test_a_connection_may_go_while_the_key_holds() -> None:
    async def story(scene: Scene) -> None:
        await scene.flip()
        scene.switchboard.terminate_subscriptions()
        await scene.wait(20)
        await scene.fill()

    day, _ = played(story)
    assert well(day)
    assert day.filled("m", Side.SELL) == 1


# The clock -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step_ms", [20_000, 1_500, -4_000, -20_000])
def test_when_the_servers_clock_jumps_ours_follows(step_ms: float) -> None:
    async def story(scene: Scene) -> None:
        clock = scene.exchange.clock
        assert isinstance(clock, DriftingClock)
        clock.step(step_ms)
        scene.daemon.obey(OperatorCommand.FLIP)
        scene.seen["rested after"] = await scene.until(lambda: scene.order is not None, 10)

    day, _ = played(story)
    assert well(day)


@pytest.mark.parametrize("ms_per_s", [5.0, -5.0])
def test_a_clock_that_drifts_is_measured_anew(ms_per_s: float) -> None:
    async def story(scene: Scene) -> None:
        clock = scene.exchange.clock
        assert isinstance(clock, DriftingClock)
        clock.drift(ms_per_s)
        for _ in range(3):
            await scene.wait(900)
            await scene.flip()
            await scene.fill()

    day, _ = played(story)
    assert well(day)
    assert day.journal.refusals[-1021] <= 14  # one for each second that it drifted, at most


# Limits ----------------------------------------------------------------------------------------


def test_a_banned_daemon_keeps_away_until_it_may_come_back() -> None:
    async def story(scene: Scene) -> None:
        await scene.flip()
        exchange = scene.exchange
        exchange.weights.ban(exchange.clock.unix_ms() + 90_000)
        await scene.until(lambda: exchange.journal.refusals[-1003] > 0, 30)
        asked = scene.asked()
        await scene.until(lambda: exchange.clock.unix_ms() >= exchange.weights.closed_until_ms, 120)
        scene.seen["knocks"] = scene.asked() - asked
        scene.seen["back after"] = await scene.until(lambda: scene.daemon.snapshots.account_proven, 65)
        await scene.fill()

    day, scene = played(story)
    assert well(day)
    assert (scene.seen["knocks"], day.journal.refusals[-1003], day.exchange.weights.bans) == (0, 1, 0)
    assert day.filled("m", Side.SELL) == 1
    assert "account connection back" in alerts(day)


def test_a_daemon_that_is_told_to_slow_down_is_silent_until_it_may_speak() -> None:
    async def story(scene: Scene) -> None:
        exchange = scene.exchange
        exchange.weights.exhaust(exchange.clock.unix_ms())
        scene.daemon.obey(OperatorCommand.FLIP)
        await scene.until(lambda: scene.order is not None, 75)

    day, _ = played(story)
    assert well(day)
    assert day.journal.refusals[-1003] <= 12  # a probe now and then, far from what earns a ban
    assert day.exchange.weights.bans == 0


# The symbol ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [BREAK, HALT])
def test_while_the_symbol_does_not_trade_a_latched_exit_waits(status: str) -> None:
    async def story(scene: Scene) -> None:
        scene.exchange.engine.status = status
        scene.daemon.obey(OperatorCommand.FLIP)
        await scene.wait(20)
        assert scene.order is None
        placements = scene.asked("order.place")
        scene.exchange.engine.status = TRADING
        scene.seen["tries"] = placements
        await scene.until(lambda: scene.order is not None, 70)

    day, scene = played(story)
    assert well(day)
    assert scene.seen["tries"] <= 6  # type: ignore[operator]


def test_an_order_that_rests_when_the_symbol_halts_is_filled_when_it_trades_again() -> None:
    async def story(scene: Scene) -> None:
        await scene.flip()
        scene.exchange.engine.status = BREAK
        await scene.wait(100)
        assert scene.order is not None
        scene.exchange.engine.status = TRADING
        await scene.wait(5)
        await scene.fill()

    day, _ = played(story)
    assert well(day)
    assert day.filled("m", Side.SELL) == 1


def test_where_only_cancels_are_taken_the_operator_can_still_withdraw() -> None:
    async def story(scene: Scene) -> None:
        await scene.flip()
        scene.exchange.engine.status = CANCEL_ONLY
        await scene.wait(5)
        scene.daemon.obey(OperatorCommand.WITHDRAW)
        await scene.until(lambda: scene.order is None, 5)

    day, _ = played(story)
    assert well(day)


# The owner's hand ------------------------------------------------------------------------------

HALF = Decimal("0.5")


def deposit(hand: ManualTrader) -> None:
    hand.deposit("FDUSD", Decimal(300))


def deposit_base(hand: ManualTrader) -> None:
    hand.deposit("ETH", HALF)


def withdraw(hand: ManualTrader) -> None:
    hand.withdraw("FDUSD", Decimal(100))


def buy_some(hand: ManualTrader) -> None:
    hand.place(Side.BUY, ASK, Decimal("0.04"), OrderType.MARKET)


def rest_a_bid(hand: ManualTrader) -> None:
    hand.place(Side.BUY, BID - 10, Decimal("0.04"))


async def watching(_: Scene) -> None:
    pass


async def exiting(scene: Scene) -> None:
    await scene.flip()


async def exiting_in_part(scene: Scene) -> None:
    await scene.flip()
    order = scene.order
    if order is not None:
        scene.exchange.engine.nibble(order, Decimal("0.3"))
        scene.switchboard.deliver()
    await scene.wait(1)


async def holding_quote(scene: Scene) -> None:
    await scene.flip()
    await scene.fill()


@pytest.mark.parametrize("phase", [watching, exiting, exiting_in_part, holding_quote])
@pytest.mark.parametrize("deed", [deposit, deposit_base, withdraw, buy_some, rest_a_bid])
def test_what_the_owner_does_by_hand_is_taken_as_it_is(phase: Story, deed: Callable[[ManualTrader], None]) -> None:
    async def story(scene: Scene) -> None:
        await phase(scene)
        before = {order.order_id for order in scene.exchange.account().open_orders() if order.by_hand}
        scene.act(deed)
        by_hand = {order.order_id for order in scene.exchange.account().open_orders() if order.by_hand}
        await scene.wait(10)
        account, told = scene.exchange.account(), scene.daemon.snapshots.balances
        assert {asset: told[asset] for asset in told} == {asset: account.balance(asset) for asset in told}
        assert by_hand >= before
        assert by_hand <= {order.order_id for order in account.open_orders()}
        desk = scene.daemon.desk
        assert desk is not None
        assert desk.trader.state.regime is (Regime.QUOTE if phase is holding_quote else Regime.BASE)
        for order in [each for each in account.open_orders() if each.by_hand and each.order_id not in before]:
            scene.act(lambda hand, order_id=order.order_id: hand.cancel(order_id))  # type: ignore[misc]

    day, _ = played(story)
    assert well(day), day.faults()
    assert day.journal.foreign_cancels == 0


def test_all_of_it_withdrawn_leaves_nothing_to_trade_and_a_deposit_brings_it_back() -> None:
    async def story(scene: Scene) -> None:
        account = scene.exchange.account()
        scene.act(lambda hand: hand.withdraw("ETH", account.balance("ETH").free))
        scene.act(lambda hand: hand.withdraw("FDUSD", account.balance("FDUSD").free))
        await scene.wait(10)
        desk = scene.daemon.desk
        assert desk is not None
        scene.seen["poor"] = desk.trader.state.phase.name
        scene.act(lambda hand: hand.deposit("FDUSD", Decimal(500)))
        await scene.wait(10)
        scene.seen["rich"] = desk.trader.state.phase.name, desk.trader.state.regime

    day, scene = played(story)
    assert well(day)
    assert scene.seen["poor"] == "UNFUNDED"
    assert scene.seen["rich"] == ("WATCHING", Regime.QUOTE)

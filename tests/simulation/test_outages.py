"""One kind of bad weather at a time, and the behaviour that is documented for it: wait, alert, or end with its code."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from tests.simulation.simulated_day import Day, open_exits, simulate
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
class OutageTest:
    """A day on a still market, seen from inside. `seen` is whatever the story wants to remember."""

    node: TradingNode
    loopback: LoopbackExchange
    clock: Clock
    noted: dict[str, object] = field(default_factory=dict)

    @property
    def exchange(self) -> Exchange:
        return self.loopback.exchange

    @property
    def hub(self) -> ConnectionHub:
        return self.loopback.hub

    @property
    def owner(self) -> ManualTrader:
        return self.exchange.manual_trader()

    @property
    def order(self) -> SimOrder | None:
        """The bot's own exit order, if one rests."""
        return next(iter(open_exits(self.exchange.account())), None)

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
        self.node.submit(OperatorCommand.FLIP)
        await self.until(lambda: self.order is not None, 5)

    async def fill_order(self) -> None:
        """A stranger takes all of our order."""
        order = self.order
        if order is not None:
            self.exchange.engine.partial_fill(order, order.remaining)
            self.hub.publish_events()
        await self.wait(2)

    def act_as_owner(self, deed: Callable[[ManualTrader], object]) -> None:
        """The owner does something by hand."""
        deed(self.owner)
        self.hub.publish_events()

    def request_count(self, method: str = "") -> int:
        """How often anything, or that, has been requested so far."""
        requests = self.exchange.audit_log.requests
        return requests[method] if method else sum(requests.values())


Scenario = Callable[[OutageTest], Awaitable[None]]


def run_scenario(story: Scenario) -> tuple[Day, OutageTest]:
    """The day of a story, which is over when the story is."""
    scenes: list[OutageTest] = []

    async def script(daemon: TradingNode, loopback: LoopbackExchange, clock: Clock) -> None:
        scene = OutageTest(daemon, loopback, clock)
        scenes.append(scene)
        await clock.sleep(5)
        await story(scene)
        daemon.stop("the story is over")

    settings = replace(Settings(), manual_exit_ttl_sec=600.0)  # so that a command outlives the weather
    return simulate(1, 24.0, settings=settings, tape=StillMarket(), script=script), scenes[0]


def is_clean(day: Day) -> bool:
    """It ended in good order, and the ledger has nothing to say against it."""
    return day.faults() == []


def alerts(day: Day) -> str:
    return "\n".join(text for _, text in day.output.alerts)


# The key ---------------------------------------------------------------------------------------


def revoke(scene: OutageTest) -> None:
    """Its holder opens nothing any more."""
    for api_key in scene.exchange.keys.api_keys():
        scene.exchange.keys.revoke(api_key)


@pytest.mark.parametrize("chasing", [True, False], ids=["in a chase", "while idle"])
def test_a_revoked_key_ends_the_daemon_for_a_person_to_act(chasing: bool) -> None:
    async def story(scene: OutageTest) -> None:
        if chasing:
            await scene.flip()
        revoke(scene)
        await scene.wait(180)

    day, _ = run_scenario(story)
    assert isinstance(day.failure, LogonRefused)
    assert "-2015" in str(day.failure)


def test_a_connection_may_go_while_the_key_holds() -> None:
    async def story(scene: OutageTest) -> None:
        await scene.flip()
        scene.hub.terminate_subscriptions()
        await scene.wait(20)
        await scene.fill_order()

    day, _ = run_scenario(story)
    assert is_clean(day)
    assert day.filled("m", Side.SELL) == 1


# The clock -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step_ms", [20_000, 1_500, -4_000, -20_000])
def test_when_the_servers_clock_jumps_ours_follows(step_ms: float) -> None:
    async def story(scene: OutageTest) -> None:
        clock = scene.exchange.clock
        assert isinstance(clock, DriftingClock)
        clock.step(step_ms)
        scene.node.submit(OperatorCommand.FLIP)
        scene.noted["rested after"] = await scene.until(lambda: scene.order is not None, 10)

    day, _ = run_scenario(story)
    assert is_clean(day)


@pytest.mark.parametrize("ms_per_s", [5.0, -5.0])
def test_a_clock_that_drifts_is_measured_anew(ms_per_s: float) -> None:
    async def story(scene: OutageTest) -> None:
        clock = scene.exchange.clock
        assert isinstance(clock, DriftingClock)
        clock.set_drift(ms_per_s)
        for _ in range(3):
            await scene.wait(900)
            await scene.flip()
            await scene.fill_order()

    day, _ = run_scenario(story)
    assert is_clean(day)
    assert day.audit_log.errors_by_code[-1021] <= 14  # one for each second that it drifted, at most


# Limits ----------------------------------------------------------------------------------------


def test_a_banned_daemon_keeps_away_until_it_may_come_back() -> None:
    async def story(scene: OutageTest) -> None:
        await scene.flip()
        exchange = scene.exchange
        exchange.weight_limiter.ban(exchange.clock.unix_ms() + 90_000)
        await scene.until(lambda: exchange.audit_log.errors_by_code[-1003] > 0, 30)
        asked = scene.request_count()
        await scene.until(lambda: exchange.clock.unix_ms() >= exchange.weight_limiter.blocked_until_ms, 120)
        scene.noted["knocks"] = scene.request_count() - asked
        scene.noted["back after"] = await scene.until(lambda: scene.node.market_state.account_proven, 65)
        await scene.fill_order()

    day, scene = run_scenario(story)
    assert is_clean(day)
    assert (scene.noted["knocks"], day.audit_log.errors_by_code[-1003], day.exchange.weight_limiter.bans) == (0, 1, 0)
    assert day.filled("m", Side.SELL) == 1
    assert "account connection back" in alerts(day)


def test_a_daemon_that_is_told_to_slow_down_is_silent_until_it_may_speak() -> None:
    async def story(scene: OutageTest) -> None:
        exchange = scene.exchange
        exchange.weight_limiter.exhaust(exchange.clock.unix_ms())
        scene.node.submit(OperatorCommand.FLIP)
        await scene.until(lambda: scene.order is not None, 75)

    day, _ = run_scenario(story)
    assert is_clean(day)
    assert day.audit_log.errors_by_code[-1003] <= 12  # a probe now and then, far from what earns a ban
    assert day.exchange.weight_limiter.bans == 0


# The symbol ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [BREAK, HALT])
def test_while_the_symbol_does_not_trade_a_latched_exit_waits(status: str) -> None:
    async def story(scene: OutageTest) -> None:
        scene.exchange.engine.symbol_status = status
        scene.node.submit(OperatorCommand.FLIP)
        await scene.wait(20)
        assert scene.order is None
        placements = scene.request_count("order.place")
        scene.exchange.engine.symbol_status = TRADING
        scene.noted["tries"] = placements
        await scene.until(lambda: scene.order is not None, 70)

    day, scene = run_scenario(story)
    assert is_clean(day)
    assert scene.noted["tries"] <= 6  # type: ignore[operator]


def test_an_order_that_rests_when_the_symbol_halts_is_filled_when_it_trades_again() -> None:
    async def story(scene: OutageTest) -> None:
        await scene.flip()
        scene.exchange.engine.symbol_status = BREAK
        await scene.wait(100)
        assert scene.order is not None
        scene.exchange.engine.symbol_status = TRADING
        await scene.wait(5)
        await scene.fill_order()

    day, _ = run_scenario(story)
    assert is_clean(day)
    assert day.filled("m", Side.SELL) == 1


def test_where_only_cancels_are_taken_the_operator_can_still_withdraw() -> None:
    async def story(scene: OutageTest) -> None:
        await scene.flip()
        scene.exchange.engine.symbol_status = CANCEL_ONLY
        await scene.wait(5)
        scene.node.submit(OperatorCommand.CANCEL)
        await scene.until(lambda: scene.order is None, 5)

    day, _ = run_scenario(story)
    assert is_clean(day)


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


async def watching(_: OutageTest) -> None:
    pass


async def exiting(scene: OutageTest) -> None:
    await scene.flip()


async def exiting_in_part(scene: OutageTest) -> None:
    await scene.flip()
    order = scene.order
    if order is not None:
        scene.exchange.engine.partial_fill(order, Decimal("0.3"))
        scene.hub.publish_events()
    await scene.wait(1)


async def holding_quote(scene: OutageTest) -> None:
    await scene.flip()
    await scene.fill_order()


@pytest.mark.parametrize("phase", [watching, exiting, exiting_in_part, holding_quote])
@pytest.mark.parametrize("deed", [deposit, deposit_base, withdraw, buy_some, rest_a_bid])
def test_what_the_owner_does_by_hand_is_taken_as_it_is(phase: Scenario, deed: Callable[[ManualTrader], None]) -> None:
    async def story(scene: OutageTest) -> None:
        await phase(scene)
        before = {order.order_id for order in scene.exchange.account().open_orders() if order.is_manual}
        scene.act_as_owner(deed)
        by_hand = {order.order_id for order in scene.exchange.account().open_orders() if order.is_manual}
        await scene.wait(10)
        account, told = scene.exchange.account(), scene.node.market_state.balances
        assert {asset: told[asset] for asset in told} == {asset: account.balance(asset) for asset in told}
        assert by_hand >= before
        assert by_hand <= {order.order_id for order in account.open_orders()}
        desk = scene.node.services
        assert desk is not None
        assert desk.core.state.regime is (Regime.QUOTE if phase is holding_quote else Regime.BASE)
        for order in [each for each in account.open_orders() if each.is_manual and each.order_id not in before]:
            scene.act_as_owner(lambda hand, order_id=order.order_id: hand.cancel(order_id))  # type: ignore[misc]

    day, _ = run_scenario(story)
    assert is_clean(day), day.faults()
    assert day.audit_log.foreign_cancels == 0


def test_all_of_it_withdrawn_leaves_nothing_to_trade_and_a_deposit_brings_it_back() -> None:
    async def story(scene: OutageTest) -> None:
        account = scene.exchange.account()
        scene.act_as_owner(lambda hand: hand.withdraw("ETH", account.balance("ETH").free))
        scene.act_as_owner(lambda hand: hand.withdraw("FDUSD", account.balance("FDUSD").free))
        await scene.wait(10)
        desk = scene.node.services
        assert desk is not None
        scene.noted["poor"] = desk.core.state.phase.name
        scene.act_as_owner(lambda hand: hand.deposit("FDUSD", Decimal(500)))
        await scene.wait(10)
        scene.noted["rich"] = desk.core.state.phase.name, desk.core.state.regime

    day, scene = run_scenario(story)
    assert is_clean(day)
    assert scene.noted["poor"] == "UNFUNDED"
    assert scene.noted["rich"] == ("WATCHING", Regime.QUOTE)

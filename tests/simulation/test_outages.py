"""One fault at a time, and the behaviour documented for it: wait, alert, or end with its exit code."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from tests.simulation.simulated_day import Day, open_exits, simulate
from tests.simulation.still_market import ASK, BID, StillMarket
from tests.tight_settings import TIGHT

from trailingedge.core.clock import Clock
from trailingedge.core.errors import LogonRefused
from trailingedge.live.trading_node import TradingNode
from trailingedge.model.market import Regime, Side
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.simulator.connection_hub import ConnectionHub
from trailingedge.simulator.engine import BREAK, CANCEL_ONLY, HALT, TRADING
from trailingedge.simulator.exchange import Exchange, ManualTrader
from trailingedge.simulator.faults import DriftingClock
from trailingedge.simulator.orders import OrderType, SimOrder
from trailingedge.simulator.server import LoopbackExchange


@dataclass
class OutageTest:
    """A daemon on a still market, and what a scenario does to it. `noted`: values for the assertions after the day."""

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
        """Wait for `true` and return how long it took. Raises TimeoutError."""
        started_s = self.clock.now_s()
        while not true():
            if self.clock.now_s() - started_s > within_s:
                raise TimeoutError(f"not within {within_s:g} s")
            await self.clock.sleep(0.1)
        return self.clock.now_s() - started_s

    async def flip(self) -> None:
        """Request a flip and wait until its order rests."""
        self.node.submit(OperatorCommand.FLIP)
        await self.until(lambda: self.order is not None, 5)

    async def fill_order(self) -> None:
        """Fill the bot's order in full."""
        order = self.order
        if order is not None:
            self.exchange.engine.partial_fill(order, order.remaining)
            self.hub.publish_events()
        await self.wait(2)

    def act_as_owner(self, act: Callable[[ManualTrader], object]) -> None:
        """Do something as the account's owner, outside the daemon."""
        act(self.owner)
        self.hub.publish_events()

    def request_count(self, method: str = "") -> int:
        """How many requests the exchange has had so far, of one method or of all."""
        requests = self.exchange.audit_log.requests
        return requests[method] if method else sum(requests.values())


Scenario = Callable[[OutageTest], Awaitable[None]]


def run_scenario(scenario: Scenario) -> tuple[Day, OutageTest]:
    """Simulate a day that ends with the scenario."""
    scenes: list[OutageTest] = []

    async def script(daemon: TradingNode, loopback: LoopbackExchange, clock: Clock) -> None:
        test = OutageTest(daemon, loopback, clock)
        scenes.append(test)
        await clock.sleep(5)
        await scenario(test)
        daemon.stop("the scenario is over")

    # Longer than the faults: an operator's command must not expire during one.
    settings = replace(TIGHT, manual_exit_ttl_sec=600.0)
    return simulate(1, 24.0, settings=settings, source=StillMarket(), script=script), scenes[0]


def is_clean(day: Day) -> bool:
    """Whether the day ended in good order and without a fault."""
    return day.faults() == []


def alerts(day: Day) -> str:
    return "\n".join(text for _, text in day.output.alerts)


# The key ---------------------------------------------------------------------------------------


def revoke(test: OutageTest) -> None:
    """Revoke the daemon's API key."""
    for api_key in test.exchange.keys.api_keys():
        test.exchange.keys.revoke(api_key)


@pytest.mark.parametrize("chasing", [True, False], ids=["in a chase", "while idle"])
def test_a_revoked_key_ends_the_daemon_because_a_person_must_act(chasing: bool) -> None:
    async def scenario(test: OutageTest) -> None:
        if chasing:
            await test.flip()
        revoke(test)
        await test.wait(180)

    day, _ = run_scenario(scenario)
    assert isinstance(day.failure, LogonRefused)
    assert "-2015" in str(day.failure)


def test_a_daemon_subscribes_again_when_its_subscription_is_terminated() -> None:
    async def scenario(test: OutageTest) -> None:
        await test.flip()
        test.hub.terminate_subscriptions()
        await test.wait(20)
        await test.fill_order()

    day, _ = run_scenario(scenario)
    assert is_clean(day)
    assert day.filled("m", Side.SELL) == 1


# The clock -------------------------------------------------------------------------------------


@pytest.mark.parametrize("step_ms", [20_000, 1_500, -4_000, -20_000])
def test_a_daemon_follows_a_step_of_the_servers_clock(step_ms: float) -> None:
    async def scenario(test: OutageTest) -> None:
        clock = test.exchange.clock
        assert isinstance(clock, DriftingClock)
        clock.step(step_ms)
        test.node.submit(OperatorCommand.FLIP)
        test.noted["rested after"] = await test.until(lambda: test.order is not None, 10)

    day, _ = run_scenario(scenario)
    assert is_clean(day)


@pytest.mark.parametrize("ms_per_s", [5.0, -5.0])
def test_a_daemon_measures_a_drifting_server_clock_again(ms_per_s: float) -> None:
    async def scenario(test: OutageTest) -> None:
        clock = test.exchange.clock
        assert isinstance(clock, DriftingClock)
        clock.set_drift(ms_per_s)
        for _ in range(2):
            await test.wait(600)
            await test.flip()
            await test.fill_order()

    day, _ = run_scenario(scenario)
    assert is_clean(day)
    assert day.audit_log.errors_by_code[-1021] <= 14  # one for each second that it drifted, at most


# Limits ----------------------------------------------------------------------------------------


def test_a_banned_daemon_sends_nothing_until_the_ban_ends() -> None:
    async def scenario(test: OutageTest) -> None:
        await test.flip()
        exchange = test.exchange
        exchange.weight_limiter.ban(exchange.clock.unix_ms() + 90_000)
        await test.until(lambda: exchange.audit_log.errors_by_code[-1003] > 0, 30)
        asked = test.request_count()
        await test.until(lambda: exchange.clock.unix_ms() >= exchange.weight_limiter.blocked_until_ms, 120)
        test.noted["requests while banned"] = test.request_count() - asked
        test.noted["back after"] = await test.until(lambda: test.node.market_state.account_proven, 65)
        await test.fill_order()

    day, test = run_scenario(scenario)
    assert is_clean(day)
    assert test.noted["requests while banned"] == 0
    assert (day.audit_log.errors_by_code[-1003], day.exchange.weight_limiter.bans) == (1, 0)
    assert day.filled("m", Side.SELL) == 1
    assert "account connection is back" in alerts(day)


def test_a_daemon_that_gets_a_429_waits_until_retry_after() -> None:
    async def scenario(test: OutageTest) -> None:
        exchange = test.exchange
        exchange.weight_limiter.exhaust(exchange.clock.unix_ms())
        test.node.submit(OperatorCommand.FLIP)
        await test.until(lambda: test.order is not None, 75)

    day, _ = run_scenario(scenario)
    assert is_clean(day)
    assert day.audit_log.errors_by_code[-1003] <= 12  # an occasional probe, far below what leads to a ban
    assert day.exchange.weight_limiter.bans == 0


# The symbol ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [BREAK, HALT])
def test_an_exit_waits_while_the_symbol_does_not_trade(status: str) -> None:
    async def scenario(test: OutageTest) -> None:
        test.exchange.engine.symbol_status = status
        test.node.submit(OperatorCommand.FLIP)
        await test.wait(20)
        assert test.order is None
        placements = test.request_count("order.place")
        test.exchange.engine.symbol_status = TRADING
        test.noted["tries"] = placements
        await test.until(lambda: test.order is not None, 70)

    day, test = run_scenario(scenario)
    assert is_clean(day)
    assert test.noted["tries"] <= 6  # type: ignore[operator]


def test_an_order_that_rests_when_the_symbol_halts_is_filled_when_it_trades_again() -> None:
    async def scenario(test: OutageTest) -> None:
        await test.flip()
        test.exchange.engine.symbol_status = BREAK
        await test.wait(100)
        assert test.order is not None
        test.exchange.engine.symbol_status = TRADING
        await test.wait(5)
        await test.fill_order()

    day, _ = run_scenario(scenario)
    assert is_clean(day)
    assert day.filled("m", Side.SELL) == 1


def test_the_operator_can_cancel_an_exit_while_the_symbol_is_cancel_only() -> None:
    async def scenario(test: OutageTest) -> None:
        await test.flip()
        test.exchange.engine.symbol_status = CANCEL_ONLY
        await test.wait(5)
        test.node.submit(OperatorCommand.CANCEL)
        await test.until(lambda: test.order is None, 5)

    day, _ = run_scenario(scenario)
    assert is_clean(day)


# Manual trades and transfers of the owner --------------------------------------------------------

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


async def idle(_: OutageTest) -> None:
    pass


async def exiting(test: OutageTest) -> None:
    await test.flip()


async def exiting_in_part(test: OutageTest) -> None:
    await test.flip()
    order = test.order
    if order is not None:
        test.exchange.engine.partial_fill(order, Decimal("0.3"))
        test.hub.publish_events()
    await test.wait(1)


async def holding_quote(test: OutageTest) -> None:
    await test.flip()
    await test.fill_order()


@pytest.mark.parametrize("phase", [idle, exiting, exiting_in_part, holding_quote])
@pytest.mark.parametrize("act", [deposit, deposit_base, withdraw, buy_some, rest_a_bid])
def test_a_daemon_takes_over_what_its_owner_does_by_hand(phase: Scenario, act: Callable[[ManualTrader], None]) -> None:
    async def scenario(test: OutageTest) -> None:
        await phase(test)
        before = {order.order_id for order in test.exchange.account().open_orders() if order.is_manual}
        test.act_as_owner(act)
        manual = {order.order_id for order in test.exchange.account().open_orders() if order.is_manual}
        await test.wait(10)
        account, believed = test.exchange.account(), test.node.market_state.balances
        assert dict(believed) == {asset: account.balance(asset) for asset in believed}
        assert manual >= before
        assert manual <= {order.order_id for order in account.open_orders()}
        desk = test.node.services
        assert desk is not None
        assert desk.core.state.regime is (Regime.QUOTE if phase is holding_quote else Regime.BASE)
        for order in [each for each in account.open_orders() if each.is_manual and each.order_id not in before]:
            test.act_as_owner(lambda hand, order_id=order.order_id: hand.cancel(order_id))  # type: ignore[misc]

    day, _ = run_scenario(scenario)
    assert is_clean(day), day.faults()
    assert day.audit_log.foreign_cancels == 0


def test_withdrawing_everything_leaves_the_daemon_unfunded_until_a_deposit() -> None:
    async def scenario(test: OutageTest) -> None:
        account = test.exchange.account()
        test.act_as_owner(lambda hand: hand.withdraw("ETH", account.balance("ETH").free))
        test.act_as_owner(lambda hand: hand.withdraw("FDUSD", account.balance("FDUSD").free))
        await test.wait(10)
        desk = test.node.services
        assert desk is not None
        test.noted["after the withdrawal"] = desk.core.state.phase.name
        test.act_as_owner(lambda hand: hand.deposit("FDUSD", Decimal(500)))
        await test.wait(10)
        test.noted["after the deposit"] = desk.core.state.phase.name, desk.core.state.regime

    day, test = run_scenario(scenario)
    assert is_clean(day)
    assert test.noted["after the withdrawal"] == "UNFUNDED"
    assert test.noted["after the deposit"] == ("WATCHING", Regime.QUOTE)

"""Shutdown: our order is cancelled, or an alert names the order that may be left, within five seconds."""

import pytest
from tests.daemon_harness import CASH, D, NodeHarness, run_scenario
from tests.test_main_logic import crash, rally_and_turn

from trailingedge.core.errors import ExitCode
from trailingedge.model.client_order_ids import ClientOrderId
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import Side
from trailingedge.simulator.faults import NO_FAULT, TIMEOUT_ERROR, RequestFault

FATES = [
    "lose_request",
    "lose_reply",
    "timeout_done",
    "timeout_undone",
    "busy",
    "cut_before",
    "cut_after",
    "late_reply",
]


@pytest.mark.parametrize("fate", FATES)
def test_one_cancel_that_goes_wrong_is_made_good(fate: str) -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        it.faults.schedule("order.cancel", fate)

    end = run_scenario(story)
    assert end.shutdown_s < 5
    assert (end.code, end.left_orders) == (ExitCode.OK, [])


def test_an_exit_that_is_cut_off_is_among_the_results_as_a_cancelled_one() -> None:
    nodes: list[NodeHarness] = []

    async def story(it: NodeHarness) -> None:
        nodes.append(it)
        await rally_and_turn(it)
        assert it.node.services is not None
        assert it.node.services.statistics.exits == []

    run_scenario(story)
    services = nodes[0].node.services
    assert services is not None
    (finished,) = services.statistics.exits
    assert (finished.kind, finished.cause, finished.base) == (ExitKind.TAKE_PROFIT, ExitEndReason.CANCELLED, D(0))
    assert services.core.state.exit is None


@pytest.mark.parametrize("out_s", [0.0, 0.5, 1.0, 1.2, 1.4, 2.0, 2.5])
def test_a_connection_that_dies_with_the_session_is_followed_by_another_in_time(out_s: float) -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        it.network.blocked.add("/ws-api")
        it.cut(api=True)
        it.clock.call_later(out_s, it.network.blocked.clear)

    end = run_scenario(story)
    assert (end.code, end.left_orders) == (ExitCode.OK, [])
    assert end.shutdown_s < 5


@pytest.mark.parametrize("cancel_sent", [False, True])
def test_a_connection_that_carries_nothing_any_more_is_replaced_in_time(cancel_sent: bool) -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        if cancel_sent:  # and its reply is the first thing that is missing
            it.clock.call_later(0.005, lambda: it.loopback.hub.half_open(streams=False))
        else:
            it.loopback.hub.half_open(streams=False)

    end = run_scenario(story)
    assert (end.code, end.left_orders) == (ExitCode.OK, [])
    assert end.shutdown_s < 4


def test_an_order_that_arrives_while_we_wait_is_cancelled() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        await it.price("2560")
        it.faults.schedule("order.place", RequestFault(replied=False, execution_delay_s=1.7))
        await it.price("2553", wait_s=0.1)

    end = run_scenario(story)
    assert end.left_orders == []
    assert end.shutdown_s < 5


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("step", ["connect and log on", "rules and fee", "candles", "market streams"])
def test_a_stop_in_the_start_takes_away_what_an_earlier_session_has_left(step: str, cut: bool) -> None:
    old = str(ClientOrderId(ExitKind.MANUAL, 1_783_000_000_000))

    async def story(it: NodeHarness) -> None:
        it.exchange.manual_trader().place(Side.SELL, D(2600), D(1), client_order_id=old)
        await it.until(lambda: any(line.startswith(step) for line in it.output.lines))
        if cut:
            it.cut(api=True)

    end = run_scenario(story)
    assert (end.code, end.left_orders) == (ExitCode.OK, [])
    assert end.shutdown_s < 5


def test_an_exchange_that_says_nothing_any_more_is_not_waited_for() -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        for method in ("order.cancel", "openOrders.status", "order.status", "session.logout"):
            for _ in range(10):
                it.faults.schedule(method, RequestFault(executed=False, replied=False))

    end = run_scenario(story)
    assert end.code is ExitCode.UNREACHABLE
    assert end.shutdown_s < 5
    assert "order left on the exchange: SELL 1.0000 ETH at 2553.01 FDUSD" in str(end.alert_texts)
    assert end.alert_texts[-1].startswith("shutdown: the scenario is over")


def test_a_first_order_that_nobody_answered_is_looked_for() -> None:
    for fate in ("lose_reply", "late_reply", "timeout_done"):

        async def story(it: NodeHarness, fate: str = fate) -> None:
            await it.ready()
            await it.price("2560")
            it.faults.schedule("order.place", fate)
            await it.price("2553", wait_s=0.1)

        end = run_scenario(story)
        assert (end.code, end.left_orders) == (ExitCode.OK, []), fate
        assert end.shutdown_s < 5


def test_one_that_may_still_arrive_is_named() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        await it.price("2560")
        it.faults.schedule("order.place", "lose_request")
        await it.price("2553", wait_s=0.1)

    end = run_scenario(story)
    assert end.code is ExitCode.UNREACHABLE
    assert "order left on the exchange: SELL 1.0000 ETH at 2553.01 FDUSD" in str(end.alert_texts)


@pytest.mark.parametrize("lists", [1, 2])
def test_one_that_a_lagging_list_lacks_after_a_cancel_in_doubt_is_named(lists: int) -> None:
    async def story(it: NodeHarness) -> None:
        await rally_and_turn(it)
        for _ in range(20):
            it.faults.schedule("order.cancel", RequestFault(executed=False, error=TIMEOUT_ERROR))
        for _ in range(lists):
            it.faults.schedule("openOrders.status", NO_FAULT)
        for _ in range(20):
            it.faults.schedule("openOrders.status", RequestFault(lag_s=30.0))

    end = run_scenario(story)
    assert [order.price for order in end.left_orders] == [D("2553.01")]
    assert end.code is ExitCode.UNREACHABLE
    assert "order left on the exchange: SELL 1.0000 ETH at 2553.01 FDUSD" in str(end.alert_texts)
    assert end.shutdown_s < 5


def test_a_jumpstart_that_cannot_be_cancelled_is_named() -> None:
    async def story(it: NodeHarness) -> None:
        for _ in range(30):
            it.faults.schedule("order.cancel", RequestFault(executed=False, replied=False))
        await it.until(lambda: it.own_orders)

    end = run_scenario(story, balances=CASH)
    assert end.code is ExitCode.UNREACHABLE
    assert "order left on the exchange: BUY 0.0023 ETH at 2250.00 FDUSD (TE-j-" in str(end.alert_texts)


def test_a_fill_that_wins_the_race_is_told() -> None:
    async def story(it: NodeHarness) -> None:
        await crash(it)
        it.set_price("2460")

    end = run_scenario(story)
    assert (end.code, end.left_orders) == (ExitCode.OK, [])


def test_what_the_owner_placed_by_hand_stays() -> None:
    async def story(it: NodeHarness) -> None:
        it.trade_manually(lambda hand: hand.place(Side.SELL, D(2900), D("0.3")))
        await rally_and_turn(it)

    end = run_scenario(story)
    assert end.left_orders == []
    assert len(end.exchange.account().open_orders()) == 1

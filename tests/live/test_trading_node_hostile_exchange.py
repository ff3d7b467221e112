"""Trading node against an exchange that sends odd messages at bad moments; cases that a fuzzing server found."""

from decimal import Decimal

from tests.daemon_harness import START_MS, D, NodeHarness, run_scenario, with_settings
from tests.test_main_logic import rally_and_turn

from trailingedge.core.errors import ExitCode
from trailingedge.model.client_order_ids import ClientOrderId
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Side
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.simulator.faults import RequestFault

ANOTHERS = ClientOrderId(ExitKind.MANUAL, START_MS + 3_600_000)  # an exit that nobody here has begun
LOST = RequestFault(replied=False)


async def show_another_instance(it: NodeHarness) -> None:
    """An order under our name, far from the market, that we did not place."""
    it.trade_manually(lambda hand: hand.place(Side.SELL, D(2900), D("0.1"), client_order_id=str(ANOTHERS)))


async def replace_in_silence(it: NodeHarness, lag_s: float) -> None:
    """Nobody tells of a replace from 2553.01 to 2552.01, and every query is answered from records `lag_s` old."""
    await rally_and_turn(it)
    it.faults.schedule("order.cancelReplace", LOST)
    it.loopback.hub.account_muted = True
    for method in ("order.status", "allOrders", "openOrders.status"):
        for _ in range(50):
            it.faults.schedule(method, RequestFault(lag_s=lag_s))
    await it.price("2552", wait_s=0.2)


def test_a_replace_of_which_nobody_told_is_named_at_the_end() -> None:
    end = run_scenario(lambda it: replace_in_silence(it, lag_s=6.0))
    assert [order.price for order in end.left_orders] == [D("2552.01")]
    assert end.code is ExitCode.UNREACHABLE
    assert "order left on the exchange: SELL 1.0000 ETH at 2552.01 FDUSD" in str(end.alert_texts)
    assert end.shutdown_s < 5


def test_one_that_the_records_show_in_time_is_cancelled_and_not_named() -> None:
    end = run_scenario(lambda it: replace_in_silence(it, lag_s=3.0))
    assert end.left_orders == []
    # Of the order that was replaced the records are too old to prove that it is gone.
    assert end.code is ExitCode.UNREACHABLE
    left = [text for text in end.alert_texts if text.startswith("order left on the exchange")]
    assert len(left) == 1
    assert "SELL 1.0000 ETH at 2553.01 FDUSD" in left[0]
    assert end.shutdown_s < 5


def test_an_asset_of_another_pair_is_no_reason_to_doubt_the_stream() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.submit(OperatorCommand.FLIP)
        await it.wait(30)
        assert it.node.client.reconnects == 0

    balances = {"ETH": D(1), "BNB": Decimal("0.3")}
    assert run_scenario(story, balances=balances, settings=with_settings(account_probe_sec=10.0)).code is ExitCode.OK


def test_another_instance_ends_us_by_a_code_that_asks_for_no_restart() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        await show_another_instance(it)
        await it.wait(5)

    end = run_scenario(story, balances={"ETH": D(1)})
    assert end.code is ExitCode.HALTED
    assert [order.client_order_id for order in end.left_orders] == [str(ANOTHERS)]


def test_so_it_does_where_our_own_order_cannot_be_cancelled() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.submit(OperatorCommand.FLIP)
        await it.wait(1)
        for method in ("order.cancel", "order.status", "openOrders.status"):
            for _ in range(20):
                it.faults.schedule(method, RequestFault(executed=False, replied=False))
        it.trade_manually(lambda hand: hand.place(Side.BUY, D(2000), D("0.1"), client_order_id=str(ANOTHERS)))
        await it.wait(8)

    end = run_scenario(story, balances={"ETH": D(1), "FDUSD": D(1000)})
    assert end.code is ExitCode.HALTED
    assert "order left on the exchange: SELL 1.0000 ETH" in str(end.alert_texts)


def test_an_order_of_another_instance_is_not_swept_away_with_ours() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.submit(OperatorCommand.FLIP)
        await it.wait(1)
        for _ in range(2):
            it.faults.schedule("order.cancel", LOST)
        it.loopback.hub.account_muted = True
        it.trade_manually(lambda hand: hand.place(Side.BUY, D(2000), D("0.1"), client_order_id=str(ANOTHERS)))
        it.node.stop("now")
        await it.wait(6)

    end = run_scenario(story, balances={"ETH": D(1), "FDUSD": D(1000)})
    assert [order.client_order_id for order in end.left_orders] == [str(ANOTHERS)]


def test_a_healthy_connection_outlives_a_429() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.exchange.weight_limiter.exhaust(it.exchange.clock.unix_ms())
        await it.wait(65)
        assert it.node.client.reconnects == 0
        it.submit(OperatorCommand.FLIP)
        await it.wait(1)
        assert it.own_order.side is Side.SELL

    assert run_scenario(story, settings=with_settings(account_probe_sec=10.0)).code is ExitCode.OK


def test_an_exchange_that_knows_nothing_is_not_asked_in_a_storm() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.submit(OperatorCommand.FLIP)
        await it.wait(1)
        for _ in range(100):
            it.faults.schedule("order.cancel", "timeout_undone")
        before = it.requests_sent("order.cancel")
        it.submit(OperatorCommand.CANCEL)
        await it.wait(10)
        assert 3 <= it.requests_sent("order.cancel") - before <= 8

    run_scenario(story)

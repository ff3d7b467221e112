"""Trading node beside manual trading: deposits, withdrawals, orders and fills by another hand, in every phase."""

from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest
from tests.daemon_harness import CASH, ONE_ETH, D, NodeHarness, run_scenario
from tests.test_main_logic import crash, rally_and_turn, slump_and_recovery

from trailingedge.core.errors import (
    ExitCode,
)
from trailingedge.model.market import Side
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.simulator.exchange import ManualTrader
from trailingedge.simulator.orders import OrderType


async def watching(it: NodeHarness) -> None:
    await it.ready()


async def gated(it: NodeHarness) -> None:
    await crash(it)
    await it.price("2455")
    assert it.alerts_starting_with("gate shut")


PHASES = [
    pytest.param(watching, ONE_ETH, id="watching"),
    pytest.param(rally_and_turn, ONE_ETH, id="selling"),
    pytest.param(slump_and_recovery, CASH, id="buying"),
    pytest.param(crash, ONE_ETH, id="flushing"),
    pytest.param(gated, ONE_ETH, id="gated"),
]
Phase = Callable[[NodeHarness], Awaitable[None]]


@pytest.mark.parametrize(("phase", "balances"), PHASES)
def test_a_deposit_is_traded_with_the_rest(phase: Phase, balances: dict[str, Decimal]) -> None:
    async def story(it: NodeHarness) -> None:
        await phase(it)
        before = it.own_orders
        it.trade_manually(lambda hand: hand.deposit("ETH", D("0.5")))
        it.trade_manually(lambda hand: hand.deposit("FDUSD", D(100)))
        await it.wait(5)
        assert len(it.own_orders) == len(before)
        if before and before[0].side is Side.SELL:
            assert it.own_order.quantity == D("1.5")
        if before and before[0].side is Side.BUY:
            assert it.own_order.quantity * it.own_order.price == pytest.approx(D(2600), abs=1)

    end = run_scenario(story, balances=balances)
    assert (end.code, end.left_orders, end.audit_log.filter_failures) == (ExitCode.OK, [], 0)


def test_a_deposit_is_no_result_and_listed_by_itself_in_summary_and_today() -> None:
    async def story(it: NodeHarness) -> None:
        await watching(it)
        it.trade_manually(lambda hand: hand.deposit("FDUSD", D(3000)))
        await it.wait(5)
        services = it.node.services
        assert services is not None
        services.record_sample()
        whole = services.statistics.results().whole
        assert whole.result_frac == pytest.approx(whole.hold_base_frac, abs=0.002)
        (transfer,) = whole.transfers
        assert (transfer.kind, transfer.amounts) == ("deposit", {"FDUSD": D(3000)})
        assert "1 deposit (+3000.00 FDUSD): not part of the result" in services.queries.today().text
        assert "1 deposit (+3000.00 FDUSD): not part of the result" in services.queries.summary(())

    assert run_scenario(story, balances=ONE_ETH).code == ExitCode.OK


@pytest.mark.parametrize(("phase", "balances"), PHASES)
def test_a_withdrawal_reduces_the_position_without_an_order(phase: Phase, balances: dict[str, Decimal]) -> None:
    async def story(it: NodeHarness) -> None:
        await phase(it)

        def take_all(hand: ManualTrader) -> None:
            for balance in it.exchange.account().balances():
                hand.withdraw(balance.asset, balance.free)

        it.trade_manually(take_all)
        await it.price("2449", wait_s=5)
        await it.price("2460", wait_s=5)
        await it.price("2440", wait_s=5)

    end = run_scenario(story, balances=balances)
    assert (end.code, end.left_orders, end.audit_log.filter_failures) == (ExitCode.OK, [], 0)


@pytest.mark.parametrize(("phase", "balances"), PHASES)
def test_our_order_cancelled_by_hand_is_placed_again(phase: Phase, balances: dict[str, Decimal]) -> None:
    async def story(it: NodeHarness) -> None:
        await phase(it)
        before = it.own_orders
        it.trade_manually(lambda hand: [hand.cancel(order.order_id) for order in before])
        await it.wait(5)
        assert [order.client_order_id for order in it.own_orders] == [order.client_order_id for order in before]

    end = run_scenario(story, balances=balances)
    assert (end.code, end.left_orders) == (ExitCode.OK, [])


def test_a_trade_by_hand_changes_the_side_and_is_the_anchor() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        await it.price("2505")
        it.trade_manually(lambda hand: hand.place(Side.SELL, D(2500), D(1), OrderType.LIMIT))
        await it.wait(2)
        desk = it.node.services
        assert desk is not None
        assert desk.queries.view(0).anchor == pytest.approx(2505.0)
        assert desk.queries.view(0).regime is not None
        it.submit(OperatorCommand.FLIP)
        await it.wait(1)
        assert it.own_order.side is Side.BUY

    run_scenario(story)


def test_a_foreign_order_is_left_alone_and_its_funds_too() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        foreign = it.trade_manually(lambda hand: hand.place(Side.SELL, D(2900), D("0.4")))
        await it.wait(1)
        await it.price("2560")
        await it.price("2553")
        assert it.own_order.quantity == D("0.6")
        assert not foreign.status.final

    end = run_scenario(story)
    assert (end.left_orders, end.audit_log.foreign_cancels) == ([], 0)
    assert len(end.exchange.account().open_orders()) == 1

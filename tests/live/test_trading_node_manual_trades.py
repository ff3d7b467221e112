"""The daemon beside its owner: deposits, withdrawals, orders and trades by another hand, in every phase."""

from collections.abc import Awaitable, Callable
from decimal import Decimal

import pytest
from tests.daemon_harness import CASH, ONE_ETH, D, Stage, play
from tests.test_main_logic import crash, rally_and_turn, slump_and_recovery

from trailingedge.core.errors import (
    ExitCode,
)
from trailingedge.model.market import Side
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.simulator.exchange import ManualTrader
from trailingedge.simulator.orders import OrderType


async def watching(it: Stage) -> None:
    await it.ready()


async def gated(it: Stage) -> None:
    await crash(it)
    await it.price("2455")
    assert it.heard("gate shut")


PHASES = [
    pytest.param(watching, ONE_ETH, id="watching"),
    pytest.param(rally_and_turn, ONE_ETH, id="selling"),
    pytest.param(slump_and_recovery, CASH, id="buying"),
    pytest.param(crash, ONE_ETH, id="flushing"),
    pytest.param(gated, ONE_ETH, id="gated"),
]
Phase = Callable[[Stage], Awaitable[None]]


@pytest.mark.parametrize(("phase", "balances"), PHASES)
def test_a_deposit_joins_what_is_held(phase: Phase, balances: dict[str, Decimal]) -> None:
    async def story(it: Stage) -> None:
        await phase(it)
        before = it.own
        it.by_hand(lambda hand: hand.deposit("ETH", D("0.5")))
        it.by_hand(lambda hand: hand.deposit("FDUSD", D(100)))
        await it.wait(5)
        assert len(it.own) == len(before)
        if before and before[0].side is Side.SELL:
            assert it.order.quantity == D("1.5")
        if before and before[0].side is Side.BUY:
            assert it.order.quantity * it.order.price == pytest.approx(D(2600), abs=1)

    end = play(story, balances=balances)
    assert (end.code, end.left, end.journal.filter_refusals) == (ExitCode.OK, [], 0)


@pytest.mark.parametrize(("phase", "balances"), PHASES)
def test_a_withdrawal_is_not_fought_over(phase: Phase, balances: dict[str, Decimal]) -> None:
    async def story(it: Stage) -> None:
        await phase(it)

        def take_all(hand: ManualTrader) -> None:
            for balance in it.exchange.account().balances():
                hand.withdraw(balance.asset, balance.free)

        it.by_hand(take_all)
        await it.price("2449", wait_s=5)
        await it.price("2460", wait_s=5)
        await it.price("2440", wait_s=5)

    end = play(story, balances=balances)
    assert (end.code, end.left, end.journal.filter_refusals) == (ExitCode.OK, [], 0)


@pytest.mark.parametrize(("phase", "balances"), PHASES)
def test_our_order_cancelled_by_hand_is_placed_anew(phase: Phase, balances: dict[str, Decimal]) -> None:
    async def story(it: Stage) -> None:
        await phase(it)
        before = it.own
        it.by_hand(lambda hand: [hand.cancel(order.order_id) for order in before])
        await it.wait(5)
        assert [order.client_order_id for order in it.own] == [order.client_order_id for order in before]

    end = play(story, balances=balances)
    assert (end.code, end.left) == (ExitCode.OK, [])


def test_a_trade_by_hand_changes_the_side_and_is_the_anchor() -> None:
    async def story(it: Stage) -> None:
        await it.ready()
        await it.price("2505")
        it.by_hand(lambda hand: hand.place(Side.SELL, D(2500), D(1), OrderType.LIMIT))
        await it.wait(2)
        desk = it.daemon.desk
        assert desk is not None
        assert desk.status(0).anchor == pytest.approx(2505.0)
        assert desk.status(0).regime is not None
        it.press(OperatorCommand.FLIP)
        await it.wait(1)
        assert it.order.side is Side.BUY

    play(story)


def test_a_foreign_order_is_left_alone_and_its_funds_too() -> None:
    async def story(it: Stage) -> None:
        await it.ready()
        foreign = it.by_hand(lambda hand: hand.place(Side.SELL, D(2900), D("0.4")))
        await it.wait(1)
        await it.price("2560")
        await it.price("2553")
        assert it.order.quantity == D("0.6")
        assert not foreign.status.final

    end = play(story)
    assert (end.left, end.journal.foreign_cancels) == ([], 0)
    assert len(end.exchange.account().open_orders()) == 1

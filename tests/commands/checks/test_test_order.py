"""The canary tells whether orders get through, and is never left behind."""

import asyncio

import pytest
from tests.commands.virtual_exchange import D, Stage, on_stage, orders_of
from tests.daemon_harness import CASH

from trailingedge.commands.checks.result import CheckStatus
from trailingedge.simulator.server import LoopbackExchange


def test_a_canary_may_be_tested_without_being_placed() -> None:
    found, exchange = on_stage(place=False)
    assert exchange.journal.requests["order.test"] == 1
    assert found["canary order"].verdict is CheckStatus.OK
    assert "tested, not placed" in found["canary order"].text
    assert exchange.journal.requests["order.place"] == 0


def test_the_canary_sells_where_there_is_nothing_to_buy_with() -> None:
    assert "SELL 0.0019 ETH" in on_stage()[0]["canary order"].text
    assert "BUY 0.0023 ETH" in on_stage(balances=CASH)[0]["canary order"].text


def test_without_funds_the_canary_fails_and_says_what_to_do() -> None:
    found, _ = on_stage(balances={"ETH": D("0.0001")})
    assert found["funds"].verdict is CheckStatus.WARNING
    assert "too little for the least order" in found["funds"].text
    assert found["canary order"].verdict is CheckStatus.FAILED
    assert "see that the account has funds" in found["canary order"].remedy


@pytest.mark.parametrize("fate", ["lose_reply", "timeout_done", "late_reply"])
def test_a_canary_of_which_nothing_was_answered_is_gone_again(fate: str) -> None:
    found, exchange = on_stage(balances=CASH, prepare=lambda it: it.switchboard.misfortune.arrange("order.place", fate))
    assert found["canary order"].verdict is CheckStatus.OK
    assert orders_of(exchange) == []


def test_a_canary_that_cannot_be_cancelled_is_named() -> None:
    def refuse(loopback: LoopbackExchange) -> None:
        for _ in range(100):
            loopback.switchboard.misfortune.arrange("order.cancel", "busy")

    found, exchange = on_stage(balances=CASH, prepare=refuse)
    (left,) = orders_of(exchange)
    assert found["canary order"].verdict is CheckStatus.FAILED
    assert f"{left} may be left on the exchange" in found["canary order"].text
    assert "cancel it" in found["canary order"].remedy


def test_an_interrupted_canary_leaves_no_order() -> None:
    async def interrupt(stage: Stage) -> None:
        running = asyncio.create_task(stage.rehearsal.run())
        while not stage.exchange.account().open_orders():
            await stage.clock.sleep(0.001)
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()

    _, exchange = on_stage(interrupt, balances=CASH)
    assert orders_of(exchange) == []


def test_a_canary_that_no_event_tells_of_fails() -> None:
    found, exchange = on_stage(deaf_to='"executionReport"')
    assert found["canary order"].verdict is CheckStatus.FAILED
    assert "placed and cancelled, but no event told of it within 2 s" in found["canary order"].text
    assert orders_of(exchange) == []

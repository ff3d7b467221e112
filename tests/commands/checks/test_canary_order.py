"""Test order: it shows whether orders get through, and is never left behind."""

import asyncio

import pytest
from tests.commands.virtual_exchange import CheckHarness, D, orders_of, run_online_checks
from tests.daemon_harness import CASH

from trailingedge.commands.checks.result import CheckStatus
from trailingedge.simulator.server import LoopbackExchange


def test_a_canary_may_be_tested_without_being_placed() -> None:
    found, exchange = run_online_checks(place=False)
    assert exchange.audit_log.requests["order.test"] == 1
    assert found["canary order"].status is CheckStatus.OK
    assert "tested, not placed" in found["canary order"].text
    assert exchange.audit_log.requests["order.place"] == 0


def test_the_canary_sells_where_there_is_nothing_to_buy_with() -> None:
    found, exchange = run_online_checks()
    assert "SELL 0.0019 ETH" in found["canary order"].text
    assert exchange.audit_log.requests["order.place"] == 1  # no BUY that must be rejected
    assert "BUY 0.0023 ETH" in run_online_checks(balances=CASH)[0]["canary order"].text


def test_without_funds_the_canary_fails_and_says_what_to_do() -> None:
    found, exchange = run_online_checks(balances={"ETH": D("0.0001")})
    assert found["funds"].status is CheckStatus.WARNING
    assert "too little for the smallest order" in found["funds"].text
    assert found["canary order"].status is CheckStatus.FAILED
    assert "check that the account has funds" in found["canary order"].remedy
    assert exchange.audit_log.requests["order.place"] == 0


@pytest.mark.parametrize("fate", ["lose_reply", "timeout_done", "late_reply"])
def test_a_canary_of_which_nothing_was_answered_is_gone_again(fate: str) -> None:
    found, exchange = run_online_checks(
        balances=CASH, prepare=lambda it: it.hub.fault_injector.schedule("order.place", fate)
    )
    assert found["canary order"].status is CheckStatus.OK
    assert orders_of(exchange) == []


def test_a_canary_that_cannot_be_cancelled_is_named() -> None:
    def refuse(loopback: LoopbackExchange) -> None:
        for _ in range(100):
            loopback.hub.fault_injector.schedule("order.cancel", "busy")

    found, exchange = run_online_checks(balances=CASH, prepare=refuse)
    (left,) = orders_of(exchange)
    assert found["canary order"].status is CheckStatus.FAILED
    assert f"{left} may be left on the exchange" in found["canary order"].text
    assert "cancel it" in found["canary order"].remedy


def test_an_interrupted_canary_leaves_no_order() -> None:
    async def interrupt(stage: CheckHarness) -> None:
        running = asyncio.create_task(stage.checks.run())
        while not stage.exchange.account().open_orders():
            await stage.clock.sleep(0.001)
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()

    _, exchange = run_online_checks(interrupt, balances=CASH)
    assert orders_of(exchange) == []


def test_a_canary_that_no_event_tells_of_fails() -> None:
    found, exchange = run_online_checks(deaf_to='"executionReport"')
    assert found["canary order"].status is CheckStatus.FAILED
    assert "placed and cancelled, but no event reported it within 2 s" in found["canary order"].text
    assert orders_of(exchange) == []

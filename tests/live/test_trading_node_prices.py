"""New prices: what the plan names is done at once, and nothing is evaluated where it changes nothing."""

import pytest
from tests.daemon_harness import D, NodeHarness, run_scenario

from trailingedge.execution.gateway import Gateway
from trailingedge.execution.trading_core import TradingCore
from trailingedge.model.operator_commands import OperatorCommand


def test_a_daemon_follows_the_price_by_it_and_agrees_with_itself() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.submit(OperatorCommand.FLIP)
        await it.until(lambda: it.own_orders)
        await it.wait(1.0)
        for step in range(1, 6):
            await it.price(D(2499) - step)
        assert it.requests_sent("order.cancelReplace") >= 5
        assert not it.alerts_starting_with("halted")

    run_scenario(story)


def test_once_it_is_to_stop_no_price_is_answered() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.submit(OperatorCommand.FLIP)
        await it.until(lambda: it.own_orders)
        await it.wait(1.0)
        it.node.stop("enough")
        it.set_price(D(2490))
        await it.wait(3.0)
        assert it.requests_sent("order.cancelReplace") == 0

    run_scenario(story)


def test_prices_that_change_nothing_are_not_evaluated() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        await it.wait(0.1)
        before = it.node.ticks
        for cents in range(1, 30):
            it.set_price(D(2500) + D(cents) / 100)
            await it.wait(0.01)
        assert it.node.ticks <= before + 1  # the regular one
        await it.wait(1.0)
        assert it.node.services is not None
        assert it.node.services.core.state.high == 2500.29

    run_scenario(story)


@pytest.mark.parametrize(
    ("owner", "method"),
    [pytest.param(Gateway, "send", id="sent"), pytest.param(TradingCore, "on_replace_sent", id="recorded")],
)
def test_an_order_that_cannot_be_sent_or_recorded_ends_the_node(
    owner: type, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.submit(OperatorCommand.FLIP)
        await it.until(lambda: it.own_orders)
        await it.wait(1.0)
        once = [0]  # a second failure would be that of a tick
        monkeypatch.setattr(owner, method, lambda *_: 1 / once.pop() if once else None)
        await it.price(D(2499))
        await it.wait(0.3)

    assert isinstance(run_scenario(story).error, ZeroDivisionError)


def test_a_failure_of_a_tick_for_a_new_price_ends_the_node_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        await it.wait(0.1)
        monkeypatch.setattr(TradingCore, "tick", lambda *_: 1 / 0)
        it.set_price(D(1000))  # beyond the hard stop
        await it.wait(0.3)

    assert isinstance(run_scenario(story).error, ZeroDivisionError)

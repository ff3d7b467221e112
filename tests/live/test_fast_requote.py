"""Fast requoter: a newer price is answered at once, one time per plan, and only if nothing else has changed."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.daemon_harness import D, NodeHarness, run_scenario
from tests.execution.order_builders import RULES, top
from tests.execution.test_quote_prices import resting
from tests.execution.test_trading_core import Bench

from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import BrokenInvariant
from trailingedge.live.fast_requote import FastRequoter
from trailingedge.model.operator_commands import OperatorCommand
from trailingedge.model.order_commands import Replace
from trailingedge.model.order_outcomes import ReplaceOutcome
from trailingedge.websocket.account import ServerClock
from trailingedge.websocket.orders import OrderApi
from trailingedge.websocket.prepared_request import SentRequest
from trailingedge.websocket.request_tracker import NotSent, Params, ReplyHandler

LOWER = top("99.90", "100.05")


class Paper:
    """An API that takes down what is written."""

    def __init__(self) -> None:
        self.written: list[dict[str, object]] = []

    def send_prepared(self, word: Callable[[int], str]) -> SentRequest:
        self.written.append(json.loads(word(len(self.written) + 1))["params"])
        return SentRequest(lambda _method, _timeout_s, heard: heard(NotSent("no network")))

    def send(self, method: str, params: Params | None, timeout_s: float, heard: ReplyHandler) -> None:
        raise AssertionError(f"the fast path sends another request: {method} {params} {timeout_s} {heard}")


class Hand:
    """A reflex with a trader whose order rests."""

    def __init__(self) -> None:
        self.bench = resting(Bench())
        self.paper = Paper()
        self.answered: list[tuple[int, ReplaceOutcome]] = []  # by tag
        orders = OrderApi(self.paper, ServerClock(ManualClock()), "ETHFDUSD")
        self.reflex = FastRequoter(orders, lambda tag: lambda outcome: self.answered.append((tag, outcome)), lambda: 0)
        self.reflex.prepare(self.bench.trader)

    def react(self) -> None:
        self.reflex.on_book(self.bench.trader, LOWER, self.bench.now_s)


def test_a_price_is_answered_at_once_and_only_once() -> None:
    hand = Hand()
    hand.react()
    hand.react()
    assert [(params["price"], params["quantity"], params["cancelOrderId"]) for params in hand.paper.written] == [
        ("100.04", "1", 7)
    ]
    ((tag, _),) = hand.answered
    request, in_time = hand.bench.trader.maker_exit._requests.match_reply(tag)
    assert in_time
    assert request is not None
    assert isinstance(request.command, Replace)
    assert (request.command.price, request.command.order_id) == (D("100.04"), 7)


def test_after_anything_else_was_heard_it_keeps_still() -> None:
    hand = Hand()
    hand.reflex.invalidate()
    hand.react()
    assert hand.paper.written == []


def test_what_waits_to_be_heard_goes_first() -> None:
    hand = Hand()
    hand.bench.trader.inbox.append(object())  # type: ignore[arg-type]  # nobody looks at it
    hand.react()
    assert hand.paper.written == []


def test_an_answer_that_the_books_do_not_share_is_told_and_listened_for() -> None:
    hand = Hand()
    hand.bench.trader.maker_exit.rules = replace(RULES, status="BREAK")  # as if the books had learned something unheard
    with pytest.raises(BrokenInvariant, match="the full calculation says None"):
        hand.react()
    assert len(hand.paper.written) == len(hand.answered) == 1


def test_a_daemon_follows_the_price_by_it_and_agrees_with_itself() -> None:
    async def story(it: NodeHarness) -> None:
        await it.ready()
        it.submit(OperatorCommand.FLIP)
        await it.until(lambda: it.own_orders)
        await it.wait(1.0)
        before = it.node.ticks
        for step in range(1, 6):
            await it.price(D(2499) - step)
        assert it.node.ticks > before
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

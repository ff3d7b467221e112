"""Every order in which one request can be answered, reported and waited for in vain.

The model exchange is asked what it would say; each order in which its answer, its reports and the end of
our patience can follow each other is played, and the end must be the same.
"""

import itertools
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

import pytest
from tests.execution.chaser_harness import (
    MakerExitHarness,
)
from tests.execution.exchange_model import ModelExchange
from tests.execution.order_builders import NUMBER, D

from trailingedge.execution.order import OrderState
from trailingedge.execution.order_events import (
    UnknownOrderWithOurId,
)
from trailingedge.model.client_order_ids import base36
from trailingedge.model.market import BookTop, ExecutionReport
from trailingedge.model.order_commands import (
    OrderInput,
)

SILENCE: Final = "our patience ends"
Step = OrderInput | str


class Play:
    """One request carried out by the model exchange; what it says is delivered as the test wills."""

    def __init__(self, prepare: str, fate: str) -> None:
        self.exchange = ModelExchange(BookTop(D("100.00"), D("100.10"), D(5), D(5)), D("1"), D("0"), D("0"))
        self.chase = MakerExitHarness(book=BookTop(D("100.00"), D("100.10"), D(5), D(5)))
        self.chase.tick()
        self.messages: list[OrderInput] = []
        if prepare != "place":
            self._carry_out()
            for message in self.messages:
                self.chase.handle(message)
            self.messages.clear()
            moved = BookTop(D("99.90"), D("100.05"), D(5), D(5))
            if prepare == "replace":
                self.chase.book = moved
                self.exchange.others = moved
            else:
                self.chase.intent = None
            self.chase.tick(1.5)
        self._decide(fate)

    def _decide(self, fate: str) -> None:
        """What the exchange does before, with and after the request."""
        if fate == "filled before":
            self._trade(D("1"))
        if fate == "part-filled before":
            self._trade(D("0.4"))
        if fate == "would match":
            self.exchange.others = BookTop(D("101.00"), D("101.10"), D(5), D(5))
        if fate != "lost":
            self._carry_out()
        self.exchange.others = BookTop(D("99.90"), D("100.05"), D(5), D(5))
        if fate == "part-filled after":
            self._trade(D("0.4"))
        if fate == "filled after":
            self._trade(D("1"))

    def _trade(self, share: Decimal) -> None:
        for order in self.exchange.open_orders:
            book = BookTop(order.price, order.price + D("0.10"), D(5), D(5))
            self.exchange.market_moves(book, share)
        self._collect()

    def _carry_out(self) -> None:
        reply = self.exchange.execute(self.chase.sent[-1])
        self._collect()
        self.messages.append(reply)

    def _collect(self) -> None:
        self.messages += [told for told in self.exchange.pushed if isinstance(told, ExecutionReport)]
        self.exchange.pushed.clear()

    def deliver(self, steps: Sequence[Step]) -> None:
        """Hear `steps` one by one, with a beat after each."""
        for step in steps:
            if isinstance(step, str):
                self._beat(self.chase.now_s + 3.0)
            else:
                self.chase.handle(step)
                self._beat(self.chase.now_s + 0.001)

    def settle(self) -> None:
        """Beat until nothing more is to be said."""
        self._count_funds()
        for _ in range(12):
            self._beat(self.chase.now_s + 1.0)
            self._count_funds()

    def _beat(self, now_s: float) -> None:
        """Whatever is asked for is carried out and answered at once."""
        for command in self.chase.tick(now_s):
            reply = self.exchange.execute(command)
            told = [push for push in self.exchange.pushed if isinstance(push, ExecutionReport)]
            self.exchange.pushed.clear()
            self.chase.handle(reply, *told)

    def _count_funds(self) -> None:
        if self.chase.intent is not None:
            self.chase.set_intent_funds(str(self.exchange.base))


FATES: Final = [
    ("place", "taken"),
    ("place", "would match"),
    ("place", "part-filled after"),
    ("place", "filled after"),
    ("replace", "taken"),
    ("replace", "would match"),
    ("replace", "filled before"),
    ("replace", "part-filled before"),
    ("replace", "part-filled after"),
    ("replace", "filled after"),
    ("cancel", "taken"),
    ("cancel", "filled before"),
    ("cancel", "part-filled before"),
]


def every_order_of(steps: Sequence[Step]) -> Iterator[Sequence[Step]]:
    return itertools.permutations(steps)


def every_order(messages: list[OrderInput]) -> Iterator[Sequence[Step]]:
    """All orders of `messages`; with our patience ending anywhere among them; each said twice."""
    yield from every_order_of(messages)
    yield from every_order_of([*messages, SILENCE])
    for order in itertools.permutations(messages):
        yield [step for step in order for _ in range(2)]


@pytest.mark.parametrize(("request_", "fate"), FATES, ids=[f"{request}, {fate}" for request, fate in FATES])
def test_in_whatever_order_it_is_told_the_end_is_the_same(request_: str, fate: str) -> None:
    script = Play(request_, fate).messages
    for steps in every_order(script):
        play = Play(request_, fate)
        play.deliver(steps)
        play.settle()
        assert_in_order(play, steps)


@pytest.mark.parametrize(
    ("request_", "fate"),
    [*FATES, ("place", "lost"), ("replace", "lost"), ("cancel", "lost")],
    ids=lambda value: value,
)
def test_when_the_reply_never_comes_the_end_is_the_same(request_: str, fate: str) -> None:
    script = [message for message in Play(request_, fate).messages if isinstance(message, ExecutionReport)]
    for steps in every_order_of([*script, SILENCE]):
        play = Play(request_, fate)
        play.deliver(steps)
        play.settle()
        assert_in_order(play, steps)


@pytest.mark.parametrize(
    ("request_", "fate"),
    [*FATES, ("place", "lost"), ("replace", "lost"), ("cancel", "lost")],
    ids=lambda value: value,
)
def test_when_the_connection_is_lost_with_all_that_was_to_be_told_the_end_is_the_same(request_: str, fate: str) -> None:
    script = Play(request_, fate).messages
    for heard in range(len(script) + 1):
        play = Play(request_, fate)
        play.deliver(tuple(script[:heard]))
        play.chase.maker_exit.on_disconnect(play.chase.now_s)
        play.settle()
        assert_in_order(play, tuple(script[:heard]))


def assert_in_order(play: Play, steps: Sequence[Step]) -> None:
    """The exchange's ledger and the machine's books say the same, and the want is met."""
    told = "\n".join(str(step) for step in steps)
    progress = play.chase.maker_exit.progress()
    assert progress is not None
    ledger = play.exchange.filled(base36(NUMBER))
    assert (progress.filled_base, progress.filled_quote) == ledger, told
    assert play.exchange.most_open <= 1, told
    resting = play.exchange.open_orders
    if play.chase.intent is None or not play.exchange.base:
        assert resting == [], told
        assert play.chase.maker_exit.idle, told
    else:
        assert len(resting) == 1, told
        order = play.chase.maker_exit.order
        assert order is not None
        assert (order.order_id, order.state) == (resting[0].order_id, OrderState.WORKING), told
        assert resting[0].rest == play.exchange.base, told
        if resting[0].filled == 0:
            assert resting[0].price in (D("100.04"), D("100.09")), told
    assert not [told for told in play.chase.maker_exit.events if isinstance(told, UnknownOrderWithOurId)]

"""Every sequence of reply, report and timeout that one request can have.

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
        self.harness = MakerExitHarness(book=BookTop(D("100.00"), D("100.10"), D(5), D(5)))
        self.harness.tick()
        self.messages: list[OrderInput] = []
        if prepare != "place":
            self._carry_out()
            for message in self.messages:
                self.harness.handle(message)
            self.messages.clear()
            moved = BookTop(D("99.90"), D("100.05"), D(5), D(5))
            if prepare == "replace":
                self.harness.book = moved
                self.exchange.others = moved
            else:
                self.harness.intent = None
            self.harness.tick(1.5)
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
        reply = self.exchange.execute(self.harness.sent[-1])
        self._collect()
        self.messages.append(reply)

    def _collect(self) -> None:
        self.messages += [received for received in self.exchange.pushed if isinstance(received, ExecutionReport)]
        self.exchange.pushed.clear()

    def deliver(self, steps: Sequence[Step]) -> None:
        """Handle `steps` one by one, with a tick after each."""
        for step in steps:
            if isinstance(step, str):
                self._tick(self.harness.now_s + 3.0)
            else:
                self.harness.handle(step)
                self._tick(self.harness.now_s + 0.001)

    def settle(self) -> None:
        """Tick until there is nothing more to send."""
        self._count_funds()
        for _ in range(12):
            self._tick(self.harness.now_s + 1.0)
            self._count_funds()

    def _tick(self, now_s: float) -> None:
        """One tick; its commands are executed and answered at once."""
        for command in self.harness.tick(now_s):
            reply = self.exchange.execute(command)
            received = [push for push in self.exchange.pushed if isinstance(push, ExecutionReport)]
            self.exchange.pushed.clear()
            self.harness.handle(reply, *received)

    def _count_funds(self) -> None:
        if self.harness.intent is not None:
            self.harness.set_intent_funds(str(self.exchange.base))


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
FATES_AND_LOSSES: Final = [*FATES, ("place", "lost"), ("replace", "lost"), ("cancel", "lost")]


def every_order_of(steps: Sequence[Step]) -> Iterator[Sequence[Step]]:
    return itertools.permutations(steps)


def every_order(messages: list[OrderInput]) -> Iterator[Sequence[Step]]:
    """All orders of `messages`; with our patience ending anywhere among them; each said twice."""
    yield from every_order_of(messages)
    yield from every_order_of([*messages, SILENCE])
    for order in itertools.permutations(messages):
        yield [step for step in order for _ in range(2)]


@pytest.mark.parametrize(("request_", "fate"), FATES, ids=[f"{request}, {fate}" for request, fate in FATES])
def test_in_any_order_of_messages_the_end_is_the_same(request_: str, fate: str) -> None:
    script = Play(request_, fate).messages
    for steps in every_order(script):
        play = Play(request_, fate)
        play.deliver(steps)
        play.settle()
        assert_in_order(play, steps)


@pytest.mark.parametrize(
    ("request_", "fate"),
    FATES_AND_LOSSES,
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
    FATES_AND_LOSSES,
    ids=lambda value: value,
)
def test_when_the_connection_is_lost_with_all_that_was_to_be_told_the_end_is_the_same(request_: str, fate: str) -> None:
    script = Play(request_, fate).messages
    for heard in range(len(script) + 1):
        play = Play(request_, fate)
        play.deliver(tuple(script[:heard]))
        play.harness.maker_exit.on_disconnect(play.harness.now_s)
        play.settle()
        assert_in_order(play, tuple(script[:heard]))


def assert_in_order(play: Play, steps: Sequence[Step]) -> None:
    """The exchange's ledger and the machine's books say the same, and the want is met."""
    received = "\n".join(str(step) for step in steps)
    progress = play.harness.maker_exit.progress()
    assert progress is not None
    ledger = play.exchange.filled(base36(NUMBER))
    assert (progress.filled_base, progress.filled_quote) == ledger, received
    assert play.exchange.most_open <= 1, received
    resting = play.exchange.open_orders
    if play.harness.intent is None or not play.exchange.base:
        assert resting == [], received
        assert play.harness.maker_exit.idle, received
    else:
        assert len(resting) == 1, received
        order = play.harness.maker_exit.order
        assert order is not None
        assert (order.order_id, order.state) == (resting[0].order_id, OrderState.WORKING), received
        assert resting[0].rest == play.exchange.base, received
        if resting[0].filled == 0:
            assert resting[0].price in (D("100.04"), D("100.09")), received
    assert not [received for received in play.harness.maker_exit.events if isinstance(received, UnknownOrderWithOurId)]

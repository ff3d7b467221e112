"""Every sequence of replies, reports, time-outs and lost connections that one request, or two in a row, can have.

The model exchange is asked what it would say. Each order in which its replies and reports, our timeout and a lost
connection can follow each other is played: with messages lost and repeated, and with answers to queries that come at
once or some steps late. At every step no fill is counted twice, and two orders that we both take for working lead to a
cancel. In the end our state is the exchange's.
"""

import itertools
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

import pytest
from tests.execution.chaser_harness import MakerExitHarness
from tests.execution.exchange_model import ModelExchange
from tests.execution.order_builders import NUMBER, D, rejection

from trailingedge.execution.order import OrderState
from trailingedge.execution.order_events import UnknownOrderWithOurId
from trailingedge.model.client_order_ids import base36
from trailingedge.model.market import BookTop, ExecutionReport
from trailingedge.model.order_commands import Cancel, OrderCommand, OrderInput, Replace, ReplaceReply
from trailingedge.model.order_outcomes import NotTried, RejectReason, ReplaceOutcome

SILENCE: Final = "our patience ends"
LOST: Final = "the connection is lost, with all that has not arrived"
Step = OrderInput | str
FIRST_BOOK: Final = BookTop(D("100.00"), D("100.10"), D(5), D(5))
MOVED: Final = BookTop(D("99.90"), D("100.05"), D(5), D(5))


class Play:
    """One request, or two, carried out by the model exchange; what it says is delivered as the test wills.

    The answer to a later command is delivered after `delay` further steps.
    """

    def __init__(self, prepare: str, fate: str, delay: int = 0) -> None:
        self.exchange = ModelExchange(FIRST_BOOK, D("1"), D("0"), D("0"))
        self.harness = MakerExitHarness(book=FIRST_BOOK)
        self.harness.tick()
        self.messages: list[OrderInput] = []
        self._delay = 0
        self._later: list[list[OrderInput]] = []  # the answers to each step's command
        if prepare != "place":
            self._carry_out()
            for message in self.messages:
                self.harness.handle(message)
            self.messages.clear()
            if prepare == "cancel":
                self.harness.intent = None
            else:
                self.harness.book = self.exchange.others = MOVED
            self.harness.tick(1.5)
        if prepare == "replace twice":
            first = self.harness.sent[-1]
            self._tick(4.5)
            self._tick(4.6)  # the query found the old order working, so it is replaced again
            self._decide_two(fate, first, self.harness.sent[-1])
        else:
            self._decide(fate)
        self._delay = delay

    def _decide(self, fate: str) -> None:
        """What the exchange does before, with and after the request."""
        if fate == "filled before":
            self._trade(D("1"))
        if fate == "part-filled before":
            self._trade(D("0.4"))
        if fate == "would match":
            self.exchange.others = BookTop(D("101.00"), D("101.10"), D(5), D(5))
        if fate in REFUSED:
            self._refuse(self.harness.sent[-1], REFUSED[fate])
        elif fate != "lost":
            self._carry_out()
        self.exchange.others = MOVED
        if fate == "part-filled after":
            self._trade(D("0.4"))
        if fate == "filled after":
            self._trade(D("1"))

    def _decide_two(self, fate: str, first: OrderCommand, second: OrderCommand) -> None:
        """What the exchange does with two cancel-replaces of the same order, the first of which seemed lost."""
        for word in fate.split(", "):
            match word:
                case "first":
                    self._carry_out(first)
                case "second":
                    self._carry_out(second)
                case "first expires":
                    self._refuse(first, RejectReason.TIMESTAMP)
                case "first would match":
                    self.exchange.others = BookTop(D("101.00"), D("101.10"), D(5), D(5))
                    self._carry_out(first)
                    self.exchange.others = MOVED
                case "part-fill":
                    self._trade(D("0.4"))
                case "fill":
                    self._trade(D("1"))

    def _refuse(self, command: OrderCommand, reason: RejectReason) -> None:
        self.messages.append(ReplaceReply(command.tag, ReplaceOutcome(NotTried(), rejection(reason))))

    def _trade(self, share: Decimal) -> None:
        for order in self.exchange.open_orders:
            book = BookTop(order.price, order.price + D("0.10"), D(5), D(5))
            self.exchange.market_moves(book, share)
        self._collect()

    def _carry_out(self, command: OrderCommand | None = None) -> None:
        reply = self.exchange.execute(command or self.harness.sent[-1])
        self._collect()
        self.messages.append(reply)

    def _collect(self) -> None:
        self.messages += [received for received in self.exchange.pushed if isinstance(received, ExecutionReport)]
        self.exchange.pushed.clear()

    def deliver(self, steps: Sequence[Step]) -> None:
        """Handle `steps` one by one, with a tick after each."""
        for step in steps:
            if step == LOST:
                self._later.clear()
                self.harness.maker_exit.on_disconnect(self.harness.now_s)
            elif step == SILENCE:
                self._tick(self.harness.now_s + 3.0)
            else:
                assert not isinstance(step, str)
                self.harness.handle(step)
                self._check()
                self._tick(self.harness.now_s + 0.001)

    def settle(self) -> None:
        """Tick until there is nothing more to send."""
        self._delay = 0
        self._count_funds()
        for _ in range(12):
            self._tick(self.harness.now_s + 1.0)
            self._count_funds()

    def _tick(self, now_s: float) -> None:
        """One tick. Its commands are executed at once, and answered at once or `delay` ticks later."""
        commands = self.harness.tick(now_s)
        answers: list[OrderInput] = []
        for command in commands:
            reply = self.exchange.execute(command)
            answers += [reply, *(push for push in self.exchange.pushed if isinstance(push, ExecutionReport))]
            self.exchange.pushed.clear()
        working = [order for order in self.harness.maker_exit.alive if order.state is OrderState.WORKING]
        waiting = any(self._later) or any(isinstance(command, Cancel) for command in commands)
        assert len(working) < 2 or waiting, f"no cancel though both rest: {working}"
        self._later.append(answers)
        while len(self._later) > self._delay:
            self.harness.handle(*self._later.pop(0))
        self._check()

    def _check(self) -> None:
        """No fill is counted that the exchange does not know, and none twice."""
        progress = self.harness.maker_exit.progress()
        assert progress is not None
        base, quote = self.exchange.filled(base36(NUMBER))
        assert progress.filled_base <= base
        assert progress.filled_quote <= quote

    def _count_funds(self) -> None:
        if self.harness.intent is not None:
            self.harness.set_intent_funds(str(self.exchange.base))


REFUSED: Final = {
    "busy": RejectReason.BUSY,
    "filter": RejectReason.FILTER,
    "over the limit": RejectReason.TOO_MANY_ORDERS,
}
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
    *[("replace", fate) for fate in REFUSED],
    ("cancel", "taken"),
    ("cancel", "filled before"),
    ("cancel", "part-filled before"),
    ("replace twice", "first, second"),
    ("replace twice", "second, first"),
    ("replace twice", "first"),
    ("replace twice", "first expires, second"),
    ("replace twice", "first, fill, second"),
    ("replace twice", "first, part-fill, second"),
    ("replace twice", "second, fill, first"),
    ("replace twice", "fill, first, second"),
    ("replace twice", "part-fill, first, second"),
    ("replace twice", "first would match, second"),
]
LOST_REQUESTS: Final = [("place", "lost"), ("replace", "lost"), ("cancel", "lost"), ("replace twice", "lost")]
ALL_FATES: Final = pytest.mark.parametrize(("request_", "fate"), [*FATES, *LOST_REQUESTS], ids=str)


def every_order_of(steps: Sequence[Step]) -> Iterator[Sequence[Step]]:
    return itertools.permutations(steps)


def every_order(messages: list[OrderInput]) -> Iterator[Sequence[Step]]:
    """All orders of `messages`; with our patience ending anywhere among them; each said twice."""
    yield from every_order_of(messages)
    yield from every_order_of([*messages, SILENCE])
    for order in itertools.permutations(messages):
        yield [step for step in order for _ in range(2)]


def cut_short(messages: list[OrderInput]) -> Iterator[Sequence[Step]]:
    """All orders of some of `messages`, with our patience ending among them or not, up to a lost connection."""
    for count in range(len(messages) + 1):
        for heard in itertools.permutations(messages, count):
            yield [*heard, LOST]
            for place in range(count + 1):
                yield [*heard[:place], SILENCE, *heard[place:], LOST]


def play(request_: str, fate: str, steps: Sequence[Step], delay: int = 0) -> None:
    played = Play(request_, fate, delay)
    played.deliver(steps)
    played.settle()
    assert_in_order(played, steps)


@pytest.mark.parametrize(("request_", "fate"), FATES, ids=str)
def test_in_any_order_of_messages_the_end_is_the_same(request_: str, fate: str) -> None:
    for steps in every_order(Play(request_, fate).messages):
        play(request_, fate, steps)


@ALL_FATES
def test_when_the_reply_never_comes_the_end_is_the_same(request_: str, fate: str) -> None:
    script = [message for message in Play(request_, fate).messages if isinstance(message, ExecutionReport)]
    for steps in every_order_of([*script, SILENCE]):
        play(request_, fate, steps)


@ALL_FATES
def test_when_the_connection_is_lost_with_all_that_was_to_be_told_the_end_is_the_same(request_: str, fate: str) -> None:
    for steps in cut_short(Play(request_, fate).messages):
        play(request_, fate, steps)


@pytest.mark.parametrize("delay", [1, 2])
@ALL_FATES
def test_when_answers_to_queries_come_late_the_end_is_the_same(request_: str, fate: str, delay: int) -> None:
    for steps in every_order_of([SILENCE, *Play(request_, fate).messages]):
        play(request_, fate, steps, delay)


def test_two_replaces_in_a_row_concern_the_same_order() -> None:
    first, second = [command for command in Play("replace twice", "lost").harness.sent if isinstance(command, Replace)]
    assert first.order_id == second.order_id


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

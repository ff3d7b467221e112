"""A harness for the maker exit: its intent and the book stay until the test changes them."""

from collections.abc import Callable, Sequence
from typing import Final

from tests.execution.order_builders import RULES, TEN_SECONDS, D, order_intent, record, rejection, report, top

from trailingedge.execution.maker_exit import MakerExit, MakerExitParams
from trailingedge.execution.order import OrderState
from trailingedge.execution.order_rate_budget import OrderRateBudget
from trailingedge.model.intent import ExitKind, ExitProgress, OrderIntent
from trailingedge.model.market import BookTop, OrderStatus, Side, SymbolRules
from trailingedge.model.order_commands import (
    Cancel,
    ExecutionCommand,
    OrderCommand,
    OrderInput,
    OrderReply,
    Place,
    QueryOrder,
    Refresh,
    Replace,
    ReplaceReply,
)
from trailingedge.model.order_outcomes import Accepted, OrderOutcome, RejectReason, ReplaceOutcome, Unanswered

SELL: Final = Side.SELL
BUY: Final = Side.BUY
CANCELED: Final = OrderStatus.CANCELED
FILLED: Final = OrderStatus.FILLED
PART: Final = OrderStatus.PARTIALLY_FILLED

NOTHING: Final = Unanswered("timeout")
GONE: Final = rejection(RejectReason.UNKNOWN_ORDER, -2011)
RESTRICTED: Final = rejection(RejectReason.CANCEL_RESTRICTED, -2011)
ABSENT: Final = rejection(RejectReason.UNKNOWN_ORDER, -2013)
CANCEL_DONE: Final = Accepted(record(7, status=CANCELED))

SERVER_MS = 1_783_000_000_000
BOOK = top("100.00", "100.10")  # an improving SELL rests at 100.09
LOWER = top("99.90", "100.05")  # … and at 100.04


class MakerExitHarness:
    """Ticks a maker exit by hand. `sent` collects all order commands, `refreshes` what is to be read again."""

    def __init__(
        self,
        wanted_intent: OrderIntent | None = None,
        book: BookTop | None = BOOK,
        params: MakerExitParams | None = None,
        rules: SymbolRules = RULES,
        budget: OrderRateBudget | None = None,
    ) -> None:
        if budget is None:
            budget = OrderRateBudget(0.2)
            budget.update_limits([TEN_SECONDS], SERVER_MS)
        self.maker_exit = MakerExit(rules, budget, params)
        self.intent: OrderIntent | None = wanted_intent or order_intent()
        self.book = book
        self.balances_current = True
        self.age_s = 0.0
        self.now_s = 0.0
        self.sent: list[OrderCommand] = []
        self.refreshes: list[Refresh] = []

    def tick(self, now_s: float | None = None) -> list[OrderCommand]:
        """One tick; its order commands, at most one."""
        if now_s is not None:
            self.now_s = now_s
        commands: Sequence[ExecutionCommand] = self.maker_exit.commands_for(
            self.intent,
            self.book,
            self.now_s,
            server_ms=SERVER_MS + round(self.now_s * 1000),
            age_s=self.age_s,
            balances_current=self.balances_current,
        )
        self.refreshes += [command for command in commands if isinstance(command, Refresh)]
        orders = [command for command in commands if not isinstance(command, Refresh)]
        self.sent += orders
        return orders

    def handle(self, *events: OrderInput) -> None:
        for event in events:
            self.maker_exit.handle(event, self.now_s)

    def reply(self, outcome: OrderOutcome, place: OrderOutcome | None = None) -> None:
        """Reply to the newest command; a Replace takes the outcome of its cancel and of its placement."""
        tag = self.sent[-1].tag
        if place is None:
            self.handle(OrderReply(tag, outcome))
        else:
            self.handle(ReplaceReply(tag, ReplaceOutcome(outcome, place)))

    def state(self) -> OrderState | None:
        order = self.maker_exit.order
        return None if order is None else order.state

    def set_intent_kind(self, kind: ExitKind) -> None:
        assert self.intent is not None
        self.intent = self.intent._replace(kind=kind)

    def set_intent_funds(self, funds: str) -> None:
        assert self.intent is not None
        self.intent = self.intent._replace(funds=D(funds))


def pending_new() -> MakerExitHarness:
    """The first order was sent."""
    harness = MakerExitHarness()
    assert isinstance(harness.tick()[0], Place)
    return harness


def working() -> MakerExitHarness:
    """Order 7 rests: SELL 1 at 100.09."""
    harness = pending_new()
    harness.reply(Accepted(record(7)))
    assert harness.tick(0.1) == []
    return harness


def partially_filled(filled: str = "0.4") -> MakerExitHarness:
    """Order 7 rests, and some of it has traded."""
    harness = working()
    harness.handle(report(7, filled=filled, status=OrderStatus.PARTIALLY_FILLED))
    harness.set_intent_funds(str(D("1") - D(filled)))
    return harness


def replacing() -> MakerExitHarness:
    """A cancel-replace of order 7 to 100.04 was sent."""
    harness = working()
    harness.book = LOWER
    assert isinstance(harness.tick(1.5)[0], Replace)
    return harness


def pending_cancel() -> MakerExitHarness:
    """The intent has ended, and the cancel of order 7 was sent."""
    harness = working()
    harness.intent = None
    assert isinstance(harness.tick(1.5)[0], Cancel)
    return harness


def unanswered(harness: MakerExitHarness) -> MakerExitHarness:
    """The newest command has timed out."""
    harness.tick(harness.now_s + 3.0)
    return harness


def not_found_twice() -> MakerExitHarness:
    """The first order was not answered, and two queries, late enough to be believed, did not find it."""
    harness = unanswered(pending_new())
    harness.reply(ABSENT)
    harness.tick(6.0)
    harness.reply(ABSENT)
    return harness


def replace_unanswered(old: OrderOutcome) -> MakerExitHarness:
    """The replace timed out, and the query of the old order was answered with `old`."""
    harness = unanswered(replacing())
    assert isinstance(harness.sent[-1], QueryOrder)
    harness.reply(old)
    return harness


STATES: Final[dict[str, Callable[[], MakerExitHarness]]] = {
    "nothing sent": MakerExitHarness,
    "pending new": pending_new,
    "working": working,
    "partially filled": partially_filled,
    "replacing": replacing,
    "pending cancel": pending_cancel,
    "placement unanswered": lambda: unanswered(pending_new()),
    "replace unanswered": lambda: unanswered(replacing()),
    "cancel unanswered": lambda: unanswered(pending_cancel()),
}


def progress_of(harness: MakerExitHarness) -> ExitProgress:
    progress = harness.maker_exit.progress()
    assert progress is not None
    return progress

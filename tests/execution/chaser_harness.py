"""A chaser in hand: what is wanted and what the book shows stay until they are changed."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from tests.execution.order_builders import RULES, TEN_SECONDS, D, record, refused, report, top, want

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
GONE: Final = refused(RejectReason.UNKNOWN_ORDER, -2011)
RESTRICTED: Final = refused(RejectReason.CANCEL_RESTRICTED, -2011)
ABSENT: Final = refused(RejectReason.UNKNOWN_ORDER, -2013)
CANCEL_DONE: Final = Accepted(record(7, status=CANCELED))

SERVER_MS = 1_783_000_000_000
BOOK = top("100.00", "100.10")  # an improving SELL rests at 100.09
LOWER = top("99.90", "100.05")  # … and at 100.04


class Chase:
    """Beats by hand. `sent` collects all order commands, `remedies` what is to be read again."""

    def __init__(
        self,
        wanted: OrderIntent | None = None,
        book: BookTop | None = BOOK,
        params: MakerExitParams | None = None,
        rules: SymbolRules = RULES,
        budget: OrderRateBudget | None = None,
    ) -> None:
        if budget is None:
            budget = OrderRateBudget(0.2)
            budget.learn([TEN_SECONDS], SERVER_MS)
        self.exit = MakerExit(rules, budget, params)
        self.want: OrderIntent | None = wanted or want()
        self.book = book
        self.settled = True
        self.age_s = 0.0
        self.now_s = 0.0
        self.sent: list[OrderCommand] = []
        self.remedies: list[Refresh] = []

    def beat(self, now_s: float | None = None) -> list[OrderCommand]:
        """One beat; the order commands of it, at most one."""
        if now_s is not None:
            self.now_s = now_s
        commands: Sequence[ExecutionCommand] = self.exit.toward(
            self.want,
            self.book,
            self.now_s,
            server_ms=SERVER_MS + round(self.now_s * 1000),
            age_s=self.age_s,
            settled=self.settled,
        )
        self.remedies += [command for command in commands if isinstance(command, Refresh)]
        orders = [command for command in commands if not isinstance(command, Refresh)]
        self.sent += orders
        return orders

    def hear(self, *events: OrderInput) -> None:
        for event in events:
            self.exit.handle(event, self.now_s)

    def answer(self, outcome: OrderOutcome, place: OrderOutcome | None = None) -> None:
        """Answer the newest command; a Replace takes the outcome of its cancel and of its placement."""
        tag = self.sent[-1].tag
        if place is None:
            self.hear(OrderReply(tag, outcome))
        else:
            self.hear(ReplaceReply(tag, ReplaceOutcome(outcome, place)))

    def state(self) -> OrderState | None:
        order = self.exit.order
        return None if order is None else order.state

    def want_kind(self, kind: ExitKind) -> None:
        assert self.want is not None
        self.want = replace(self.want, kind=kind)

    def want_funds(self, funds: str) -> None:
        assert self.want is not None
        self.want = replace(self.want, funds=D(funds))


def in_flight() -> Chase:
    """The first order was sent."""
    chase = Chase()
    assert isinstance(chase.beat()[0], Place)
    return chase


def working() -> Chase:
    """Order 7 rests: SELL 1 at 100.09."""
    chase = in_flight()
    chase.answer(Accepted(record(7)))
    assert chase.beat(0.1) == []
    return chase


def part_filled(filled: str = "0.4") -> Chase:
    """Order 7 rests, and some of it has traded."""
    chase = working()
    chase.hear(report(7, filled=filled, status=OrderStatus.PARTIALLY_FILLED))
    chase.want_funds(str(D("1") - D(filled)))
    return chase


def replacing() -> Chase:
    """Order 7 was asked to make way for another at 100.04."""
    chase = working()
    chase.book = LOWER
    assert isinstance(chase.beat(1.5)[0], Replace)
    return chase


def cancelling() -> Chase:
    """Nothing is wanted any more, and order 7 was asked to go."""
    chase = working()
    chase.want = None
    assert isinstance(chase.beat(1.5)[0], Cancel)
    return chase


def silent(chase: Chase) -> Chase:
    """Nobody answered what `chase` sent last, and it has noticed."""
    chase.beat(chase.now_s + 3.0)
    return chase


def in_doubt_about_a_replace(old: OrderOutcome) -> Chase:
    """Nobody answered the replace, and the question about the old order was answered `old`."""
    chase = silent(replacing())
    assert isinstance(chase.sent[-1], QueryOrder)
    chase.answer(old)
    return chase


STATES: Final[dict[str, Callable[[], Chase]]] = {
    "nothing sent": Chase,
    "in flight": in_flight,
    "working": working,
    "part-filled": part_filled,
    "replacing": replacing,
    "cancelling": cancelling,
    "placement in doubt": lambda: silent(in_flight()),
    "replace in doubt": lambda: silent(replacing()),
    "cancel in doubt": lambda: silent(cancelling()),
}


def progress_of(chase: Chase) -> ExitProgress:
    progress = chase.exit.progress()
    assert progress is not None
    return progress

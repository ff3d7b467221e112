"""The gateway: commands are sent at once, replies come back by their tags, refreshes run once each."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from tests.background_tasks import running_task
from tests.execution.order_builders import record, rejection

from trailingedge.core.clock import ManualClock
from trailingedge.core.errors import OutcomeUnknown, ProtocolViolation, RequestRefused, SessionLost
from trailingedge.execution.gateway import Gateway
from trailingedge.model.market import Side
from trailingedge.model.order_commands import (
    Cancel,
    ListedOrders,
    OrderInput,
    OrderReply,
    OrdersListed,
    Place,
    QueryOrder,
    QueryOrdersFrom,
    Refresh,
    Replace,
    ReplaceReply,
)
from trailingedge.model.order_outcomes import Accepted, NotTried, OrderOutcome, RejectReason, ReplaceOutcome, Unanswered
from trailingedge.model.order_requests import NewOrderRequest, OrderStyle

OWN = "TE-t-1"
PRICE, QUANTITY = Decimal("100.09"), Decimal(1)


@dataclass
class PaperOrders:
    """An order entry that writes down what it is asked and keeps the listeners."""

    asked: list[tuple[object, ...]] = field(default_factory=list)
    placed: list[Callable[[OrderOutcome], None]] = field(default_factory=list)
    replaced: list[Callable[[ReplaceOutcome], None]] = field(default_factory=list)
    listed: list[Callable[[ListedOrders], None]] = field(default_factory=list)

    def place(self, order: NewOrderRequest, heard: Callable[[OrderOutcome], None]) -> None:
        self.asked.append(("place", order))
        self.placed.append(heard)

    def replace(
        self,
        cancel_order_id: int | None,
        cancel_client_order_id: str,
        order: NewOrderRequest,
        heard: Callable[[ReplaceOutcome], None],
    ) -> None:
        self.asked.append(("replace", cancel_order_id, cancel_client_order_id, order))
        self.replaced.append(heard)

    def cancel(self, order_id: int | None, client_order_id: str, heard: Callable[[OrderOutcome], None]) -> None:
        self.asked.append(("cancel", order_id, client_order_id))
        self.placed.append(heard)

    def status(self, order_id: int | None, client_order_id: str, heard: Callable[[OrderOutcome], None]) -> None:
        self.asked.append(("status", order_id, client_order_id))
        self.placed.append(heard)

    def all_orders(self, from_order_id: int, heard: Callable[[ListedOrders], None]) -> None:
        self.asked.append(("all_orders", from_order_id))
        self.listed.append(heard)


class Counter:
    """Says how often it was fetched, and fails as often as it was told to."""

    def __init__(self, *failures: Exception) -> None:
        self.count = 0
        self._failures = list(failures)

    async def fetch(self) -> None:
        self.count += 1
        if self._failures:
            raise self._failures.pop(0)


class Bench:
    def __init__(self, *failures: Exception) -> None:
        self.orders = PaperOrders()
        self.delivered: list[OrderInput] = []
        self.clock = ManualClock()
        self.balances = Counter(*failures)
        self.rules = Counter()
        remedies = {Refresh.BALANCES: self.balances.fetch, Refresh.RULES: self.rules.fetch}
        self.gateway = Gateway(self.orders, self.delivered.append, remedies, self.clock)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with running_task(self.gateway.run()):
            yield


@pytest.mark.parametrize(
    ("command", "asked"),
    [
        pytest.param(
            Place(1, OWN, Side.SELL, PRICE, QUANTITY),
            ("place", NewOrderRequest(OWN, Side.SELL, QUANTITY, PRICE, OrderStyle.MAKER)),
            id="place",
        ),
        pytest.param(
            Place(1, OWN, Side.SELL, None, QUANTITY),
            ("place", NewOrderRequest(OWN, Side.SELL, QUANTITY, None, OrderStyle.PEGGED)),
            id="pegged",
        ),
        pytest.param(
            Place(1, OWN, Side.SELL, PRICE, QUANTITY, escape=True),
            ("place", NewOrderRequest(OWN, Side.SELL, QUANTITY, PRICE, OrderStyle.IMMEDIATE)),
            id="escape",
        ),
        pytest.param(
            Replace(1, 7, OWN, Side.BUY, PRICE, QUANTITY),
            ("replace", 7, OWN, NewOrderRequest(OWN, Side.BUY, QUANTITY, PRICE, OrderStyle.MAKER)),
            id="replace",
        ),
        pytest.param(
            Replace(1, 7, OWN, Side.BUY, None, QUANTITY),
            ("replace", 7, OWN, NewOrderRequest(OWN, Side.BUY, QUANTITY, None, OrderStyle.PEGGED)),
            id="replace-pegged",
        ),
        pytest.param(Cancel(1, 7, OWN), ("cancel", 7, OWN), id="cancel"),
        pytest.param(QueryOrder(1, None, OWN), ("status", None, OWN), id="query"),
        pytest.param(QueryOrdersFrom(1, 7, OWN), ("all_orders", 7), id="list"),
    ],
)
async def test_a_command_becomes_one_request(
    command: Place | Replace | Cancel | QueryOrder | QueryOrdersFrom, asked: tuple[object, ...]
) -> None:
    bench = Bench()
    bench.gateway.send(command)
    assert bench.orders.asked == [asked]
    assert bench.delivered == []


async def test_an_answer_comes_back_by_its_tag_and_a_late_one_too() -> None:
    bench = Bench()
    bench.gateway.send(Place(1, OWN, Side.SELL, PRICE, QUANTITY))
    bench.gateway.send(Cancel(2, 7, OWN))
    placed, canceled = bench.orders.placed
    silence, gone = Unanswered("timeout"), rejection(RejectReason.UNKNOWN_ORDER)
    canceled(gone)
    placed(silence)
    placed(Accepted(record(7)))
    assert bench.delivered == [OrderReply(2, gone), OrderReply(1, silence), OrderReply(1, Accepted(record(7)))]


async def test_a_replace_brings_both_halves() -> None:
    bench = Bench()
    bench.gateway.send(Replace(3, 7, OWN, Side.SELL, PRICE, QUANTITY))
    outcome = ReplaceOutcome(rejection(RejectReason.UNKNOWN_ORDER), NotTried())
    bench.orders.replaced[0](outcome)
    assert bench.delivered == [ReplaceReply(3, outcome)]


async def test_a_list_is_ours_alone_and_oldest_first() -> None:
    bench = Bench()
    bench.gateway.send(QueryOrdersFrom(4, 7, OWN))
    ours = [record(order_id, client_order_id=OWN) for order_id in (9, 7)]
    bench.orders.listed[0]((*ours, record(8, client_order_id="mine")))
    assert bench.delivered == [OrdersListed(4, (ours[1], ours[0]))]


async def test_a_list_that_was_rejected_says_so() -> None:
    bench = Bench()
    bench.gateway.send(QueryOrdersFrom(4, 7, OWN))
    no = rejection(RejectReason.RATE_LIMITED)
    bench.orders.listed[0](no)
    assert bench.delivered == [OrdersListed(4, no)]


async def test_what_is_asked_for_twice_is_read_once() -> None:
    bench = Bench()
    for remedy in (Refresh.BALANCES, Refresh.RULES, Refresh.BALANCES):
        bench.gateway.send(remedy)
    async with bench.running():
        await bench.clock.advance(1)
        assert (bench.balances.count, bench.rules.count) == (1, 1)
        bench.gateway.refresh(Refresh.BALANCES)
        await bench.clock.advance(1)
        assert bench.balances.count == 2


@pytest.mark.parametrize(
    "trouble",
    [RequestRefused(-1003, "slower"), OutcomeUnknown("timeout"), SessionLost("closed"), ProtocolViolation("{")],
    ids=lambda trouble: type(trouble).__name__,
)
async def test_what_could_not_be_read_is_a_warning_and_the_next_is_read(
    trouble: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(trouble)
    async with bench.running():
        bench.gateway.refresh(Refresh.BALANCES)
        bench.gateway.refresh(Refresh.RULES)
        await bench.clock.advance(0.4)
        assert bench.rules.count == 0  # a moment's pause, not to make trouble worse
        await bench.clock.advance(0.2)
        assert bench.rules.count == 1
    assert "refresh failed resource=balances" in caplog.text

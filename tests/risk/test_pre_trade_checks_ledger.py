"""The ledger of open orders: what replies and reports say is open."""

from collections.abc import Callable

import pytest
from tests.execution.order_builders import D, own, record, rejection, report

from trailingedge.model.intent import ExitKind
from trailingedge.model.market import OrderStatus, Side
from trailingedge.model.order_commands import (
    Cancel,
    OrderReply,
    OrdersListed,
    Place,
    QueryOrder,
    QueryOrdersFrom,
    Replace,
    ReplaceReply,
)
from trailingedge.model.order_outcomes import Accepted, NotTried, RejectReason, ReplaceOutcome, Unanswered
from trailingedge.risk.pre_trade_checks import OpenOrderLedger

NOTHING = Unanswered("timeout")
ABSENT = rejection(RejectReason.UNKNOWN_ORDER, -2013)
NEW, CANCELED, FILLED = OrderStatus.NEW, OrderStatus.CANCELED, OrderStatus.FILLED


def place(tag: int = 1) -> Place:
    return Place(tag, own(), Side.SELL, D("100.09"), D(1))


def placed(order_id: int = 7) -> OpenOrderLedger:
    """Our order rests, by the answer to its placement."""
    orders = OpenOrderLedger(request_expires_s=6.0)
    orders.on_sent(place(), 0.0)
    orders.on_order_input(OrderReply(1, Accepted(record(order_id))))
    assert orders.open == {order_id}
    return orders


def replaced(orders: OpenOrderLedger, outcome: ReplaceOutcome) -> None:
    orders.on_sent(Replace(2, 7, own(), Side.SELL, D("100.04"), D(1)), 1.0)
    orders.on_order_input(ReplaceReply(2, outcome))


def test_an_order_is_open_from_the_first_word_of_it() -> None:
    orders = OpenOrderLedger(6.0)
    orders.on_order_input(report(7))
    assert orders.open == {7}
    assert orders.knows(7)


def answered(orders: OpenOrderLedger, command: Cancel | QueryOrder, status: OrderStatus) -> None:
    """`command` about order 7 is answered by a record of that status."""
    orders.on_sent(command, 1.0)
    orders.on_order_input(OrderReply(command.tag, Accepted(record(7, status=status))))


ENDS: dict[str, Callable[[OpenOrderLedger], None]] = {
    "a report of its fill": lambda orders: orders.on_order_input(report(7, filled="1", status=FILLED)),
    "a report of its cancellation": lambda orders: orders.on_order_input(report(7, status=CANCELED)),
    "the answer to a query": lambda orders: answered(orders, QueryOrder(2, 7, own()), FILLED),
    "the reply to a cancel, with any status": lambda orders: answered(orders, Cancel(2, 7, own()), NEW),
    "one half of a replace": lambda orders: replaced(
        orders, ReplaceOutcome(Accepted(record(7, status=CANCELED)), rejection(RejectReason.WOULD_TAKE))
    ),
    "a list": lambda orders: orders.on_order_input(OrdersListed(9, (record(7, status=CANCELED),))),
    "its absence from the open orders": lambda orders: orders.reconcile([]),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_an_order_is_open_until_a_word_of_its_end(end: Callable[[OpenOrderLedger], None]) -> None:
    orders = placed()
    end(orders)
    assert orders.open == set()
    assert orders.knows(7)


def test_what_is_over_stays_over_however_late_an_older_word_comes() -> None:
    orders = placed()
    orders.on_order_input(report(7, status=CANCELED))
    orders.on_order_input(report(7))
    orders.on_sent(QueryOrder(2, 7, own()), 1.0)
    orders.on_order_input(OrderReply(2, Accepted(record(7))))
    assert orders.open == set()


def test_a_replace_that_worked_leaves_the_new_order_alone_open() -> None:
    orders = placed()
    replaced(orders, ReplaceOutcome(Accepted(record(7, status=CANCELED)), Accepted(record(8))))
    assert orders.open == {8}


@pytest.mark.parametrize(
    "outcome",
    [
        pytest.param(ReplaceOutcome(rejection(RejectReason.CANCEL_RESTRICTED), NotTried()), id="refused"),
        pytest.param(ReplaceOutcome(NOTHING, NOTHING), id="not answered"),
    ],
)
def test_a_replace_that_did_nothing_leaves_the_old_order_open(outcome: ReplaceOutcome) -> None:
    orders = placed()
    replaced(orders, outcome)
    assert orders.open == {7}


def test_a_single_not_found_proves_nothing() -> None:
    orders = placed()
    for tag in (2, 3):
        assert orders.open == {7}
        orders.on_sent(QueryOrder(tag, 7, own()), 1.0)
        orders.on_order_input(OrderReply(tag, ABSENT))
    assert orders.open == set()


def test_a_placement_is_awaited_until_it_can_no_longer_be_executed() -> None:
    orders = OpenOrderLedger(request_expires_s=6.0)
    orders.on_sent(place(), 0.0)
    orders.on_order_input(OrderReply(1, NOTHING))
    assert orders.placement_unanswered(5.9)
    assert not orders.placement_unanswered(6.0)


SETTLED: dict[str, Callable[[OpenOrderLedger], None]] = {
    "done": lambda orders: orders.on_order_input(OrderReply(1, Accepted(record(7)))),
    "refused": lambda orders: orders.on_order_input(OrderReply(1, rejection(RejectReason.WOULD_TAKE))),
    "not tried": lambda orders: orders.on_order_input(OrderReply(1, NotTried())),
    "reported": lambda orders: orders.on_order_input(report(7)),
    "listed": lambda orders: orders.on_order_input(OrdersListed(5, (record(7),))),
}


@pytest.mark.parametrize("settle", SETTLED.values(), ids=SETTLED.keys())
def test_a_placement_is_awaited_no_more_once_it_is_reported(settle: Callable[[OpenOrderLedger], None]) -> None:
    orders = OpenOrderLedger(6.0)
    orders.on_sent(place(), 0.0)
    settle(orders)
    assert not orders.placement_unanswered(0.1)


def test_a_word_of_an_older_order_does_not_settle_a_placement() -> None:
    orders = placed()
    orders.on_sent(place(2), 1.0)
    orders.on_order_input(report(7, status=CANCELED))
    assert orders.placement_unanswered(1.1)


def test_a_placement_that_came_to_nothing_is_not_awaited_in_place_of_the_next() -> None:
    orders = OpenOrderLedger(request_expires_s=6.0)
    orders.on_sent(place(1), 0.0)
    orders.on_sent(place(2), 6.0)
    orders.on_order_input(report(7))
    assert not orders.placement_unanswered(6.1)


@pytest.mark.parametrize("stranger", ["web_4711", own(ExitKind.JUMPSTART), own(ExitKind.NOTE)])
def test_orders_that_are_no_exits_are_not_ours_here(stranger: str) -> None:
    orders = OpenOrderLedger(6.0)
    orders.on_order_input(report(9, client_order_id=stranger))
    orders.on_order_input(OrdersListed(1, (record(9, client_order_id=stranger),)))
    orders.reconcile([record(9, client_order_id=stranger)])
    assert orders.open == set()
    assert not orders.knows(9)


def test_the_list_of_open_orders_is_the_truth() -> None:
    orders = placed()
    orders.reconcile([record(8), record(9, client_order_id="web_4711")])
    assert orders.open == {8}


def test_answers_to_nothing_and_silence_teach_nothing() -> None:
    orders = placed()
    orders.on_sent(QueryOrdersFrom(2, 7, own()), 1.0)
    for event in (OrderReply(99, ABSENT), OrderReply(2, NOTHING), OrdersListed(2, NOTHING), report(-1)):
        orders.on_order_input(event)
    assert orders.open == {7}


def test_only_so_much_is_remembered() -> None:
    orders = OpenOrderLedger(6.0)
    for number in range(1, 1200):
        orders.on_sent(place(number), 0.0)
        orders.on_order_input(report(number, status=CANCELED))
    assert not orders.knows(1)
    assert orders.knows(1199)
    assert not orders.placement_unanswered(0.0)

"""Orders of an earlier session that come late: grouped into exits again, or cancelled."""

from itertools import permutations

import pytest
from tests.execution.order_builders import NUMBER, D, own, record, report

from trailingedge.model.market import OrderStatus
from trailingedge.model.order_commands import Cancel, QueryOrder
from trailingedge.risk.duplicate_instance import OrderSighting, OrphanOrders, late_exits_of

REST = report(7)
PART = report(7, filled="0.4", status=OrderStatus.PARTIALLY_FILLED)


def late(*order_ids: int) -> OrphanOrders:
    orders = OrphanOrders()
    for order_id in order_ids:
        orders.add(order_id, f"TE-m-{order_id}")
    return orders


def test_nothing_is_asked_while_there_is_nothing_to_cancel() -> None:
    assert not late().any_open({1})
    assert late().next_command(0.0) is None


def test_it_is_cancelled_then_asked_for_then_cancelled_again_once_a_second() -> None:
    orders = late(7)
    assert orders.next_command(0.0) == Cancel(0, 7, "TE-m-7")
    assert orders.next_command(0.9) is None
    assert orders.next_command(1.0) == QueryOrder(0, 7, "TE-m-7")
    assert orders.next_command(2.0) == Cancel(0, 7, "TE-m-7")


def test_it_is_done_with_what_is_not_on_the_book_any_more() -> None:
    orders = late(7, 8)
    assert orders.any_open({8, 9})
    assert 7 not in orders
    assert orders.next_command(0.0) == Cancel(0, 8, "TE-m-8")
    assert not orders.any_open(set())


@pytest.mark.parametrize("end", [OrderStatus.FILLED, OrderStatus.CANCELED])
def test_in_any_order_of_messages_the_end_counts(end: OrderStatus) -> None:
    last = report(7, filled="1" if end is OrderStatus.FILLED else "0.4", status=end)
    for words in permutations([REST, PART, last]):
        (late_exit,) = late_exits_of(words, {7})
        assert (late_exit.orders[0].status, late_exit.base) == (end, last.filled_quantity)


@pytest.mark.parametrize(
    ("words", "filled"),
    [
        pytest.param([REST, PART], "0.4", id="part-filled on the book"),
        pytest.param([record(7), PART], "0.4", id="listed first"),
        pytest.param([record(7)], "0", id="listed alone"),
    ],
)
def test_what_is_on_the_book_rests(words: list[OrderSighting], filled: str) -> None:
    (late_exit,) = late_exits_of(words, {7})
    assert late_exit.open_order is not None
    assert late_exit.base == D(filled)


def test_a_word_of_resting_is_none_once_the_order_is_gone() -> None:
    assert late_exits_of([REST, PART], set()) == ()


def test_orders_of_one_exit_come_together_and_the_newest_exit_first() -> None:
    older = report(5, filled="0.3", status=OrderStatus.CANCELED)
    other = report(6, client_order_id=own(number=NUMBER + 1))
    exits = late_exits_of([REST, other, older], {6, 7})
    assert [(late_exit.number, len(late_exit.orders)) for late_exit in exits] == [(NUMBER, 2), (NUMBER + 1, 1)]

"""Orders of the last session that came late are taken away, patiently."""

from trailingedge.execution.commands import Cancel, QueryOrder
from trailingedge.execution.late_orders import LateOrders


def late(*order_ids: int) -> LateOrders:
    orders = LateOrders()
    for order_id in order_ids:
        orders.take_away(order_id, f"TE-m-{order_id}")
    return orders


def test_nothing_is_asked_while_there_is_nothing_to_take_away() -> None:
    assert not late().any_on({1})
    assert late().command(0.0) is None


def test_it_is_cancelled_then_asked_for_then_cancelled_again_once_a_second() -> None:
    orders = late(7)
    assert orders.command(0.0) == Cancel(0, 7, "TE-m-7")
    assert orders.command(0.9) is None
    assert orders.command(1.0) == QueryOrder(0, 7, "TE-m-7")
    assert orders.command(2.0) == Cancel(0, 7, "TE-m-7")


def test_it_is_done_with_what_is_not_on_the_book_any_more() -> None:
    orders = late(7, 8)
    assert orders.any_on({8, 9})
    assert 7 not in orders
    assert orders.command(0.0) == Cancel(0, 8, "TE-m-8")
    assert not orders.any_on(set())

"""The orders of one exit: matching reports to them, duplicates, and late updates."""

from dataclasses import replace
from functools import partial

from tests.execution.order_builders import NUMBER, D, own, record, report

from trailingedge.execution.exit_order_set import ExitOrders
from trailingedge.execution.order import Order, OrderState, OrderTrigger
from trailingedge.execution.order_events import OrderEvent, OrderFilled, OrderPlaced
from trailingedge.execution.replace_attempt import ReplaceAttempt
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import OrderStatus, Side

PART = OrderStatus.PARTIALLY_FILLED


def books() -> ExitOrders:
    return ExitOrders(NUMBER, [])


def sell(price: str = "100.09") -> Order:
    return Order(own(), Side.SELL, D(price), D("1"), 0.0)


def placed(orders: ExitOrders) -> Order:
    order = sell()
    orders.begin(ReplaceAttempt(order))
    return order


def resting(orders: ExitOrders, order_id: int = 7) -> Order:
    order = placed(orders)
    orders.apply(order, lambda: order.apply_report(report(order_id)))
    orders.reconcile()
    return order


def replacing(orders: ExitOrders, old: Order, quantity: str = "1") -> Order:
    """The new order of a cancel-replace of `old` to 100.04 that has just been sent."""
    old.apply(OrderTrigger.CANCEL_SENT)
    new = Order(own(), Side.SELL, D("100.04"), D(quantity), 0.0)
    orders.begin(ReplaceAttempt(new, old))
    return new


def presumed_dead(orders: ExitOrders) -> Order:
    """The order of a placement that queries did not find."""
    order = placed(orders)
    orders.mark_unknown(order, 1.0)
    orders.presume_rejected(order)
    return order


def test_an_empty_book_has_nothing() -> None:
    orders = books()
    assert not orders.alive
    assert orders.unknown_order is None
    assert orders.duplicate is None
    assert orders.highest_order_id is None
    assert orders.filled() == (D("0"), D("0"))


def test_a_report_is_of_the_order_that_bears_its_id() -> None:
    orders = books()
    order = resting(orders)
    replacing(orders, order)
    assert orders.find_reported(report(7)) is order


def test_a_new_id_is_the_newest_requests_without_an_order_id() -> None:
    orders = books()
    order = resting(orders)
    successor = replacing(orders, order)
    assert orders.find_reported(report(8, "100.04")) is successor


def test_a_report_of_another_kind_is_not_of_a_request_of_this_one() -> None:
    orders = books()
    placed(orders)
    assert orders.find_reported(report(8, client_order_id=own(ExitKind.FLUSH))) is None


def test_a_successor_that_exists_waits_until_the_old_order_is_known_to_be_gone() -> None:
    orders = books()
    order = resting(orders)
    successor = replacing(orders, order)
    orders.apply(successor, lambda: successor.apply_report(report(8, "100.04")))
    orders.reconcile()
    assert (orders.order, orders.alive_orders()) == (order, [successor, order])
    orders.apply(order, lambda: order.apply_report(report(7, status=OrderStatus.CANCELED)))
    orders.reconcile()
    assert (orders.order, orders.alive_orders()) == (successor, [successor])


def test_doubt_is_settled_in_the_order_in_which_things_happened() -> None:
    orders = books()
    order = resting(orders)
    successor = replacing(orders, order)
    for each in (order, successor):
        orders.mark_unknown(each, 1.0)
    assert orders.unknown_order is order
    order.apply(OrderTrigger.CANCELED)
    orders.reconcile()
    assert orders.unknown_order is successor


def test_a_late_report_finds_an_order_long_over() -> None:
    orders = books()
    first = resting(orders)
    first.apply(OrderTrigger.CANCELED)
    resting(orders, 8)
    assert orders.find_reported(report(7, filled="0.5", status=PART)) is first
    orders.apply(first, lambda: first.apply_report(report(7, filled="0.5", status=PART)))
    assert orders.filled() == (D("0.5"), D("0.5") * D("100.09"))


def test_an_order_thought_to_be_over_that_is_not_is_the_duplicate_beside_the_current_one() -> None:
    orders = books()
    first = resting(orders)
    first.apply(OrderTrigger.TIMEOUT)
    orders.presume_rejected(first)
    resting(orders, 8)
    orders.apply(first, lambda: first.apply_record(record(7, filled="0.4", status=PART)))
    orders.reconcile()
    assert orders.duplicate is first
    assert orders.filled()[0] == D("0.4")


def test_an_order_that_was_there_and_then_was_not_keeps_its_fills() -> None:
    orders = books()
    first = resting(orders)
    first.apply(OrderTrigger.TIMEOUT)
    orders.presume_rejected(first)
    resting(orders, 8)
    orders.apply(first, lambda: first.apply_report(report(7, filled="0.4", status=PART)))
    orders.mark_unknown(first, 1.0)
    orders.presume_rejected(first)
    for _ in range(9):  # more than are kept
        presumed_dead(orders)
    orders.reconcile()
    assert orders.filled()[0] == D("0.4")
    assert orders.by_order_id(7) is first


def test_only_the_newest_presumed_dead_orders_are_kept() -> None:
    orders = books()
    dead_orders = [presumed_dead(orders) for _ in range(9)]
    resting(orders)
    assert orders.find_reported(report(8)) is dead_orders[4]


def test_an_answer_about_a_forgotten_request_is_entered_all_the_same() -> None:
    orders = books()
    resting(orders)
    forgotten = ReplaceAttempt(sell())
    assert orders.find_answered(forgotten.new, record(9), forgotten) is forgotten.new
    orders.apply(forgotten.new, lambda: forgotten.new.apply_record(record(9)))
    orders.reconcile()
    assert orders.duplicate is forgotten.new


def test_a_request_whose_order_is_known_under_another_entry_was_not_one_of_its_own() -> None:
    orders = books()
    order = resting(orders)
    again = replacing(orders, order)
    assert orders.find_answered(again, record(7), orders.attempt_of(again)) is order
    assert again.state is OrderState.REJECTED


def test_what_is_told_of_an_order_is_told_once() -> None:
    events: list[OrderEvent] = []
    orders = ExitOrders(NUMBER, events)
    order = placed(orders)
    for received in (report(7), report(7), report(7, filled="0.4", status=PART), report(7, filled="0.4", status=PART)):
        orders.apply(order, partial(order.apply_report, received))
        orders.reconcile()
    assert events == [
        OrderPlaced(own(), 7, Side.SELL, D("100.09"), D("1")),
        OrderFilled(own(), 7, Side.SELL, D("100.09"), D("0.4"), D("0.4") * D("100.09"), D("0.6")),
    ]


def test_the_newest_known_id_is_that_of_any_order_of_the_exit() -> None:
    orders = books()
    resting(orders, 12).apply(OrderTrigger.CANCELED)
    resting(orders, 9)
    assert orders.highest_order_id == 12


def test_what_may_be_locked_is_the_most_any_one_order_may_lock() -> None:
    orders = books()
    order = resting(orders)
    replacing(orders, order, "1.5")
    assert orders.max_locked(in_quote=False) == D("1.5")
    assert orders.max_locked(in_quote=True) == D("1.5") * D("100.04")


def test_the_sum_of_all_fills_follows_each_of_them() -> None:
    orders = ExitOrders(NUMBER, [])
    order = placed(orders)
    assert orders.filled() == (D(0), D(0))
    for filled, quote in (("0.4", "40.036"), ("0.4", "40.036"), ("1", "100.09")):
        received = replace(report(7, filled=filled), filled_quote=D(quote))
        orders.apply(order, partial(order.apply_report, received))
        assert orders.filled() == (D(filled), D(quote))

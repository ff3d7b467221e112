"""Balance sync: balances account for our orders by the exchange's time, and within a millisecond by message order."""

from decimal import Decimal

import pytest
from tests.execution.order_builders import report

from trailingedge.execution.balance_freshness import BalanceSync
from trailingedge.execution.order import Order, OrderTrigger
from trailingedge.model.market import OrderStatus, Side
from trailingedge.model.market_state import StateView

CANCELED, FILLED, PART, NEW = (
    OrderStatus.CANCELED,
    OrderStatus.FILLED,
    OrderStatus.PARTIALLY_FILLED,
    OrderStatus.NEW,
)


def view(balances_ms: int, pushes: int) -> StateView:
    return StateView(
        now_s=0.0,
        market_ms=0,
        top=None,
        top_age_s=0.0,
        balances={},
        balances_ms=balances_ms,
        account_proven=True,
        closed_klines=(),
        balance_updates=pushes,
    )


def order(heard: OrderTrigger, order_id: int | None = 7) -> Order:
    made = Order("TE-t-1", Side.SELL, Decimal(100), Decimal(1), 0.0)
    made.order_id = order_id
    made.apply(heard)
    return made


@pytest.mark.parametrize(
    ("balances_ms", "holds"), [pytest.param(999, False, id="older"), pytest.param(1001, True, id="newer")]
)
def test_another_time_says_it_all(balances_ms: int, holds: bool) -> None:
    settlement = BalanceSync()
    settlement.on_report(report(7, status=CANCELED), pushes=5)
    assert settlement.is_current(view(balances_ms, pushes=5), 1000, order(OrderTrigger.CANCELED)) is holds


@pytest.mark.parametrize("status", [CANCELED, FILLED, PART])
def test_within_a_millisecond_the_balances_come_after_the_report(status: OrderStatus) -> None:
    settlement = BalanceSync()
    settlement.on_report(report(7, filled="0.5", status=status), pushes=5)
    assert not settlement.is_current(view(1000, pushes=5), 1000, order(OrderTrigger.ACCEPTED))
    assert settlement.is_current(view(1000, pushes=6), 1000, order(OrderTrigger.ACCEPTED))


def test_an_end_that_only_an_answer_told_is_waited_for() -> None:
    settlement = BalanceSync()
    ended = order(OrderTrigger.CANCELED)
    assert not settlement.is_current(view(1000, pushes=5), 1000, ended)
    settlement.on_report(report(7, status=CANCELED), pushes=5)
    assert not settlement.is_current(view(1000, pushes=5), 1000, ended)
    assert settlement.is_current(view(1000, pushes=6), 1000, ended)


def test_a_report_before_the_answer_is_enough() -> None:
    settlement = BalanceSync()
    settlement.on_report(report(7, status=CANCELED), pushes=5)
    assert settlement.is_current(view(1000, pushes=6), 1000, order(OrderTrigger.CANCELED))


def test_an_order_that_never_was_moved_nothing() -> None:
    assert BalanceSync().is_current(view(0, pushes=0), 0, None)
    assert BalanceSync().is_current(view(1000, pushes=3), 1000, order(OrderTrigger.REJECTED, order_id=None))


def test_a_placement_is_settled_by_the_push_that_shows_its_lock() -> None:
    settlement = BalanceSync()
    assert not settlement.is_current(
        view(1000, pushes=5), 1000, order(OrderTrigger.ACCEPTED)
    )  # answered, and not told of yet
    settlement.on_report(report(7, status=NEW), pushes=5)
    assert not settlement.is_current(view(1000, pushes=5), 1000, order(OrderTrigger.ACCEPTED))
    assert settlement.is_current(view(1000, pushes=6), 1000, order(OrderTrigger.ACCEPTED))


def test_foreign_orders_settle_nothing() -> None:
    settlement = BalanceSync()
    settlement.on_report(report(8, status=FILLED, filled="1", client_order_id="mine"), pushes=5)
    assert settlement.is_current(view(1000, pushes=5), 1000, None)


def test_the_end_of_the_last_order_is_waited_for_when_the_next_exit_has_none_yet() -> None:
    settlement = BalanceSync()
    settlement.on_report(report(7, status=NEW), pushes=4)
    canceled = order(OrderTrigger.CANCELED)
    assert not settlement.is_current(view(1000, pushes=5), 1000, canceled)
    assert not settlement.is_current(view(1000, pushes=5), 1000, None)
    settlement.on_report(report(7, status=CANCELED), pushes=5)
    assert settlement.is_current(view(1000, pushes=6), 1000, None)


def test_balances_that_were_asked_for_settle_what_was_known_then() -> None:
    settlement = BalanceSync()
    settlement.on_report(report(7, status=CANCELED), pushes=5)
    settlement.on_balances_read(settlement.mark(pushes=5), pushes=5)
    assert settlement.is_current(view(1000, pushes=5), 1000, order(OrderTrigger.CANCELED))


def test_balances_that_were_asked_for_before_a_report_say_nothing_of_it() -> None:
    settlement = BalanceSync()
    mark = settlement.mark(pushes=5)
    settlement.on_report(report(7, status=CANCELED), pushes=5)
    settlement.on_balances_read(mark, pushes=5)
    assert not settlement.is_current(view(1000, pushes=5), 1000, order(OrderTrigger.CANCELED))

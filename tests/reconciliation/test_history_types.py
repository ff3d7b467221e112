"""Exit history: orders and fills become exits and markers; an exit knows whether it is finished."""

from dataclasses import replace

import pytest
from tests.execution.order_builders import NUMBER, RULES, D, own, record, report
from tests.reconciliation.account_histories import Past, at

from trailingedge.model.intent import ExitKind
from trailingedge.model.market import OrderStatus, Regime, Side
from trailingedge.reconciliation.history_types import exit_of_order, find_markers, group_into_exits, newest_finished


def test_an_exit_is_all_orders_of_its_number_of_any_kind() -> None:
    past = Past()
    past.sell(0, "101.00", NUMBER, ExitKind.TAKE_PROFIT, filled="0.4")
    past.sell(5, "99.00", NUMBER, ExitKind.FLUSH, quantity="0.6")
    (exit_,) = past.history().exits
    assert (exit_.kind, exit_.side, exit_.sold_regime) == (ExitKind.FLUSH, Side.SELL, Regime.BASE)
    assert (exit_.base, exit_.quote) == (D(1), D("40.4") + D("59.4"))
    assert exit_.average_price == pytest.approx(99.8)
    assert (exit_.began_ms, exit_.last_fill_ms, exit_.ended_ms) == (at(0), at(6), at(6))


def test_foreign_orders_jumpstarts_and_markers_are_no_exits() -> None:
    past = Past()
    past.foreign(0, Side.SELL, "100.00")
    past.order(1, own(ExitKind.JUMPSTART), Side.BUY, "90.00")
    past.marker(2, Side.SELL, 10_000, NUMBER)
    assert past.history().exits == ()


@pytest.mark.parametrize(
    ("kinds", "meant"),
    [
        pytest.param("t", ExitKind.TAKE_PROFIT, id="as it says"),
        pytest.param("tm", ExitKind.MANUAL, id="relabelled by the operator"),
        pytest.param("tf", ExitKind.FLUSH, id="upgraded"),
        pytest.param("fe", ExitKind.FLUSH, id="an escape is one of its orders"),
        pytest.param("te", ExitKind.TAKE_PROFIT, id="an escape says nothing of its own"),
        pytest.param("e", ExitKind.MANUAL, id="an escape alone"),
    ],
)
def test_the_newest_order_tells_the_kind(kinds: str, meant: ExitKind) -> None:
    past = Past()
    for seconds, letter in enumerate(kinds):
        past.sell(seconds, "100.00", NUMBER, ExitKind(letter), filled="0")
    assert past.history().exits[0].kind is meant


@pytest.mark.parametrize(
    ("filled", "quantity", "status", "finished"),
    [
        pytest.param("1", "1", OrderStatus.FILLED, True, id="filled to the end"),
        pytest.param("0.97", "1", OrderStatus.CANCELED, True, id="all but dust"),
        pytest.param("0.5", "1", OrderStatus.CANCELED, False, id="half of it"),
        pytest.param("0", "1", OrderStatus.CANCELED, False, id="never filled"),
        pytest.param("0.5", "1", OrderStatus.PARTIALLY_FILLED, False, id="still on the book"),
        pytest.param("0.97", "1", OrderStatus.PARTIALLY_FILLED, False, id="dust, but still on the book"),
    ],
)
def test_an_exit_is_finished_when_nothing_is_left_to_place(
    filled: str, quantity: str, status: OrderStatus, finished: bool
) -> None:
    past = Past()
    past.order(0, own(), Side.SELL, "100.00", quantity, filled=filled, status=status)
    assert past.history().exits[0].is_finished(RULES) is finished


def test_an_order_as_large_as_allowed_may_not_have_been_all() -> None:
    past = Past()
    past.sell(0, "100.00", NUMBER)
    exit_ = past.history().exits[0]
    assert not exit_.is_finished(replace(RULES, max_quantity=D(1)))
    assert not exit_.is_finished(replace(RULES, max_notional=D(100)))
    assert exit_.is_finished(replace(RULES, max_quantity=D(2), max_notional=D(200)))


def test_an_unknown_quote_sum_comes_from_the_trades_or_the_orders_own_price() -> None:
    past = Past()
    past.sell(0, "100.00", NUMBER)
    unknown = [replace(order, filled_quote=None) for order in past.orders]
    cheaper = [replace(past.trades[0], quote_quantity=D(99))]
    assert group_into_exits(unknown, cheaper)[0].quote == 99
    assert group_into_exits(unknown, ())[0].quote == 100


def test_a_marker_tells_regime_and_price_and_one_that_cannot_be_read_is_left_out() -> None:
    past = Past()
    past.marker(3, Side.SELL, 10_001, NUMBER)
    past.marker(4, Side.BUY, 9_999, NUMBER + 1)
    past.order(5, own(ExitKind.NOTE), Side.SELL, "50.00")
    one, other = find_markers(past.orders, RULES.tick_size)
    assert (one.regime, one.price, one.time_ms) == (Regime.BASE, D("100.01"), at(3))
    assert (other.regime, other.price, other.number) == (Regime.QUOTE, D("99.99"), NUMBER + 1)


def test_the_newest_finished_exit_is_where_the_past_may_begin() -> None:
    past = Past()
    past.buy(0, "90.00", NUMBER)
    past.sell(10, "100.00", NUMBER + 1)
    past.buy(20, "95.00", NUMBER + 2, filled="0.3")
    finished = newest_finished(past.history().exits, RULES)
    assert finished is not None
    assert finished.number == NUMBER + 1


def test_half_an_exit_whose_other_side_was_left_later_counts_as_finished() -> None:
    past = Past()
    past.sell(10, "100.00", NUMBER, filled="0.9")
    past.buy(20, "95.00", NUMBER + 1, filled="0")
    finished = newest_finished(past.history().exits, RULES)
    assert finished is not None
    assert finished.number == NUMBER


def test_one_order_alone_makes_an_exit_as_far_as_is_known() -> None:
    received = report(7, "100.00", filled="0.4", status=OrderStatus.PARTIALLY_FILLED)
    exit_ = exit_of_order(received)
    assert (exit_.number, exit_.side, exit_.base, exit_.open_order) == (NUMBER, Side.SELL, D("0.4"), exit_.orders[0])
    assert exit_of_order(record(8)).orders == (record(8),)
    with pytest.raises(ValueError, match="web_1"):
        exit_of_order(record(8, client_order_id="web_1"))

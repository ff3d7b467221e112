"""Order states: transitions, final states, and what reports and replies change."""

import itertools
from dataclasses import replace

import pytest
from tests.execution.order_builders import D, acknowledged, own, record, report

from trailingedge.core.errors import BrokenInvariant
from trailingedge.execution.order import TRANSITIONS, Order, OrderState, OrderTrigger, next_state
from trailingedge.model.market import ExecutionType, OrderStatus, Side

ENDED = (OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED)
LATE = (
    OrderTrigger.ACCEPTED,
    OrderTrigger.PARTIALLY_FILLED,
    OrderTrigger.REJECTED,
    OrderTrigger.CANCEL_REJECTED,
    OrderTrigger.NOT_FOUND,
    OrderTrigger.TIMEOUT,
)


def sell() -> Order:
    return Order(own(), Side.SELL, D("100.09"), D("1"), sent_s=0.0)


@pytest.mark.parametrize("state", ENDED, ids=lambda state: state.name)
def test_an_order_that_ended_never_changes_again(state: OrderState) -> None:
    for heard in OrderTrigger:
        try:
            assert next_state(state, heard) is state
        except BrokenInvariant:
            assert heard not in LATE


@pytest.mark.parametrize(("state", "heard"), list(itertools.product(ENDED, LATE)), ids=lambda value: value.name)
def test_what_comes_late_or_twice_is_forgiven_by_an_order_that_ended(state: OrderState, heard: OrderTrigger) -> None:
    assert next_state(state, heard) is state


@pytest.mark.parametrize(
    ("state", "heard"),
    [
        pytest.param(OrderState.FILLED, OrderTrigger.FILLED, id="filled twice"),
        pytest.param(OrderState.CANCELED, OrderTrigger.CANCELED, id="canceled twice"),
        pytest.param(OrderState.EXPIRED, OrderTrigger.EXPIRED, id="expired twice"),
        pytest.param(OrderState.REJECTED, OrderTrigger.REJECTED, id="refused twice"),
    ],
)
def test_the_end_of_an_order_may_be_told_twice(state: OrderState, heard: OrderTrigger) -> None:
    assert next_state(state, heard) is state


@pytest.mark.parametrize(
    ("state", "heard"),
    [
        pytest.param(OrderState.FILLED, OrderTrigger.CANCELED, id="canceled after it was filled"),
        pytest.param(OrderState.CANCELED, OrderTrigger.FILLED, id="filled after it was canceled"),
        pytest.param(OrderState.PENDING_NEW, OrderTrigger.CANCEL_SENT, id="cancel of what may not exist"),
        pytest.param(OrderState.PENDING_CANCEL, OrderTrigger.CANCEL_SENT, id="cancel while one is asked for"),
        pytest.param(OrderState.UNKNOWN, OrderTrigger.CANCEL_SENT, id="cancel in doubt"),
        pytest.param(OrderState.WORKING, OrderTrigger.REJECTED, id="refusal of what rests"),
        pytest.param(OrderState.WORKING, OrderTrigger.REOPENED, id="recall of what was not given up"),
    ],
)
def test_a_move_that_is_not_in_the_table_is_a_broken_invariant(state: OrderState, heard: OrderTrigger) -> None:
    with pytest.raises(BrokenInvariant):
        next_state(state, heard)


def test_silence_never_ends_an_order_and_never_revives_one() -> None:
    for state in OrderState:
        after = next_state(state, OrderTrigger.TIMEOUT)
        assert after.final is state.final


def test_every_move_out_of_a_final_state_is_out_of_one_that_was_only_our_belief() -> None:
    assert {state for (state, _), after in TRANSITIONS.items() if state.final and after is not state} == {
        OrderState.REJECTED
    }


def test_fills_only_ever_grow() -> None:
    order = sell()
    order.apply_report(report(7, filled="0.6", status=OrderStatus.PARTIALLY_FILLED))
    order.apply_report(report(7, filled="0.2", status=OrderStatus.PARTIALLY_FILLED))
    order.apply_report(report(7))
    assert (order.filled_quantity, order.filled_quote) == (D("0.6"), D("0.6") * D("100.09"))
    assert order.remaining == D("0.4")
    assert order.partially_filled


def test_an_acknowledgement_tells_that_it_rests_and_nothing_else() -> None:
    order = sell()
    order.apply_record(acknowledged(7))
    assert (order.state, order.order_id) == (OrderState.WORKING, 7)
    assert (order.price, order.quantity, order.filled_quote) == (D("100.09"), D("1"), D("0"))


def test_a_pegged_order_learns_its_price_from_the_exchange() -> None:
    order = Order(own(), Side.SELL, None, D("1"), sent_s=0.0)
    order.apply_record(record(7, "0", pegged_price=D("100.10")))
    assert order.price == D("100.10")


def test_a_quote_sum_the_exchange_calls_unknown_is_estimated_until_it_is_told() -> None:
    order = sell()
    received = record(7, filled="0.5", status=OrderStatus.PARTIALLY_FILLED)
    order.apply_record(replace(received, filled_quote=None))
    assert order.filled_quote == D("0.5") * D("100.09")
    order.apply_report(report(7, filled="0.5", status=OrderStatus.PARTIALLY_FILLED, quote=D("50.05")))
    assert order.filled_quote == D("50.05")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (OrderStatus.NEW, OrderState.WORKING),
        (OrderStatus.PENDING_NEW, OrderState.WORKING),
        (OrderStatus.PARTIALLY_FILLED, OrderState.WORKING),
        (OrderStatus.FILLED, OrderState.FILLED),
        (OrderStatus.CANCELED, OrderState.CANCELED),
        (OrderStatus.REJECTED, OrderState.REJECTED),
        (OrderStatus.EXPIRED, OrderState.EXPIRED),
        (OrderStatus.EXPIRED_IN_MATCH, OrderState.EXPIRED),
        (OrderStatus.PENDING_CANCEL, OrderState.UNKNOWN),
        (OrderStatus.UNRECOGNIZED, OrderState.UNKNOWN),
    ],
    ids=lambda value: value.name,
)
def test_each_status_of_the_exchange_has_its_state(status: OrderStatus, state: OrderState) -> None:
    order = sell()
    order.apply_record(record(7, status=status))
    assert order.state is state


def test_a_report_of_rejection_is_a_rejection_with_any_status() -> None:
    order = sell()
    order.apply_report(report(7, status=OrderStatus.NEW, reason=ExecutionType.REJECTED))
    assert order.state is OrderState.REJECTED


def test_an_order_names_itself_for_the_log() -> None:
    order = sell()
    order.apply_report(report(7, filled="0.5", status=OrderStatus.PARTIALLY_FILLED))
    assert repr(order) == f"<{own()} #7 SELL 0.5/1 at 100.09, working>"

"""Changing intents: fills, the end of an intent, a hard stop that takes over, the next exit."""

from collections.abc import Callable

import pytest
from tests.execution.chaser_harness import (
    BUY,
    CANCELED,
    FILLED,
    LOWER,
    PART,
    SELL,
    SERVER_MS,
    STATES,
    MakerExitHarness,
    partially_filled,
    pending_cancel,
    pending_new,
    progress_of,
    replacing,
    unanswered,
    working,
)
from tests.execution.order_builders import NUMBER, D, order_intent, own, record, rejection, report

from trailingedge.core.errors import BrokenInvariant
from trailingedge.execution.order import OrderState
from trailingedge.execution.order_rate_budget import OrderRateBudget
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import RateLimit
from trailingedge.model.order_commands import (
    Cancel,
    OrdersListed,
    Place,
    QueryOrder,
    QueryOrdersFrom,
    Replace,
)
from trailingedge.model.order_outcomes import Accepted, RejectReason

# Partial fills ---------------------------------------------------------------------------------------


def test_a_part_filled_order_is_moved_by_cancel_and_the_rest_placed_once_the_balances_follow() -> None:
    harness = partially_filled("0.4")
    harness.book = LOWER
    assert harness.tick(2.0) == [Cancel(2, 7, own())]
    # A last fill came before the cancel.
    harness.reply(Accepted(record(7, filled="0.5", status=CANCELED, time_ms=2000)))
    assert harness.maker_exit.funds_changed_ms == 2000
    harness.balances_current = False
    assert harness.tick(2.1) == []
    harness.balances_current = True
    harness.set_intent_funds("0.5")
    assert harness.tick(2.2) == [Place(3, own(), SELL, D("100.04"), D("0.5"))]
    assert progress_of(harness).filled_base == D("0.5")


def test_a_part_filled_order_at_the_best_price_stays() -> None:
    harness = partially_filled("0.4")
    assert harness.tick(2.0) == harness.tick(9.0) == []


def test_a_deposit_does_not_take_a_part_filled_order_from_its_place() -> None:
    harness = partially_filled("0.4")
    harness.set_intent_funds("2")
    assert harness.tick(2.0) == harness.tick(9.0) == []


def test_a_rest_too_small_to_place_again_stays_until_the_price_leaves_it() -> None:
    harness = partially_filled("0.96")
    assert harness.tick(2.0) == []
    harness.book = LOWER
    assert harness.tick(3.0) == [Cancel(2, 7, own())]
    harness.reply(Accepted(record(7, filled="0.96", status=CANCELED)))
    assert harness.tick(3.1) == []
    ended = progress_of(harness)
    assert (ended.complete, ended.idle, ended.filled_base) == (ExitEndReason.DUST, True, D("0.96"))


def test_a_rest_too_small_to_place_again_is_not_upgraded_either() -> None:
    harness = partially_filled("0.96")
    harness.set_intent_kind(ExitKind.FLUSH)
    assert harness.tick(2.0) == []


def test_an_order_filled_to_the_last_step_ends_the_exit_as_filled() -> None:
    harness = working()
    harness.handle(report(7, filled="1", status=FILLED, time_ms=5000))
    assert harness.maker_exit.funds_changed_ms == 5000
    harness.set_intent_funds("0.00004")
    harness.balances_current = False
    harness.tick(1.0)
    assert progress_of(harness).complete is None
    assert not progress_of(harness).idle
    harness.balances_current = True
    harness.tick(1.1)
    ended = progress_of(harness)
    assert (ended.complete, ended.idle, ended.rested) == (ExitEndReason.FILLED, True, True)
    assert ended.filled_quote == D("100.09")


def test_fills_of_all_orders_of_an_exit_are_summed() -> None:
    harness = partially_filled("0.4")
    harness.book = LOWER
    harness.tick(2.0)
    harness.reply(Accepted(record(7, filled="0.4", status=CANCELED)))
    harness.tick(2.1)
    harness.reply(Accepted(record(8, "100.04", "0.6", "0.6", FILLED)))
    assert progress_of(harness).filled_quote == D("0.4") * D("100.09") + D("0.6") * D("100.04")


def test_fills_are_counted_once_however_often_they_are_told() -> None:
    harness = working()
    for _ in range(3):
        harness.handle(report(7, filled="0.4", status=PART))
        harness.handle(report(7, filled="0.2", status=PART))
    assert progress_of(harness).filled_base == D("0.4")


def test_fills_stay_counted_after_hundreds_of_orders() -> None:
    harness = MakerExitHarness(order_intent(funds="1000"))
    for order_id in range(300):
        harness.tick(float(order_id))
        place = harness.sent[-1]
        assert isinstance(place, Place)
        assert place.price is not None
        harness.reply(Accepted(record(order_id, place.price, place.quantity, "0.5", CANCELED, quote=D("50"))))
    ended = progress_of(harness)
    assert (ended.filled_base, ended.filled_quote) == (D("150"), D("15000"))


def settle(harness: MakerExitHarness) -> None:
    """Answer the open request: it is executed, and a queried order rests."""
    for _ in range(6):
        if not harness.sent:
            return
        command, fresh_id = harness.sent[-1], 10 * len(harness.sent)
        match command:
            case Place(_, client_order_id, side, price, quantity):
                harness.reply(
                    Accepted(record(fresh_id, price or "1", quantity, client_order_id=client_order_id, side=side))
                )
            case Replace(_, order_id, client_order_id, side, price, quantity):
                taken = record(fresh_id, price or "1", quantity, client_order_id=client_order_id, side=side)
                harness.reply(Accepted(record(order_id, status=CANCELED)), Accepted(taken))
            case Cancel(_, order_id, client_order_id):
                harness.reply(Accepted(record(order_id, status=CANCELED, client_order_id=client_order_id)))
            case QueryOrder(_, _, client_order_id):
                harness.reply(Accepted(record(7, client_order_id=client_order_id)))
            case QueryOrdersFrom(tag):
                harness.handle(OrdersListed(tag, ()))
        harness.tick(harness.now_s + 1.0)
        if harness.sent[-1] is command:
            return


# A want that changes ---------------------------------------------------------------------------------


def test_an_intent_that_ends_cancels_the_order() -> None:
    harness = pending_cancel()
    harness.reply(Accepted(record(7, status=CANCELED)))
    assert harness.tick(1.6) == []
    assert harness.maker_exit.idle
    assert progress_of(harness).complete is None


@pytest.mark.parametrize("prepare", STATES.values(), ids=list(STATES))
def test_an_intent_that_ends_at_any_moment_ends_with_an_empty_book(prepare: Callable[[], MakerExitHarness]) -> None:
    harness = prepare()
    harness.intent = None
    placed = [command for command in harness.sent if isinstance(command, Place | Replace)]
    harness.tick(harness.now_s + 1.0)
    settle(harness)
    assert harness.maker_exit.idle
    assert [command for command in harness.sent if isinstance(command, Place | Replace)] == placed


@pytest.mark.parametrize("prepare", STATES.values(), ids=list(STATES))
def test_an_upgrade_to_a_hard_stop_at_any_moment_ends_with_an_id_that_says_so(
    prepare: Callable[[], MakerExitHarness],
) -> None:
    harness = prepare()
    harness.intent = order_intent(kind=ExitKind.FLUSH, funds="0.6" if prepare is partially_filled else "1")
    for _ in range(4):
        harness.tick(harness.now_s + 1.0)
        settle(harness)
    assert harness.maker_exit.order is not None
    assert harness.state() is OrderState.WORKING
    assert harness.maker_exit.order.client_order_id == own(ExitKind.FLUSH)


def test_an_upgrade_to_a_hard_stop_replaces_at_once_at_the_same_price() -> None:
    harness = working()
    harness.set_intent_kind(ExitKind.FLUSH)
    assert harness.tick(0.2) == [Replace(2, 7, own(ExitKind.FLUSH), SELL, D("100.09"), D("1"))]


def test_an_upgrade_to_a_hard_stop_does_not_wait_for_the_budget() -> None:
    budget = OrderRateBudget(0.2)
    budget.update_limits([RateLimit("ORDERS", 10, 100, count=99)], SERVER_MS)
    harness = MakerExitHarness(budget=budget)
    harness.tick()
    harness.reply(Accepted(record(7)))
    harness.set_intent_kind(ExitKind.FLUSH)
    assert [type(command) for command in harness.tick(0.1)] == [Replace]


def test_an_upgrade_of_a_part_filled_order_goes_by_cancel() -> None:
    harness = partially_filled("0.4")
    harness.set_intent_kind(ExitKind.FLUSH)
    assert harness.tick(0.2) == [Cancel(2, 7, own())]
    harness.reply(Accepted(record(7, filled="0.4", status=CANCELED)))
    assert harness.tick(0.3) == [Place(3, own(ExitKind.FLUSH), SELL, D("100.09"), D("0.6"))]


def test_a_relabel_to_manual_waits_for_the_next_move() -> None:
    harness = working()
    harness.set_intent_kind(ExitKind.MANUAL)
    assert harness.tick(5.0) == []
    harness.book = LOWER
    assert harness.tick(6.0) == [Replace(2, 7, own(ExitKind.MANUAL), SELL, D("100.04"), D("1"))]


def test_a_hard_stop_is_not_replaced_for_being_a_hard_stop() -> None:
    harness = MakerExitHarness(order_intent(kind=ExitKind.FLUSH))
    harness.tick()
    harness.reply(Accepted(record(7, client_order_id=own(ExitKind.FLUSH))))
    assert harness.tick(5.0) == []


def test_an_intent_of_the_other_side_cancels_the_order_first() -> None:
    harness = working()
    harness.intent = order_intent(BUY, "100")
    assert harness.tick(1.0) == [Cancel(2, 7, own())]


def test_the_next_exit_begins_with_clean_state() -> None:
    harness = pending_cancel()
    harness.reply(Accepted(record(7, filled="0.3", status=CANCELED, time_ms=3000)))
    harness.intent = order_intent(BUY, "100", number=NUMBER + 1000)
    assert [type(command) for command in harness.tick(2.0)] == [Place]
    assert harness.maker_exit.number == NUMBER + 1000
    assert progress_of(harness).filled_base == 0
    assert harness.maker_exit.funds_changed_ms == 3000


def test_a_late_answer_to_the_last_exit_does_not_touch_the_next_one() -> None:
    harness = unanswered(pending_new())
    for now_s in (5.0, 7.0):
        harness.reply(rejection(RejectReason.UNKNOWN_ORDER, -2013))
        harness.intent = None
        harness.tick(now_s)
    harness.reply(rejection(RejectReason.UNKNOWN_ORDER, -2013))
    assert harness.maker_exit.idle
    first = harness.sent[0]
    harness.intent = order_intent(number=NUMBER + 1000)
    harness.tick(8.0)
    sent, harness.sent = harness.sent, [first]
    harness.reply(Accepted(record(7)))
    harness.sent = sent
    assert harness.state() is OrderState.PENDING_NEW
    assert harness.tick(8.1) == []


@pytest.mark.parametrize(
    "prepare", [pending_new, working, replacing, pending_cancel], ids=lambda prepare: prepare.__name__
)
def test_another_exit_while_an_order_of_the_last_one_lives_is_a_broken_invariant(
    prepare: Callable[[], MakerExitHarness],
) -> None:
    harness = prepare()
    harness.intent = order_intent(number=NUMBER + 1000)
    with pytest.raises(BrokenInvariant):
        harness.tick(harness.now_s + 0.1)

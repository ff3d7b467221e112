"""Requests presumed rejected that were executed, mistaken and foreign orders, and lost connections in every state."""

from collections.abc import Callable

import pytest
from tests.execution.chaser_harness import (
    ABSENT,
    CANCEL_DONE,
    CANCELED,
    GONE,
    LOWER,
    NOTHING,
    PART,
    SELL,
    STATES,
    MakerExitHarness,
    not_found_twice,
    pending_new,
    replace_unanswered,
    replacing,
    unanswered,
    working,
)
from tests.execution.order_builders import NUMBER, D, own, record, rejection, report

from trailingedge.execution.order import OrderState
from trailingedge.execution.order_events import (
    OrderInDoubt,
    OrderPlaced,
    OrderReplaced,
    UnknownOrderWithOurId,
)
from trailingedge.model.market import BookTop, OrderStatus, Side
from trailingedge.model.order_commands import (
    Cancel,
    OrderInput,
    OrderReply,
    OrdersListed,
    Place,
    QueryOrder,
    QueryOrdersFrom,
    Replace,
    ReplaceReply,
)
from trailingedge.model.order_outcomes import Accepted, NotTried, RejectReason, ReplaceOutcome

# Presumed dead and foreign orders -------------------------------------------------------------------------------


def test_a_placement_presumed_rejected_that_turns_out_alive_is_the_current_order() -> None:
    harness = unanswered(pending_new())
    for now_s in (4.0, 6.0):
        harness.reply(ABSENT)
        harness.tick(now_s)
    harness.reply(ABSENT)
    harness.intent = None  # nothing new is placed
    assert harness.tick(7.0) == []
    harness.handle(report(7))
    assert harness.tick(7.1) == [Cancel(5, 7, own())]


def test_a_presumed_dead_order_beside_a_working_order_is_cancelled() -> None:
    harness = not_found_twice()
    assert harness.tick(6.1) == [Place(4, own(), SELL, D("100.09"), D("1"))]
    harness.reply(Accepted(record(8)))
    harness.handle(report(7))
    assert harness.tick(6.2) == [Cancel(5, 7, own())]
    harness.reply(Accepted(record(7, filled="0.1", status=CANCELED)))
    assert harness.tick(6.3) == []
    progress = harness.maker_exit.progress()
    assert progress is not None
    assert progress.filled_base == D("0.1")
    assert harness.maker_exit.order is not None
    assert harness.maker_exit.order.order_id == 8


def test_a_replace_presumed_rejected_that_was_carried_out_after_all_is_asked_about() -> None:
    harness = replace_unanswered(Accepted(record(7)))
    harness.intent = None
    harness.handle(report(7, status=CANCELED))  # by the replace that was on its way
    assert not harness.maker_exit.idle
    assert harness.tick(harness.now_s + 1.0) == [QueryOrdersFrom(4, 7, own())]
    harness.handle(OrdersListed(4, (record(7, status=CANCELED), record(8, "100.04"))))
    assert harness.tick() == [Cancel(5, 8, own())]
    assert [type(received) for received in harness.maker_exit.events] == [OrderPlaced, OrderInDoubt, OrderReplaced]


def test_of_two_replaces_in_doubt_the_one_that_is_found_ends_the_doubt_about_the_other() -> None:
    harness = replace_unanswered(Accepted(record(7)))
    harness.tick()
    harness.handle(report(7, status=CANCELED))
    harness.reply(NOTHING, NOTHING)
    assert harness.tick() == [QueryOrdersFrom(5, 7, own())]
    harness.handle(OrdersListed(5, (record(7, status=CANCELED), record(8, "100.04"))))
    assert harness.tick(harness.now_s + 5.0) == []
    assert harness.state() is OrderState.WORKING


def test_of_two_replaces_in_doubt_one_not_found_speaks_for_both() -> None:
    harness = replace_unanswered(Accepted(record(7)))
    harness.tick()
    harness.handle(report(7, status=CANCELED))
    harness.reply(NOTHING, NOTHING)
    for _ in range(2):
        assert [type(command) for command in harness.tick(harness.now_s + 6.0)] == [QueryOrdersFrom]
        harness.handle(OrdersListed(harness.sent[-1].tag, (record(7, status=CANCELED),)))
    assert [type(command) for command in harness.tick(harness.now_s + 1.0)] == [Place]


def test_a_replace_presumed_rejected_is_no_longer_in_doubt_once_the_next_one_did_the_cancel() -> None:
    harness = replace_unanswered(Accepted(record(7)))
    harness.tick()
    harness.handle(report(7, status=CANCELED))
    harness.reply(CANCEL_DONE, rejection(RejectReason.WOULD_TAKE))
    assert [type(command) for command in harness.tick(harness.now_s + 0.1)] == [Place]


def test_a_reader_who_lags_may_call_both_orders_working_and_neither_is_lost() -> None:
    harness = unanswered(replacing())
    harness.handle(report(8, "100.04"))
    harness.reply(Accepted(record(7)))  # as it was before the replace
    assert harness.tick() == [Cancel(4, 8, own())]
    harness.reply(NOTHING)
    assert harness.tick(harness.now_s + 1.0) == [QueryOrder(5, 8, own())]
    harness.handle(report(8, "100.04", filled="0.2", status=CANCELED))
    harness.reply(Accepted(record(8, "100.04", filled="0.2", status=CANCELED)))
    assert not [received for received in harness.maker_exit.events if isinstance(received, UnknownOrderWithOurId)]
    progress = harness.maker_exit.progress()
    assert progress is not None
    assert progress.filled_base == D("0.2")


def test_a_presumed_dead_order_that_became_the_current_order_is_counted_once() -> None:
    harness = not_found_twice()
    harness.handle(report(7, filled="0.4", status=PART), report(7, filled="0.4", status=CANCELED))
    harness.set_intent_funds("0.6")
    assert [type(command) for command in harness.tick(6.1)] == [Place]
    progress = harness.maker_exit.progress()
    assert progress is not None
    assert progress.filled_base == D("0.4")


def test_a_replace_presumed_rejected_that_was_carried_out_after_all_makes_the_next_one_fail_and_no_more() -> None:
    harness = replace_unanswered(Accepted(record(7)))
    harness.book = BookTop(D("99.90"), D("100.03"))
    assert harness.tick() == [Replace(4, 7, own(), SELL, D("100.02"), D("1"))]
    harness.handle(report(7, status=CANCELED), report(8, "100.04"))  # the first replace, late
    harness.reply(GONE, NotTried())
    assert harness.state() is OrderState.WORKING
    assert harness.tick() == [Replace(5, 8, own(), SELL, D("100.02"), D("1"))]


def test_a_replace_presumed_rejected_is_certain_never_to_have_been_tried_once_the_next_one_is_done() -> None:
    harness = replace_unanswered(Accepted(record(7)))
    harness.tick()
    harness.handle(report(7, status=CANCELED))
    harness.reply(CANCEL_DONE, Accepted(record(8, "100.04")))
    assert harness.state() is OrderState.WORKING
    assert harness.tick(harness.now_s + 5.0) == []


def test_the_answer_of_another_request_does_not_take_a_known_order_for_a_second_one() -> None:
    harness = replace_unanswered(Accepted(record(7)))
    harness.tick()
    harness.handle(report(7, status=CANCELED), report(8, "100.04", filled="0.5", status=PART))
    # The first replace answers late, and it is its order that was reported.
    harness.handle(ReplaceReply(2, ReplaceOutcome(CANCEL_DONE, Accepted(record(8, "100.04")))))
    harness.reply(GONE, NotTried())
    progress = harness.maker_exit.progress()
    assert progress is not None
    assert progress.filled_base == D("0.5")
    harness.set_intent_funds("0.5")
    assert harness.tick() == []
    assert harness.maker_exit.order is not None
    assert harness.maker_exit.order.order_id == 8


def test_an_order_that_had_been_taken_for_another_is_entered_by_its_own_id() -> None:
    harness = not_found_twice()
    harness.tick(6.1)
    # The first placement, presumed dead, was executed and filled, and was taken for the second.
    harness.handle(report(7, filled="0.4", status=CANCELED))
    harness.reply(Accepted(record(8)))
    progress = harness.maker_exit.progress()
    assert progress is not None
    assert progress.filled_base == D("0.4")
    harness.set_intent_funds("0.6")
    assert harness.maker_exit.order is not None
    assert harness.maker_exit.order.order_id == 8
    assert harness.state() is OrderState.WORKING


def test_a_new_order_belongs_to_the_replace_in_question_not_to_a_placement_presumed_dead_before_it() -> None:
    harness = not_found_twice()
    harness.tick(6.1)
    harness.reply(Accepted(record(8)))
    harness.book = LOWER
    assert [type(command) for command in harness.tick(6.2)] == [Replace]
    harness.reply(NOTHING, NOTHING)
    # The first report of the old order is late: for a moment the replace seems untried.
    harness.handle(report(8), report(8, status=CANCELED), report(9, "100.04"))
    assert isinstance(harness.maker_exit.events[-1], OrderReplaced)
    assert harness.state() is OrderState.WORKING
    assert harness.tick(harness.now_s + 5.0) == []


def test_an_order_with_our_id_that_answers_no_request_is_a_stranger() -> None:
    harness = working()
    harness.maker_exit.events.clear()
    harness.handle(report(99))
    assert harness.maker_exit.events == [UnknownOrderWithOurId(own(), 99)]
    assert harness.state() is OrderState.WORKING
    assert harness.tick(0.2) == []


def test_an_order_of_the_other_side_is_no_answer_to_our_request() -> None:
    harness = pending_new()
    harness.handle(report(99, side=Side.BUY))
    assert harness.maker_exit.events == [UnknownOrderWithOurId(own(), 99)]
    assert harness.state() is OrderState.PENDING_NEW


@pytest.mark.parametrize("client_order_id", ["web_9f3c1d", own(number=NUMBER + 1)], ids=["foreign", "another exit"])
def test_a_report_of_anything_else_is_ignored(client_order_id: str) -> None:
    harness = pending_new()
    harness.handle(report(99, client_order_id=client_order_id))
    assert (harness.state(), harness.maker_exit.events) == (OrderState.PENDING_NEW, [])


def test_an_order_known_by_name_is_believed_gone_only_long_after_we_lost_sight_of_it() -> None:
    harness = working()
    harness.now_s = 100.0
    harness.maker_exit.on_disconnect(100.0)
    for now_s in (100.1, 101.1, 102.1, 103.1, 104.1, 105.1):
        assert harness.tick(now_s) == [QueryOrder(len(harness.sent), 7, own())]
        harness.reply(ABSENT)
    harness.tick(106.2)
    harness.reply(ABSENT)
    assert harness.tick(106.3) == [Place(9, own(), SELL, D("100.09"), D("1"))]


def test_an_order_believed_gone_that_blocks_its_own_successor_is_found_again() -> None:
    harness = working()
    harness.maker_exit.on_disconnect(1.0)
    while not isinstance(harness.sent[-1], Place) or len(harness.sent) == 1:
        harness.tick(harness.now_s + 1.0)
        if isinstance(harness.sent[-1], QueryOrder):
            harness.reply(ABSENT)
    harness.reply(rejection(RejectReason.DUPLICATE))
    for _ in range(9):
        harness.tick(harness.now_s + 1.0)
        if harness.maker_exit.order is not None and harness.maker_exit.order.order_id == 7:
            break
        harness.handle(OrdersListed(harness.sent[-1].tag, (record(7),)))
    assert harness.state() is OrderState.WORKING
    assert not [command for command in harness.tick(harness.now_s + 1.0) if isinstance(command, Place)]


# A lost connection, in every state ---------------------------------------------------------------------


@pytest.mark.parametrize("prepare", STATES.values(), ids=list(STATES))
def test_after_a_lost_connection_the_first_word_is_a_query(prepare: Callable[[], MakerExitHarness]) -> None:
    harness = prepare()
    harness.maker_exit.on_disconnect(harness.now_s)
    sent = harness.tick(harness.now_s + 0.1)
    if prepare is MakerExitHarness:
        assert isinstance(sent[0], Place)
    else:
        known = None if harness.maker_exit.order is None else harness.maker_exit.order.order_id
        assert sent == [QueryOrder(sent[0].tag, known, own())]


@pytest.mark.parametrize("prepare", STATES.values(), ids=list(STATES))
def test_an_answer_of_the_lost_connection_brings_no_second_doubt(prepare: Callable[[], MakerExitHarness]) -> None:
    harness = prepare()
    harness.maker_exit.on_disconnect(harness.now_s)
    before = list(harness.maker_exit.events)
    for command in harness.sent:
        late: OrderInput = OrderReply(command.tag, NOTHING)
        if isinstance(command, Replace):
            late = ReplaceReply(command.tag, ReplaceOutcome(NOTHING, NOTHING))
        harness.handle(late)
    assert harness.maker_exit.events == before


def test_a_connection_lost_while_a_presumed_dead_order_is_being_cancelled_leaves_no_order_behind() -> None:
    harness = not_found_twice()
    harness.tick(6.1)
    harness.reply(Accepted(record(8)))
    harness.handle(report(7))
    assert harness.tick(6.2) == [Cancel(5, 7, own())]
    harness.maker_exit.on_disconnect(6.3)
    asked: set[int | None] = set()
    for _ in range(2):
        (question,) = harness.tick(harness.now_s + 1.1)
        assert isinstance(question, QueryOrder)
        asked.add(question.order_id)
        assert question.order_id is not None
        harness.reply(
            Accepted(record(question.order_id, status=CANCELED if question.order_id == 7 else OrderStatus.NEW))
        )
    assert asked == {7, 8}
    assert harness.tick(harness.now_s + 1.1) == []

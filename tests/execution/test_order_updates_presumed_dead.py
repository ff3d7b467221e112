"""Requests given up that come true, orders taken for others, strangers, and connections lost in every state."""

from collections.abc import Callable

import pytest
from tests.execution.chaser_harness import (
    ABSENT,
    CANCEL_DONE,
    CANCELED,
    GONE,
    NOTHING,
    PART,
    SELL,
    STATES,
    MakerExitHarness,
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

# Ghosts and strangers -------------------------------------------------------------------------------


def test_a_placement_given_up_that_turns_out_alive_is_the_order_in_hand() -> None:
    chase = unanswered(pending_new())
    for now_s in (4.0, 6.0):
        chase.reply(ABSENT)
        chase.tick(now_s)
    chase.reply(ABSENT)
    chase.intent = None  # nothing new is placed meanwhile
    assert chase.tick(7.0) == []
    chase.handle(report(7))
    assert chase.tick(7.1) == [Cancel(5, 7, own())]


def test_a_ghost_beside_a_working_order_is_withdrawn() -> None:
    chase = unanswered(pending_new())
    chase.reply(ABSENT)
    chase.tick(6.0)
    chase.reply(ABSENT)
    assert chase.tick(6.1) == [Place(4, own(), SELL, D("100.09"), D("1"))]
    chase.reply(Accepted(record(8)))
    chase.handle(report(7))
    assert chase.tick(6.2) == [Cancel(5, 7, own())]
    chase.reply(Accepted(record(7, filled="0.1", status=CANCELED)))
    assert chase.tick(6.3) == []
    progress = chase.maker_exit.progress()
    assert progress is not None
    assert progress.filled_base == D("0.1")
    assert chase.maker_exit.order is not None
    assert chase.maker_exit.order.order_id == 8


def test_a_replace_given_up_that_was_carried_out_after_all_is_asked_about() -> None:
    chase = replace_unanswered(Accepted(record(7)))
    chase.intent = None
    chase.handle(report(7, status=CANCELED))  # by the replace that was on its way
    assert not chase.maker_exit.idle
    assert chase.tick(chase.now_s + 1.0) == [QueryOrdersFrom(4, 7, own())]
    chase.handle(OrdersListed(4, (record(7, status=CANCELED), record(8, "100.04"))))
    assert chase.tick() == [Cancel(5, 8, own())]
    assert [type(told) for told in chase.maker_exit.events] == [OrderPlaced, OrderInDoubt, OrderReplaced]


def test_of_two_replaces_in_doubt_the_one_that_is_found_ends_the_doubt_about_the_other() -> None:
    chase = replace_unanswered(Accepted(record(7)))
    chase.tick()
    chase.handle(report(7, status=CANCELED))
    chase.reply(NOTHING, NOTHING)
    assert chase.tick() == [QueryOrdersFrom(5, 7, own())]
    chase.handle(OrdersListed(5, (record(7, status=CANCELED), record(8, "100.04"))))
    assert chase.tick(chase.now_s + 5.0) == []
    assert chase.state() is OrderState.WORKING


def test_of_two_replaces_in_doubt_one_absence_speaks_for_both() -> None:
    chase = replace_unanswered(Accepted(record(7)))
    chase.tick()
    chase.handle(report(7, status=CANCELED))
    chase.reply(NOTHING, NOTHING)
    for _ in range(2):
        assert [type(command) for command in chase.tick(chase.now_s + 6.0)] == [QueryOrdersFrom]
        chase.handle(OrdersListed(chase.sent[-1].tag, (record(7, status=CANCELED),)))
    assert [type(command) for command in chase.tick(chase.now_s + 1.0)] == [Place]


def test_a_replace_given_up_is_no_longer_in_doubt_once_the_next_one_did_the_cancel() -> None:
    chase = replace_unanswered(Accepted(record(7)))
    chase.tick()
    chase.handle(report(7, status=CANCELED))
    chase.reply(CANCEL_DONE, rejection(RejectReason.WOULD_TAKE))
    assert [type(command) for command in chase.tick(chase.now_s + 0.1)] == [Place]


def test_a_reader_who_lags_may_call_both_orders_working_and_neither_is_lost() -> None:
    chase = unanswered(replacing())
    chase.handle(report(8, "100.04"))
    chase.reply(Accepted(record(7)))  # as it was before the replace
    assert chase.tick() == [Cancel(4, 8, own())]
    chase.reply(NOTHING)
    assert chase.tick(chase.now_s + 1.0) == [QueryOrder(5, 8, own())]
    chase.handle(report(8, "100.04", filled="0.2", status=CANCELED))
    chase.reply(Accepted(record(8, "100.04", filled="0.2", status=CANCELED)))
    assert not [told for told in chase.maker_exit.events if isinstance(told, UnknownOrderWithOurId)]
    progress = chase.maker_exit.progress()
    assert progress is not None
    assert progress.filled_base == D("0.2")


def test_a_ghost_that_became_the_order_in_hand_is_counted_once() -> None:
    chase = unanswered(pending_new())
    chase.reply(ABSENT)
    chase.tick(6.0)
    chase.reply(ABSENT)
    chase.handle(report(7, filled="0.4", status=PART), report(7, filled="0.4", status=CANCELED))
    chase.set_intent_funds("0.6")
    assert [type(command) for command in chase.tick(6.1)] == [Place]
    progress = chase.maker_exit.progress()
    assert progress is not None
    assert progress.filled_base == D("0.4")


def test_a_replace_given_up_that_was_carried_out_after_all_makes_the_next_one_fail_and_no_more() -> None:
    chase = replace_unanswered(Accepted(record(7)))
    chase.book = BookTop(D("99.90"), D("100.03"))
    assert chase.tick() == [Replace(4, 7, own(), SELL, D("100.02"), D("1"))]
    chase.handle(report(7, status=CANCELED), report(8, "100.04"))  # the first replace, late
    chase.reply(GONE, NotTried())
    assert chase.state() is OrderState.WORKING
    assert chase.tick() == [Replace(5, 8, own(), SELL, D("100.02"), D("1"))]


def test_a_replace_given_up_is_certain_never_to_have_been_tried_once_the_next_one_is_done() -> None:
    chase = replace_unanswered(Accepted(record(7)))
    chase.tick()
    chase.handle(report(7, status=CANCELED))
    chase.reply(CANCEL_DONE, Accepted(record(8, "100.04")))
    assert chase.state() is OrderState.WORKING
    assert chase.tick(chase.now_s + 5.0) == []


def test_the_answer_of_another_request_does_not_take_a_known_order_for_a_second_one() -> None:
    chase = replace_unanswered(Accepted(record(7)))
    chase.tick()
    chase.handle(report(7, status=CANCELED), report(8, "100.04", filled="0.5", status=PART))
    # The first replace answers late, and it is its order that was reported.
    chase.handle(ReplaceReply(2, ReplaceOutcome(CANCEL_DONE, Accepted(record(8, "100.04")))))
    chase.reply(GONE, NotTried())
    progress = chase.maker_exit.progress()
    assert progress is not None
    assert progress.filled_base == D("0.5")
    chase.set_intent_funds("0.5")
    assert chase.tick() == []
    assert chase.maker_exit.order is not None
    assert chase.maker_exit.order.order_id == 8


def test_an_order_that_had_been_taken_for_another_is_entered_by_its_own_id() -> None:
    chase = unanswered(pending_new())
    chase.reply(ABSENT)
    chase.tick(6.0)
    chase.reply(ABSENT)
    chase.tick(6.1)
    # The ghost of the first placement came to life, filled, and was taken for the second.
    chase.handle(report(7, filled="0.4", status=CANCELED))
    chase.reply(Accepted(record(8)))
    progress = chase.maker_exit.progress()
    assert progress is not None
    assert progress.filled_base == D("0.4")
    chase.set_intent_funds("0.6")
    assert chase.maker_exit.order is not None
    assert chase.maker_exit.order.order_id == 8
    assert chase.state() is OrderState.WORKING


def test_an_order_with_our_id_that_answers_no_request_is_a_stranger() -> None:
    chase = working()
    chase.maker_exit.events.clear()
    chase.handle(report(99))
    assert chase.maker_exit.events == [UnknownOrderWithOurId(own(), 99)]
    assert chase.state() is OrderState.WORKING
    assert chase.tick(0.2) == []


def test_an_order_of_the_other_side_is_no_answer_to_our_request() -> None:
    chase = pending_new()
    chase.handle(report(99, side=Side.BUY))
    assert chase.maker_exit.events == [UnknownOrderWithOurId(own(), 99)]
    assert chase.state() is OrderState.PENDING_NEW


@pytest.mark.parametrize("client_order_id", ["web_9f3c1d", own(number=NUMBER + 1)], ids=["foreign", "another exit"])
def test_a_report_of_anything_else_is_ignored(client_order_id: str) -> None:
    chase = pending_new()
    chase.handle(report(99, client_order_id=client_order_id))
    assert (chase.state(), chase.maker_exit.events) == (OrderState.PENDING_NEW, [])


def test_an_order_known_by_name_is_believed_gone_only_long_after_we_lost_sight_of_it() -> None:
    chase = working()
    chase.now_s = 100.0
    chase.maker_exit.on_disconnect(100.0)
    for now_s in (100.1, 101.1, 102.1, 103.1, 104.1, 105.1):
        assert chase.tick(now_s) == [QueryOrder(len(chase.sent), 7, own())]
        chase.reply(ABSENT)
    chase.tick(106.2)
    chase.reply(ABSENT)
    assert chase.tick(106.3) == [Place(9, own(), SELL, D("100.09"), D("1"))]


def test_an_order_believed_gone_that_blocks_its_own_successor_is_found_again() -> None:
    chase = working()
    chase.maker_exit.on_disconnect(1.0)
    while not isinstance(chase.sent[-1], Place) or len(chase.sent) == 1:
        chase.tick(chase.now_s + 1.0)
        if isinstance(chase.sent[-1], QueryOrder):
            chase.reply(ABSENT)
    chase.reply(rejection(RejectReason.DUPLICATE))
    for _ in range(9):
        chase.tick(chase.now_s + 1.0)
        if chase.maker_exit.order is not None and chase.maker_exit.order.order_id == 7:
            break
        chase.handle(OrdersListed(chase.sent[-1].tag, (record(7),)))
    assert chase.state() is OrderState.WORKING
    assert not [command for command in chase.tick(chase.now_s + 1.0) if isinstance(command, Place)]


# A lost connection, in every state ---------------------------------------------------------------------


@pytest.mark.parametrize("prepare", STATES.values(), ids=list(STATES))
def test_after_a_lost_connection_the_first_word_is_a_question(prepare: Callable[[], MakerExitHarness]) -> None:
    chase = prepare()
    chase.maker_exit.on_disconnect(chase.now_s)
    sent = chase.tick(chase.now_s + 0.1)
    if prepare is MakerExitHarness:
        assert isinstance(sent[0], Place)
    else:
        known = None if chase.maker_exit.order is None else chase.maker_exit.order.order_id
        assert sent == [QueryOrder(sent[0].tag, known, own())]


@pytest.mark.parametrize("prepare", STATES.values(), ids=list(STATES))
def test_an_answer_of_the_lost_connection_brings_no_second_doubt(prepare: Callable[[], MakerExitHarness]) -> None:
    chase = prepare()
    chase.maker_exit.on_disconnect(chase.now_s)
    before = list(chase.maker_exit.events)
    for command in chase.sent:
        late: OrderInput = OrderReply(command.tag, NOTHING)
        if isinstance(command, Replace):
            late = ReplaceReply(command.tag, ReplaceOutcome(NOTHING, NOTHING))
        chase.handle(late)
    assert chase.maker_exit.events == before


def test_a_connection_lost_while_a_ghost_is_being_withdrawn_leaves_nobody_waiting() -> None:
    chase = unanswered(pending_new())
    chase.reply(ABSENT)
    chase.tick(6.0)
    chase.reply(ABSENT)
    chase.tick(6.1)
    chase.reply(Accepted(record(8)))
    chase.handle(report(7))
    assert chase.tick(6.2) == [Cancel(5, 7, own())]
    chase.maker_exit.on_disconnect(6.3)
    asked: set[int | None] = set()
    for _ in range(2):
        (question,) = chase.tick(chase.now_s + 1.1)
        assert isinstance(question, QueryOrder)
        asked.add(question.order_id)
        assert question.order_id is not None
        chase.reply(Accepted(record(question.order_id, status=CANCELED if question.order_id == 7 else OrderStatus.NEW)))
    assert asked == {7, 8}
    assert chase.tick(chase.now_s + 1.1) == []

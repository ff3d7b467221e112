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
    Chase,
    in_doubt_about_a_replace,
    in_flight,
    replacing,
    silent,
    working,
)
from tests.execution.order_builders import NUMBER, D, own, record, refused, report

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
    chase = silent(in_flight())
    for now_s in (4.0, 6.0):
        chase.answer(ABSENT)
        chase.beat(now_s)
    chase.answer(ABSENT)
    chase.want = None  # nothing new is placed meanwhile
    assert chase.beat(7.0) == []
    chase.hear(report(7))
    assert chase.beat(7.1) == [Cancel(5, 7, own())]


def test_a_ghost_beside_a_working_order_is_withdrawn() -> None:
    chase = silent(in_flight())
    chase.answer(ABSENT)
    chase.beat(6.0)
    chase.answer(ABSENT)
    assert chase.beat(6.1) == [Place(4, own(), SELL, D("100.09"), D("1"))]
    chase.answer(Accepted(record(8)))
    chase.hear(report(7))
    assert chase.beat(6.2) == [Cancel(5, 7, own())]
    chase.answer(Accepted(record(7, filled="0.1", status=CANCELED)))
    assert chase.beat(6.3) == []
    progress = chase.exit.progress()
    assert progress is not None
    assert progress.filled_base == D("0.1")
    assert chase.exit.order is not None
    assert chase.exit.order.order_id == 8


def test_a_replace_given_up_that_was_carried_out_after_all_is_asked_about() -> None:
    chase = in_doubt_about_a_replace(Accepted(record(7)))
    chase.want = None
    chase.hear(report(7, status=CANCELED))  # by the replace that was on its way
    assert not chase.exit.idle
    assert chase.beat(chase.now_s + 1.0) == [QueryOrdersFrom(4, 7, own())]
    chase.hear(OrdersListed(4, (record(7, status=CANCELED), record(8, "100.04"))))
    assert chase.beat() == [Cancel(5, 8, own())]
    assert [type(told) for told in chase.exit.happened] == [OrderPlaced, OrderInDoubt, OrderReplaced]


def test_of_two_replaces_in_doubt_the_one_that_is_found_ends_the_doubt_about_the_other() -> None:
    chase = in_doubt_about_a_replace(Accepted(record(7)))
    chase.beat()
    chase.hear(report(7, status=CANCELED))
    chase.answer(NOTHING, NOTHING)
    assert chase.beat() == [QueryOrdersFrom(5, 7, own())]
    chase.hear(OrdersListed(5, (record(7, status=CANCELED), record(8, "100.04"))))
    assert chase.beat(chase.now_s + 5.0) == []
    assert chase.state() is OrderState.WORKING


def test_of_two_replaces_in_doubt_one_absence_speaks_for_both() -> None:
    chase = in_doubt_about_a_replace(Accepted(record(7)))
    chase.beat()
    chase.hear(report(7, status=CANCELED))
    chase.answer(NOTHING, NOTHING)
    for _ in range(2):
        assert [type(command) for command in chase.beat(chase.now_s + 6.0)] == [QueryOrdersFrom]
        chase.hear(OrdersListed(chase.sent[-1].tag, (record(7, status=CANCELED),)))
    assert [type(command) for command in chase.beat(chase.now_s + 1.0)] == [Place]


def test_a_replace_given_up_is_no_longer_in_doubt_once_the_next_one_did_the_cancel() -> None:
    chase = in_doubt_about_a_replace(Accepted(record(7)))
    chase.beat()
    chase.hear(report(7, status=CANCELED))
    chase.answer(CANCEL_DONE, refused(RejectReason.WOULD_TAKE))
    assert [type(command) for command in chase.beat(chase.now_s + 0.1)] == [Place]


def test_a_reader_who_lags_may_call_both_orders_working_and_neither_is_lost() -> None:
    chase = silent(replacing())
    chase.hear(report(8, "100.04"))
    chase.answer(Accepted(record(7)))  # as it was before the replace
    assert chase.beat() == [Cancel(4, 8, own())]
    chase.answer(NOTHING)
    assert chase.beat(chase.now_s + 1.0) == [QueryOrder(5, 8, own())]
    chase.hear(report(8, "100.04", filled="0.2", status=CANCELED))
    chase.answer(Accepted(record(8, "100.04", filled="0.2", status=CANCELED)))
    assert not [told for told in chase.exit.happened if isinstance(told, UnknownOrderWithOurId)]
    progress = chase.exit.progress()
    assert progress is not None
    assert progress.filled_base == D("0.2")


def test_a_ghost_that_became_the_order_in_hand_is_counted_once() -> None:
    chase = silent(in_flight())
    chase.answer(ABSENT)
    chase.beat(6.0)
    chase.answer(ABSENT)
    chase.hear(report(7, filled="0.4", status=PART), report(7, filled="0.4", status=CANCELED))
    chase.want_funds("0.6")
    assert [type(command) for command in chase.beat(6.1)] == [Place]
    progress = chase.exit.progress()
    assert progress is not None
    assert progress.filled_base == D("0.4")


def test_a_replace_given_up_that_was_carried_out_after_all_makes_the_next_one_fail_and_no_more() -> None:
    chase = in_doubt_about_a_replace(Accepted(record(7)))
    chase.book = BookTop(D("99.90"), D("100.03"))
    assert chase.beat() == [Replace(4, 7, own(), SELL, D("100.02"), D("1"))]
    chase.hear(report(7, status=CANCELED), report(8, "100.04"))  # the first replace, late
    chase.answer(GONE, NotTried())
    assert chase.state() is OrderState.WORKING
    assert chase.beat() == [Replace(5, 8, own(), SELL, D("100.02"), D("1"))]


def test_a_replace_given_up_is_certain_never_to_have_been_tried_once_the_next_one_is_done() -> None:
    chase = in_doubt_about_a_replace(Accepted(record(7)))
    chase.beat()
    chase.hear(report(7, status=CANCELED))
    chase.answer(CANCEL_DONE, Accepted(record(8, "100.04")))
    assert chase.state() is OrderState.WORKING
    assert chase.beat(chase.now_s + 5.0) == []


def test_the_answer_of_another_request_does_not_take_a_known_order_for_a_second_one() -> None:
    chase = in_doubt_about_a_replace(Accepted(record(7)))
    chase.beat()
    chase.hear(report(7, status=CANCELED), report(8, "100.04", filled="0.5", status=PART))
    # The first replace answers late, and it is its order that was reported.
    chase.hear(ReplaceReply(2, ReplaceOutcome(CANCEL_DONE, Accepted(record(8, "100.04")))))
    chase.answer(GONE, NotTried())
    progress = chase.exit.progress()
    assert progress is not None
    assert progress.filled_base == D("0.5")
    chase.want_funds("0.5")
    assert chase.beat() == []
    assert chase.exit.order is not None
    assert chase.exit.order.order_id == 8


def test_an_order_that_had_been_taken_for_another_is_entered_by_its_own_id() -> None:
    chase = silent(in_flight())
    chase.answer(ABSENT)
    chase.beat(6.0)
    chase.answer(ABSENT)
    chase.beat(6.1)
    # The ghost of the first placement came to life, filled, and was taken for the second.
    chase.hear(report(7, filled="0.4", status=CANCELED))
    chase.answer(Accepted(record(8)))
    progress = chase.exit.progress()
    assert progress is not None
    assert progress.filled_base == D("0.4")
    chase.want_funds("0.6")
    assert chase.exit.order is not None
    assert chase.exit.order.order_id == 8
    assert chase.state() is OrderState.WORKING


def test_an_order_with_our_id_that_answers_no_request_is_a_stranger() -> None:
    chase = working()
    chase.exit.happened.clear()
    chase.hear(report(99))
    assert chase.exit.happened == [UnknownOrderWithOurId(own(), 99)]
    assert chase.state() is OrderState.WORKING
    assert chase.beat(0.2) == []


def test_an_order_of_the_other_side_is_no_answer_to_our_request() -> None:
    chase = in_flight()
    chase.hear(report(99, side=Side.BUY))
    assert chase.exit.happened == [UnknownOrderWithOurId(own(), 99)]
    assert chase.state() is OrderState.IN_FLIGHT


@pytest.mark.parametrize("client_order_id", ["web_9f3c1d", own(number=NUMBER + 1)], ids=["foreign", "another exit"])
def test_a_report_of_anything_else_is_ignored(client_order_id: str) -> None:
    chase = in_flight()
    chase.hear(report(99, client_order_id=client_order_id))
    assert (chase.state(), chase.exit.happened) == (OrderState.IN_FLIGHT, [])


def test_an_order_known_by_name_is_believed_gone_only_long_after_we_lost_sight_of_it() -> None:
    chase = working()
    chase.now_s = 100.0
    chase.exit.lose_touch(100.0)
    for now_s in (100.1, 101.1, 102.1, 103.1, 104.1, 105.1):
        assert chase.beat(now_s) == [QueryOrder(len(chase.sent), 7, own())]
        chase.answer(ABSENT)
    chase.beat(106.2)
    chase.answer(ABSENT)
    assert chase.beat(106.3) == [Place(9, own(), SELL, D("100.09"), D("1"))]


def test_an_order_believed_gone_that_blocks_its_own_successor_is_found_again() -> None:
    chase = working()
    chase.exit.lose_touch(1.0)
    while not isinstance(chase.sent[-1], Place) or len(chase.sent) == 1:
        chase.beat(chase.now_s + 1.0)
        if isinstance(chase.sent[-1], QueryOrder):
            chase.answer(ABSENT)
    chase.answer(refused(RejectReason.DUPLICATE))
    for _ in range(9):
        chase.beat(chase.now_s + 1.0)
        if chase.exit.order is not None and chase.exit.order.order_id == 7:
            break
        chase.hear(OrdersListed(chase.sent[-1].tag, (record(7),)))
    assert chase.state() is OrderState.WORKING
    assert not [command for command in chase.beat(chase.now_s + 1.0) if isinstance(command, Place)]


# A lost connection, in every state ---------------------------------------------------------------------


@pytest.mark.parametrize("prepare", STATES.values(), ids=list(STATES))
def test_after_a_lost_connection_the_first_word_is_a_question(prepare: Callable[[], Chase]) -> None:
    chase = prepare()
    chase.exit.lose_touch(chase.now_s)
    sent = chase.beat(chase.now_s + 0.1)
    if prepare is Chase:
        assert isinstance(sent[0], Place)
    else:
        known = None if chase.exit.order is None else chase.exit.order.order_id
        assert sent == [QueryOrder(sent[0].tag, known, own())]


@pytest.mark.parametrize("prepare", STATES.values(), ids=list(STATES))
def test_an_answer_of_the_lost_connection_brings_no_second_doubt(prepare: Callable[[], Chase]) -> None:
    chase = prepare()
    chase.exit.lose_touch(chase.now_s)
    before = list(chase.exit.happened)
    for command in chase.sent:
        late: OrderInput = OrderReply(command.tag, NOTHING)
        if isinstance(command, Replace):
            late = ReplaceReply(command.tag, ReplaceOutcome(NOTHING, NOTHING))
        chase.hear(late)
    assert chase.exit.happened == before


def test_a_connection_lost_while_a_ghost_is_being_withdrawn_leaves_nobody_waiting() -> None:
    chase = silent(in_flight())
    chase.answer(ABSENT)
    chase.beat(6.0)
    chase.answer(ABSENT)
    chase.beat(6.1)
    chase.answer(Accepted(record(8)))
    chase.hear(report(7))
    assert chase.beat(6.2) == [Cancel(5, 7, own())]
    chase.exit.lose_touch(6.3)
    asked: set[int | None] = set()
    for _ in range(2):
        (question,) = chase.beat(chase.now_s + 1.1)
        assert isinstance(question, QueryOrder)
        asked.add(question.order_id)
        assert question.order_id is not None
        chase.answer(
            Accepted(record(question.order_id, status=CANCELED if question.order_id == 7 else OrderStatus.NEW))
        )
    assert asked == {7, 8}
    assert chase.beat(chase.now_s + 1.1) == []

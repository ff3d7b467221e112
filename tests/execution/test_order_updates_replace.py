"""Order updates after a cancel-replace: every row of the outcome table, and no reply."""

from typing import Final

import pytest
from tests.execution.chaser_harness import (
    CANCEL_DONE,
    CANCELED,
    FILLED,
    GONE,
    NOTHING,
    RESTRICTED,
    SELL,
    MakerExitHarness,
    pending_cancel,
    replace_unanswered,
    replacing,
)
from tests.execution.order_builders import D, acknowledged, own, record, rejection, report

from trailingedge.execution.order import OrderState
from trailingedge.execution.order_events import (
    OrderCancelled,
    OrderRejected,
    OrderReplaced,
    UnknownOrderWithOurId,
)
from trailingedge.model.intent import ExitEndReason
from trailingedge.model.market import OrderRecord
from trailingedge.model.order_commands import (
    Cancel,
    OrderCommand,
    OrdersListed,
    Place,
    QueryOrder,
    QueryOrdersFrom,
    Reconciled,
    Replace,
)
from trailingedge.model.order_outcomes import Accepted, NotTried, OrderOutcome, Rejected, RejectReason, Unanswered

# The outcome table of order.cancelReplace -----------------------------------------------------------

REPLACED: Final = Accepted(record(8, "100.04"))

OUTCOMES: Final = [
    # cancel half, place half, state of the current order then, what is sent half a second later
    pytest.param(CANCEL_DONE, REPLACED, OrderState.WORKING, [], id="200: both halves done"),
    pytest.param(
        CANCEL_DONE,
        rejection(RejectReason.WOULD_TAKE),
        OrderState.CANCELED,
        [Place(3, own(), SELL, D("100.04"), D("1"))],
        id="409: canceled, the new one would match: place afresh",
    ),
    pytest.param(
        CANCEL_DONE,
        rejection(RejectReason.INSUFFICIENT_BALANCE),
        OrderState.CANCELED,
        [],
        id="409: canceled, balance short: read it again first",
    ),
    pytest.param(
        CANCEL_DONE,
        rejection(RejectReason.DUPLICATE),
        OrderState.CANCELED,
        [QueryOrdersFrom(3, 7, own())],
        id="409: canceled, the new id is taken: look for it",
    ),
    pytest.param(
        CANCEL_DONE,
        rejection(RejectReason.TOO_MANY_ORDERS, -1015),
        OrderState.CANCELED,
        [],
        id="409: canceled, the limit is exceeded: wait for the window",
    ),
    pytest.param(
        CANCEL_DONE,
        NOTHING,
        OrderState.CANCELED,
        [QueryOrdersFrom(3, 7, own())],
        id="409: canceled, the new one unknown: list from the old id on",
    ),
    pytest.param(
        GONE,
        NotTried(),
        OrderState.UNKNOWN,
        [QueryOrder(3, 7, own())],
        id="400: unknown order: filled or gone, ask which",
    ),
    pytest.param(
        RESTRICTED,
        NotTried(),
        OrderState.WORKING,
        [Cancel(3, 7, own())],
        id="400: cancel restrictions: move it by cancel",
    ),
    pytest.param(
        rejection(RejectReason.OTHER, -2011),
        NotTried(),
        OrderState.WORKING,
        [],
        id="400: refused otherwise: it rests, try later",
    ),
    pytest.param(
        NotTried(), rejection(RejectReason.FILTER, -1013), OrderState.WORKING, [], id="-1013: the old order still works"
    ),
    pytest.param(
        NotTried(),
        rejection(RejectReason.TOO_MANY_ORDERS, -1015),
        OrderState.WORKING,
        [],
        id="429 -1015: nothing was done",
    ),
    pytest.param(
        NotTried(), rejection(RejectReason.RATE_LIMITED, -1003), OrderState.WORKING, [], id="429: send nothing"
    ),
    pytest.param(
        NotTried(),
        rejection(RejectReason.TIMESTAMP, -1021),
        OrderState.WORKING,
        [Replace(3, 7, own(), SELL, D("100.04"), D("1"))],
        id="-1021: not carried out, try again",
    ),
    pytest.param(
        NotTried(),
        rejection(RejectReason.BUSY, -1008),
        OrderState.WORKING,
        [Replace(3, 7, own(), SELL, D("100.04"), D("1"))],
        id="-1008: not carried out, try again",
    ),
    pytest.param(
        NOTHING, NOTHING, OrderState.UNKNOWN, [QueryOrder(3, 7, own())], id="-1007: ask about the old one first"
    ),
    pytest.param(
        NOTHING, NotTried(), OrderState.UNKNOWN, [QueryOrder(3, 7, own())], id="the cancel unknown, no new one"
    ),
]


@pytest.mark.parametrize(("cancel", "place", "state", "sent"), OUTCOMES)
def test_every_outcome_of_a_replace_has_its_move(
    cancel: OrderOutcome, place: OrderOutcome, state: OrderState, sent: list[OrderCommand]
) -> None:
    harness = replacing()
    harness.reply(cancel, place)
    assert harness.state() is state
    assert harness.tick(harness.now_s + 0.5) == sent


@pytest.mark.parametrize("refusal", RejectReason, ids=lambda refusal: refusal.name)
def test_a_replace_whose_new_half_is_rejected_leaves_nothing_and_never_asks_to_replace_nothing(
    refusal: RejectReason,
) -> None:
    harness = replacing()
    harness.reply(CANCEL_DONE, rejection(refusal))
    for _ in range(200):
        sent = harness.tick(harness.now_s + 1.0)
        if sent:
            break
    assert isinstance(sent[0], QueryOrdersFrom if refusal is RejectReason.DUPLICATE else Place)


@pytest.mark.parametrize("refusal", RejectReason, ids=lambda refusal: refusal.name)
def test_a_replace_rejected_as_a_whole_leaves_the_old_order_to_be_moved_again(refusal: RejectReason) -> None:
    harness = replacing()
    harness.reply(NotTried(), rejection(refusal))
    for _ in range(400):
        sent = harness.tick(harness.now_s + 1.0)
        if sent:
            break
    expected = Replace(3, 7, own(), SELL, D("100.04"), D("1"))
    assert sent == [expected]


def test_a_replace_is_told_with_both_prices() -> None:
    harness = replacing()
    harness.maker_exit.events.clear()
    harness.reply(CANCEL_DONE, REPLACED)
    assert harness.maker_exit.events == [OrderReplaced(own(), 8, SELL, D("100.09"), D("100.04"), D("1"))]


def test_a_replace_that_left_nothing_is_told_as_rejected_and_cancelled() -> None:
    harness = replacing()
    harness.maker_exit.events.clear()
    harness.reply(CANCEL_DONE, rejection(RejectReason.WOULD_TAKE))
    assert harness.maker_exit.events == [
        OrderRejected(own(), RejectReason.WOULD_TAKE, -2010, "would take", 1),
        OrderCancelled(own(), 7, SELL, D("100.09"), D("0"), D("1")),
    ]


def test_an_unknown_order_gives_its_report_a_moment_before_it_is_asked_about() -> None:
    harness = replacing()
    harness.reply(GONE, NotTried())
    assert harness.tick(harness.now_s + 0.4) == []
    harness.handle(report(7, filled="1", status=FILLED))
    harness.set_intent_funds("0")
    assert harness.tick(harness.now_s + 0.2) == []
    progress = harness.maker_exit.progress()
    assert progress is not None
    assert (progress.complete, progress.filled_base) == (ExitEndReason.FILLED, D("1"))


def test_an_unknown_order_that_an_answer_calls_canceled_is_placed_afresh() -> None:
    harness = replacing()
    harness.reply(GONE, NotTried())
    harness.tick(harness.now_s + 0.5)
    harness.reply(CANCEL_DONE)
    assert [type(command) for command in harness.tick()] == [Place]


def test_a_cancel_whose_answer_forgets_to_say_canceled_is_one_all_the_same() -> None:
    harness = pending_cancel()
    harness.reply(Accepted(acknowledged(7)))
    assert harness.state() is OrderState.CANCELED
    assert harness.maker_exit.idle


# Doubt after a replace ------------------------------------------------------------------------------


def test_an_old_order_that_still_rests_means_the_new_one_was_never_tried() -> None:
    harness = replace_unanswered(Accepted(record(7)))
    assert harness.tick() == [Replace(4, 7, own(), SELL, D("100.04"), D("1"))]


def test_an_old_order_that_filled_means_the_new_one_was_never_tried() -> None:
    harness = replace_unanswered(Accepted(record(7, filled="1", status=FILLED)))
    harness.set_intent_funds("0")
    assert harness.tick() == []
    assert harness.maker_exit.idle
    progress = harness.maker_exit.progress()
    assert progress is not None
    assert progress.complete is ExitEndReason.FILLED


def test_an_old_order_that_is_gone_leads_to_what_came_after_it() -> None:
    harness = replace_unanswered(CANCEL_DONE)
    assert harness.tick(harness.now_s + 1.0) == [QueryOrdersFrom(4, 7, own())]
    harness.handle(OrdersListed(4, (record(7, status=CANCELED), record(8, "100.04"))))
    assert (harness.state(), harness.tick()) == (OrderState.WORKING, [])
    assert harness.maker_exit.order is not None
    assert harness.maker_exit.order.order_id == 8


def test_nothing_after_the_old_order_twice_and_late_enough_is_placed_afresh() -> None:
    harness = replace_unanswered(CANCEL_DONE)
    for _ in range(3):
        harness.tick(harness.now_s + 1.0)
        harness.handle(OrdersListed(harness.sent[-1].tag, (record(7, status=CANCELED),)))
    assert harness.tick(harness.now_s + 0.1) == [Place(7, own(), SELL, D("100.04"), D("1"))]


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(NOTHING, id="no reply"),
        pytest.param(rejection(RejectReason.BUSY, -1008), id="the exchange is busy"),
    ],
)
def test_a_list_that_does_not_come_is_asked_for_again(found: Rejected | Unanswered) -> None:
    harness = replace_unanswered(CANCEL_DONE)
    harness.tick(harness.now_s + 1.0)
    harness.handle(OrdersListed(4, found))
    assert harness.tick(harness.now_s + 1.0) == [QueryOrdersFrom(5, 7, own())]


def test_of_a_list_of_more_orders_than_requests_the_newest_is_ours_and_the_others_are_another_instances() -> None:
    harness = replace_unanswered(CANCEL_DONE)
    harness.tick(harness.now_s + 1.0)
    between = record(8, "100.04", filled="0.2", status=CANCELED)
    harness.handle(OrdersListed(4, (record(7, status=CANCELED), between, record(9, "100.04", "0.8"))))
    progress = harness.maker_exit.progress()
    assert progress is not None
    assert progress.filled_base == D("0")
    assert [event for event in harness.maker_exit.events if isinstance(event, UnknownOrderWithOurId)] == [
        UnknownOrderWithOurId(own(), 8)
    ]
    assert harness.maker_exit.order is not None
    assert (harness.maker_exit.order.order_id, harness.state()) == (9, OrderState.WORKING)


def test_a_replace_in_silence_after_a_report_that_the_old_order_filled_needs_no_query() -> None:
    harness = replacing()
    harness.handle(report(7, filled="1", status=FILLED))
    harness.set_intent_funds("0")
    assert harness.tick(harness.now_s + 3.0) == []
    assert harness.maker_exit.idle


# After a reconnect ----------------------------------------------------------------------------------


def reconnected(*open_orders: OrderRecord) -> MakerExitHarness:
    """The connection was lost in the middle of a replace, and the open orders were asked for since."""
    harness = replacing()
    harness.maker_exit.on_disconnect(1.6)
    harness.now_s = 2.0
    harness.handle(Reconciled(open_orders))
    return harness


def test_a_successor_among_the_open_orders_is_known_at_once() -> None:
    harness = reconnected(record(8, "100.04"))
    assert harness.tick(2.0) == [QueryOrder(3, 7, own())]  # what became of the other is still to be told
    harness.reply(Accepted(record(7, status=CANCELED)))
    assert harness.tick(2.1) == []
    assert harness.maker_exit.order is not None
    assert (harness.maker_exit.order.order_id, harness.state()) == (8, OrderState.WORKING)
    assert harness.maker_exit.events[-1] == OrderReplaced(own(), 8, SELL, D("100.09"), D("100.04"), D("1"))


def test_an_old_word_of_the_predecessor_moves_nothing_while_the_successor_is_open() -> None:
    """Found by a storm: the predecessor, canceled long ago, was asked to make way once more."""
    harness = reconnected(record(8, "100.04"))
    harness.tick(2.0)
    harness.reply(Accepted(record(7)))  # lags behind
    sent = harness.tick(2.1) + harness.tick(3.5)
    assert not any(isinstance(command, Replace | Place) for command in sent)


def test_what_is_missing_among_the_open_orders_is_asked_for() -> None:
    harness = reconnected()
    assert harness.tick(2.0) == [QueryOrder(3, 7, own())]


def test_the_open_orders_of_others_are_none_of_ours() -> None:
    harness = reconnected(record(9, client_order_id="web_4711"), record(7))
    assert harness.tick(2.0) == [Replace(3, 7, own(), SELL, D("100.04"), D("1"))]


def test_an_open_order_with_our_id_that_answers_no_request_is_a_strangers() -> None:
    harness = reconnected(record(8, "100.04"), record(9, "100.03"))
    assert harness.maker_exit.events[-1] == UnknownOrderWithOurId(own(), 9)

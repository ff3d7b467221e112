"""Order updates after a placement or a cancel: each outcome and what it leads to."""

from typing import Final

import pytest
from tests.execution.chaser_harness import (
    ABSENT,
    CANCEL_DONE,
    CANCELED,
    FILLED,
    GONE,
    NOTHING,
    PART,
    RESTRICTED,
    SELL,
    not_found_twice,
    pending_cancel,
    pending_new,
    unanswered,
)
from tests.execution.order_builders import D, acknowledged, own, record, rejection, report

from trailingedge.execution.order import OrderState
from trailingedge.execution.order_events import (
    OrderCancelled,
    OrderFilled,
    OrderInDoubt,
    OrderPlaced,
    OrderRejected,
    UnknownOrderWithOurId,
)
from trailingedge.model.market import BookTop, OrderRecord, OrderStatus
from trailingedge.model.order_commands import (
    Cancel,
    OrderCommand,
    Place,
    QueryOrder,
    Reconciled,
    Refresh,
    Replace,
)
from trailingedge.model.order_outcomes import Accepted, NotTried, OrderOutcome, RejectReason, Unanswered

# A placement and its answer ----------------------------------------------------------------------


def test_an_order_that_was_taken_rests() -> None:
    harness = pending_new()
    harness.reply(Accepted(record(7)))
    assert harness.state() is OrderState.WORKING
    assert harness.tick(0.1) == []
    assert harness.maker_exit.events == [OrderPlaced(own(), 7, SELL, D("100.09"), D("1"))]


def test_an_acknowledgement_is_enough_to_know_that_it_rests() -> None:
    harness = pending_new()
    harness.reply(Accepted(acknowledged(7)))
    assert harness.state() is OrderState.WORKING
    assert harness.maker_exit.order is not None
    assert harness.maker_exit.order.price == D("100.09")


def test_while_a_request_is_in_flight_newer_prices_wait() -> None:
    harness = pending_new()
    harness.book = BookTop(D("99.00"), D("99.10"))
    assert harness.tick(2.9) == []


def test_silence_is_answered_with_a_query_not_a_second_order() -> None:
    harness = pending_new()
    assert harness.tick(3.0) == [QueryOrder(2, None, own())]
    assert harness.maker_exit.events == [OrderInDoubt(own(), None, "no answer")]


@pytest.mark.parametrize("reason", ["timeout", "-1006", "-1007", "status 503", "connection lost"])
def test_an_answer_that_says_nothing_is_doubt_at_once(reason: str) -> None:
    harness = pending_new()
    harness.reply(Unanswered(reason))
    assert harness.state() is OrderState.UNKNOWN
    assert harness.tick(0.1) == [QueryOrder(2, None, own())]
    assert harness.maker_exit.events == [OrderInDoubt(own(), None, reason)]


def test_a_report_ends_the_doubt_before_the_query_is_answered() -> None:
    harness = unanswered(pending_new())
    harness.handle(report(7))
    harness.reply(ABSENT)  # the reader lagged behind
    assert harness.state() is OrderState.WORKING
    assert harness.tick(3.2) == []


def test_one_not_found_proves_nothing() -> None:
    harness = unanswered(pending_new())
    harness.reply(ABSENT)
    assert harness.tick(3.5) == []
    assert harness.tick(4.0) == [QueryOrder(3, None, own())]


def test_two_not_founds_prove_nothing_while_the_request_may_still_arrive() -> None:
    harness = unanswered(pending_new())
    harness.reply(ABSENT)
    harness.tick(4.0)
    harness.reply(ABSENT)
    assert harness.tick(5.0) == [QueryOrder(4, None, own())]


def test_a_not_found_repeated_after_the_request_can_no_longer_arrive_is_believed() -> None:
    harness = not_found_twice()
    assert harness.tick(6.1) == [Place(4, own(), SELL, D("100.09"), D("1"))]


def test_a_not_found_said_once_is_not_believed_however_late() -> None:
    harness = unanswered(pending_new())
    harness.tick(6.0)
    harness.reply(ABSENT)
    assert harness.tick(7.0) == [QueryOrder(4, None, own())]


def test_a_not_found_of_before_it_was_seen_does_not_count() -> None:
    harness = unanswered(pending_new())
    harness.reply(ABSENT)
    harness.handle(report(7))
    harness.maker_exit.on_disconnect(20.0)
    harness.tick(27.0)
    harness.reply(ABSENT)
    assert harness.tick(28.0) == [QueryOrder(4, 7, own())]


def test_an_unanswered_query_is_asked_again() -> None:
    harness = unanswered(pending_new())
    assert harness.tick(6.0) == [QueryOrder(3, None, own())]
    harness.reply(NOTHING)
    assert harness.tick(6.5) == []
    assert harness.tick(7.0) == [QueryOrder(4, None, own())]


def test_a_query_that_is_rejected_is_asked_again() -> None:
    harness = unanswered(pending_new())
    harness.reply(rejection(RejectReason.BUSY, -1008))
    assert harness.tick(4.0) == [QueryOrder(3, None, own())]


@pytest.mark.parametrize(
    ("found", "state", "next_commands"),
    [
        pytest.param(record(7), OrderState.WORKING, [], id="it rests"),
        pytest.param(record(7, filled="0.4", status=PART), OrderState.WORKING, [], id="it rests, part-filled"),
        pytest.param(record(7, filled="1", status=FILLED), OrderState.FILLED, [], id="it is filled"),
        pytest.param(record(7, status=CANCELED), OrderState.CANCELED, [Place], id="it was canceled"),
        pytest.param(record(7, status=OrderStatus.EXPIRED), OrderState.EXPIRED, [Place], id="it expired"),
        pytest.param(record(7, status=OrderStatus.UNRECOGNIZED), OrderState.UNKNOWN, [], id="a status of the future"),
    ],
)
def test_the_answer_to_a_query_settles_a_placement(
    found: OrderRecord,
    state: OrderState,
    next_commands: list[type],
) -> None:
    harness = unanswered(pending_new())
    harness.reply(Accepted(found))
    assert harness.state() is state
    if state is OrderState.FILLED:
        harness.set_intent_funds("0")
    assert [type(command) for command in harness.tick(3.1)] == next_commands


# Every refusal of a placement --------------------------------------------------------------------

PLACEMENT_REFUSED: Final = [
    # refusal, seconds after which it is tried again, what is read again
    pytest.param(RejectReason.WOULD_TAKE, 0.1, [], id="would take"),
    pytest.param(RejectReason.INSUFFICIENT_BALANCE, 1.0, [Refresh.BALANCES], id="insufficient balance"),
    pytest.param(RejectReason.UNKNOWN_ORDER, 0.5, [], id="unknown order"),
    pytest.param(RejectReason.CANCEL_RESTRICTED, 0.0, [], id="cancel restrictions"),
    pytest.param(RejectReason.FILTER, 1.0, [Refresh.RULES], id="filter"),
    pytest.param(RejectReason.TOO_MANY_ORDERS, 2.0, [], id="too many orders"),
    pytest.param(RejectReason.RATE_LIMITED, 5.0, [], id="rate limited"),
    pytest.param(RejectReason.TIMESTAMP, 0.5, [Refresh.CLOCK], id="timestamp"),
    pytest.param(RejectReason.NOT_TRADING, 5.0, [Refresh.RULES], id="not trading"),
    pytest.param(RejectReason.BUSY, 0.5, [], id="busy"),
    pytest.param(RejectReason.UNAUTHORIZED, 2.0, [], id="unauthorized"),
    pytest.param(RejectReason.BAD_REQUEST, 2.0, [Refresh.RULES], id="bad request"),
    pytest.param(RejectReason.OTHER, 1.0, [], id="other"),
]


@pytest.mark.parametrize(("refusal", "wait_s", "remedies"), PLACEMENT_REFUSED)
def test_a_rejected_placement_is_told_and_tried_again_after_its_wait(
    refusal: RejectReason, wait_s: float, remedies: list[Refresh]
) -> None:
    harness = pending_new()
    harness.reply(rejection(refusal))
    assert harness.maker_exit.events == [OrderRejected(own(), refusal, -2010, refusal.value, 1)]
    assert harness.maker_exit.idle
    if wait_s:
        assert harness.tick(wait_s - 0.01) == []
    assert harness.tick(wait_s) == [Place(2, own(), SELL, D("100.09"), D("1"))]
    assert harness.refreshes == remedies


def test_every_rejection_but_one_is_in_the_table_of_placements() -> None:
    listed = {row.values[0] for row in PLACEMENT_REFUSED}
    assert listed == set(RejectReason) - {RejectReason.DUPLICATE}


def test_rejections_in_a_row_are_counted_and_wait_longer() -> None:
    harness = pending_new()
    harness.reply(rejection(RejectReason.BUSY, -1008))
    harness.tick(0.5)
    harness.reply(rejection(RejectReason.BUSY, -1008))
    assert [received.in_a_row for received in harness.maker_exit.events if isinstance(received, OrderRejected)] == [
        1,
        2,
    ]
    assert harness.tick(1.4) == []
    assert harness.tick(1.5) != []


def test_an_order_that_was_taken_ends_the_row_of_rejections() -> None:
    harness = pending_new()
    harness.reply(rejection(RejectReason.BUSY, -1008))
    harness.tick(0.5)
    harness.reply(Accepted(record(7, status=CANCELED)))
    harness.tick(0.6)
    harness.reply(rejection(RejectReason.BUSY, -1008))
    assert [received.in_a_row for received in harness.maker_exit.events if isinstance(received, OrderRejected)] == [
        1,
        1,
    ]


def test_who_has_logged_on_again_need_not_wait_for_the_clock_any_more() -> None:
    for refusal, waits in ((RejectReason.TIMESTAMP, False), (RejectReason.BUSY, True)):
        harness = pending_new()
        harness.reply(rejection(refusal))
        harness.handle(Reconciled(()))
        assert (harness.tick(0.01) == []) is waits


def test_a_would_match_waits_for_another_book_or_a_moment() -> None:
    harness = pending_new()
    harness.reply(rejection(RejectReason.WOULD_TAKE))
    assert harness.tick(0.01) == []
    harness.book = BookTop(D("99.95"), D("100.08"))
    assert harness.tick(0.02) == [Place(2, own(), SELL, D("100.07"), D("1"))]


def test_after_a_would_match_that_was_put_right_the_next_move_does_not_wait() -> None:
    harness = pending_new()
    for book, again in ((BookTop(D("99.95"), D("100.08")), 2), (BookTop(D("99.90"), D("100.06")), 3)):
        harness.reply(rejection(RejectReason.WOULD_TAKE))
        harness.book = book
        assert harness.tick(0.01)[0].tag == again
    harness.reply(Accepted(record(7, "100.05")))
    harness.book = BookTop(D("99.80"), D("99.90"))
    assert [type(command) for command in harness.tick(0.02)] == [Replace]


def test_while_rate_limited_not_even_a_query_is_sent() -> None:
    harness = unanswered(pending_new())
    harness.reply(rejection(RejectReason.RATE_LIMITED, -1003, retry_at_ms=1_783_000_060_000))
    assert harness.tick(59.9) == []
    assert harness.tick(60.0) == [QueryOrder(3, None, own())]


def test_a_duplicate_means_an_order_of_this_id_is_open_so_it_is_looked_for() -> None:
    harness = pending_new()
    harness.reply(rejection(RejectReason.DUPLICATE))
    assert harness.state() is OrderState.UNKNOWN
    assert harness.tick(0.1) == [QueryOrder(2, None, own())]
    # No request of ours can have led to the order that is found, so it is another instance's and not touched.
    harness.reply(Accepted(record(7)))
    assert harness.maker_exit.events[-1] == UnknownOrderWithOurId(own(), 7)
    assert harness.maker_exit.idle
    harness.intent = None
    assert harness.tick(0.2) == []


def test_a_duplicate_after_an_unanswered_placement_leads_to_the_order_of_that_placement() -> None:
    harness = unanswered(pending_new())
    for now_s in (4.0, 6.0):
        harness.reply(ABSENT)
        harness.tick(now_s)
    harness.reply(ABSENT)
    assert [type(command) for command in harness.tick(7.0)] == [Place]
    harness.reply(rejection(RejectReason.DUPLICATE))
    assert [type(command) for command in harness.tick(7.1)] == [QueryOrder]
    harness.reply(Accepted(record(7)))
    assert harness.tick(7.2) == []
    assert (harness.state(), harness.maker_exit.owns(7)) == (OrderState.WORKING, True)
    assert not [event for event in harness.maker_exit.events if isinstance(event, UnknownOrderWithOurId)]


@pytest.mark.parametrize("refusal", [RejectReason.DUPLICATE, RejectReason.INSUFFICIENT_BALANCE, RejectReason.BUSY])
def test_an_order_that_was_reported_while_our_placement_was_refused_is_another_instances(refusal: RejectReason) -> None:
    harness = pending_new()
    harness.handle(report(7))  # as if it were the order that we have just sent
    harness.reply(rejection(refusal))
    assert harness.maker_exit.events[-1 if refusal is RejectReason.DUPLICATE else -2] == UnknownOrderWithOurId(own(), 7)
    assert not harness.maker_exit.owns(7)
    assert harness.maker_exit.idle


def test_of_two_orders_with_our_id_the_one_that_our_reply_names_is_ours() -> None:
    harness = pending_new()
    harness.handle(report(7))
    harness.reply(Accepted(record(8)))
    assert harness.maker_exit.events[-2] == UnknownOrderWithOurId(own(), 7)
    assert (harness.maker_exit.owns(7), harness.maker_exit.owns(8)) == (False, True)
    harness.intent = None
    assert [command.order_id for command in harness.tick(0.1) if isinstance(command, Cancel)] == [8]


def test_a_report_after_a_refused_placement_is_another_instances_and_told_once() -> None:
    harness = pending_new()
    harness.reply(rejection(RejectReason.WOULD_TAKE))
    harness.handle(report(7), report(7, status=CANCELED), report(8))
    found = [event for event in harness.maker_exit.events if isinstance(event, UnknownOrderWithOurId)]
    assert found == [UnknownOrderWithOurId(own(), 7)]


# A cancel and its answer ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "state", "sent"),
    [
        pytest.param(CANCEL_DONE, OrderState.CANCELED, [], id="done"),
        pytest.param(GONE, OrderState.UNKNOWN, [QueryOrder(3, 7, own())], id="unknown order: ask"),
        pytest.param(RESTRICTED, OrderState.WORKING, [Cancel(3, 7, own())], id="cancel restrictions: again"),
        pytest.param(rejection(RejectReason.BUSY, -1008), OrderState.WORKING, [Cancel(3, 7, own())], id="busy: again"),
        pytest.param(rejection(RejectReason.RATE_LIMITED, -1003), OrderState.WORKING, [], id="rate limited: wait"),
        pytest.param(NotTried(), OrderState.WORKING, [Cancel(3, 7, own())], id="not tried: again"),
        pytest.param(NOTHING, OrderState.UNKNOWN, [QueryOrder(3, 7, own())], id="no outcome: query"),
    ],
)
def test_every_outcome_of_a_cancel_has_its_move(
    outcome: OrderOutcome, state: OrderState, sent: list[OrderCommand]
) -> None:
    harness = pending_cancel()
    harness.reply(outcome)
    assert harness.state() is state
    assert harness.tick(harness.now_s + 0.5) == sent


@pytest.mark.parametrize("refusal", RejectReason, ids=lambda refusal: refusal.name)
def test_a_cancel_is_tried_until_it_is_done(refusal: RejectReason) -> None:
    harness = pending_cancel()
    harness.reply(rejection(refusal))
    for _ in range(400):
        sent = harness.tick(harness.now_s + 1.0)
        if sent:
            break
    assert sent == [QueryOrder(3, 7, own()) if refusal is RejectReason.UNKNOWN_ORDER else Cancel(3, 7, own())]


def test_a_cancel_tells_what_was_filled_before_it() -> None:
    harness = pending_cancel()
    harness.reply(Accepted(record(7, filled="0.3", status=CANCELED)))
    progress = harness.maker_exit.progress()
    assert progress is not None
    assert (progress.filled_base, progress.filled_quote) == (D("0.3"), D("0.3") * D("100.09"))
    assert harness.maker_exit.events[-2:] == [
        OrderFilled(own(), 7, SELL, D("100.09"), D("0.3"), D("0.3") * D("100.09"), D("0.7")),
        OrderCancelled(own(), 7, SELL, D("100.09"), D("0.3"), D("1")),
    ]


def test_an_order_without_an_id_belongs_to_no_request() -> None:
    harness = pending_new()
    harness.handle(report(7))
    received = list(harness.maker_exit.events)
    harness.handle(report(-1), report(-5, filled="0.1", status=PART), Reconciled((record(-1),)))
    assert harness.maker_exit.events == received
    assert harness.tick() == []


def test_a_report_without_an_id_does_not_settle_a_placement() -> None:
    harness = pending_new()
    harness.handle(report(-1))
    assert harness.state() is OrderState.PENDING_NEW
    harness.handle(report(-1, status=OrderStatus.REJECTED))
    assert harness.state() is OrderState.REJECTED

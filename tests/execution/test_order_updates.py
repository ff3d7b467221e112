"""What can come back to a placement or a cancel, and what each word of it leads to."""

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
    chase = pending_new()
    chase.reply(Accepted(record(7)))
    assert chase.state() is OrderState.WORKING
    assert chase.tick(0.1) == []
    assert chase.maker_exit.events == [OrderPlaced(own(), 7, SELL, D("100.09"), D("1"))]


def test_an_acknowledgement_is_enough_to_know_that_it_rests() -> None:
    chase = pending_new()
    chase.reply(Accepted(acknowledged(7)))
    assert chase.state() is OrderState.WORKING
    assert chase.maker_exit.order is not None
    assert chase.maker_exit.order.price == D("100.09")


def test_while_a_request_is_in_flight_newer_prices_wait() -> None:
    chase = pending_new()
    chase.book = BookTop(D("99.00"), D("99.10"))
    assert chase.tick(2.9) == []


def test_silence_is_answered_with_a_question_not_a_second_order() -> None:
    chase = pending_new()
    assert chase.tick(3.0) == [QueryOrder(2, None, own())]
    assert chase.maker_exit.events == [OrderInDoubt(own(), None, "no answer")]


@pytest.mark.parametrize("reason", ["timeout", "-1006", "-1007", "status 503", "connection lost"])
def test_an_answer_that_says_nothing_is_doubt_at_once(reason: str) -> None:
    chase = pending_new()
    chase.reply(Unanswered(reason))
    assert chase.state() is OrderState.UNKNOWN
    assert chase.tick(0.1) == [QueryOrder(2, None, own())]
    assert chase.maker_exit.events == [OrderInDoubt(own(), None, reason)]


def test_a_report_ends_the_doubt_before_the_question_is_answered() -> None:
    chase = unanswered(pending_new())
    chase.handle(report(7))
    chase.reply(ABSENT)  # the reader lagged behind
    assert chase.state() is OrderState.WORKING
    assert chase.tick(3.2) == []


def test_one_absence_proves_nothing() -> None:
    chase = unanswered(pending_new())
    chase.reply(ABSENT)
    assert chase.tick(3.5) == []
    assert chase.tick(4.0) == [QueryOrder(3, None, own())]


def test_two_absences_prove_nothing_while_the_request_may_still_arrive() -> None:
    chase = unanswered(pending_new())
    chase.reply(ABSENT)
    chase.tick(4.0)
    chase.reply(ABSENT)
    assert chase.tick(5.0) == [QueryOrder(4, None, own())]


def test_an_absence_repeated_after_the_request_can_no_longer_arrive_is_believed() -> None:
    chase = unanswered(pending_new())
    chase.reply(ABSENT)
    chase.tick(6.0)
    chase.reply(ABSENT)
    assert chase.tick(6.1) == [Place(4, own(), SELL, D("100.09"), D("1"))]


def test_an_absence_said_once_is_not_believed_however_late() -> None:
    chase = unanswered(pending_new())
    chase.tick(6.0)
    chase.reply(ABSENT)
    assert chase.tick(7.0) == [QueryOrder(4, None, own())]


def test_an_absence_of_before_it_was_seen_does_not_count() -> None:
    chase = unanswered(pending_new())
    chase.reply(ABSENT)
    chase.handle(report(7))
    chase.maker_exit.on_disconnect(20.0)
    chase.tick(27.0)
    chase.reply(ABSENT)
    assert chase.tick(28.0) == [QueryOrder(4, 7, own())]


def test_an_unanswered_question_is_asked_again() -> None:
    chase = unanswered(pending_new())
    assert chase.tick(6.0) == [QueryOrder(3, None, own())]
    chase.reply(NOTHING)
    assert chase.tick(6.5) == []
    assert chase.tick(7.0) == [QueryOrder(4, None, own())]


def test_a_question_that_is_refused_is_asked_again() -> None:
    chase = unanswered(pending_new())
    chase.reply(rejection(RejectReason.BUSY, -1008))
    assert chase.tick(4.0) == [QueryOrder(3, None, own())]


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
def test_the_answer_to_a_question_settles_a_placement(
    found: OrderRecord,
    state: OrderState,
    next_commands: list[type],
) -> None:
    chase = unanswered(pending_new())
    chase.reply(Accepted(found))
    assert chase.state() is state
    if state is OrderState.FILLED:
        chase.set_intent_funds("0")
    assert [type(command) for command in chase.tick(3.1)] == next_commands


# Every refusal of a placement --------------------------------------------------------------------

PLACEMENT_REFUSED: Final = [
    # refusal, seconds after which it is tried again, what is read again meanwhile
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
def test_a_refused_placement_is_told_and_tried_again_after_its_wait(
    refusal: RejectReason, wait_s: float, remedies: list[Refresh]
) -> None:
    chase = pending_new()
    chase.reply(rejection(refusal))
    assert chase.maker_exit.events == [OrderRejected(own(), refusal, -2010, refusal.value, 1)]
    assert chase.maker_exit.idle
    if wait_s:
        assert chase.tick(wait_s - 0.01) == []
    assert chase.tick(wait_s) == [Place(2, own(), SELL, D("100.09"), D("1"))]
    assert chase.refreshes == remedies


def test_every_refusal_but_one_is_in_the_table_of_placements() -> None:
    listed = {row.values[0] for row in PLACEMENT_REFUSED}
    assert listed == set(RejectReason) - {RejectReason.DUPLICATE}


def test_refusals_in_a_row_are_counted_and_wait_longer() -> None:
    chase = pending_new()
    chase.reply(rejection(RejectReason.BUSY, -1008))
    chase.tick(0.5)
    chase.reply(rejection(RejectReason.BUSY, -1008))
    assert [told.in_a_row for told in chase.maker_exit.events if isinstance(told, OrderRejected)] == [1, 2]
    assert chase.tick(1.4) == []
    assert chase.tick(1.5) != []


def test_an_order_that_was_taken_ends_the_row_of_refusals() -> None:
    chase = pending_new()
    chase.reply(rejection(RejectReason.BUSY, -1008))
    chase.tick(0.5)
    chase.reply(Accepted(record(7, status=CANCELED)))
    chase.tick(0.6)
    chase.reply(rejection(RejectReason.BUSY, -1008))
    assert [told.in_a_row for told in chase.maker_exit.events if isinstance(told, OrderRejected)] == [1, 1]


def test_who_has_logged_on_again_need_not_wait_for_the_clock_any_more() -> None:
    for refusal, waits in ((RejectReason.TIMESTAMP, False), (RejectReason.BUSY, True)):
        chase = pending_new()
        chase.reply(rejection(refusal))
        chase.handle(Reconciled(()))
        assert (chase.tick(0.01) == []) is waits


def test_a_would_match_waits_for_another_book_or_a_moment() -> None:
    chase = pending_new()
    chase.reply(rejection(RejectReason.WOULD_TAKE))
    assert chase.tick(0.01) == []
    chase.book = BookTop(D("99.95"), D("100.08"))
    assert chase.tick(0.02) == [Place(2, own(), SELL, D("100.07"), D("1"))]


def test_after_a_would_match_that_was_put_right_the_next_move_does_not_wait() -> None:
    chase = pending_new()
    for book, again in ((BookTop(D("99.95"), D("100.08")), 2), (BookTop(D("99.90"), D("100.06")), 3)):
        chase.reply(rejection(RejectReason.WOULD_TAKE))
        chase.book = book
        assert chase.tick(0.01)[0].tag == again
    chase.reply(Accepted(record(7, "100.05")))
    chase.book = BookTop(D("99.80"), D("99.90"))
    assert [type(command) for command in chase.tick(0.02)] == [Replace]


def test_while_rate_limited_not_even_a_question_is_asked() -> None:
    chase = unanswered(pending_new())
    chase.reply(rejection(RejectReason.RATE_LIMITED, -1003, retry_at_ms=1_783_000_060_000))
    assert chase.tick(59.9) == []
    assert chase.tick(60.0) == [QueryOrder(3, None, own())]


def test_a_duplicate_means_an_order_of_this_id_is_open_so_it_is_looked_for() -> None:
    chase = pending_new()
    chase.reply(rejection(RejectReason.DUPLICATE))
    assert chase.state() is OrderState.UNKNOWN
    assert chase.tick(0.1) == [QueryOrder(2, None, own())]
    chase.reply(Accepted(record(7)))
    assert chase.tick(0.2) == []
    assert chase.state() is OrderState.WORKING


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
        pytest.param(NOTHING, OrderState.UNKNOWN, [QueryOrder(3, 7, own())], id="nobody knows: ask"),
    ],
)
def test_every_outcome_of_a_cancel_has_its_move(
    outcome: OrderOutcome, state: OrderState, sent: list[OrderCommand]
) -> None:
    chase = pending_cancel()
    chase.reply(outcome)
    assert chase.state() is state
    assert chase.tick(chase.now_s + 0.5) == sent


@pytest.mark.parametrize("refusal", RejectReason, ids=lambda refusal: refusal.name)
def test_a_withdrawal_is_tried_until_it_is_done(refusal: RejectReason) -> None:
    chase = pending_cancel()
    chase.reply(rejection(refusal))
    for _ in range(400):
        sent = chase.tick(chase.now_s + 1.0)
        if sent:
            break
    assert sent == [QueryOrder(3, 7, own()) if refusal is RejectReason.UNKNOWN_ORDER else Cancel(3, 7, own())]


def test_a_cancel_tells_what_was_filled_before_it() -> None:
    chase = pending_cancel()
    chase.reply(Accepted(record(7, filled="0.3", status=CANCELED)))
    progress = chase.maker_exit.progress()
    assert progress is not None
    assert (progress.filled_base, progress.filled_quote) == (D("0.3"), D("0.3") * D("100.09"))
    assert chase.maker_exit.events[-2:] == [
        OrderFilled(own(), 7, SELL, D("100.09"), D("0.3"), D("0.3") * D("100.09"), D("0.7")),
        OrderCancelled(own(), 7, SELL, D("100.09"), D("0.3"), D("1")),
    ]


def test_an_order_without_an_id_is_nobodys() -> None:
    chase = pending_new()
    chase.handle(report(7))
    told = list(chase.maker_exit.events)
    chase.handle(report(-1), report(-5, filled="0.1", status=PART), Reconciled((record(-1),)))
    assert chase.maker_exit.events == told
    assert chase.tick() == []


def test_a_report_without_an_id_does_not_settle_a_placement() -> None:
    chase = pending_new()
    chase.handle(report(-1))
    assert chase.state() is OrderState.PENDING_NEW
    chase.handle(report(-1, status=OrderStatus.REJECTED))
    assert chase.state() is OrderState.REJECTED

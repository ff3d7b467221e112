"""Everything that can come back, in every order.

Where a table would be long the model exchange is asked what it would say, and each order in which its
answer, its reports and our own impatience can follow each other is played.
"""

import itertools
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Final

import pytest
from tests.execution.builders import NUMBER, RULES, D, acknowledged, own, record, refused, report
from tests.execution.chase import BOOK, Chase, cancelling, in_flight, part_filled, replacing, silent, working
from tests.execution.exchange_model import ModelExchange

from trailingedge.execution.commands import (
    Answered,
    Cancel,
    Incoming,
    OrderCommand,
    OrdersListed,
    Place,
    QueryOrder,
    QueryOrdersFrom,
    Remedy,
    Replace,
    ReplaceAnswered,
)
from trailingedge.execution.happenings import (
    OrderFilled,
    OrderInDoubt,
    OrderPlaced,
    OrderRefused,
    OrderReplaced,
    OrderWithdrawn,
    StrangerWithOurId,
)
from trailingedge.execution.ids import base36
from trailingedge.execution.order import State
from trailingedge.market import BookTop, ExecutionReport, OrderStatus, Side
from trailingedge.strategy.want import Cause, Kind
from trailingedge.websocket.outcomes import Done, NotTried, Outcome, Refusal, Refused, ReplaceOutcome, Unanswered

SELL: Final = Side.SELL
NOTHING: Final = Unanswered("timeout")
CANCELED: Final = OrderStatus.CANCELED
FILLED: Final = OrderStatus.FILLED
PART: Final = OrderStatus.PARTIALLY_FILLED
GONE: Final = refused(Refusal.UNKNOWN_ORDER, -2011)
ABSENT: Final = refused(Refusal.UNKNOWN_ORDER, -2013)


# A placement and its answer ----------------------------------------------------------------------


def test_an_order_that_was_taken_rests() -> None:
    chase = in_flight()
    chase.answer(Done(record(7)))
    assert chase.state is State.WORKING
    assert chase.beat(0.1) == []
    assert chase.exit.happened == [OrderPlaced(own(), 7, SELL, D("100.09"), D("1"))]


def test_an_acknowledgement_is_enough_to_know_that_it_rests() -> None:
    chase = in_flight()
    chase.answer(Done(acknowledged(7)))
    assert chase.state is State.WORKING
    assert chase.exit.order is not None
    assert chase.exit.order.price == D("100.09")


def test_while_a_request_is_in_flight_newer_prices_wait() -> None:
    chase = in_flight()
    chase.book = BookTop(D("99.00"), D("99.10"))
    assert chase.beat(2.9) == []


def test_silence_is_answered_with_a_question_not_a_second_order() -> None:
    chase = in_flight()
    assert chase.beat(3.0) == [QueryOrder(2, None, own())]
    assert chase.exit.happened == [OrderInDoubt(own(), None, "no answer")]


@pytest.mark.parametrize("reason", ["timeout", "-1006", "-1007", "status 503", "connection lost"])
def test_an_answer_that_says_nothing_is_doubt_at_once(reason: str) -> None:
    chase = in_flight()
    chase.answer(Unanswered(reason))
    assert chase.state is State.UNKNOWN
    assert chase.beat(0.1) == [QueryOrder(2, None, own())]
    assert chase.exit.happened == [OrderInDoubt(own(), None, reason)]


def test_a_report_ends_the_doubt_before_the_question_is_answered() -> None:
    chase = silent(in_flight())
    chase.hear(report(7))
    chase.answer(ABSENT)  # the reader lagged behind
    assert chase.state is State.WORKING
    assert chase.beat(3.2) == []


def test_one_absence_proves_nothing() -> None:
    chase = silent(in_flight())
    chase.answer(ABSENT)
    assert chase.beat(3.5) == []
    assert chase.beat(4.0) == [QueryOrder(3, None, own())]


def test_two_absences_prove_nothing_while_the_request_may_still_arrive() -> None:
    chase = silent(in_flight())
    chase.answer(ABSENT)
    chase.beat(4.0)
    chase.answer(ABSENT)
    assert chase.beat(5.0) == [QueryOrder(4, None, own())]


def test_an_absence_repeated_after_the_request_can_no_longer_arrive_is_believed() -> None:
    chase = silent(in_flight())
    chase.answer(ABSENT)
    chase.beat(6.0)
    chase.answer(ABSENT)
    assert chase.beat(6.1) == [Place(4, own(), SELL, D("100.09"), D("1"))]


def test_an_unanswered_question_is_asked_again() -> None:
    chase = silent(in_flight())
    assert chase.beat(6.0) == [QueryOrder(3, None, own())]
    chase.answer(NOTHING)
    assert chase.beat(6.5) == []
    assert chase.beat(7.0) == [QueryOrder(4, None, own())]


def test_a_question_that_is_refused_is_asked_again() -> None:
    chase = silent(in_flight())
    chase.answer(refused(Refusal.BUSY, -1008))
    assert chase.beat(4.0) == [QueryOrder(3, None, own())]


@pytest.mark.parametrize(
    ("found", "state", "next_commands"),
    [
        pytest.param(record(7), State.WORKING, [], id="it rests"),
        pytest.param(record(7, filled="0.4", status=PART), State.WORKING, [], id="it rests, part-filled"),
        pytest.param(record(7, filled="1", status=FILLED), State.FILLED, [], id="it is filled"),
        pytest.param(record(7, status=CANCELED), State.CANCELED, [Place], id="it was canceled"),
        pytest.param(record(7, status=OrderStatus.EXPIRED), State.EXPIRED, [Place], id="it expired"),
        pytest.param(record(7, status=OrderStatus.UNRECOGNIZED), State.UNKNOWN, [], id="a status of the future"),
    ],
)
def test_the_answer_to_a_question_settles_a_placement(
    found: record,
    state: State,
    next_commands: list[type],  # type: ignore[valid-type]
) -> None:
    chase = silent(in_flight())
    chase.answer(Done(found))
    assert chase.state is state
    if state is State.FILLED:
        chase.want_funds("0")
    assert [type(command) for command in chase.beat(3.1)] == next_commands


# Every refusal of a placement --------------------------------------------------------------------

PLACEMENT_REFUSED: Final = [
    # refusal, seconds after which it is tried again, what is read again meanwhile
    pytest.param(Refusal.WOULD_TAKE, 0.1, [], id="would take"),
    pytest.param(Refusal.INSUFFICIENT_BALANCE, 1.0, [Remedy.BALANCES], id="insufficient balance"),
    pytest.param(Refusal.UNKNOWN_ORDER, 0.5, [], id="unknown order"),
    pytest.param(Refusal.CANCEL_RESTRICTED, 0.0, [], id="cancel restrictions"),
    pytest.param(Refusal.FILTER, 1.0, [Remedy.RULES], id="filter"),
    pytest.param(Refusal.TOO_MANY_ORDERS, 2.0, [], id="too many orders"),
    pytest.param(Refusal.RATE_LIMITED, 5.0, [], id="rate limited"),
    pytest.param(Refusal.TIMESTAMP, 0.5, [Remedy.CLOCK], id="timestamp"),
    pytest.param(Refusal.NOT_TRADING, 5.0, [Remedy.RULES], id="not trading"),
    pytest.param(Refusal.BUSY, 0.5, [], id="busy"),
    pytest.param(Refusal.UNAUTHORIZED, 2.0, [], id="unauthorized"),
    pytest.param(Refusal.BAD_REQUEST, 5.0, [Remedy.RULES], id="bad request"),
    pytest.param(Refusal.OTHER, 1.0, [], id="other"),
]


@pytest.mark.parametrize(("refusal", "wait_s", "remedies"), PLACEMENT_REFUSED)
def test_a_refused_placement_is_told_and_tried_again_after_its_wait(
    refusal: Refusal, wait_s: float, remedies: list[Remedy]
) -> None:
    chase = in_flight()
    chase.answer(refused(refusal))
    assert chase.exit.happened == [OrderRefused(own(), refusal, -2010, refusal.value, 1)]
    assert chase.exit.idle
    if wait_s:
        assert chase.beat(wait_s - 0.01) == []
    assert chase.beat(wait_s) == [Place(2, own(), SELL, D("100.09"), D("1"))]
    assert chase.remedies == remedies


def test_every_refusal_but_one_is_in_the_table_of_placements() -> None:
    listed = {row.values[0] for row in PLACEMENT_REFUSED}
    assert listed == set(Refusal) - {Refusal.DUPLICATE}


def test_refusals_in_a_row_are_counted_and_wait_longer() -> None:
    chase = in_flight()
    chase.answer(refused(Refusal.BUSY, -1008))
    chase.beat(0.5)
    chase.answer(refused(Refusal.BUSY, -1008))
    assert [told.again for told in chase.exit.happened if isinstance(told, OrderRefused)] == [1, 2]
    assert chase.beat(1.4) == []
    assert chase.beat(1.5) != []


def test_a_would_match_waits_for_another_book_or_a_moment() -> None:
    chase = in_flight()
    chase.answer(refused(Refusal.WOULD_TAKE))
    assert chase.beat(0.01) == []
    chase.book = BookTop(D("99.95"), D("100.08"))
    assert chase.beat(0.02) == [Place(2, own(), SELL, D("100.07"), D("1"))]


def test_after_a_would_match_that_was_put_right_the_next_move_does_not_wait() -> None:
    chase = in_flight()
    for book, again in ((BookTop(D("99.95"), D("100.08")), 2), (BookTop(D("99.90"), D("100.06")), 3)):
        chase.answer(refused(Refusal.WOULD_TAKE))
        chase.book = book
        assert chase.beat(0.01)[0].tag == again
    chase.answer(Done(record(7, "100.05")))
    chase.book = BookTop(D("99.80"), D("99.90"))
    assert [type(command) for command in chase.beat(0.02)] == [Replace]


def test_while_rate_limited_not_even_a_question_is_asked() -> None:
    chase = silent(in_flight())
    chase.answer(refused(Refusal.RATE_LIMITED, -1003, retry_at_ms=1_783_000_060_000))
    assert chase.beat(59.9) == []
    assert chase.beat(60.0) == [QueryOrder(3, None, own())]


def test_a_duplicate_means_an_order_of_this_id_is_open_so_it_is_looked_for() -> None:
    chase = in_flight()
    chase.answer(refused(Refusal.DUPLICATE))
    assert chase.state is State.UNKNOWN
    assert chase.beat(0.1) == [QueryOrder(2, None, own())]
    chase.answer(Done(record(7)))
    assert chase.beat(0.2) == []
    assert chase.state is State.WORKING


# The outcome table of order.cancelReplace -----------------------------------------------------------

REPLACED: Final = Done(record(8, "100.04"))
CANCEL_DONE: Final = Done(record(7, status=CANCELED))
RESTRICTED: Final = refused(Refusal.CANCEL_RESTRICTED, -2011)

OUTCOMES: Final = [
    # cancel half, place half, state of the order then in hand, what is sent half a second later
    pytest.param(CANCEL_DONE, REPLACED, State.WORKING, [], id="200: both halves done"),
    pytest.param(
        CANCEL_DONE,
        refused(Refusal.WOULD_TAKE),
        State.CANCELED,
        [Place(3, own(), SELL, D("100.04"), D("1"))],
        id="409: canceled, the new one would match: place afresh",
    ),
    pytest.param(
        CANCEL_DONE,
        refused(Refusal.INSUFFICIENT_BALANCE),
        State.CANCELED,
        [],
        id="409: canceled, balance short: read it again first",
    ),
    pytest.param(
        CANCEL_DONE,
        refused(Refusal.DUPLICATE),
        State.CANCELED,
        [QueryOrdersFrom(3, 7, own())],
        id="409: canceled, the new id is taken: look for it",
    ),
    pytest.param(
        CANCEL_DONE,
        refused(Refusal.TOO_MANY_ORDERS, -1015),
        State.CANCELED,
        [],
        id="409: canceled, the limit is exceeded: wait for the window",
    ),
    pytest.param(
        CANCEL_DONE,
        NOTHING,
        State.CANCELED,
        [QueryOrdersFrom(3, 7, own())],
        id="409: canceled, nobody knows of the new one: ask from the old id on",
    ),
    pytest.param(
        GONE, NotTried(), State.UNKNOWN, [QueryOrder(3, 7, own())], id="400: unknown order: filled or gone, ask which"
    ),
    pytest.param(
        RESTRICTED, NotTried(), State.WORKING, [Cancel(3, 7, own())], id="400: cancel restrictions: move it by cancel"
    ),
    pytest.param(
        refused(Refusal.OTHER, -2011), NotTried(), State.WORKING, [], id="400: refused otherwise: it rests, try later"
    ),
    pytest.param(NotTried(), refused(Refusal.FILTER, -1013), State.WORKING, [], id="-1013: the old order still works"),
    pytest.param(
        NotTried(), refused(Refusal.TOO_MANY_ORDERS, -1015), State.WORKING, [], id="429 -1015: nothing was done"
    ),
    pytest.param(NotTried(), refused(Refusal.RATE_LIMITED, -1003), State.WORKING, [], id="429: send nothing"),
    pytest.param(
        NotTried(),
        refused(Refusal.TIMESTAMP, -1021),
        State.WORKING,
        [Replace(3, 7, own(), SELL, D("100.04"), D("1"))],
        id="-1021: not carried out, try again",
    ),
    pytest.param(
        NotTried(),
        refused(Refusal.BUSY, -1008),
        State.WORKING,
        [Replace(3, 7, own(), SELL, D("100.04"), D("1"))],
        id="-1008: not carried out, try again",
    ),
    pytest.param(NOTHING, NOTHING, State.UNKNOWN, [QueryOrder(3, 7, own())], id="-1007: ask about the old one first"),
    pytest.param(
        NOTHING, NotTried(), State.UNKNOWN, [QueryOrder(3, 7, own())], id="nobody knows of the cancel, no new one"
    ),
]


@pytest.mark.parametrize(("cancel", "place", "state", "sent"), OUTCOMES)
def test_every_outcome_of_a_replace_has_its_move(
    cancel: Outcome, place: Outcome, state: State, sent: list[OrderCommand]
) -> None:
    chase = replacing()
    chase.answer(cancel, place)
    assert chase.state is state
    assert chase.beat(chase.now_s + 0.5) == sent


@pytest.mark.parametrize("refusal", Refusal, ids=lambda refusal: refusal.name)
def test_a_replace_whose_new_half_is_refused_leaves_nothing_and_never_asks_to_replace_nothing(
    refusal: Refusal,
) -> None:
    chase = replacing()
    chase.answer(CANCEL_DONE, refused(refusal))
    for _ in range(200):
        sent = chase.beat(chase.now_s + 1.0)
        if sent:
            break
    assert isinstance(sent[0], QueryOrdersFrom if refusal is Refusal.DUPLICATE else Place)


@pytest.mark.parametrize("refusal", Refusal, ids=lambda refusal: refusal.name)
def test_a_replace_refused_as_a_whole_leaves_the_old_order_to_be_moved_again(refusal: Refusal) -> None:
    chase = replacing()
    chase.answer(NotTried(), refused(refusal))
    for _ in range(400):
        sent = chase.beat(chase.now_s + 1.0)
        if sent:
            break
    expected = Replace(3, 7, own(), SELL, D("100.04"), D("1"))
    assert sent == [expected]


def test_a_replace_is_told_with_both_prices() -> None:
    chase = replacing()
    chase.exit.happened.clear()
    chase.answer(CANCEL_DONE, REPLACED)
    assert chase.exit.happened == [OrderReplaced(own(), 8, SELL, D("100.09"), D("100.04"), D("1"))]


def test_a_replace_that_left_nothing_is_told_as_refused_and_withdrawn() -> None:
    chase = replacing()
    chase.exit.happened.clear()
    chase.answer(CANCEL_DONE, refused(Refusal.WOULD_TAKE))
    assert chase.exit.happened == [
        OrderRefused(own(), Refusal.WOULD_TAKE, -2010, "would take", 1),
        OrderWithdrawn(own(), 7, SELL, D("100.09"), D("0"), D("1")),
    ]


def test_an_unknown_order_gives_its_report_a_moment_before_it_is_asked_about() -> None:
    chase = replacing()
    chase.answer(GONE, NotTried())
    assert chase.beat(chase.now_s + 0.4) == []
    chase.hear(report(7, filled="1", status=FILLED))
    chase.want_funds("0")
    assert chase.beat(chase.now_s + 0.2) == []
    progress = chase.exit.progress()
    assert progress is not None
    assert (progress.complete, progress.filled_base) == (Cause.FILLED, D("1"))


def test_an_unknown_order_that_an_answer_calls_canceled_is_placed_afresh() -> None:
    chase = replacing()
    chase.answer(GONE, NotTried())
    chase.beat(chase.now_s + 0.5)
    chase.answer(CANCEL_DONE)
    assert [type(command) for command in chase.beat()] == [Place]


def test_a_cancel_whose_answer_forgets_to_say_canceled_is_one_all_the_same() -> None:
    chase = cancelling()
    chase.answer(Done(acknowledged(7)))
    assert chase.state is State.CANCELED
    assert chase.exit.idle


# A cancel and its answer ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "state", "sent"),
    [
        pytest.param(CANCEL_DONE, State.CANCELED, [], id="done"),
        pytest.param(GONE, State.UNKNOWN, [QueryOrder(3, 7, own())], id="unknown order: ask"),
        pytest.param(RESTRICTED, State.WORKING, [Cancel(3, 7, own())], id="cancel restrictions: again"),
        pytest.param(refused(Refusal.BUSY, -1008), State.WORKING, [Cancel(3, 7, own())], id="busy: again"),
        pytest.param(refused(Refusal.RATE_LIMITED, -1003), State.WORKING, [], id="rate limited: wait"),
        pytest.param(NotTried(), State.WORKING, [Cancel(3, 7, own())], id="not tried: again"),
        pytest.param(NOTHING, State.UNKNOWN, [QueryOrder(3, 7, own())], id="nobody knows: ask"),
    ],
)
def test_every_outcome_of_a_cancel_has_its_move(outcome: Outcome, state: State, sent: list[OrderCommand]) -> None:
    chase = cancelling()
    chase.answer(outcome)
    assert chase.state is state
    assert chase.beat(chase.now_s + 0.5) == sent


@pytest.mark.parametrize("refusal", Refusal, ids=lambda refusal: refusal.name)
def test_a_withdrawal_is_tried_until_it_is_done(refusal: Refusal) -> None:
    chase = cancelling()
    chase.answer(refused(refusal))
    for _ in range(400):
        sent = chase.beat(chase.now_s + 1.0)
        if sent:
            break
    assert sent == [QueryOrder(3, 7, own()) if refusal is Refusal.UNKNOWN_ORDER else Cancel(3, 7, own())]


def test_a_cancel_tells_what_was_filled_before_it() -> None:
    chase = cancelling()
    chase.answer(Done(record(7, filled="0.3", status=CANCELED)))
    progress = chase.exit.progress()
    assert progress is not None
    assert (progress.filled_base, progress.filled_quote) == (D("0.3"), D("0.3") * D("100.09"))
    assert chase.exit.happened[-2:] == [
        OrderFilled(own(), 7, SELL, D("100.09"), D("0.3"), D("0.3") * D("100.09"), D("0.7")),
        OrderWithdrawn(own(), 7, SELL, D("100.09"), D("0.3"), D("1")),
    ]


# Doubt after a replace ------------------------------------------------------------------------------


def in_doubt_about_a_replace(old: Outcome) -> Chase:
    """Nobody answered the replace, and the question about the old order was answered `old`."""
    chase = silent(replacing())
    assert chase.sent[-1] == QueryOrder(3, 7, own())
    chase.answer(old)
    return chase


def test_an_old_order_that_still_rests_means_the_new_one_was_never_tried() -> None:
    chase = in_doubt_about_a_replace(Done(record(7)))
    assert chase.beat() == []
    assert chase.beat() == [Replace(4, 7, own(), SELL, D("100.04"), D("1"))]


def test_an_old_order_that_filled_means_the_new_one_was_never_tried() -> None:
    chase = in_doubt_about_a_replace(Done(record(7, filled="1", status=FILLED)))
    chase.want_funds("0")
    chase.beat()
    chase.beat()
    assert chase.exit.idle
    progress = chase.exit.progress()
    assert progress is not None
    assert progress.complete is Cause.FILLED


def test_an_old_order_that_is_gone_leads_to_what_came_after_it() -> None:
    chase = in_doubt_about_a_replace(CANCEL_DONE)
    assert chase.beat(chase.now_s + 1.0) == [QueryOrdersFrom(4, 7, own())]
    chase.hear(OrdersListed(4, (record(7, status=CANCELED), record(8, "100.04"))))
    assert (chase.state, chase.beat()) == (State.WORKING, [])
    assert chase.exit.order is not None
    assert chase.exit.order.order_id == 8


def test_nothing_after_the_old_order_twice_and_late_enough_is_placed_afresh() -> None:
    chase = in_doubt_about_a_replace(CANCEL_DONE)
    for _ in range(3):
        chase.beat(chase.now_s + 1.0)
        chase.hear(OrdersListed(chase.sent[-1].tag, (record(7, status=CANCELED),)))
    assert chase.beat(chase.now_s + 0.1) == [Place(7, own(), SELL, D("100.04"), D("1"))]


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(NOTHING, id="nobody answers"),
        pytest.param(refused(Refusal.BUSY, -1008), id="the exchange is busy"),
    ],
)
def test_a_list_that_does_not_come_is_asked_for_again(found: Refused | Unanswered) -> None:
    chase = in_doubt_about_a_replace(CANCEL_DONE)
    chase.beat(chase.now_s + 1.0)
    chase.hear(OrdersListed(4, found))
    assert chase.beat(chase.now_s + 1.0) == [QueryOrdersFrom(5, 7, own())]


def test_a_list_of_more_than_was_expected_is_entered_whole() -> None:
    chase = in_doubt_about_a_replace(CANCEL_DONE)
    chase.beat(chase.now_s + 1.0)
    between = record(8, "100.04", filled="0.2", status=CANCELED)
    chase.hear(OrdersListed(4, (record(7, status=CANCELED), between, record(9, "100.04", "0.8"))))
    progress = chase.exit.progress()
    assert progress is not None
    assert progress.filled_base == D("0.2")
    assert chase.exit.order is not None
    assert (chase.exit.order.order_id, chase.state) == (9, State.WORKING)


# Ghosts and strangers -------------------------------------------------------------------------------


def test_a_placement_given_up_that_turns_out_alive_is_the_order_in_hand() -> None:
    chase = silent(in_flight())
    for now_s in (4.0, 6.0):
        chase.answer(ABSENT)
        chase.beat(now_s)
    chase.answer(ABSENT)
    chase.want = None  # nothing new is placed meanwhile
    assert chase.beat(7.0) == []
    assert chase.exit.idle
    chase.hear(report(7))
    assert not chase.exit.idle
    assert chase.beat(7.1) == [Cancel(5, 7, own())]


def test_a_ghost_beside_a_working_order_is_withdrawn() -> None:
    chase = silent(in_flight())
    chase.answer(ABSENT)
    chase.beat(6.0)
    chase.answer(ABSENT)
    assert chase.beat(6.1) == [Place(4, own(), SELL, D("100.09"), D("1"))]
    chase.answer(Done(record(8)))
    chase.hear(report(7))
    assert chase.beat(6.2) == [Cancel(5, 7, own())]
    chase.answer(Done(record(7, filled="0.1", status=CANCELED)))
    assert chase.beat(6.3) == []
    progress = chase.exit.progress()
    assert progress is not None
    assert progress.filled_base == D("0.1")
    assert chase.exit.order is not None
    assert chase.exit.order.order_id == 8


def test_a_replace_given_up_that_was_carried_out_after_all_is_asked_about() -> None:
    chase = in_doubt_about_a_replace(Done(record(7)))
    chase.beat()
    chase.want = None
    chase.hear(report(7, status=CANCELED))  # by the replace that was on its way
    assert not chase.exit.idle
    assert chase.beat(chase.now_s + 1.0) == [QueryOrdersFrom(4, 7, own())]
    chase.hear(OrdersListed(4, (record(7, status=CANCELED), record(8, "100.04"))))
    assert chase.beat() == [Cancel(5, 8, own())]


def test_a_replace_given_up_that_was_carried_out_after_all_makes_the_next_one_fail_and_no_more() -> None:
    chase = in_doubt_about_a_replace(Done(record(7)))
    chase.beat()
    chase.book = BookTop(D("99.90"), D("100.03"))
    assert chase.beat() == [Replace(4, 7, own(), SELL, D("100.02"), D("1"))]
    chase.hear(report(7, status=CANCELED), report(8, "100.04"))  # the first replace, late
    chase.answer(GONE, NotTried())
    assert chase.state is State.WORKING
    assert chase.beat() == [Replace(5, 8, own(), SELL, D("100.02"), D("1"))]


def test_a_replace_given_up_is_certain_never_to_have_been_tried_once_the_next_one_is_done() -> None:
    chase = in_doubt_about_a_replace(Done(record(7)))
    chase.beat()
    chase.beat()
    chase.hear(report(7, status=CANCELED))
    chase.answer(CANCEL_DONE, Done(record(8, "100.04")))
    assert chase.state is State.WORKING
    assert chase.beat(chase.now_s + 5.0) == []


def test_the_answer_of_another_request_does_not_take_a_known_order_for_a_second_one() -> None:
    chase = in_doubt_about_a_replace(Done(record(7)))
    chase.beat()
    chase.beat()
    chase.hear(report(7, status=CANCELED), report(8, "100.04", filled="0.5", status=PART))
    # The first replace answers late, and it is its order that was reported.
    chase.hear(ReplaceAnswered(2, ReplaceOutcome(CANCEL_DONE, Done(record(8, "100.04")))))
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
    chase.answer(Done(record(8)))
    progress = chase.exit.progress()
    assert progress is not None
    assert progress.filled_base == D("0.4")
    chase.want_funds("0.6")
    assert chase.exit.order is not None
    assert chase.exit.order.order_id == 8
    assert chase.state is State.WORKING


def test_an_order_with_our_id_that_answers_no_request_is_a_stranger() -> None:
    chase = working()
    chase.exit.happened.clear()
    chase.hear(report(99))
    assert chase.exit.happened == [StrangerWithOurId(own(), 99)]
    assert chase.state is State.WORKING
    assert chase.beat(0.2) == []


def test_an_order_of_the_other_side_is_no_answer_to_our_request() -> None:
    chase = in_flight()
    chase.hear(report(99, side=Side.BUY))
    assert chase.exit.happened == [StrangerWithOurId(own(), 99)]
    assert chase.state is State.IN_FLIGHT


@pytest.mark.parametrize("client_order_id", ["web_9f3c1d", own(number=NUMBER + 1)], ids=["foreign", "another exit"])
def test_a_report_of_anything_else_is_ignored(client_order_id: str) -> None:
    chase = in_flight()
    chase.hear(report(99, client_order_id=client_order_id))
    assert (chase.state, chase.exit.happened) == (State.IN_FLIGHT, [])


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
    chase.answer(refused(Refusal.DUPLICATE))
    for _ in range(9):
        chase.beat(chase.now_s + 1.0)
        if chase.exit.order is not None and chase.exit.order.order_id == 7:
            break
        chase.hear(OrdersListed(chase.sent[-1].tag, (record(7),)))
    assert chase.state is State.WORKING
    assert not [command for command in chase.beat(chase.now_s + 1.0) if isinstance(command, Place)]


# A lost connection, in every state ---------------------------------------------------------------------

STATES: Final[dict[str, Callable[[], Chase]]] = {
    "nothing sent": Chase,
    "in flight": in_flight,
    "working": working,
    "part-filled": part_filled,
    "replacing": replacing,
    "cancelling": cancelling,
    "placement in doubt": lambda: silent(in_flight()),
    "replace in doubt": lambda: silent(replacing()),
    "cancel in doubt": lambda: silent(cancelling()),
}


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
        late: Incoming = Answered(command.tag, NOTHING)
        if isinstance(command, Replace):
            late = ReplaceAnswered(command.tag, ReplaceOutcome(NOTHING, NOTHING))
        chase.hear(late)
    assert chase.exit.happened == before


def test_a_connection_lost_while_a_ghost_is_being_withdrawn_leaves_nobody_waiting() -> None:
    chase = silent(in_flight())
    chase.answer(ABSENT)
    chase.beat(6.0)
    chase.answer(ABSENT)
    chase.beat(6.1)
    chase.answer(Done(record(8)))
    chase.hear(report(7))
    assert chase.beat(6.2) == [Cancel(5, 7, own())]
    chase.exit.lose_touch(6.3)
    asked: set[int | None] = set()
    for _ in range(2):
        (question,) = chase.beat(chase.now_s + 1.1)
        assert isinstance(question, QueryOrder)
        asked.add(question.order_id)
        assert question.order_id is not None
        chase.answer(Done(record(question.order_id, status=CANCELED if question.order_id == 7 else OrderStatus.NEW)))
    assert asked == {7, 8}
    assert chase.beat(chase.now_s + 1.1) == []


# Every order of reply, reports and impatience --------------------------------------------------------------

SILENCE: Final = "our patience ends"
Step = Incoming | str


class Play:
    """One request carried out by the model exchange; what it says is delivered as the test wills."""

    def __init__(self, prepare: str, fate: str) -> None:
        self.exchange = ModelExchange(BookTop(D("100.00"), D("100.10"), D(5), D(5)), D("1"), D("0"), D("0"))
        self.chase = Chase(book=BookTop(D("100.00"), D("100.10"), D(5), D(5)))
        self.chase.beat()
        self.messages: list[Incoming] = []
        if prepare != "place":
            self._carry_out()
            for message in self.messages:
                self.chase.hear(message)
            self.messages.clear()
            moved = BookTop(D("99.90"), D("100.05"), D(5), D(5))
            if prepare == "replace":
                self.chase.book = moved
                self.exchange.others = moved
            else:
                self.chase.want = None
            self.chase.beat(1.5)
        self._decide(fate)

    def _decide(self, fate: str) -> None:
        """What the exchange does before, with and after the request."""
        if fate == "filled before":
            self._trade(D("1"))
        if fate == "part-filled before":
            self._trade(D("0.4"))
        if fate == "would match":
            self.exchange.others = BookTop(D("101.00"), D("101.10"), D(5), D(5))
        if fate != "lost":
            self._carry_out()
        self.exchange.others = BookTop(D("99.90"), D("100.05"), D(5), D(5))
        if fate == "part-filled after":
            self._trade(D("0.4"))
        if fate == "filled after":
            self._trade(D("1"))

    def _trade(self, share: Decimal) -> None:
        for order in self.exchange.open_orders:
            book = BookTop(order.price, order.price + D("0.10"), D(5), D(5))
            self.exchange.market_moves(book, share)
        self._collect()

    def _carry_out(self) -> None:
        reply = self.exchange.execute(self.chase.sent[-1])
        self._collect()
        self.messages.append(reply)

    def _collect(self) -> None:
        self.messages += [told for told in self.exchange.pushed if isinstance(told, ExecutionReport)]
        self.exchange.pushed.clear()

    def deliver(self, steps: tuple[Step, ...]) -> None:
        """Hear `steps`, answer every question, and look after each word that nothing was ordered blindly."""
        for step in steps:
            if isinstance(step, str):
                self._beat(self.chase.now_s + 3.0, answer=False)
            else:
                self.chase.hear(step)
                self._beat(self.chase.now_s + 0.001, answer=False)

    def settle(self) -> None:
        """Beat until nothing more is to be said, the exchange answering everything at once."""
        if self.chase.want is not None:
            self.chase.want_funds(str(self.exchange.base))
        for _ in range(12):
            self._beat(self.chase.now_s + 1.0, answer=True)
            if self.chase.want is not None:
                self.chase.want_funds(str(self.exchange.base))

    def _beat(self, now_s: float, *, answer: bool) -> None:
        for command in self.chase.beat(now_s):
            if not answer and not isinstance(command, QueryOrder | QueryOrdersFrom):
                # It knows enough to go on already; the exchange hears it at once.
                self._go_on(command)
            else:
                self._go_on(command)

    def _go_on(self, command: OrderCommand) -> None:
        reply = self.exchange.execute(command)
        self.exchange.pushed.reverse()
        told = [push for push in self.exchange.pushed if isinstance(push, ExecutionReport)]
        self.exchange.pushed.clear()
        self.chase.hear(reply, *told)


FATES: Final = [
    ("place", "taken"),
    ("place", "would match"),
    ("place", "part-filled after"),
    ("place", "filled after"),
    ("replace", "taken"),
    ("replace", "would match"),
    ("replace", "filled before"),
    ("replace", "part-filled before"),
    ("replace", "part-filled after"),
    ("replace", "filled after"),
    ("cancel", "taken"),
    ("cancel", "filled before"),
    ("cancel", "part-filled before"),
]


def every_order(messages: list[Incoming]) -> Iterator[tuple[Step, ...]]:
    """All orders of `messages`; with our patience ending anywhere among them; each said twice."""
    yield from itertools.permutations(messages)
    yield from itertools.permutations([*messages, SILENCE])
    for order in itertools.permutations(messages):
        yield tuple(itertools.chain.from_iterable((step, step) for step in order))


@pytest.mark.parametrize(("request_", "fate"), FATES, ids=[f"{request}, {fate}" for request, fate in FATES])
def test_in_whatever_order_it_is_told_the_end_is_the_same(request_: str, fate: str) -> None:
    script = Play(request_, fate).messages
    for steps in every_order(script):
        play = Play(request_, fate)
        play.deliver(steps)
        play.settle()
        assert_in_order(play, steps)


@pytest.mark.parametrize(
    ("request_", "fate"),
    [*FATES, ("place", "lost"), ("replace", "lost"), ("cancel", "lost")],
    ids=lambda value: value,
)
def test_when_the_reply_never_comes_the_end_is_the_same(request_: str, fate: str) -> None:
    script = [message for message in Play(request_, fate).messages if isinstance(message, ExecutionReport)]
    for steps in itertools.permutations([*script, SILENCE]):
        play = Play(request_, fate)
        play.deliver(steps)
        play.settle()
        assert_in_order(play, steps)


@pytest.mark.parametrize(
    ("request_", "fate"),
    [*FATES, ("place", "lost"), ("replace", "lost"), ("cancel", "lost")],
    ids=lambda value: value,
)
def test_when_the_connection_is_lost_with_all_that_was_to_be_told_the_end_is_the_same(request_: str, fate: str) -> None:
    script = Play(request_, fate).messages
    for heard in range(len(script) + 1):
        play = Play(request_, fate)
        play.deliver(tuple(script[:heard]))
        play.chase.exit.lose_touch(play.chase.now_s)
        play.settle()
        assert_in_order(play, tuple(script[:heard]))


def assert_in_order(play: Play, steps: tuple[Step, ...]) -> None:
    """The exchange's ledger and the machine's books say the same, and the want is met."""
    told = "\n".join(str(step) for step in steps)
    progress = play.chase.exit.progress()
    assert progress is not None
    ledger = play.exchange.filled(base36(NUMBER))
    assert (progress.filled_base, progress.filled_quote) == ledger, told
    assert play.exchange.most_open <= 1, told
    resting = play.exchange.open_orders
    if play.chase.want is None or not play.exchange.base:
        assert resting == [], told
        assert play.chase.exit.idle, told
    else:
        assert len(resting) == 1, told
        order = play.chase.exit.order
        assert order is not None
        assert (order.order_id, order.state) == (resting[0].order_id, State.WORKING), told
        assert resting[0].rest == play.exchange.base, told
        if resting[0].filled == 0:
            assert resting[0].price in (D("100.04"), D("100.09")), told
    assert not [told for told in play.chase.exit.happened if isinstance(told, StrangerWithOurId)]


def test_the_rules_of_the_model_are_the_rules_of_the_chaser() -> None:
    assert in_flight().exit.rules is RULES
    assert Chase().book == BOOK
    assert own(Kind.FLUSH).startswith("TE-f-")

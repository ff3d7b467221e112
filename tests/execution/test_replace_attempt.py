"""Replace attempts: what each reply, report and query says about the new order of a cancel-replace."""

import itertools
from typing import Final

import pytest
from tests.execution.order_builders import D, own, record

from trailingedge.core.errors import BrokenInvariant
from trailingedge.execution.order import Order, OrderState
from trailingedge.execution.replace_attempt import TRANSITIONS, AttemptState, AttemptTrigger, ReplaceAttempt, next_state
from trailingedge.model.market import OrderStatus, Side

S: Final = AttemptState
T: Final = AttemptTrigger
IN_QUESTION: Final = (S.PENDING, S.BOTH_UNKNOWN, S.OLD_GONE, S.UNTRIED, S.NOT_FOUND, S.ID_TAKEN)


def sell(order_id: int | None = None, status: OrderStatus = OrderStatus.NEW) -> Order:
    order = Order(own(), Side.SELL, D("100.09"), D("1"), sent_s=0.0)
    if order_id is not None:
        order.apply_record(record(order_id, status=status))
    return order


def attempt(*triggers: AttemptTrigger) -> ReplaceAttempt:
    """An attempt to replace order 7 after these triggers."""
    made = ReplaceAttempt(sell(), sell(7))
    for trigger in triggers:
        made.apply(trigger)
    return made


STORIES: Final = [
    pytest.param([], S.PENDING, OrderState.PENDING_NEW, id="sent"),
    pytest.param([T.OLD_WORKING], S.PENDING, OrderState.PENDING_NEW, id="a late word of the old order proves nothing"),
    pytest.param([T.OLD_CANCELED], S.OLD_GONE, OrderState.PENDING_NEW, id="cancelled, and no word of the new one"),
    pytest.param([T.REFUSED], S.FAILED, OrderState.REJECTED, id="refused"),
    pytest.param([T.OLD_CANCELED, T.REFUSED], S.FAILED, OrderState.REJECTED, id="cancelled, and the new one refused"),
    pytest.param([T.UNANSWERED, T.OLD_WORKING], S.UNTRIED, OrderState.REJECTED, id="the old one rests: not tried"),
    pytest.param([T.UNANSWERED, T.OLD_ENDED], S.UNTRIED, OrderState.REJECTED, id="the old one filled: not tried"),
    pytest.param(
        [T.UNANSWERED, T.NOT_FOUND], S.UNTRIED, OrderState.REJECTED, id="not found while the old one is in question"
    ),
    pytest.param(
        [T.UNANSWERED, T.OLD_WORKING, T.OLD_CANCELED],
        S.OLD_GONE,
        OrderState.UNKNOWN,
        id="cancelled after all: in question again",
    ),
    pytest.param(
        [T.UNANSWERED, T.OLD_WORKING, T.OLD_CANCELED, T.NOT_FOUND, T.OLD_CANCELED],
        S.NOT_FOUND,
        OrderState.REJECTED,
        id="in question again only once",
    ),
    pytest.param([T.UNANSWERED, T.RULED_OUT], S.FAILED, OrderState.REJECTED, id="another request did the cancel"),
    pytest.param([T.OLD_CANCELED, T.ID_TAKEN], S.ID_TAKEN, OrderState.PENDING_NEW, id="duplicate"),
    pytest.param([T.OLD_CANCELED, T.ID_TAKEN, T.NOT_FOUND], S.FAILED, OrderState.REJECTED, id="duplicate of nothing"),
    pytest.param([T.UNANSWERED, T.ID_TAKEN], S.ID_TAKEN, OrderState.PENDING_NEW, id="duplicate, told late"),
    pytest.param([T.ID_TAKEN, T.OLD_WORKING], S.FAILED, OrderState.REJECTED, id="duplicate, and nothing cancelled"),
    pytest.param([T.ID_TAKEN, T.OLD_ENDED], S.FAILED, OrderState.REJECTED, id="duplicate, and the old one ended"),
    pytest.param([T.ID_TAKEN, T.RULED_OUT], S.FAILED, OrderState.REJECTED, id="duplicate, then another's cancel"),
    pytest.param(
        [T.UNANSWERED, T.OLD_WORKING, T.ID_TAKEN], S.FAILED, OrderState.REJECTED, id="presumed untried, then duplicate"
    ),
    pytest.param(
        [T.OLD_CANCELED, T.NOT_FOUND, T.ID_TAKEN], S.FAILED, OrderState.REJECTED, id="presumed absent, then duplicate"
    ),
    pytest.param(
        [T.OLD_CANCELED, T.NOT_FOUND, T.REFUSED], S.FAILED, OrderState.REJECTED, id="presumed absent, then refused"
    ),
]


@pytest.mark.parametrize(("triggers", "state", "new"), STORIES)
def test_the_new_order_follows_its_attempt(
    triggers: list[AttemptTrigger], state: AttemptState, new: OrderState
) -> None:
    made = attempt(*triggers)
    assert (made.state, made.new.state) == (state, new)


def test_a_plain_placement_has_only_its_new_order_in_question() -> None:
    assert ReplaceAttempt(sell()).state is S.OLD_GONE


@pytest.mark.parametrize("state", IN_QUESTION, ids=lambda state: state.name)
def test_an_order_that_the_exchange_reports_is_never_lost(state: AttemptState) -> None:
    reported = next_state(state, T.REPORTED)
    assert reported in (S.REPORTED, S.DONE)
    assert next_state(state, T.CONFIRMED) is next_state(reported, T.CONFIRMED) is S.DONE


@pytest.mark.parametrize("state", IN_QUESTION, ids=lambda state: state.name)
def test_a_refusal_and_another_requests_cancel_end_the_question(state: AttemptState) -> None:
    assert next_state(state, T.REFUSED) is next_state(state, T.RULED_OUT) is S.FAILED


@pytest.mark.parametrize("state", S, ids=lambda state: state.name)
def test_a_reply_with_an_order_id_is_the_last_word(state: AttemptState) -> None:
    confirmed = next_state(state, T.CONFIRMED)
    assert {confirmed, *(next_state(confirmed, trigger) for trigger in T)} == {S.DONE}


def test_an_attempt_that_failed_succeeds_after_all_only_by_an_order_id() -> None:
    left = {trigger for trigger in T if next_state(S.FAILED, trigger) is not S.FAILED}
    assert left == {T.REPORTED, T.CONFIRMED}


def test_a_reply_that_denies_a_reported_order_id_gives_the_order_to_the_attempt_that_was_ruled_out() -> None:
    assert next_state(S.REPORTED, T.REFUSED) is S.FAILED
    assert next_state(next_state(S.REPORTED, T.RIVAL_RULED_OUT), T.REFUSED) is S.DONE


@pytest.mark.parametrize(
    ("state", "trigger"),
    [
        pytest.param(S.PENDING, T.NOT_FOUND, id="not found before anything was queried"),
        pytest.param(S.REPORTED, T.RULED_OUT, id="ruled out though it has an order id"),
        pytest.param(S.REPORTED, T.ID_TAKEN, id="a duplicate though it has an order id"),
        pytest.param(S.CONTESTED, T.NOT_FOUND, id="not found though it has an order id"),
    ],
)
def test_a_move_that_is_not_in_the_table_is_a_broken_invariant(state: AttemptState, trigger: AttemptTrigger) -> None:
    with pytest.raises(BrokenInvariant):
        next_state(state, trigger)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (OrderStatus.NEW, S.UNTRIED),
        (OrderStatus.FILLED, S.UNTRIED),
        (OrderStatus.EXPIRED, S.UNTRIED),
        (OrderStatus.CANCELED, S.OLD_GONE),
    ],
    ids=lambda value: value.name,
)
def test_the_old_order_tells_what_became_of_an_attempt_without_a_reply(
    status: OrderStatus, state: AttemptState
) -> None:
    made = ReplaceAttempt(sell(), sell(7, status))
    made.apply(T.UNANSWERED)
    for _ in range(2):  # it is looked at after every event
        made.follow_old_order()
        assert made.state is state


def test_an_attempt_with_an_order_id_no_longer_follows_its_old_order() -> None:
    made = attempt(T.UNANSWERED, T.REPORTED)
    made.follow_old_order()
    assert made.state is S.REPORTED


def test_every_pair_has_an_answer_or_is_a_broken_invariant() -> None:
    for state, trigger in itertools.product(S, T):
        try:
            after = next_state(state, trigger)
        except BrokenInvariant:
            assert (state, trigger) not in TRANSITIONS
        else:
            assert after is TRANSITIONS.get((state, trigger), state)

import pytest
from tests.execution.order_builders import top

from trailingedge.execution.reject_policy import LESSONS, Restraint
from trailingedge.model.order_commands import Remedy
from trailingedge.model.order_outcomes import Refusal

BOOK = top("100.00", "100.10")
OTHER_BOOK = top("100.00", "100.09")


def test_every_refusal_has_its_lesson() -> None:
    assert set(LESSONS) == set(Refusal)


@pytest.mark.parametrize("refusal", Refusal, ids=lambda refusal: refusal.name)
def test_each_wait_grows_to_its_longest_and_no_further(refusal: Refusal) -> None:
    lesson = LESSONS[refusal]
    waits = [lesson.wait_s(again) for again in range(1, 40)]
    assert waits == sorted(waits)
    assert waits[0] == lesson.pause_s <= waits[-1] <= lesson.longest_s
    if lesson.pause_s:
        assert waits[-1] == lesson.longest_s


@pytest.mark.parametrize(
    ("refusal", "remedy"),
    [
        (Refusal.INSUFFICIENT_BALANCE, Remedy.BALANCES),
        (Refusal.FILTER, Remedy.RULES),
        (Refusal.NOT_TRADING, Remedy.RULES),
        (Refusal.BAD_REQUEST, Remedy.RULES),
        (Refusal.TIMESTAMP, Remedy.CLOCK),
        (Refusal.WOULD_TAKE, None),
        (Refusal.RATE_LIMITED, None),
    ],
    ids=lambda value: getattr(value, "name", "nothing"),
)
def test_a_refusal_tells_what_to_read_again(refusal: Refusal, remedy: Remedy | None) -> None:
    restraint = Restraint()
    restraint.learn(refusal, 0.0)
    assert restraint.remedies == ([] if remedy is None else [remedy])


def test_after_a_would_match_a_different_book_ends_the_wait() -> None:
    restraint = Restraint()
    restraint.learn(Refusal.WOULD_TAKE, 0.0, BOOK)
    assert not restraint.may_move(BOOK, 0.05)
    assert restraint.may_move(OTHER_BOOK, 0.05)
    assert restraint.may_move(BOOK, 0.1)


def test_the_same_refusal_in_a_row_doubles_the_wait() -> None:
    restraint = Restraint()
    for again in (1, 2, 3):
        restraint.learn(Refusal.BUSY, 0.0)
        assert restraint.in_a_row == again
    assert not restraint.may_move(BOOK, 1.9)
    assert restraint.may_move(BOOK, 2.0)


def test_another_refusal_begins_a_row_of_its_own() -> None:
    restraint = Restraint()
    restraint.learn(Refusal.BUSY, 0.0)
    restraint.learn(Refusal.WOULD_TAKE, 0.0, BOOK)
    assert restraint.in_a_row == 1
    restraint.learn(Refusal.BUSY, 0.0)
    assert restraint.in_a_row == 1


def test_an_order_that_was_taken_ends_every_wait() -> None:
    restraint = Restraint()
    restraint.learn(Refusal.WOULD_TAKE, 0.0, BOOK)
    restraint.succeeded()
    assert restraint.in_a_row == 0
    assert restraint.may_move(BOOK, 0.0)


def test_a_rate_limit_silences_every_request_until_the_exchange_says() -> None:
    restraint = Restraint()
    restraint.learn(Refusal.RATE_LIMITED, 0.0, retry_at_ms=90_000)
    assert not restraint.may_speak(4.9, 90_000)
    assert not restraint.may_speak(5.0, 89_999)
    assert restraint.may_speak(5.0, 90_000)


def test_a_refused_cancel_is_not_tried_again_at_once() -> None:
    restraint = Restraint()
    restraint.learn_of_cancel(Refusal.BUSY, 0.0)
    assert not restraint.may_cancel(0.4)
    assert restraint.may_cancel(0.5)


def test_a_refused_placement_keeps_no_cancel_back() -> None:
    restraint = Restraint()
    restraint.learn(Refusal.FILTER, 0.0)
    assert restraint.may_cancel(0.0)

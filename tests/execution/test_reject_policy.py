"""Backoff after rejections: waits, refreshes, and what ends a wait."""

import pytest
from tests.execution.order_builders import top

from trailingedge.execution.reject_policy import BACKOFF_RULES, RejectBackoff
from trailingedge.model.order_commands import Refresh
from trailingedge.model.order_outcomes import RejectReason

BOOK = top("100.00", "100.10")
OTHER_BOOK = top("100.00", "100.09")


def test_every_rejection_has_its_rule() -> None:
    assert set(BACKOFF_RULES) == set(RejectReason)


@pytest.mark.parametrize("refusal", RejectReason, ids=lambda refusal: refusal.name)
def test_each_wait_grows_to_its_longest_and_no_further(refusal: RejectReason) -> None:
    lesson = BACKOFF_RULES[refusal]
    waits = [lesson.wait_s(again) for again in range(1, 40)]
    assert waits == sorted(waits)
    assert waits[0] == lesson.pause_s <= waits[-1] <= lesson.max_s
    if lesson.pause_s:
        assert waits[-1] == lesson.max_s


@pytest.mark.parametrize(
    ("refusal", "remedy"),
    [
        (RejectReason.INSUFFICIENT_BALANCE, Refresh.BALANCES),
        (RejectReason.FILTER, Refresh.RULES),
        (RejectReason.NOT_TRADING, Refresh.RULES),
        (RejectReason.BAD_REQUEST, Refresh.RULES),
        (RejectReason.TIMESTAMP, Refresh.CLOCK),
        (RejectReason.WOULD_TAKE, None),
        (RejectReason.RATE_LIMITED, None),
    ],
    ids=lambda value: getattr(value, "name", "nothing"),
)
def test_a_rejection_tells_what_to_read_again(refusal: RejectReason, remedy: Refresh | None) -> None:
    restraint = RejectBackoff()
    restraint.on_reject(refusal, 0.0)
    assert restraint.refreshes == ([] if remedy is None else [remedy])


def test_after_a_would_match_a_different_book_ends_the_wait() -> None:
    restraint = RejectBackoff()
    restraint.on_reject(RejectReason.WOULD_TAKE, 0.0, BOOK)
    assert not restraint.may_place(BOOK, 0.05)
    assert restraint.may_place(OTHER_BOOK, 0.05)
    assert restraint.may_place(BOOK, 0.1)


def test_the_same_rejection_in_a_row_doubles_the_wait() -> None:
    restraint = RejectBackoff()
    for again in (1, 2, 3):
        restraint.on_reject(RejectReason.BUSY, 0.0)
        assert restraint.in_a_row == again
    assert not restraint.may_place(BOOK, 1.9)
    assert restraint.may_place(BOOK, 2.0)


def test_another_rejection_begins_a_row_of_its_own() -> None:
    restraint = RejectBackoff()
    restraint.on_reject(RejectReason.BUSY, 0.0)
    restraint.on_reject(RejectReason.WOULD_TAKE, 0.0, BOOK)
    assert restraint.in_a_row == 1
    restraint.on_reject(RejectReason.BUSY, 0.0)
    assert restraint.in_a_row == 1


def test_an_order_that_was_taken_ends_every_wait() -> None:
    restraint = RejectBackoff()
    restraint.on_reject(RejectReason.WOULD_TAKE, 0.0, BOOK)
    restraint.on_accepted()
    assert restraint.in_a_row == 0
    assert restraint.may_place(BOOK, 0.0)


def test_a_rate_limit_silences_every_request_until_the_exchange_says() -> None:
    restraint = RejectBackoff()
    restraint.on_reject(RejectReason.RATE_LIMITED, 0.0, retry_at_ms=90_000)
    assert not restraint.may_send(4.9, 90_000)
    assert not restraint.may_send(5.0, 89_999)
    assert restraint.may_send(5.0, 90_000)


def test_a_rejected_cancel_is_not_tried_again_at_once() -> None:
    restraint = RejectBackoff()
    restraint.on_cancel_reject(RejectReason.BUSY, 0.0)
    assert not restraint.may_cancel(0.4)
    assert restraint.may_cancel(0.5)


def test_a_rejected_placement_keeps_no_cancel_back() -> None:
    restraint = RejectBackoff()
    restraint.on_reject(RejectReason.FILTER, 0.0)
    assert restraint.may_cancel(0.0)

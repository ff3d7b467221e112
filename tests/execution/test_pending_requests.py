"""Pending requests: matching replies, timeouts, and late replies."""

from tests.execution.order_builders import D, own

from trailingedge.execution.order import Order
from trailingedge.execution.pending_requests import PendingRequest, PendingRequests
from trailingedge.model.market import Side
from trailingedge.model.order_commands import Place


def request(letters: PendingRequests, sent_s: float = 0.0) -> PendingRequest:
    order = Order(own(), Side.SELL, D("100.09"), D("1"), sent_s)
    return PendingRequest(Place(letters.next_tag, own(), Side.SELL, order.price, order.quantity), sent_s, order)


def test_an_answer_in_time_closes_its_request() -> None:
    letters = PendingRequests()
    asked = request(letters)
    assert letters.register(asked) is asked.command
    assert letters.open is asked
    assert letters.match_reply(1) == (asked, True)
    assert letters.open is None


def test_an_answer_after_our_timeout_is_late_and_closes_nothing_else() -> None:
    letters = PendingRequests()
    first = request(letters)
    letters.register(first)
    assert letters.expire(2.9, 3.0) is None
    assert letters.expire(3.0, 3.0) is first
    second = request(letters, 5.0)
    letters.register(second)
    assert letters.match_reply(1) == (first, False)
    assert letters.open is second


def test_an_answer_that_comes_twice_is_late_the_second_time() -> None:
    letters = PendingRequests()
    asked = request(letters)
    letters.register(asked)
    letters.match_reply(1)
    assert letters.match_reply(1) == (asked, False)


def test_an_answer_to_nothing_we_sent_belongs_to_no_request() -> None:
    assert PendingRequests().match_reply(9) == (None, False)


def test_a_query_long_past_is_forgotten() -> None:
    letters = PendingRequests()
    for _ in range(70):
        letters.register(request(letters))
    assert letters.match_reply(1) == (None, False)
    assert letters.match_reply(69)[0] is not None


def test_a_dropped_question_may_still_be_answered_late() -> None:
    letters = PendingRequests()
    asked = request(letters)
    letters.register(asked)
    letters.abandon()
    assert letters.open is None
    assert letters.match_reply(1) == (asked, False)


def test_what_is_forgotten_is_answered_in_vain_and_its_tag_is_never_used_again() -> None:
    letters = PendingRequests()
    letters.register(request(letters))
    letters.clear()
    assert letters.match_reply(1) == (None, False)
    assert letters.next_tag == 2

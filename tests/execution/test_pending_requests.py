from tests.execution.order_builders import D, own

from trailingedge.execution.order import Order
from trailingedge.execution.pending_requests import PendingRequest, PendingRequests
from trailingedge.model.market import Side
from trailingedge.model.order_commands import Place


def request(letters: PendingRequests, sent_s: float = 0.0) -> PendingRequest:
    order = Order(own(), Side.SELL, D("100.09"), D("1"), sent_s)
    return PendingRequest(Place(letters.new_tag(), own(), Side.SELL, order.price, order.quantity), sent_s, order)


def test_an_answer_in_time_closes_its_question() -> None:
    letters = PendingRequests()
    asked = request(letters)
    assert letters.send(asked) is asked.command
    assert letters.open is asked
    assert letters.answered(1) == (asked, True)
    assert letters.open is None


def test_an_answer_after_we_lost_patience_is_late_and_closes_nothing_else() -> None:
    letters = PendingRequests()
    first, second = request(letters), request(letters, 5.0)
    letters.send(first)
    assert letters.given_up(2.9, 3.0) is None
    assert letters.given_up(3.0, 3.0) is first
    letters.send(second)
    assert letters.answered(1) == (first, False)
    assert letters.open is second


def test_an_answer_that_comes_twice_is_late_the_second_time() -> None:
    letters = PendingRequests()
    asked = request(letters)
    letters.send(asked)
    letters.answered(1)
    assert letters.answered(1) == (asked, False)


def test_an_answer_to_nothing_we_sent_is_nobodys() -> None:
    assert PendingRequests().answered(9) == (None, False)


def test_a_question_long_past_is_forgotten() -> None:
    letters = PendingRequests()
    for _ in range(70):
        letters.send(request(letters))
    assert letters.answered(1) == (None, False)
    assert letters.answered(69)[0] is not None


def test_a_dropped_question_may_still_be_answered_late() -> None:
    letters = PendingRequests()
    asked = request(letters)
    letters.send(asked)
    letters.drop()
    assert letters.open is None
    assert letters.answered(1) == (asked, False)


def test_what_is_forgotten_is_answered_in_vain_and_its_tag_is_never_used_again() -> None:
    letters = PendingRequests()
    letters.send(request(letters))
    letters.forget()
    assert letters.answered(1) == (None, False)
    assert letters.new_tag() == 2

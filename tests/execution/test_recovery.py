"""What an earlier run left on the book is cancelled and named; foreign orders are never touched."""

from collections.abc import Sequence

import pytest
from tests.execution.builders import own, record

from trailingedge.clock import Clock
from trailingedge.errors import OutcomeUnknown, ProtocolViolation, RequestRefused, SessionLost
from trailingedge.execution.recovery import withdraw_leftovers
from trailingedge.market import OrderRecord
from trailingedge.simulator.virtual_loop import run_virtual


class Book:
    """Open orders of an account. `troubles` befall the cancels in turn; True: the order goes all the same."""

    def __init__(self, *orders: OrderRecord, troubles: Sequence[tuple[Exception | None, bool]] = ()) -> None:
        self.orders = {order.order_id: order for order in orders}
        self.cancelled: list[int] = []
        self._troubles = list(troubles)

    async def open_orders(self) -> Sequence[OrderRecord]:
        return tuple(self.orders.values())

    async def cancel_order(self, order_id: int | None, client_order_id: str = "") -> OrderRecord:
        assert order_id is not None
        assert not client_order_id
        trouble, goes = self._troubles.pop(0) if self._troubles else (None, True)
        order = self.orders[order_id]
        if goes:
            del self.orders[order_id]
            self.cancelled.append(order_id)
        if trouble is not None:
            raise trouble
        return order


def clear(book: Book) -> tuple[int, list[int]]:
    """How many there were, and which were named."""
    named: list[int] = []

    async def run(clock: Clock) -> int:
        return await withdraw_leftovers(book, clock, lambda order: named.append(order.order_id))

    return run_virtual(run, start_unix_ms=0), named


def test_an_empty_book_needs_nothing() -> None:
    assert clear(Book()) == (0, [])


def test_ours_go_and_others_stay() -> None:
    book = Book(
        record(1, client_order_id=own()),
        record(2, client_order_id="mine"),
        record(3, client_order_id="TE-j-1"),
        record(4, client_order_id="TE-unknown-1"),
        record(5, client_order_id="te-t-1"),
    )
    assert clear(book) == (2, [1, 3])
    assert sorted(book.orders) == [2, 4, 5]


@pytest.mark.parametrize("silence", [OutcomeUnknown("timeout"), ProtocolViolation("{")], ids=["silence", "garbage"])
def test_one_whose_answer_got_lost_is_named_once_it_is_gone(silence: Exception) -> None:
    assert clear(Book(record(1), troubles=[(silence, True)])) == (1, [1])


def test_one_that_did_not_hear_us_is_asked_again() -> None:
    book = Book(record(1), troubles=[(OutcomeUnknown("timeout"), False)])
    assert clear(book) == (1, [1])
    assert book.cancelled == [1]


def test_one_that_went_by_itself_is_not_ours_to_name() -> None:
    assert clear(Book(record(1), troubles=[(RequestRefused(-2011, "Unknown order sent."), True)])) == (0, [])


def test_one_that_will_not_go_ends_it() -> None:
    stubborn = [(RequestRefused(-1008, "busy"), False)] * 9
    with pytest.raises(OutcomeUnknown, match=own()):
        clear(Book(record(1), troubles=stubborn))


def test_a_lost_connection_ends_it_and_says_which_order_it_was(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SessionLost):
        clear(Book(record(1), troubles=[(SessionLost("closed"), True)]))
    assert own() in caplog.text

"""FeedHandover: one sequence of updates from two connections, whichever is ahead."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from trailingedge.model.market import BookTop
from trailingedge.websocket.feed_handover import FeedHandover


def top(number: int) -> BookTop:
    return BookTop(Decimal(1), Decimal(2), update_id=number)


class Bench:
    """A handover with an old feed as the source."""

    def __init__(self) -> None:
        self.published: list[int] = []
        self.handover = FeedHandover(lambda top: self.published.append(top.update_id))
        self.handover.add_feed("old", alone=True)

    def deliver(self, feed: str, *numbers: int) -> None:
        for number in numbers:
            self.handover.on_top(feed, top(number))


def test_a_feed_alone_is_published_from_its_first_update() -> None:
    bench = Bench()
    bench.deliver("old", 7, 9)
    bench.handover.add_feed("new", alone=True)
    bench.deliver("new", 3, 4)
    assert bench.published == [7, 9, 3, 4]
    assert bench.handover.is_source("new")


def test_a_feed_does_not_go_back_but_may_repeat_itself() -> None:
    bench = Bench()
    bench.deliver("old", 7, 7, 6, 8)
    assert bench.published == [7, 7, 8]


def test_a_successor_waits_until_the_old_feed_has_reached_it() -> None:
    bench = Bench()
    bench.handover.add_feed("new", alone=False)
    bench.deliver("new", 5, 6)
    bench.deliver("old", 3)
    assert (bench.published, bench.handover.is_source("new")) == ([3], False)
    bench.deliver("old", 5)
    assert (bench.published, bench.handover.is_source("new")) == ([3, 5, 6], True)


def test_a_successor_can_be_made_the_source_at_once() -> None:
    bench = Bench()
    bench.handover.add_feed("new", alone=False)
    bench.deliver("old", 3)
    bench.deliver("new", 5)
    bench.handover.switch_to("new")
    bench.handover.switch_to("new")
    bench.deliver("old", 4, 5, 6)
    bench.deliver("new", 6, 7)
    assert bench.published == [3, 5, 6, 7]


def test_a_successor_can_be_replaced_before_the_handover() -> None:
    bench = Bench()
    bench.handover.add_feed("failed", alone=False)
    bench.deliver("failed", 5)
    bench.handover.add_feed("new", alone=False)
    bench.deliver("old", 5, 6)
    bench.deliver("new", 6, 7)
    assert bench.published == [5, 6, 7]


@given(
    first=st.integers(0, 30),
    order=st.permutations(["old"] * 20 + ["new"] * 20),
)
def test_each_update_is_published_once_and_in_order_whichever_feed_is_faster(first: int, order: list[str]) -> None:
    """Of forty updates the old feed delivers all, the new one those from `first` on; both in order."""
    bench = Bench()
    bench.handover.add_feed("new", alone=False)
    left = {"old": list(range(40)), "new": list(range(first, 40))}
    for feed in [*order * 2, *["old"] * 40, *["new"] * 40]:
        if left[feed]:
            bench.deliver(feed, left[feed].pop(0))
    assert bench.published == list(range(40))

"""One course of prices from two connections, wherever each of them stands."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from trailingedge.model.market import BookTop
from trailingedge.websocket.feed_handover import FeedHandover


def top(number: int) -> BookTop:
    return BookTop(Decimal(1), Decimal(2), update_id=number)


class Bench:
    """A relay with an old feed that is believed and a new one that has said nothing."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.relay = FeedHandover(lambda top: self.told.append(top.update_id))
        self.relay.add_feed("old", alone=True)

    def hear(self, feed: str, *numbers: int) -> None:
        for number in numbers:
            self.relay.on_top(feed, top(number))


def test_a_feed_alone_is_believed_from_the_first() -> None:
    bench = Bench()
    bench.hear("old", 7, 9)
    bench.relay.add_feed("new", alone=True)
    bench.hear("new", 3, 4)
    assert bench.told == [7, 9, 3, 4]
    assert bench.relay.is_source("new")


def test_a_feed_does_not_go_back_but_may_repeat_itself() -> None:
    bench = Bench()
    bench.hear("old", 7, 7, 6, 8)
    assert bench.told == [7, 7, 8]


def test_a_feed_to_come_waits_until_the_old_one_has_reached_it() -> None:
    bench = Bench()
    bench.relay.add_feed("new", alone=False)
    bench.hear("new", 5, 6)
    bench.hear("old", 3)
    assert (bench.told, bench.relay.is_source("new")) == ([3], False)
    bench.hear("old", 5)
    assert (bench.told, bench.relay.is_source("new")) == ([3, 5, 6], True)


def test_a_feed_to_come_can_be_preferred() -> None:
    bench = Bench()
    bench.relay.add_feed("new", alone=False)
    bench.hear("old", 3)
    bench.hear("new", 5)
    bench.relay.switch_to("new")
    bench.relay.switch_to("new")
    bench.hear("old", 4, 5, 6)
    bench.hear("new", 6, 7)
    assert bench.told == [3, 5, 6, 7]


def test_a_feed_that_never_came_is_replaced() -> None:
    bench = Bench()
    bench.relay.add_feed("failed", alone=False)
    bench.hear("failed", 5)
    bench.relay.add_feed("new", alone=False)
    bench.hear("old", 5, 6)
    bench.hear("new", 6, 7)
    assert bench.told == [5, 6, 7]


@given(
    first=st.integers(0, 30),
    order=st.permutations(["old"] * 20 + ["new"] * 20),
)
def test_whoever_is_faster_every_change_is_told_once_and_in_order(first: int, order: list[str]) -> None:
    """Of forty changes the old feed tells all, the new one those from `first` on; both tell in order."""
    bench = Bench()
    bench.relay.add_feed("new", alone=False)
    left = {"old": list(range(40)), "new": list(range(first, 40))}
    for feed in [*order * 2, *["old"] * 40, *["new"] * 40]:
        if left[feed]:
            bench.hear(feed, left[feed].pop(0))
    assert bench.told == list(range(40))

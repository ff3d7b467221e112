"""The due timer: it rings just after the time that counts, and for no other."""

import asyncio
from math import inf

from trailingedge.core.clock import ManualClock
from trailingedge.live.due_timer import DueTimer


def rung_at(*waits: tuple[float, float]) -> list[float]:
    """The times at which the timer calls; each of `waits` is a time, and the time that counts from then on."""
    clock, rung = ManualClock(), list[float]()
    timer = DueTimer(clock, lambda: rung.append(round(clock.now_s(), 6)))

    async def story() -> None:
        for at_s, due_s in waits:
            await clock.advance(at_s - clock.now_s())
            timer.wait_until(due_s, clock.now_s())
        await clock.advance(20.0 - clock.now_s())

    asyncio.run(story())
    return rung


def test_it_rings_just_after_its_time_and_once() -> None:
    assert rung_at((0.0, 3.0)) == [3.001]


def test_an_earlier_time_counts_at_once() -> None:
    assert rung_at((0.0, 9.0), (1.0, 3.0)) == [3.001]


def test_a_later_time_takes_the_place_of_the_one_before() -> None:
    assert rung_at((0.0, 3.0), (1.0, 9.0)) == [9.001]


def test_it_does_not_ring_where_nothing_waits_any_more_or_the_time_has_come() -> None:
    assert rung_at((0.0, 3.0), (1.0, inf)) == []
    assert rung_at((1.0, 1.0)) == []

"""Clocks: the manual clock and time-outs."""

import asyncio

import pytest

from trailingedge.core.clock import ManualClock, RealClock, within


def test_a_hand_clock_stands_still_until_it_is_wound() -> None:
    clock = ManualClock(now_s=5.0, unix_ms=1_000_000)
    assert (clock.now_s(), clock.unix_ms()) == (5.0, 1_000_000)


async def test_both_times_of_a_hand_clock_move_together() -> None:
    clock = ManualClock(now_s=5.0, unix_ms=1_000_000)
    await clock.advance(1.5)
    assert (clock.now_s(), clock.unix_ms()) == (6.5, 1_001_500)


async def test_each_sleeper_wakes_at_its_moment_and_ties_in_the_order_they_fell_asleep() -> None:
    clock = ManualClock()
    woke: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woke.append((name, clock.now_s()))

    async with asyncio.TaskGroup() as group:
        for name, seconds in (("late", 3.0), ("first", 1.0), ("second", 1.0), ("at once", -1.0)):
            group.create_task(sleeper(name, seconds))
        await clock.advance(3.0)
    assert woke == [("at once", 0.0), ("first", 1.0), ("second", 1.0), ("late", 3.0)]


async def test_who_sleeps_again_while_the_clock_is_wound_wakes_again() -> None:
    clock = ManualClock()
    beats: list[float] = []

    async def heart() -> None:
        while True:
            await clock.sleep(1.0)
            beats.append(clock.now_s())

    task = asyncio.create_task(heart())
    await clock.advance(3.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert beats == [1.0, 2.0, 3.0]
    assert clock.now_s() == 3.5


async def test_no_task_wakes_early_and_a_cancelled_sleeper_does_no_harm() -> None:
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(10.0))
    await clock.advance(9.9)
    assert not task.done()
    task.cancel()
    await clock.advance(1.0)
    assert task.cancelled()


async def test_the_real_clock_is_the_machines() -> None:
    clock = RealClock()
    before_s = clock.now_s()
    await clock.sleep(0.0)
    assert clock.now_s() >= before_s
    assert clock.unix_ms() > 1_700_000_000_000


async def test_an_alarm_rings_at_its_moment_unless_it_was_cancelled() -> None:
    clock = ManualClock()
    rang: list[float] = []
    for seconds in (2.0, 1.0):
        clock.call_later(seconds, lambda: rang.append(clock.now_s()))
    clock.call_later(1.5, lambda: rang.append(-1.0)).cancel()
    await clock.advance(3.0)
    assert rang == [1.0, 2.0]


async def test_what_takes_longer_than_it_may_is_timed_out_and_what_does_not_is_left_alone() -> None:
    clock = ManualClock()

    async def work(seconds: float) -> str:
        try:
            async with within(clock, 1.0):
                await clock.sleep(seconds)
        except TimeoutError:
            return "timed out"
        return "done"

    quick, slow = asyncio.create_task(work(0.5)), asyncio.create_task(work(5.0))
    await clock.advance(1.0)
    assert (await quick, await slow) == ("done", "timed out")
    await clock.advance(10.0)


async def test_a_block_that_is_cancelled_is_not_timed_out() -> None:
    clock = ManualClock()

    async def work() -> None:
        async with within(clock, 1.0):
            await clock.sleep(5.0)

    task = asyncio.create_task(work())
    await clock.advance(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

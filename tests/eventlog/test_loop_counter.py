"""Tests of the loop counter: a selector and a callback count the same iterations."""

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest

from trailingedge.eventlog.loop_counter import (
    COUNTED_ITERATIONS,
    IDLE_ITERATIONS,
    CountingLoop,
    IterationCounter,
    attach_counter,
    detach_counter,
)
from trailingedge.simulator.virtual_loop import VirtualLoop


def nothing() -> None:
    """A callback that does nothing."""


async def go_round(turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


@pytest.mark.parametrize("make", [CountingLoop, VirtualLoop, asyncio.SelectorEventLoop], ids=lambda make: make.__name__)
def test_iterations_between_two_inputs_are_counted(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def live() -> list[int]:
        counter = attach_counter(asyncio.get_running_loop(), nothing, nothing)
        seen = [counter.iterations]
        for turns in (1, 3, 0, 8):
            await go_round(turns)
            seen.append(counter.iterations)
        return [after - before for before, after in pairwise(seen)]

    loop = make()
    try:
        assert loop.run_until_complete(live()) == [1, 3, 0, 8]
    finally:
        loop.close()


async def test_the_callback_stops_after_a_few_iterations() -> None:
    looks: list[int] = []
    counter: IterationCounter = attach_counter(asyncio.get_running_loop(), nothing, lambda: looks.append(1))
    before = counter.iterations
    await go_round(COUNTED_ITERATIONS + 5)
    assert len(looks) == COUNTED_ITERATIONS
    assert counter.iterations - before >= IDLE_ITERATIONS


def test_a_counting_loop_calls_back_until_the_counter_is_detached() -> None:
    looks: list[int] = []

    async def live() -> None:
        loop = asyncio.get_running_loop()
        counter = attach_counter(loop, lambda: looks.append(counter.iterations), nothing)
        await go_round(3)
        detach_counter(loop)
        await go_round(3)

    loop = CountingLoop()
    try:
        loop.run_until_complete(live())
    finally:
        loop.close()
    assert len(looks) == 3

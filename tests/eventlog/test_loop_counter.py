"""Turns of the loop are counted alike, by a selector or by a chain."""

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest

from trailingedge.eventlog.loop_counter import (
    AT_REST,
    ENOUGH_TURNS,
    CountingLoop,
    IterationCounter,
    count_no_more,
    counter_of,
)
from trailingedge.simulator.virtual_loop import VirtualLoop


def nothing() -> None:
    """Nobody looks."""


async def go_round(turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


@pytest.mark.parametrize("make", [CountingLoop, VirtualLoop, asyncio.SelectorEventLoop], ids=lambda make: make.__name__)
def test_between_two_moments_the_turns_are_known(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def live() -> list[int]:
        counter = counter_of(asyncio.get_running_loop(), nothing, nothing)
        seen = [counter.turns]
        for turns in (1, 3, 0, 8):
            await go_round(turns)
            seen.append(counter.turns)
        return [after - before for before, after in pairwise(seen)]

    loop = make()
    try:
        assert loop.run_until_complete(live()) == [1, 3, 0, 8]
    finally:
        loop.close()


async def test_a_chain_that_has_counted_enough_lets_the_loop_rest() -> None:
    looks: list[int] = []
    counter: IterationCounter = counter_of(asyncio.get_running_loop(), nothing, lambda: looks.append(1))
    before = counter.turns
    await go_round(ENOUGH_TURNS + 5)
    assert len(looks) == ENOUGH_TURNS
    assert counter.turns - before >= AT_REST


def test_a_counting_loop_is_looked_at_between_its_turns_until_nobody_cares() -> None:
    looks: list[int] = []

    async def live() -> None:
        loop = asyncio.get_running_loop()
        counter = counter_of(loop, lambda: looks.append(counter.turns), nothing)
        await go_round(3)
        count_no_more(loop)
        await go_round(3)

    loop = CountingLoop()
    try:
        loop.run_until_complete(live())
    finally:
        loop.close()
    assert len(looks) == 3

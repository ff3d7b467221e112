"""Killed at any moment, it comes back to where a twin is that was never killed."""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from tests.simulation.lives import Fate, tell

SEEDS = range(4)


@pytest.fixture(scope="module")
def fates() -> Iterator[list[Future[Fate]]]:
    """The lives of each seed, lived side by side."""
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        yield [pool.submit(tell, seed) for seed in SEEDS]
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("life", SEEDS)
def test_who_is_killed_comes_back_as_if_nothing_had_happened(life: int, fates: list[Future[Fate]]) -> None:
    fate = fates[life].result()
    assert fate.wrong == [], f'uv run python -c "from tests.simulation.lives import tell; print(tell({life}))"'


def test_most_deaths_can_be_held_against_the_twin(fates: list[Future[Fate]]) -> None:
    all_of_them = [fate.result() for fate in fates]
    assert sum(fate.compared for fate in all_of_them) >= 2 * len(SEEDS)
    assert sum(fate.in_exits for fate in all_of_them) >= len(SEEDS) // 2

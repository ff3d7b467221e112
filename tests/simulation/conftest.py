"""The simulated days run in worker processes, one for each core."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

import pytest
from tests.simulation.swarm import SwarmVerdict, judge_storm
from tests.simulation.verdict import Verdict, judge

Judgement = TypeVar("Judgement")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for name, option in (("seed", "days"), ("storm_seed", "seeds")):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, range(metafunc.config.getoption(option)))


@pytest.fixture(scope="session")
def pool() -> Iterator[ProcessPoolExecutor]:
    # Spawned, not forked: a worker must not inherit the state of a test run.
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as workers:
        yield workers
        workers.shutdown(cancel_futures=True)


@pytest.fixture(scope="session")
def verdicts(request: pytest.FixtureRequest, pool: ProcessPoolExecutor) -> list[Future[Verdict]]:
    """What the judge says of each fair day, being worked out side by side."""
    return _judged(pool, judge, request.config.getoption("days"))


@pytest.fixture(scope="session")
def storms(request: pytest.FixtureRequest, pool: ProcessPoolExecutor) -> list[Future[SwarmVerdict]]:
    """What the judge says of each day in a storm."""
    return _judged(pool, judge_storm, request.config.getoption("seeds"))


def _judged(pool: ProcessPoolExecutor, judge_one: Callable[[int], Judgement], count: int) -> list[Future[Judgement]]:
    return [pool.submit(judge_one, seed) for seed in range(count)]

"""The simulated days run in worker processes, one for each core."""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from tests.simulation.verdict import Verdict, judge


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(metafunc.config.getoption("seeds")))


@pytest.fixture(scope="session")
def verdicts(request: pytest.FixtureRequest) -> Iterator[list[Future[Verdict]]]:
    """What the judge says of each day, being worked out side by side."""
    # Spawned, not forked: a worker must not inherit the state of a test run.
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        yield [pool.submit(judge, seed) for seed in range(request.config.getoption("seeds"))]
        pool.shutdown(cancel_futures=True)

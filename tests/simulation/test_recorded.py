"""Days and storms that were recorded are lived again without a difference."""

from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path

import pytest
from tests.benchmarks.long_day import FAULTS
from tests.simulation.day import simulate
from tests.simulation.swarm import judge_storm

from trailingedge.record.files import SUFFIX
from trailingedge.record.writer import Notebook
from trailingedge.replay.session import Replayed, replay_session

SEEDS = range(4)
STORM_S = 400.0


def recorded_storm(seed: int, folder: Path) -> Replayed:
    notebook = Notebook()
    judge_storm(seed, STORM_S, notebook)
    return replay_session(notebook.save(folder / f"storm{SUFFIX}"))


def recorded_day(seed: int, folder: Path) -> Replayed:
    """Two hours with faults of every kind."""
    notebook = Notebook()
    simulate(seed, 2.0, faults=FAULTS, lines=notebook)
    return replay_session(notebook.save(folder / f"day{SUFFIX}"))


@pytest.fixture(scope="module")
def lives(pool: ProcessPoolExecutor, tmp_path_factory: pytest.TempPathFactory) -> list[Future[Replayed]]:
    """One day, then the storms, lived twice each, side by side."""
    submitted = [pool.submit(recorded_day, 7, tmp_path_factory.mktemp("day"))]
    return submitted + [pool.submit(recorded_storm, seed, tmp_path_factory.mktemp("storm")) for seed in SEEDS]


@pytest.mark.parametrize("life", range(1 + len(SEEDS)))
def test_what_was_recorded_is_lived_again_without_a_difference(life: int, lives: list[Future[Replayed]]) -> None:
    replayed = lives[life].result()
    assert replayed.difference is None
    assert replayed.trouble is None
    assert replayed.requests > 20

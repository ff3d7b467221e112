"""Recorded days and storms replay without a difference."""

from pathlib import Path

import pytest
from tests.benchmarks.long_day import FAULTS
from tests.simulation.simulated_day import simulate
from tests.simulation.storms import run_storm

from trailingedge.eventlog.format import SUFFIX
from trailingedge.eventlog.writer import MemoryRecord
from trailingedge.session_replay.run import ReplayResult, replay_session

STORM_S = 400.0


def recorded_storm(number: int, folder: Path) -> ReplayResult:
    notebook = MemoryRecord()
    run_storm(number, STORM_S, notebook)
    return replay_session(notebook.save(folder / f"storm{SUFFIX}"))


def recorded_day(number: int, folder: Path) -> ReplayResult:
    """An hour with faults of every kind."""
    notebook = MemoryRecord()
    simulate(number, 1.0, faults=FAULTS, lines=notebook)
    return replay_session(notebook.save(folder / f"day{SUFFIX}"))


def assert_the_same(replayed: ReplayResult) -> None:
    assert replayed.difference is None
    assert replayed.incomplete_reason is None
    assert replayed.requests > 20


def test_a_recorded_day_replays_without_a_difference(tmp_path: Path) -> None:
    assert_the_same(recorded_day(7, tmp_path))


@pytest.mark.parametrize("storm", range(2))
def test_a_recorded_storm_replays_without_a_difference(storm: int, tmp_path: Path) -> None:
    assert_the_same(recorded_storm(storm, tmp_path))

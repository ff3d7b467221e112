"""Days in a storm: each seed another mixture of everything that can go wrong."""

from tests.simulation.storms import run_storm


def test_a_storm_breaks_nothing_and_is_soon_forgotten(storm_seed: int) -> None:
    verdict = run_storm(storm_seed)
    assert verdict.faults == [], verdict.replay_command


def test_the_same_seed_is_the_same_storm() -> None:
    one, other = run_storm(3, storm_s=300.0), run_storm(3, storm_s=300.0)
    assert one == other
    assert one.digest

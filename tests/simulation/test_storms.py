"""Days in a storm: each seed another mixture of everything that can go wrong."""

from tests.simulation.storms import judge_storm


def test_a_storm_breaks_nothing_and_is_soon_forgotten(storm_seed: int) -> None:
    verdict = judge_storm(storm_seed)
    assert verdict.faults == [], verdict.replay


def test_the_same_seed_is_the_same_storm() -> None:
    one, other = judge_storm(3, storm_s=300.0), judge_storm(3, storm_s=300.0)
    assert one == other
    assert one.digest

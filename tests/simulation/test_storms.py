"""Storms: each seed is another mixture of faults, and the daemon must survive it and recover."""

from tests.simulation.storms import run_storm


def test_a_storm_breaks_nothing_and_the_daemon_recovers(storm_seed: int) -> None:
    result = run_storm(storm_seed, defaults=storm_seed % 4 == 3)
    assert result.faults == [], result.replay_command


def test_the_same_seed_is_the_same_storm() -> None:
    one, other = run_storm(3, storm_s=300.0), run_storm(3, storm_s=300.0)
    assert one == other
    assert one.digest

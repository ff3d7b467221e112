"""Whole days of the whole daemon against the embedded exchange, judged by the exchange's journal."""

from tests.simulation.day_checks import check_day
from tests.simulation.simulated_day import simulate


def test_a_day_is_free_of_faults_and_complete(seed: int) -> None:
    verdict = check_day(seed)
    assert verdict.faults == [], verdict.replay_command
    assert verdict.is_complete, f"not an exit of each side and a flush: {verdict.replay_command}"


def test_the_same_seed_is_the_same_day() -> None:
    one, other = simulate(3, 0.5), simulate(3, 0.5)
    assert one.audit_log.digest == other.audit_log.digest
    assert one.output.alerts == other.output.alerts

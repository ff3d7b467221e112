"""Simulated days of the whole daemon against the embedded exchange, checked by the exchange's audit log."""

from tests.simulation.day_checks import check_day
from tests.simulation.simulated_day import simulate


def test_a_day_is_free_of_faults_and_complete(seed: int) -> None:
    result = check_day(seed)
    assert result.faults == [], result.replay_command
    assert result.is_complete, f"not an exit of each side and a hard stop filled: {result.replay_command}"


def test_the_same_seed_is_the_same_day() -> None:
    one, other = simulate(3, 0.35), simulate(3, 0.35)
    assert one.exchange.account().trades  # it is long enough to have some
    assert one.audit_log.digest == other.audit_log.digest
    assert one.output.alerts == other.output.alerts

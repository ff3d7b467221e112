"""A daemon killed at any moment restarts into the state of one that was never killed."""

import pytest
from tests.simulation.restarts import compare_restarts

REPEAT = 'uv run python -c "from tests.simulation.restarts import compare_restarts; print(compare_restarts({number}))"'


@pytest.mark.parametrize("number", range(2))
def test_a_killed_daemon_restarts_into_the_same_state(number: int) -> None:
    report = compare_restarts(number)
    assert report.problems == [], REPEAT.format(number=number)
    # Most kills must be comparable, or the test shows nothing.
    assert report.compared >= 2
    assert report.in_exits >= 1

"""A daemon killed at any moment restarts into the state of one that was never killed."""

from dataclasses import replace

import pytest
from tests.simulation.restarts import compare_restarts

from trailingedge.config import Settings
from trailingedge.model.trigger_mode import TriggerOn

REPEAT = 'uv run python -c "from tests.simulation.restarts import compare_restarts; print(compare_restarts({number}))"'


@pytest.mark.parametrize(("number", "trigger_on"), [(0, TriggerOn.TICK), (1, TriggerOn.CLOSE)])
def test_a_killed_daemon_restarts_into_the_same_state(number: int, trigger_on: TriggerOn) -> None:
    report = compare_restarts(number, settings=replace(Settings(), trigger_on=trigger_on))
    assert report.problems == [], REPEAT.format(number=number)
    # Most kills must be comparable, or the test shows nothing.
    assert report.compared >= 2
    assert report.in_exits >= 1

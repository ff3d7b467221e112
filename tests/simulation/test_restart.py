"""A daemon killed at any moment restarts into the state of one that was never killed."""

import pytest
from tests.simulation.restarts import compare_restarts
from tests.tight_settings import TIGHT, tight

from trailingedge.config import Settings
from trailingedge.model.trigger_mode import TriggerOn

REPEAT = 'uv run python -c "from tests.simulation.restarts import compare_restarts; print(compare_restarts({number}))"'


@pytest.mark.parametrize(
    ("number", "hours", "settings"),
    [(0, 0.4, TIGHT), (1, 0.4, tight(trigger_on=TriggerOn.CLOSE)), (2, 0.6, Settings())],
)
def test_a_killed_daemon_restarts_into_the_same_state(number: int, hours: float, settings: Settings) -> None:
    report = compare_restarts(number, hours, settings=settings)
    assert report.problems == [], REPEAT.format(number=number)
    # Most kills must be comparable, or the test shows nothing.
    assert report.compared >= 2
    assert report.in_exits >= 1
    assert report.breaches or settings.hard_stop_confirm_sec < 60  # the price stays there for ten minutes

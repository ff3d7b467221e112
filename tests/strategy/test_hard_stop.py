"""The hard stop: distance, breach and confirmation."""

import pytest
from tests.strategy.strategy_harness import full_channel, params

from trailingedge.indicators.donchian import Channel
from trailingedge.strategy.hard_stop import is_breached, is_confirmed, stop_distance


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        pytest.param(None, 0.005, id="no channel: the threshold"),
        pytest.param(Channel(120.0, 80.0, full=False), 0.005, id="not full: the threshold"),
        pytest.param(full_channel(99.9, 100.1), 0.005, id="narrow: the threshold"),
        pytest.param(full_channel(98.0, 102.0), 0.02, id="half of width over mid"),
        pytest.param(full_channel(80.0, 120.0), 0.03, id="wide: the cap"),
    ],
)
def test_the_distance_lies_between_threshold_and_cap(channel: Channel | None, expected: float) -> None:
    assert stop_distance(channel, params()) == pytest.approx(expected)


def test_the_cap_wins_over_the_threshold() -> None:
    assert stop_distance(None, params(hard_stop_threshold_frac=0.2)) == 0.03


@pytest.mark.parametrize(
    ("u", "expected"),
    [
        pytest.param(96.0, True, id="exactly the distance"),
        pytest.param(95.9, True, id="further"),
        pytest.param(96.1, False, id="not as far"),
        pytest.param(101.0, False, id="above the anchor"),
    ],
)
def test_a_breach_is_a_loss_of_the_distance_or_more(u: float, expected: bool) -> None:
    assert is_breached(u, 100.0, 0.04) is expected


@pytest.mark.parametrize(
    ("lasted_ms", "confirm_s", "expected"),
    [
        pytest.param(999, 1.0, False, id="a moment too short"),
        pytest.param(1000, 1.0, True, id="just long enough"),
        pytest.param(0, 0.0, True, id="no confirmation asked for"),
    ],
)
def test_a_breach_is_believed_once_it_lasts(lasted_ms: int, confirm_s: float, expected: bool) -> None:
    assert is_confirmed(5_000, 5_000 + lasted_ms, confirm_s) is expected

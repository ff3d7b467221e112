"""The reentry gate opens at crossings of mid, and at nothing else."""

import pytest
from tests.strategy.strategy_harness import full_channel

from trailingedge.indicators.donchian import Channel
from trailingedge.strategy.reentry_gate import gate_mid, gate_opens
from trailingedge.strategy.state import ReentryGate, ShutBy

CHANNEL = full_channel(98.0, 102.0)  # mid 100


@pytest.mark.parametrize(
    ("shut_by", "before", "close", "expected"),
    [
        pytest.param(ShutBy.HARD_STOP, 99.0, 101.0, True, id="a flush's gate: upwards"),
        pytest.param(ShutBy.HARD_STOP, 100.0, 100.1, True, id="a flush's gate: up from mid itself"),
        pytest.param(ShutBy.HARD_STOP, 101.0, 102.0, False, id="a flush's gate: was above already"),
        pytest.param(ShutBy.HARD_STOP, 99.0, 100.0, False, id="a flush's gate: only touched"),
        pytest.param(ShutBy.HARD_STOP, 101.0, 99.0, False, id="a flush's gate: downwards"),
        pytest.param(ShutBy.QUOTE_STOP, 101.0, 99.0, True, id="a stop's gate: downwards"),
        pytest.param(ShutBy.QUOTE_STOP, 100.0, 99.9, True, id="a stop's gate: down from mid itself"),
        pytest.param(ShutBy.QUOTE_STOP, 99.0, 98.0, False, id="a stop's gate: was below already"),
        pytest.param(ShutBy.QUOTE_STOP, 101.0, 100.0, False, id="a stop's gate: only touched"),
        pytest.param(ShutBy.QUOTE_STOP, 99.0, 101.0, False, id="a stop's gate: upwards"),
    ],
)
def test_a_gate_opens_when_a_close_crosses_mid(shut_by: ShutBy, before: float, close: float, expected: bool) -> None:
    assert gate_opens(ReentryGate(shut_by, 99.0, 0), close, before, CHANNEL) is expected


@pytest.mark.parametrize(
    "channel", [pytest.param(None, id="no channel"), pytest.param(Channel(102.0, 98.0, full=False), id="not full")]
)
def test_a_channel_that_is_not_full_opens_nothing(channel: Channel | None) -> None:
    assert not gate_opens(ReentryGate(ShutBy.HARD_STOP, 99.0, 0), 101.0, 99.0, channel)


def test_a_gate_has_no_price_to_cross_before_the_channel_is_full() -> None:
    assert gate_mid(None) is None
    assert gate_mid(Channel(102.0, 98.0, full=False)) is None
    assert gate_mid(Channel(102.0, 98.0, full=True)) == 100.0

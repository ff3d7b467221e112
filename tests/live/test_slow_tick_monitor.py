"""Slow-tick monitor: a slow tick is logged with its parts, and of many only one in ten seconds."""

import logging

import pytest

from trailingedge.core.clock import ManualClock
from trailingedge.live.slow_tick_monitor import SlowTickMonitor


async def beat(pace: SlowTickMonitor, clock: ManualClock, **parts_s: float) -> None:
    pace.begin()
    for part, seconds in parts_s.items():
        await clock.advance(seconds)
        pace.lap(part)
    pace.end()


async def test_a_slow_tick_is_logged_with_its_parts(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    await beat(SlowTickMonitor(clock), clock, think=0.03, tell=0.045)
    assert [record.getMessage() for record in caplog.records] == [
        "slow tick: it took 75.0 ms (think 30.0 ms, tell 45.0 ms)"
    ]
    assert caplog.records[0].levelno == logging.WARNING


async def test_a_usual_one_is_not(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    await beat(SlowTickMonitor(clock), clock, think=0.002, tell=0.04)
    assert not caplog.records


async def test_of_many_slow_ones_within_ten_seconds_one_is_told_and_the_others_are_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, told = ManualClock(), []
    pace = SlowTickMonitor(clock)
    for _ in range(12):
        await beat(pace, clock, think=1.0)
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        "slow tick: it took 1000.0 ms (think 1000.0 ms)",
        "slow tick: it took 1000.0 ms (think 1000.0 ms); 9 more slow ticks since the last such line",
    ]

from trailingedge.core.clock import HandClock
from trailingedge.simulator.drift import DriftingClock


async def test_a_clock_steps_and_drifts_and_its_ages_stay_true() -> None:
    inner = HandClock()
    clock = DriftingClock(inner)
    assert clock.unix_ms() == inner.unix_ms()
    clock.step(1500)
    assert clock.unix_ms() - inner.unix_ms() == 1500
    clock.drift(-10)
    await inner.wind(60)
    assert clock.unix_ms() - inner.unix_ms() == 900
    clock.drift(0)
    await inner.wind(60)
    assert (clock.unix_ms() - inner.unix_ms(), clock.now_s()) == (900, inner.now_s())

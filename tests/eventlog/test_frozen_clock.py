"""Time stands still until it is told to go on, and is exact."""

from trailingedge.eventlog.frozen_clock import FrozenClock


def test_both_times_are_those_of_the_moment() -> None:
    clock = FrozenClock(5_000_000_000, 1_783_000_000_000_000_000)
    assert (clock.now_s(), clock.unix_ms()) == (5.0, 1_783_000_000_000)
    clock.set_time_ns(6_234_567_891)
    assert (clock.now_s(), clock.unix_ms()) == (6.234567891, 1_783_000_001_234)


def test_a_wall_clock_that_was_set_tells_the_new_time_from_there_on() -> None:
    clock = FrozenClock(0, 1_000_000_000)
    clock.adjust_wall_ms(-250)
    assert clock.unix_ms() == 750
    clock.set_time_ns(1_000_000_000)
    assert (clock.now_s(), clock.unix_ms()) == (1.0, 1750)


def test_whoever_has_taken_a_reading_with_him_reads_on() -> None:
    clock = FrozenClock(0, 0)
    now_s, unix_ms = clock.now_s, clock.unix_ms
    clock.set_time_ns(2_000_000_000)
    assert (now_s(), unix_ms()) == (2.0, 2000)

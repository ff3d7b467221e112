"""Tests of the frozen clock."""

from trailingedge.eventlog.frozen_clock import FrozenClock


def test_both_clocks_stand_at_the_time_that_was_set() -> None:
    clock = FrozenClock(5_000_000_000, 1_783_000_000_000_000_000)
    assert (clock.now_s(), clock.unix_ms()) == (5.0, 1_783_000_000_000)
    clock.set_time_ns(6_234_567_891)
    assert (clock.now_s(), clock.unix_ms()) == (6.234567891, 1_783_000_001_234)


def test_an_adjusted_wall_clock_stays_adjusted() -> None:
    clock = FrozenClock(0, 1_000_000_000)
    clock.adjust_wall_ms(-250)
    assert clock.unix_ms() == 750
    clock.set_time_ns(1_000_000_000)
    assert (clock.now_s(), clock.unix_ms()) == (1.0, 1750)


def test_a_bound_reader_sees_later_times() -> None:
    clock = FrozenClock(0, 0)
    now_s, unix_ms = clock.now_s, clock.unix_ms
    clock.set_time_ns(2_000_000_000)
    assert (now_s(), unix_ms()) == (2.0, 2000)

"""Staleness: a short gap is not reported; a long one is reported once, and its end once."""

import pytest

from trailingedge.execution.condition_alarm import Staleness


def test_a_short_one_is_not_told() -> None:
    outage = Staleness(2.0)
    assert outage.on_missing(10.0) is None
    assert outage.on_missing(11.9) is None
    assert outage.on_present(12.5) is None


def test_a_long_one_is_told_once_and_its_end_once() -> None:
    outage = Staleness(2.0)
    outage.on_missing(10.0)
    assert [outage.on_missing(now_s) for now_s in (12.0, 13.0, 60.0)] == [2.0, None, None]
    assert [outage.on_present(now_s) for now_s in (70.0, 71.0)] == [60.0, None]


def test_each_counts_afresh() -> None:
    outage = Staleness(2.0)
    for began_s in (10.0, 20.0):
        outage.on_missing(began_s)
        assert outage.on_missing(began_s + 3.0) == pytest.approx(3.0)
        assert outage.on_present(began_s + 4.0) == pytest.approx(4.0)


def test_it_counts_from_the_last_word_where_that_is_known() -> None:
    assert Staleness(10.0).on_missing(20.0, since_s=8.0) == 12.0
    assert Staleness(10.0).on_missing(20.0, since_s=float("-inf")) is None


def test_what_is_there_is_no_news() -> None:
    assert Staleness(2.0).on_present(5.0) is None

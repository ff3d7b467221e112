"""Columns survive being written as differences, to their unit, and are short."""

import json

import pytest
from tests.report.column_decoder import decoded

from trailingedge.report.column_codec import encode_column


def test_numbers_come_back_and_missing_ones_stay_missing() -> None:
    values = [None, 2500.01, 2499.5, None, float("nan"), 2600.37, -3.0]
    found = decoded({"price": encode_column(values, 0.01)})["price"]
    assert [found[each] for each in (0, 3, 4)] == [None, None, None]
    assert [found[each] for each in (1, 2, 5, 6)] == pytest.approx([2500.01, 2499.5, 2600.37, -3.0])


def test_rounding_does_not_add_up() -> None:
    values = [row / 3 for row in range(1000)]
    assert decoded({"x": encode_column(values, 0.01)})["x"] == pytest.approx(values, abs=0.005)


def test_times_keep_a_tenth_of_a_second_over_years() -> None:
    times = [1_782_950_400_000 + 60_000 * minute for minute in (0, 1, 2, 1_500_000)]
    assert decoded({"time": encode_column(times, 100.0)})["time"] == times


def test_a_line_that_does_not_move_takes_two_letters_a_value() -> None:
    text = json.dumps(encode_column([2500.0] * 10_000, 0.01), separators=(",", ":"))
    assert len(text) < 20_100

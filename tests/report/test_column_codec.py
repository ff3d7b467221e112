"""Columns survive being packed, to their unit, and a year of them is small."""

import base64
import json
import zlib

import pytest
from tests.report.column_decoder import unpacked

from trailingedge.report.column_codec import Column, pack_columns


def test_numbers_come_back_and_missing_ones_stay_missing() -> None:
    values = [None, 2500.01, 2499.5, None, float("nan"), 2600.37, -3.0]
    _, columns = unpacked(pack_columns({}, {"price": Column(values, 0.01)}))
    found = columns["price"]
    assert [found[each] for each in (0, 3, 4)] == [None, None, None]
    assert [found[each] for each in (1, 2, 5, 6)] == pytest.approx([2500.01, 2499.5, 2600.37, -3.0])


def test_numbers_too_far_apart_for_their_unit_are_told_more_coarsely() -> None:
    _, columns = unpacked(pack_columns({}, {"price": Column([0.01, 1e9], 0.01)}))
    assert columns["price"] == pytest.approx([0.0, 1e9])


def test_times_keep_a_tenth_of_a_second_over_years() -> None:
    times = [1_782_950_400_000 + 60_000 * minute for minute in (0, 1, 2, 1_500_000)]
    _, columns = unpacked(pack_columns({}, {"time": Column(times, 100.0)}))
    assert columns["time"] == times


def test_columns_of_several_lengths_stand_side_by_side_with_the_header() -> None:
    text = pack_columns(
        {"base": "ETH"}, {"none": Column([], 1.0), "one": Column([7.0], 1.0), "three": Column([1, 2, 3], 1.0)}
    )
    header, columns = unpacked(text)
    assert (header["base"], columns) == ("ETH", {"none": [], "one": [7.0], "three": [1.0, 2.0, 3.0]})


def test_a_line_that_does_not_move_takes_no_room() -> None:
    still = pack_columns({}, {"anchor": Column([2500.0] * 500_000, 0.01)})
    assert len(still) < 5000


def test_the_bytes_begin_with_the_length_of_the_header() -> None:
    data = zlib.decompress(base64.b64decode(pack_columns({}, {})))
    assert json.loads(data[4 : 4 + int.from_bytes(data[:4], "little")]) == {"columns": []}

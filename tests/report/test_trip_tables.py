"""Round trips as a table and as a distribution."""

import dataclasses
from decimal import Decimal

import pytest
from tests.report.report_builders import a_quiet_story, a_story, changed

from trailingedge.report.model import RunReport
from trailingedge.report.trip_tables import result_bins, trips_table


def with_results(*results: str) -> RunReport:
    """A report with one round trip for each of these results, as fractions."""
    report = a_story()
    trip = report.results.round_trips[0]
    trips = [dataclasses.replace(trip, cost=Decimal(100), proceeds=100 + 100 * Decimal(each)) for each in results]
    return changed(report, round_trips=tuple(trips))


def test_a_round_trip_is_a_row_with_what_it_cost_and_brought() -> None:
    table = trips_table(a_story())
    assert table.rows == (
        (
            "2026-07-02 00:10:12",
            "take-profit",
            "+1.93 %",
            "+48.13",
            "10 min 12 s",
            "2026-07-02 00:00:00",
            "1.0000",
            "2500.00",
            "2548.13",
            "1.91",
        ),
    )
    assert len(table.sort_keys[0]) == len(table.headings)


def test_the_bins_meet_at_zero_and_count_every_round_trip() -> None:
    bins = result_bins(with_results("-0.0104", "-0.0066", "-0.0001", "0", "0.0096", "0.014"))
    assert sum(each.count for each in bins) == 6
    assert any(each.low == pytest.approx(0.0) for each in bins)
    assert [each.count for each in bins if each.high <= 1e-12][-1] == 1
    assert len({round(each.high - each.low, 9) for each in bins}) == 1


@pytest.mark.parametrize("results", [("0.05",), ("-0.9", "3.5"), ("-0.002", "0.0021"), ("-12", "40")])
def test_there_are_few_bins_whatever_the_spread(results: tuple[str, ...]) -> None:
    bins = result_bins(with_results(*results))
    assert len(bins) <= 16
    assert sum(each.count for each in bins) == len(results)


def test_a_result_on_an_edge_belongs_to_the_bin_above() -> None:
    bins = result_bins(with_results("0.003", "0.001"))
    assert [(round(each.low, 6), each.count) for each in bins if each.count] == [(0.001, 1), (0.003, 1)]


def test_without_round_trips_there_is_neither() -> None:
    assert (trips_table(a_quiet_story()).rows, result_bins(a_quiet_story())) == ((), ())

"""A ledger has one row for each fill, exact to the last digit."""

import csv
import io

from tests.report.report_builders import a_quiet_story, a_story

from trailingedge.report.csv_ledger import COLUMNS, as_csv


def test_each_fill_is_a_row_that_a_tax_tool_can_read() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(a_story()))))
    assert len(rows) == 4
    assert list(rows[2].items()) == [
        ("time_utc", "2026-07-03T00:10:11.500+00:00"),
        ("side", "BUY"),
        ("base_amount", "1.0188"),
        ("quote_amount", "2548.0188"),
        ("price", "2501"),
        ("fee_amount", "0.0000001"),  # no 1E-7
        ("fee_asset", "ETH"),
        ("order_id", "103"),
        ("trade_id", "3"),
        ("exit_number", str(a_story().exits[2].number)),
        ("kind", "flush"),
        ("base_asset", "ETH"),
        ("quote_asset", "FDUSD"),
        ("exit_id", a_story().exits[2].id),
        ("exit_average", "2501"),
        ("round_trip", ""),  # it is not sold yet
        ("round_trip_result", ""),
        ("round_trip_result_frac", ""),
    ]


def test_a_fill_of_an_exit_under_way_is_a_row_too() -> None:
    last = list(csv.DictReader(io.StringIO(as_csv(a_story()))))[-1]
    assert (last["kind"], last["fee_amount"]) == ("manual", "0")


def test_without_a_fill_only_the_header_is_left() -> None:
    assert as_csv(a_quiet_story()) == ",".join(COLUMNS) + "\n"


def test_the_last_fill_of_a_round_trip_has_its_result() -> None:
    first, second, *_ = csv.DictReader(io.StringIO(as_csv(a_story())))
    assert (first["round_trip"], first["round_trip_result"]) == ("1", "")
    assert (second["round_trip"], second["round_trip_result"]) == ("1", "48.12747")
    assert float(second["round_trip_result_frac"]) == a_story().results.round_trips[0].result_frac

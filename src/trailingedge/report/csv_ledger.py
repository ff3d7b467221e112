"""CSV ledger for tax tools and spreadsheets: one row for each fill, amounts exact and without exponents."""

import csv
import io
from typing import Final

from trailingedge.accounting.round_trips import RoundTrip
from trailingedge.accounting.summary_json import iso_time, kind_name
from trailingedge.model.market import format_plain
from trailingedge.report.model import Fill, RunReport

COLUMNS: Final = (
    "time_utc",
    "side",
    "base_amount",
    "quote_amount",
    "price",
    "fee_amount",
    "fee_asset",
    "order_id",
    "trade_id",
    "exit_number",
    "kind",
    # Ledgers of several pairs may be joined, so each row names its pair.
    "base_asset",
    "quote_asset",
    # The same id as in terminal, page and JSON, so that rows can be joined.
    "exit_id",
    # Of the whole exit, not rounded.
    "exit_average",
    # Counted from 1. The row with a result is the last fill of a round trip: the column adds up to all round trips.
    "round_trip",
    "round_trip_result",
    "round_trip_result_frac",
)


def as_csv(report: RunReport) -> str:
    """Return the CSV text: a header line, then one line for each fill, oldest first.

    A fill without a fee shows a fee of 0 and the asset that the exchange named.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    ids, averages = report.exit_ids, {each.number: each.average for each in report.exits}
    trips = _trips_by_exit(report)
    last_fills = {fill.number: fill for fill in report.fills}
    for fill in report.fills:
        average, (number, trip) = averages.get(fill.number), trips.get(fill.number, (0, None))
        ended = trip if trip is not None and trip.sales[-1] == fill.number and last_fills[fill.number] is fill else None
        rows.writerow(
            (
                *_row(report, fill, ids[fill.number]),
                "" if average is None else format_plain(average),
                number or "",
                "" if ended is None else format_plain(ended.result),
                "" if ended is None else ended.result_frac,
            )
        )
    return text.getvalue()


def _trips_by_exit(report: RunReport) -> dict[int, tuple[int, RoundTrip]]:
    """Return the round trip that each exit belongs to, with the number of the round trip, by exit number.

    A buy belongs to the first round trip that sells a part of it.
    """
    found: dict[int, tuple[int, RoundTrip]] = {}
    for number, trip in enumerate(report.results.round_trips, 1):
        for exit_number in (*trip.buys, *trip.sales):
            found.setdefault(exit_number, (number, trip))
    return found


def _row(report: RunReport, fill: Fill, exit_id: str) -> tuple[str | int, ...]:
    return (
        iso_time(fill.time_ms),
        fill.side.value,
        format_plain(fill.quantity),
        format_plain(fill.quote),
        format_plain(fill.price),
        format_plain(fill.commission),
        fill.commission_asset,
        fill.order_id,
        fill.trade_id,
        fill.number,
        kind_name(fill.kind),
        report.base_asset,
        report.quote_asset,
        exit_id,
    )

"""CSV ledger for tax tools and spreadsheets: one row for each fill, amounts exact and without exponents."""

import csv
import io
from typing import Final

from trailingedge.accounting.summary_json import iso_time, kind_name
from trailingedge.model.market import format_plain
from trailingedge.report.model import Fill, RunReport
from trailingedge.report.totals import exit_ids

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
)


def as_csv(report: RunReport) -> str:
    """Return the CSV text: a header line, then one line for each fill, oldest first.

    A fill without a fee shows a fee of 0 and the asset that the exchange named.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    ids = exit_ids(report)
    rows.writerows(_row(report, fill, ids[fill.number]) for fill in report.fills)
    return text.getvalue()


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

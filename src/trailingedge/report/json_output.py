"""JSON output of a run report, in the shape shared by summary, replay and report."""

from trailingedge.accounting.summary_json import build_summary
from trailingedge.report.model import RunReport
from trailingedge.report.totals import days, totals


def as_data(report: RunReport) -> dict[str, object]:
    """The report as plain data, ready for `json.dumps`."""
    return build_summary(
        symbol=report.symbol,
        tick_size=report.tick_size,
        from_ms=report.from_ms,
        to_ms=report.to_ms,
        settings=report.settings,
        exits=report.exits,
        totals=totals(report),
        days=days(report),
        gaps=report.gaps,
    )

"""JSON output of a run report, in the shape shared by summary, backtest and report."""

from trailingedge.accounting.summary_json import build_summary
from trailingedge.report.model import RunReport
from trailingedge.report.robustness import robustness_json


def as_data(report: RunReport) -> dict[str, object]:
    """The report as plain data, ready for `json.dumps`."""
    robustness = None if report.robustness is None else robustness_json(report.robustness)
    return build_summary(report.symbol, report.settings, report.results, report.gaps, robustness)

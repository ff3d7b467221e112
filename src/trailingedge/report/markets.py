"""Several markets backtested with the same settings: one row for each, and the mean."""

from collections.abc import Sequence
from typing import Final

from trailingedge.accounting.summary_json import SUMMARY_VERSION
from trailingedge.core.time_units import DAY_MS
from trailingedge.notifications.event_messages import percent
from trailingedge.report.json_output import as_data
from trailingedge.report.model import RunReport
from trailingedge.report.robustness import FIGURES, Robustness
from trailingedge.report.tables import Table
from trailingedge.report.terminal import columns, wrapped

_HEADINGS: Final = ("market", "days", "result", "5 %", "95 %", "to half", "drawdown", "exits", "holding")


def markets_text(reports: Sequence[RunReport], notes: Sequence[str], width: int) -> str:
    """Return the table as text, in lines of at most `width` characters. `notes` are about markets without a result."""
    rows = [_row(report) for report in reports]
    table = Table(_HEADINGS, (*(_cells(*row) for row in rows), _cells("mean", *_means(rows))), frozenset(_HEADINGS[1:]))
    first = _robustness(reports[0])
    lines = [
        f"backtest of {len(reports)} markets, {_paths_text(reports)}, latency {first.latency_ms} ms each way",
        "",
        *columns(table, width),
        "",
        "result: the median over the paths, with 5th and 95th percentile widened by a quarter",
        "to half: the result compared with holding half base, half quote",
    ]
    told = dict.fromkeys(hidden for report in reports for hidden in _robustness(report).hides)
    lines += [f"note: {note}" for note in (*notes, *told)]
    lines += [f"note: {report.symbol}: {gap}" for report in reports for gap in report.gaps]
    return "\n".join(part for line in lines for part in wrapped(line, width))


def markets_json(reports: Sequence[RunReport], notes: Sequence[str]) -> dict[str, object]:
    """Return all reports, and the mean of each figure's median and percentiles over the markets."""
    mean = {
        part: {name: _mean([getattr(_robustness(report).band(name), part) for report in reports]) for name in FIGURES}
        for part in ("median", "p5", "p95")
    }
    return {
        "version": SUMMARY_VERSION,
        "markets": [as_data(report) for report in reports],
        "mean": mean,
        "gaps": list(notes),
    }


_Figures = tuple[float, float, float, float, float, float, float, float]


def _row(report: RunReport) -> tuple[str, float, float, float, float, float, float, float, float]:
    robustness = _robustness(report)
    result = robustness.band("result_frac")
    return (
        report.symbol,
        (report.to_ms - report.from_ms) / DAY_MS,
        result.median,
        result.p5,
        result.p95,
        robustness.band("excess_frac").median,
        -robustness.band("max_drawdown_frac").median,
        robustness.band("exits").median,
        report.results.whole.hold_base_frac,
    )


def _means(rows: Sequence[tuple[str, float, float, float, float, float, float, float, float]]) -> _Figures:
    days, median, low, high, excess, drawdown, exits, holding = (
        _mean([float(row[column]) for row in rows]) for column in range(1, len(_HEADINGS))
    )
    return days, median, low, high, excess, drawdown, exits, holding


def _cells(
    name: str,
    days: float,
    median: float,
    low: float,
    high: float,
    excess: float,
    drawdown: float,
    exits: float,
    holding: float,
) -> tuple[str, ...]:
    fractions = (median, low, high, excess, drawdown)
    return (name, f"{days:.1f}", *map(percent, fractions), f"{exits:g}", percent(holding))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _paths_text(reports: Sequence[RunReport]) -> str:
    counts = sorted({len(_robustness(report).figures) for report in reports})
    told = " or ".join(map(str, counts))
    return f"{told} path" if counts == [1] else f"{told} paths each"


def _robustness(report: RunReport) -> Robustness:
    if report.robustness is None:
        raise ValueError("a backtest's report always has its robustness")
    return report.robustness

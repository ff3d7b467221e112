"""Terminal report: the summary of a run, then one row for each exit and each day, within a given width."""

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from trailingedge.notifications import event_messages
from trailingedge.report.model import RunReport
from trailingedge.report.tables import WON_MEANING, Table, days_table, exits_table, shown_gaps, timestamp, wins_text
from trailingedge.report.totals import rules, totals

USUAL_WIDTH: Final = 80
_NARROWEST: Final = 40
_INDENT, _DEEPER, _APART = "  ", "      ", "  "


def terminal_width() -> int:
    """Return the terminal's width in columns; `USUAL_WIDTH` without a terminal, as in a pipe."""
    return max(_NARROWEST, shutil.get_terminal_size((USUAL_WIDTH, 24)).columns)


def summary_text(report: RunReport, width: int = USUAL_WIDTH) -> str:
    """The whole report as text, in lines of at most `width` characters."""
    run_totals = totals(report)
    run = event_messages.RunSummary(
        seconds=(report.to_ms - report.from_ms) / 1000,
        exits=run_totals.exits,
        fills=run_totals.fills,
        replaces=run_totals.replaces,
        fees=run_totals.fees,
        rejected={str(code): count for code, count in sorted(run_totals.rejected.items())},
        value=report.last_value,
        result_frac=run_totals.result_frac,
        hold_base_frac=run_totals.hold_base_frac,
        hold_quote_frac=run_totals.hold_quote_frac,
        gaps=shown_gaps(report.gaps),
    )
    summary = [
        *event_messages.summary(rules(report), run, report.mode).splitlines(),
        f"  deepest drawdown {event_messages.percent(-run_totals.max_drawdown_frac)}",
        f"  from {timestamp(report.from_ms)} to {timestamp(report.to_ms)} UTC{_mode_note(report)}",
    ]
    if run_totals.win_rate.known:
        summary.append(f"  won {wins_text(run_totals.win_rate)}: {WON_MEANING}")
    lines = [part for line in summary for part in wrapped(line, width)]
    if report.exits:
        heading = "exits, results against the anchor and after fees"
        lines += ["", *wrapped(heading, width), *columns(exits_table(report), width)]
    lines += ["", "days, by UTC", *columns(days_table(report), width)]
    return "\n".join(lines)


def wrapped(line: str, width: int = USUAL_WIDTH) -> list[str]:
    """`line` wrapped at `width`; continuation lines are indented by two more characters."""
    if len(line) <= width:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(
        line.strip(), width, initial_indent=indent, subsequent_indent=indent + _INDENT, break_on_hyphens=False
    )


def columns(table: Table, width: int = USUAL_WIDTH) -> list[str]:
    """The table as lines: headings first, each column as wide as its widest cell.

    Columns that do not fit into `width` continue on further, indented lines; each row then takes several lines, and
    so do the headings.
    """
    rows = [table.headings, *(row for row in table.rows if len(row) > 1)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.headings))]
    bands = list(_bands(widths, width))
    lines: list[str] = []
    for row in (table.headings, *table.rows):
        if len(row) == 1:
            lines += wrapped(_INDENT + row[0], width)
            continue
        for number, band in enumerate(bands):
            lines += _line(table, row, band, widths, _DEEPER if number else _INDENT, width)
    return lines


def _bands(widths: Sequence[int], width: int) -> Iterator[list[int]]:
    """Yield groups of column numbers, each group narrow enough for one line."""
    band: list[int] = []
    used = len(_INDENT)
    for column, wide in enumerate(widths):
        if band and used + len(_APART) + wide > width:
            yield band
            band, used = [], len(_DEEPER)
        used += wide + (len(_APART) if band else 0)
        band.append(column)
    yield band


def _line(
    table: Table, row: Sequence[str], band: Sequence[int], widths: Sequence[int], indent: str, width: int
) -> list[str]:
    """Return those cells of one row that stand in the columns `band`, as lines of text.

    A cell wider than the terminal is wrapped.
    """
    if len(band) == 1 and len(indent) + len(row[band[0]]) > width:
        return wrapped(indent + row[band[0]], width)
    cells = []
    for column in band:
        flush = str.rjust if table.headings[column] in table.numeric else str.ljust
        cells.append(flush(row[column], widths[column]))
    line = (indent + _APART.join(cells)).rstrip()
    return [line] if line else []


def _mode_note(report: RunReport) -> str:
    match report.mode:
        case "sim":
            return " (simulated market time)"
        case "replay":
            return " (recorded market: no real orders)"
        case _:
            return ""

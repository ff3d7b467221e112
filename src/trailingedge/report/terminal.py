"""Terminal report: tables of exits, days and reasons, followed by the headline, in lines of a given width."""

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TextIO

from trailingedge.notifications import result_messages
from trailingedge.report.model import RunReport
from trailingedge.report.robustness import robustness_texts
from trailingedge.report.tables import (
    Table,
    days_table,
    exits_table,
    months_table,
    reasons_table,
    shown_gaps,
    timestamp,
    transfers_table,
    weeks_table,
)

USUAL_WIDTH: Final = 80
_NARROWEST: Final = 40
_RED, _YELLOW, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[0m"
_LOSS: Final = re.compile(r"(?<![\w.,-])-\d[\d.]* %")  # a share below zero
_INDENT, _DEEPER, _APART = "  ", "      ", "  "


def terminal_width() -> int:
    """Return the terminal's width in columns; `USUAL_WIDTH` without a terminal, as in a pipe."""
    return max(_NARROWEST, shutil.get_terminal_size((USUAL_WIDTH, 24)).columns)


def summary_text(report: RunReport, width: int = USUAL_WIDTH, *, trades: bool = False) -> str:
    """The whole report as text, in lines of at most `width` characters. With `trades`, each exit is listed.

    The headline comes last, because the last lines stay visible on the screen.
    """
    lines: list[str] = []
    if trades and report.exits:
        heading = (
            "exits: the result of a sale is that of its round trip, the result of a buy-back is the base gained, "
            "both after fees"
        )
        lines += [*wrapped(heading, width), *columns(exits_table(report), width), ""]
    if report.results.transfers:
        lines += [*wrapped("transfers, not part of the result", width), *columns(transfers_table(report), width), ""]
    spans = (("days, by UTC", days_table(report)), ("weeks, from Monday", weeks_table(report)))
    for heading, table in (*spans, ("months", months_table(report))):
        if len(table.rows) > 1 or table.headings[0] == "day":
            lines += [*wrapped(heading, width), *columns(table, width), ""]
    reasons = reasons_table(report)
    if reasons.rows:
        lines += [
            *wrapped("round trips by the exit that ended them, and buy-backs", width),
            *columns(reasons, width),
            "",
        ]
    span = f"from {timestamp(report.from_ms)} to {timestamp(report.to_ms)} UTC{_mode_note(report)}"
    summary = [
        f"{report.symbol}, {span}",
        *(f"  note: {gap}" for gap in shown_gaps(report.gaps)),
        *(f"  {line}" for line in (() if report.robustness is None else robustness_texts(report.robustness))),
        *(f"  {line}" for line in result_messages.activity(report.rules, report.results)),
        *(f"  {line}" for line in result_messages.risk(report.rules, report.results)),
        *(f"  {line}" for line in result_messages.headline(report.rules, report.results)),
    ]
    lines += [part for line in summary for part in wrapped(line, width)]
    return "\n".join(lines)


def print_report(report: RunReport, *, trades: bool = False) -> None:
    """Print the report to stdout, in colours if stdout is a terminal and NO_COLOR is not set."""
    text = summary_text(report, terminal_width(), trades=trades)
    print(coloured(text) if may_colour(sys.stdout, os.environ) else text)


def coloured(text: str) -> str:
    """`text` with losses in red and notes in yellow, by ANSI escape sequences."""
    return "\n".join(_coloured_line(line) for line in text.split("\n"))


def may_colour(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether to print colours to `stream`: it must be a terminal, and NO_COLOR must not be set."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def _coloured_line(line: str) -> str:
    if line.startswith("  note:"):
        return f"{_YELLOW}{line}{_PLAIN}"
    return _LOSS.sub(rf"{_RED}\g<0>{_PLAIN}", line)


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
    """Return the cells of one row in the columns `band`, as lines of text.

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
        case "backtest" | "replay":  # the former name, in saved reports
            return " (backtest: no real orders)"
        case _:
            return ""

"""A story on the terminal: the summary that a session ends with, then every exit and every day."""

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from trailingedge.notifications import messages
from trailingedge.report.model import RunReport
from trailingedge.report.tables import WON, Table, days_table, exits_table, hits, missing, moment
from trailingedge.report.totals import rules, totals

USUAL_WIDTH: Final = 80
_NARROWEST: Final = 40
_INDENT, _DEEPER, _APART = "  ", "      ", "  "


def terminal_width() -> int:
    """How many letters a line has; the usual number where nobody knows, as in a pipe."""
    return max(_NARROWEST, shutil.get_terminal_size((USUAL_WIDTH, 24)).columns)


def summary_text(story: RunReport, width: int = USUAL_WIDTH) -> str:
    """The whole of it, in lines of at most `width` letters."""
    told = totals(story)
    run = messages.RunSummary(
        seconds=(story.to_ms - story.from_ms) / 1000,
        exits=told.exits,
        fills=told.fills,
        replaces=told.replaces,
        fees=told.fees,
        rejected={str(code): count for code, count in sorted(told.rejected.items())},
        value=story.last_value,
        result_frac=told.result_frac,
        hold_base_frac=told.hold_base_frac,
        hold_quote_frac=told.hold_quote_frac,
        gaps=missing(story.gaps),
    )
    summary = [
        *messages.summary(rules(story), run, story.mode).splitlines(),
        f"  deepest drawdown {messages.percent(-told.max_drawdown_frac)}",
        f"  from {moment(story.from_ms)} to {moment(story.to_ms)} UTC{_whose_time(story)}",
    ]
    if told.hits.judged:
        summary.append(f"  won {hits(told.hits)}: {WON}")
    lines = [part for line in summary for part in wrapped(line, width)]
    if story.exits:
        heading = "exits, results against the anchor and after fees"
        lines += ["", *wrapped(heading, width), *columns(exits_table(story), width)]
    lines += ["", "days, by UTC", *columns(days_table(story), width)]
    return "\n".join(lines)


def wrapped(line: str, width: int = USUAL_WIDTH) -> list[str]:
    """The line, and where it is longer than that, what is left of it below, two letters further in."""
    if len(line) <= width:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.wrap(
        line.strip(), width, initial_indent=indent, subsequent_indent=indent + _INDENT, break_on_hyphens=False
    )


def columns(table: Table, width: int = USUAL_WIDTH) -> list[str]:
    """The table with its headings, each column as wide as it must be.

    What does not fit beside each other stands below, further in: a row then is several lines, and so are the headings.
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
    """The columns that stand beside each other."""
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
    """A row's cells of one band; a cell wider than the terminal goes on below itself."""
    if len(band) == 1 and len(indent) + len(row[band[0]]) > width:
        return wrapped(indent + row[band[0]], width)
    cells = []
    for column in band:
        flush = str.rjust if table.headings[column] in table.numeric else str.ljust
        cells.append(flush(row[column], widths[column]))
    line = (indent + _APART.join(cells)).rstrip()
    return [line] if line else []


def _whose_time(story: RunReport) -> str:
    match story.mode:
        case "sim":
            return ", simulated time: the market ran by a clock of its own"
        case "replay":
            return ", when the market was recorded: nobody traded on it"
        case _:
            return ""

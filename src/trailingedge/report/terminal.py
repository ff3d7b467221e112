"""A story on the terminal: the summary that a session ends with, then every exit and every day."""

from trailingedge.notifications import texts
from trailingedge.report.figures import hit_rate, rules, totals
from trailingedge.report.story import Story
from trailingedge.report.tables import Table, days_table, exits_table, moment


def summary_text(story: Story) -> str:
    """The whole of it, in lines."""
    told, hits = totals(story), hit_rate(story.exits)
    run = texts.Summary(
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
        gaps=story.gaps,
    )
    lines = [
        texts.summary(rules(story), run),
        f"  deepest drawdown {texts.percent(-told.max_drawdown_frac)}",
        f"  exits that won since their anchor: {hits.won} of {hits.judged}",
        f"  from {moment(story.from_ms)} to {moment(story.to_ms)} UTC",
    ]
    if story.exits:
        lines += ["", "exits, results against the anchor and after fees", *columns(exits_table(story))]
    lines += ["", "days", *columns(days_table(story))]
    return "\n".join(lines)


def columns(table: Table) -> list[str]:
    """The table with a heading, each column as wide as it must be."""
    rows = [table.headings, *table.rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.headings))]
    right = [heading in table.numeric for heading in table.headings]
    return [
        "  "
        + "  ".join(
            cell.rjust(width) if flush else cell.ljust(width)
            for cell, width, flush in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    ]

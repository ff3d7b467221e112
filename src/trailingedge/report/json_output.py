"""A story for machines, in the one shape of summary, replay and report."""

from trailingedge.accounting.summary_json import shape
from trailingedge.report.model import RunReport
from trailingedge.report.totals import days, totals


def as_data(story: RunReport) -> dict[str, object]:
    """The whole of it, ready for JSON."""
    return shape(
        symbol=story.symbol,
        tick_size=story.tick_size,
        from_ms=story.from_ms,
        to_ms=story.to_ms,
        settings=story.settings,
        exits=story.exits,
        totals=totals(story),
        days=days(story),
        gaps=story.gaps,
    )

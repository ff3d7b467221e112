"""Archive layout: the names and paths of Binance's public archive, as binance/binance-public-data describes them.

A file holds a day or a month of one market, in UTC. For each file there is another one with `.CHECKSUM` appended to its
name. It contains the file's SHA-256 sum and name, in the format of `sha256sum`. The file of a day appears on the next
day, the file of a month in the next month.
"""

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from urllib.parse import quote

from trailingedge.commands.market_history.history_span import HistorySpan, days_between
from trailingedge.simulator.feeds.csv_schemas import CsvSchema


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """A file of the archive: its name, its path below the archive's address, and the days that it holds."""

    name: str
    path: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class SpanMonth:
    """The part of a span within one month: its days one by one, and the month's file if the whole month is wanted."""

    days: tuple[ArchiveFile, ...]
    whole: ArchiveFile | None


def day_file(span: HistorySpan, day: date) -> ArchiveFile:
    """Return the file that holds one day."""
    return _file(span, "daily", day.isoformat(), day, day)


def months(span: HistorySpan, today: date) -> Iterator[SpanMonth]:
    """Yield the months of a span up to yesterday. A month has one file for all its days only after it has ended."""
    first = span.first
    while first <= span.last and first < today:
        end = first.replace(day=calendar.monthrange(first.year, first.month)[1])
        whole = None
        if first.day == 1 and end <= span.last and end < today:
            whole = _file(span, "monthly", f"{first:%Y-%m}", first, end)
        last = min(end, span.last, date.fromordinal(today.toordinal() - 1))
        yield SpanMonth(tuple(day_file(span, day) for day in days_between(first, last)), whole)
        first = date.fromordinal(end.toordinal() + 1)


def _file(span: HistorySpan, period: str, dated: str, first: date, last: date) -> ArchiveFile:
    kind = span.kind.value
    # Klines are filed by their interval, everything else by its kind alone.
    market, folder = span.kind.value, ""
    if span.kind is CsvSchema.KLINES:
        market, folder = span.interval, f"{span.interval}/"
    name = f"{span.symbol}-{market}-{dated}.zip"
    path = f"data/spot/{period}/{kind}/{span.symbol}/{folder}{name}"
    return ArchiveFile(name, quote(path), first, last)

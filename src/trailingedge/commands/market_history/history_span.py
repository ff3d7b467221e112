"""History span: one market and the days that are wanted, and how both are parsed on the command line."""

import argparse
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from trailingedge.core.time_units import DAY_MS
from trailingedge.model.market_names import is_market_name
from trailingedge.simulator.feeds.csv_schemas import CsvSchema

MOST_DAYS: Final = 3660
_ONE_DAY: Final = timedelta(days=1)
_EPOCH: Final = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class HistorySpan:
    """One market from the day `first` to the day `last`, both included, in UTC. `interval` matters for klines only."""

    symbol: str
    kind: CsvSchema
    interval: str
    first: date
    last: date

    @property
    def text(self) -> str:
        """The market and its days, for people."""
        interval = f" {self.interval}" if self.kind is CsvSchema.KLINES else ""
        return f"{self.symbol} {self.kind.value}{interval}, {days_text(self.first, self.last)}"

    @property
    def days(self) -> list[date]:
        """Each day of the span, in order."""
        return days_between(self.first, self.last)


def days_between(first: date, last: date) -> list[date]:
    """Return each day from `first` to `last`, both included."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def days_text(first: date, last: date) -> str:
    """Return a span of days as text."""
    return f"{first}" if first == last else f"{first} to {last}"


def runs_of_days(days: list[date]) -> list[tuple[date, date]]:
    """Return the first and the last day of each unbroken series of days in `days`, which must be in order."""
    runs: list[tuple[date, date]] = []
    for day in days:
        if runs and day - runs[-1][1] == _ONE_DAY:
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return runs


def start_ms(day: date) -> int:
    """Return the first millisecond of a day, since 1970."""
    return (day - _EPOCH).days * DAY_MS


def utc_day(unix_ms: int) -> date:
    """Return the day in UTC at that time."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).date()


def parse_day(text: str) -> date:
    """Parse a day, for argparse."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a day; write it like 2025-06-02") from None


def parse_symbol(text: str) -> str:
    """Parse a symbol, in small or capital letters, for argparse."""
    problem = symbol_problem(text)
    if problem is not None:
        raise argparse.ArgumentTypeError(problem)
    return text.upper()


def symbol_problem(text: str) -> str | None:
    """Return why `text` is no symbol; None if it is one."""
    # The name becomes a part of paths and of file names, in which a sign would separate it from the interval.
    if is_market_name(text) and not set(text) & set("-._"):
        return None
    return f"{text} is not a symbol; write it as the exchange does, like ETHUSDT"


def span_problem(first: date, last: date) -> str | None:
    """Return why no history can be fetched for these days; None if it can."""
    if last < first:
        return f"--to {last} is before --from {first}; exchange the two"
    if (last - first).days >= MOST_DAYS:
        return f"--from {first} to --to {last} are more than {MOST_DAYS} days; choose fewer"
    return None

"""Fetched history: which files are in the folder now and which are missing, as text and as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby, pairwise
from pathlib import Path
from typing import Final

from trailingedge.commands.market_history.archive_download import FileOutcome, FileState
from trailingedge.commands.market_history.history_span import (
    HistorySpan,
    days_between,
    days_text,
    runs_of_days,
    start_ms,
)
from trailingedge.core.bounded_files import megabytes
from trailingedge.core.errors import ConfigError
from trailingedge.core.time_units import DAY_MS
from trailingedge.notifications.event_messages import counted
from trailingedge.simulator.feeds.csv_files import EMPTY_ROW, CsvFile, csv_files
from trailingedge.simulator.feeds.csv_schemas import CsvRow, CsvSchema, parse_id
from trailingedge.simulator.feeds.inspection import FileInspection, inspect_files, missing_klines

VERSION: Final = 1
_SHOWN: Final = 10  # lines of one kind
_ROWS: Final = 4096


@dataclass(frozen=True, slots=True)
class FetchedHistory:
    """The result for one span: an outcome for each file, in order of time.

    `outcomes` has no file for today and later days, because these days have not ended yet.
    """

    span: HistorySpan
    folder: Path
    outcomes: Sequence[FileOutcome]
    today: date

    @property
    def files(self) -> list[Path]:
        """The files that are there, in order of time."""
        return [self.folder / outcome.file.name for outcome in self.outcomes if outcome.is_there]

    @property
    def missing(self) -> list[date]:
        """The days for which the source has no file, including today and later days."""
        absent = [each.file for each in self.outcomes if each.state is FileState.MISSING]
        days = [day for file in absent for day in days_between(file.first, file.last)]
        return days + [day for day in self.span.days if day >= self.today]

    @property
    def failed(self) -> list[FileOutcome]:
        """The files that could not be fetched."""
        return [outcome for outcome in self.outcomes if outcome.state is FileState.FAILED]

    def missing_text(self) -> Iterator[str]:
        """Yield a line for each unbroken series of missing days, and for each file that failed.

        Of each, only the first few.
        """
        runs = [f"missing: {_reason(first, last, self.today)}" for first, last in self._missing_runs()]
        failures = [f"failed: {each.file.name}: {each.reason}" for each in self.failed]
        for lines in (runs, failures):
            yield from lines[:_SHOWN]
            if len(lines) > _SHOWN:
                yield f"… and {len(lines) - _SHOWN} more"

    def _missing_runs(self) -> Iterator[tuple[date, date]]:
        for _, days in groupby(self.missing, key=lambda day: day >= self.today):
            yield from runs_of_days(list(days))

    def text(self, gaps: Sequence[str]) -> str:
        """Return the whole outcome for people."""
        states = [outcome.state for outcome in self.outcomes]
        size_bytes = sum(path.stat().st_size for path in self.files)
        files = f"{counted(len(self.files), 'file')} in {self.folder} ({megabytes(size_bytes)})"
        what = f"{states.count(FileState.FETCHED)} fetched, {states.count(FileState.KEPT)} there before"
        shown = [f"gap: {gap}" for gap in gaps[:_SHOWN]]
        if len(gaps) > _SHOWN:
            shown.append(f"… and {len(gaps) - _SHOWN} more gaps")
        return "\n".join([f"{self.span.text}: {files}; {what}", *self.missing_text(), *shown])

    def json(self, gaps: Sequence[str]) -> dict[str, object]:
        """Return the whole outcome for programs."""
        span = self.span
        return {
            "version": VERSION,
            "symbol": span.symbol,
            "kind": span.kind.value,
            "interval": span.interval if span.kind is CsvSchema.KLINES else None,
            "from": span.first.isoformat(),
            "to": span.last.isoformat(),
            "files": [
                {
                    "path": str(self.folder / each.file.name),
                    "from": each.file.first.isoformat(),
                    "to": each.file.last.isoformat(),
                    "state": each.state.value,
                }
                for each in self.outcomes
                if each.is_there
            ],
            "missing": [day.isoformat() for day in self.missing],
            "failed": [{"file": each.file.name, "reason": each.reason} for each in self.failed],
            "gaps": list(gaps),
        }

    def gaps(self) -> list[str]:
        """Read the files and return a sentence for each gap inside them.

        Whole missing days are not among them; see `missing`. Raises ConfigError if a file cannot be read.
        """
        if self.span.kind is CsvSchema.BOOK_TICKER:
            return []  # its rows have no sequence, and a market that stands still has none
        if self.span.kind is CsvSchema.KLINES:
            return self._missing_klines()
        gaps: list[str] = []
        for files in self._unbroken():
            gaps += _missing_trades([file for path in files for file in csv_files(path)])
        return gaps

    def _unbroken(self) -> Iterator[list[Path]]:
        """Yield the files that are there in groups. Within a group no day is missing."""
        for is_there, outcomes in groupby(self.outcomes, key=lambda outcome: outcome.is_there):
            if is_there:
                yield [self.folder / outcome.file.name for outcome in outcomes]

    def _missing_klines(self) -> list[str]:
        inspections, problems = inspect_files(self.files)
        if problems:
            raise ConfigError(problems)
        absent = [each.file for each in self.outcomes if not each.is_there]
        # The days without a file count as present, and so do the two ends of the span.
        known = [(start_ms(file.first), start_ms(file.last) + DAY_MS) for file in absent]
        if self.outcomes:
            begin, end = start_ms(self.outcomes[0].file.first), start_ms(self.outcomes[-1].file.last) + DAY_MS
            known += [(begin, begin), (end, end)]
        return missing_klines([*inspections, FileInspection(CsvFile(self.folder), CsvSchema.KLINES, None, runs=known)])


def _missing_trades(files: Sequence[CsvFile]) -> Iterator[str]:
    """Yield a sentence for each gap in the ids of the trades in these files."""
    newest: int | None = None
    for file in files:
        for line, rows in file.row_batches(_ROWS, 1):
            ids = [_id(file, number, row) for number, row in enumerate(rows, line) if row != EMPTY_ROW]
            if newest is not None:
                ids.insert(0, newest)
            for before, after in pairwise(ids):
                if after - before > 1:
                    yield f"{counted(after - before - 1, 'trade')} missing before id {after} in {file.name}"
            newest = ids[-1] if ids else newest


def _id(file: CsvFile, line: int, row: CsvRow) -> int:
    try:
        return parse_id(row[0])
    except ValueError as exc:
        raise file.error(f"{exc}; delete the file and fetch it again", line) from exc


def _reason(first: date, last: date, today: date) -> str:
    days = days_text(first, last)
    return f"{days}, not over yet" if first >= today else f"{days}, not published"

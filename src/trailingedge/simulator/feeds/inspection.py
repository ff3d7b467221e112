"""A first look at market files: what they are, on which grid, and what is missing between them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice, repeat
from math import inf
from operator import eq, itemgetter, le, lt, sub
from pathlib import Path
from typing import Final

from trailingedge.core.errors import ConfigError
from trailingedge.core.time_units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from trailingedge.model.market import Kline
from trailingedge.simulator.feeds.csv_files import CsvFile, csv_files
from trailingedge.simulator.feeds.csv_schemas import (
    KLINE_COLUMNS,
    PRICE_COLUMNS,
    QUANTITY_COLUMNS,
    CsvRow,
    CsvSchema,
    decimal_places,
    parse_kline_times,
    parse_times_ms,
)

# How many trades or quotes of a file are looked at. Klines are few enough to see, and to check, them all.
INSPECTED_ROWS: Final = 100_000
_PIECE: Final = 512  # klines at a time
_USUAL_PLACES: Final = 8  # decimals to which the exchange pads every number
_AT_THE_POINT: Final = itemgetter(slice(-_USUAL_PLACES - 1, -_USUAL_PLACES))

_SYMBOL_IN_NAME: Final = re.compile(r"([A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*)-")
# As the exchange publishes them: ETHUSDT-1m-2025-06-01.zip. What another hand called a file may be no symbol.
_PUBLISHED: Final = re.compile(r"([A-Z0-9]+)-(?:[0-9]+[smhdw]o?|trades|aggTrades|bookTicker)-[0-9]{4}-[0-9]{2}")
_UNITS: Final = ((DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "m"), (SECOND_MS, "s"))


@dataclass(slots=True)
class FileInspection:
    """What one file is. Klines have an interval, and runs: stretches without a gap, start and end in ms."""

    file: CsvFile
    schema: CsvSchema
    symbol: str | None
    first_ms: int = 0
    price_decimals: int = 0
    quantity_decimals: int = 0
    interval_ms: int = 0
    runs: list[tuple[int, int]] = field(default_factory=list)

    def add_kline(self, open_ms: int, close_ms: int) -> None:
        """Fold in the next kline of the file."""
        after_ms = close_ms + 1
        # An exchange that goes down closes its last kline early: the longest one is the interval.
        self.interval_ms = max(self.interval_ms, after_ms - open_ms)
        if not self.runs or open_ms > self.runs[-1][1]:
            self.runs.append((open_ms, after_ms))
        else:
            began_ms, ends_ms = self.runs[-1]
            self.runs[-1] = (began_ms, max(ends_ms, after_ms))


def inspect_files(paths: Iterable[Path]) -> tuple[list[FileInspection], list[str]]:
    """A survey of each CSV file in order of time, and everything that is wrong with any of them."""
    surveys: list[FileInspection] = []
    problems: list[str] = []
    for path in paths:
        try:
            surveys += [_survey(file) for file in csv_files(path)]
        except ConfigError as error:
            problems += error.problems
    surveys.sort(key=lambda survey: (survey.first_ms, str(survey.file.path), survey.file.name))
    return surveys, problems


def _survey(file: CsvFile) -> FileInspection:
    layout = file.detect_schema()
    named = _SYMBOL_IN_NAME.match(file.name) or _SYMBOL_IN_NAME.match(file.path.name)
    survey = FileInspection(file, layout, named.group(1).upper() if named else None)
    if layout is CsvSchema.KLINES:
        _survey_klines(survey)
        return survey
    for row, value in islice(file.values(layout), INSPECTED_ROWS):
        _note_decimals(survey, row)
        if not isinstance(value, Kline):
            survey.first_ms = min(survey.first_ms, value.time_ms) if survey.first_ms else value.time_ms
    return survey


def _survey_klines(survey: FileInspection) -> None:
    """All of them, by columns, for a year of minutes is read here and again when it is played."""
    for line, rows in survey.file.row_batches(_PIECE, KLINE_COLUMNS):
        if not _glance_at(survey, rows):  # what is odd is looked at one by one
            for number, row in enumerate(rows, line):
                if row != [""]:
                    survey.add_kline(*survey.file.parse_row(parse_kline_times, number, row))
                    _note_decimals(survey, row)
    survey.first_ms = min(began_ms for began_ms, _ in survey.runs)


def _glance_at(survey: FileInspection, rows: Sequence[CsvRow]) -> bool:
    """Fold in rows that make sense all together; False where some may not, or leave a gap, and nothing was done."""
    try:
        cells = list(zip(*rows, strict=True))
        open_ms, close_ms = parse_times_ms(cells[0]), parse_times_ms(cells[6])
        opened, high, low, closed, volume = (list(map(float, column)) for column in cells[1:6])
    except (ValueError, IndexError):
        return False
    follows = all(map(eq, open_ms[1:], (end_ms + 1 for end_ms in close_ms[:-1])))
    sensible = all(map(le, low, opened)) and all(map(le, opened, high)) and all(map(le, low, closed))
    sensible = sensible and all(map(le, closed, high)) and min(low) > 0 and max(high) < inf
    sensible = sensible and all(map(le, repeat(0.0), volume)) and all(map(lt, volume, repeat(inf)))
    lengths = set(map(sub, close_ms, open_ms))
    if not (follows and sensible and len(lengths) == 1 and lengths.pop() >= 0):
        return False
    survey.add_kline(open_ms[0], close_ms[0])
    began_ms, ends_ms = survey.runs[-1]
    survey.runs[-1] = (began_ms, max(ends_ms, close_ms[-1] + 1))
    for column in PRICE_COLUMNS[survey.schema]:
        survey.price_decimals = _most_decimals(cells[column], survey.price_decimals)
    for column in QUANTITY_COLUMNS[survey.schema]:
        survey.quantity_decimals = _most_decimals(cells[column], survey.quantity_decimals)
    return True


def _most_decimals(cells: Sequence[str], known: int) -> int:
    """How many decimals the cells use, `known` or more. Mostly all have the usual eight, with no news in them."""
    tail = "0" * (_USUAL_PLACES - known)
    if all(map(str.endswith, cells, repeat(tail))) and set(map(_AT_THE_POINT, cells)) == {"."}:
        return known
    return max(known, *map(decimal_places, cells))


def _note_decimals(survey: FileInspection, row: CsvRow) -> None:
    for column in PRICE_COLUMNS[survey.schema]:
        survey.price_decimals = max(survey.price_decimals, decimal_places(row[column]))
    for column in QUANTITY_COLUMNS[survey.schema]:
        survey.quantity_decimals = max(survey.quantity_decimals, decimal_places(row[column]))


def find_mismatches(surveys: Sequence[FileInspection]) -> list[str]:
    """What keeps these files from being one market."""
    problems = []
    for what, told in (
        ("symbols", [survey.symbol for survey in surveys]),
        ("layouts", [survey.schema.value for survey in surveys]),
        ("kline intervals", [interval_name(survey.interval_ms) for survey in surveys if survey.interval_ms]),
    ):
        first = {name: survey.file for name, survey in reversed(list(zip(told, surveys, strict=False))) if name}
        if len(first) > 1:
            files = ", ".join(f"{name} in {file.path}" for name, file in sorted(first.items()))
            problems.append(f"mixed {what}: {files}; give the files of one market and one layout")
    return problems


def files_of_other_symbols(paths: Iterable[str | Path], symbol: str) -> dict[str, Path]:
    """Symbols other than `symbol` that the exchange's own names of these files tell, each with one of its files."""
    found: dict[str, Path] = {}
    for path in map(Path, paths):
        named = _PUBLISHED.match(path.name)
        if named is not None and named[1] != symbol.upper():
            found.setdefault(named[1], path)
    return found


def grid_of_decimals(places: int) -> Decimal:
    """The grid of that many decimals."""
    return Decimal(1).scaleb(-places)


def missing_klines(surveys: Sequence[FileInspection]) -> list[str]:
    """The klines that no file has, between the first and the last, in words."""
    runs = sorted(run for survey in surveys for run in survey.runs)
    interval_ms = max((survey.interval_ms for survey in surveys), default=0)
    words: list[str] = []
    told_ms = runs[0][1] if runs else 0
    for began_ms, ends_ms in runs:
        count = (began_ms - told_ms) // interval_ms
        if count > 0:
            span = f"{_in_words(began_ms - count * interval_ms)} to {_in_words(began_ms)} UTC"
            words.append(f"{count} {interval_name(interval_ms)} kline{'s' if count > 1 else ''} missing: {span}")
        told_ms = max(told_ms, ends_ms)
    return words


def interval_name(interval_ms: int) -> str:
    """The exchange's name of an interval: 60000 is "1m"."""
    for unit_ms, unit in _UNITS:
        if interval_ms % unit_ms == 0:
            return f"{interval_ms // unit_ms}{unit}"
    return f"{interval_ms}ms"


def _in_words(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M}"

"""Inspection of market files before they are played: schema, symbol, decimals, and klines that are missing."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice, pairwise, repeat
from operator import eq, itemgetter, sub
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
    parse_kline,
    parse_kline_columns,
)

# How many trades or quotes of a file are read. Klines are few enough to read and check all of them.
INSPECTED_ROWS: Final = 100_000
_BATCH_ROWS: Final = 512  # klines read at a time
_USUAL_PLACES: Final = 8  # decimals to which Binance pads every number
_AT_THE_POINT: Final = itemgetter(slice(-_USUAL_PLACES - 1, -_USUAL_PLACES))

# Letters and digits of any script, among them a letter.
_SYMBOL_IN_NAME: Final = re.compile(r"([^\W_]*[^\W\d_][^\W_]*)-")
# Names as Binance publishes them, such as ETHUSDT-1m-2025-06-01.zip. The start of any other name may be no symbol.
_PUBLISHED: Final = re.compile(r"([^\Wa-z_]+)-(?:[0-9]+[smhdw]o?|trades|aggTrades|bookTicker)-[0-9]{4}-[0-9]{2}")
MOST_UNITS: Final = 2**62  # of a price in tick sizes or a quantity in step sizes: a column holds 64-bit integers
LONGEST_GAP_MS: Final = 366 * DAY_MS  # longer gaps are a mistake: each candle in a gap is made and traded
_UNITS: Final = ((DAY_MS, "d"), (HOUR_MS, "h"), (MINUTE_MS, "m"), (SECOND_MS, "s"))


@dataclass(slots=True)
class NumberRange:
    """Summary of a file's prices or quantities: most decimals used, and the largest number with its line."""

    decimals: int = 0
    largest: float = 0.0
    line: int = 0

    def add(self, line: int, cell: str) -> None:
        """Add one number."""
        self.decimals = max(self.decimals, decimal_places(cell))
        self._add_largest(line, float(cell))

    def add_column(self, line: int, cells: Sequence[str], numbers: Sequence[float]) -> None:
        """Add a column of numbers, given as text and as floats; the first is at `line`."""
        self.decimals = _most_decimals(cells, self.decimals)
        largest = max(numbers)
        if largest > self.largest:
            self._add_largest(line + numbers.index(largest), largest)

    def _add_largest(self, line: int, number: float) -> None:
        if number > self.largest:
            self.largest, self.line = number, line


@dataclass(slots=True)
class FileInspection:
    """The result of inspecting one file.

    For klines, `interval_ms` is their interval. `runs` lists the spans without a gap, each as start
    and end in milliseconds. `goes_back` is whether a kline is earlier than the one before it. For
    trades and quotes, only the first INSPECTED_ROWS were inspected.
    """

    file: CsvFile
    schema: CsvSchema
    symbol: str | None
    first_ms: int = 0
    prices: NumberRange = field(default_factory=NumberRange)
    quantities: NumberRange = field(default_factory=NumberRange)
    interval_ms: int = 0
    runs: list[tuple[int, int]] = field(default_factory=list)
    goes_back: bool = False

    def add_kline(self, open_ms: int, close_ms: int) -> None:
        """Update `interval_ms` and `runs` with the next kline of the file."""
        after_ms = close_ms + 1
        # The last kline before an outage of the exchange closes early, so the longest one is the interval.
        self.interval_ms = max(self.interval_ms, after_ms - open_ms)
        self.goes_back = self.goes_back or bool(self.runs and after_ms < self.runs[-1][1])
        if not self.runs or open_ms > self.runs[-1][1]:
            self.runs.append((open_ms, after_ms))
        else:
            began_ms, ends_ms = self.runs[-1]
            self.runs[-1] = (began_ms, max(ends_ms, after_ms))


def inspect_files(paths: Iterable[Path]) -> tuple[list[FileInspection], list[str]]:
    """Return an inspection of each CSV file, in order of time, and a list of all problems found."""
    inspections: list[FileInspection] = []
    problems: list[str] = []
    for path in paths:
        try:
            inspections += [_inspect(file) for file in csv_files(path)]
        except ConfigError as error:
            problems += error.problems
    inspections.sort(key=lambda inspection: (inspection.first_ms, str(inspection.file.path), inspection.file.name))
    return inspections, problems


def _inspect(file: CsvFile) -> FileInspection:
    schema = file.detect_schema()
    named = _SYMBOL_IN_NAME.match(file.name) or _SYMBOL_IN_NAME.match(file.path.name)
    inspection = FileInspection(file, schema, named.group(1).upper() if named else None)
    if schema is CsvSchema.KLINES:
        _inspect_klines(inspection)
        return inspection
    for line, row, value in islice(file.values(schema), INSPECTED_ROWS):
        _note_numbers(inspection, line, row)
        if not isinstance(value, Kline):
            inspection.first_ms = min(inspection.first_ms, value.time_ms) if inspection.first_ms else value.time_ms
    return inspection


def _inspect_klines(inspection: FileInspection) -> None:
    """Read all klines of a file and add them to its inspection.

    For speed, klines are checked in batches, column by column. Only if a batch looks wrong are its
    rows checked one by one.
    """
    for line, rows in inspection.file.row_batches(_BATCH_ROWS, KLINE_COLUMNS):
        if not _inspect_batch(inspection, line, rows):  # something is odd: check these rows one by one
            for number, row in enumerate(rows, line):
                if row != [""]:
                    kline = inspection.file.parse_row(parse_kline, number, row)
                    if inspection.runs:
                        check_gap(inspection.file, number, inspection.runs[-1][1], kline.open_ms)
                    inspection.add_kline(kline.open_ms, kline.close_ms)
                    _note_numbers(inspection, number, row)
    inspection.first_ms = min(began_ms for began_ms, _ in inspection.runs)


def _inspect_batch(inspection: FileInspection, line: int, rows: Sequence[CsvRow]) -> bool:
    """Add a batch of klines if all of them look plausible and there is no gap between them.

    Otherwise returns False and adds nothing.
    """
    try:
        cells = list(zip(*rows, strict=True))
        open_ms, close_ms, numbers = parse_kline_columns(cells)
    except (ValueError, IndexError):
        return False
    # Several times as fast as a Python loop over the rows.
    follows = all(map(eq, open_ms[1:], (end_ms + 1 for end_ms in close_ms[:-1])))
    follows = follows and (not inspection.runs or open_ms[0] == inspection.runs[-1][1])
    if not follows or len(set(map(sub, close_ms, open_ms))) != 1:
        return False
    inspection.add_kline(open_ms[0], close_ms[0])
    began_ms, ends_ms = inspection.runs[-1]
    inspection.runs[-1] = (began_ms, max(ends_ms, close_ms[-1] + 1))
    opened, high, low, closed, volume = numbers
    for column, prices in zip(PRICE_COLUMNS[inspection.schema], (opened, high, low, closed), strict=True):
        inspection.prices.add_column(line, cells[column], prices)
    for column in QUANTITY_COLUMNS[inspection.schema]:
        inspection.quantities.add_column(line, cells[column], volume)
    return True


def _most_decimals(cells: Sequence[str], known: int) -> int:
    """Return the largest number of decimals that the cells use, and at least `known`.

    A quick check covers the usual column: all numbers are padded to eight decimals, and the
    decimals beyond `known` are zero.
    """
    tail = "0" * (_USUAL_PLACES - known)
    if all(map(str.endswith, cells, repeat(tail))) and set(map(_AT_THE_POINT, cells)) == {"."}:
        return known
    return max(known, *map(decimal_places, cells))


def _note_numbers(inspection: FileInspection, line: int, row: CsvRow) -> None:
    for column in PRICE_COLUMNS[inspection.schema]:
        inspection.prices.add(line, row[column])
    for column in QUANTITY_COLUMNS[inspection.schema]:
        inspection.quantities.add(line, row[column])


def check_gap(file: CsvFile, line: int, before_ms: int, time_ms: int) -> None:
    """Raise ConfigError if the market pauses for more than a year before the row at `line`."""
    if time_ms - before_ms > LONGEST_GAP_MS:
        span = f"{_in_words(before_ms)} to {_in_words(time_ms)} UTC"
        what = f"no rows for more than a year, from {span}; run the files before and after this gap separately"
        raise file.error(what, line)


def check_units(file: CsvFile, line: int, number: Decimal, size: Decimal) -> None:
    """Raise ConfigError if `number` is too many tick or step sizes (`size`) for a column of 64-bit integers."""
    if number >= MOST_UNITS * size:
        raise file.error(f"{number:f} is too large to be counted in steps of {size:f}; repair or remove the line", line)


def find_absurd_numbers(inspections: Sequence[FileInspection]) -> list[str]:
    """Return a sentence for each file with a number that is too large for the decimals that the market uses."""
    problems: list[str] = []
    for what, ranges in (
        ("price", [inspection.prices for inspection in inspections]),
        ("quantity", [inspection.quantities for inspection in inspections]),
    ):
        decimals = max((each.decimals for each in ranges), default=0)
        for inspection, each in zip(inspections, ranges, strict=True):
            if each.largest * 10.0**decimals >= MOST_UNITS:
                why = f"a {what} of {each.largest:.6g} in a market with {decimals} decimals; repair or remove the line"
                problems += inspection.file.error(why, each.line).problems
    return problems


def find_mismatches(inspections: Sequence[FileInspection]) -> list[str]:
    """Return a sentence for each reason why these files are not one market.

    Reasons are mixed symbols, mixed layouts and mixed kline intervals.
    """
    problems = []
    for what, names in (
        ("symbols", [inspection.symbol for inspection in inspections]),
        ("layouts", [inspection.schema.value for inspection in inspections if not _is_book(inspection, inspections)]),
        (
            "kline intervals",
            [interval_name(inspection.interval_ms) for inspection in inspections if inspection.interval_ms],
        ),
    ):
        first = {
            name: inspection.file for name, inspection in reversed(list(zip(names, inspections, strict=False))) if name
        }
        if len(first) > 1:
            files = ", ".join(f"{name} in {file.path}" for name, file in sorted(first.items()))
            problems.append(f"mixed {what}: {files}; give the files of one market and one layout")
    return problems


def _is_book(inspection: FileInspection, inspections: Sequence[FileInspection]) -> bool:
    """Whether this is a file of quotes beside files of the same market's trades."""
    others = {each.schema for each in inspections} - {CsvSchema.BOOK_TICKER}
    return inspection.schema is CsvSchema.BOOK_TICKER and CsvSchema.KLINES not in others


def published_symbol(path: Path) -> str | None:
    """Return the symbol in a file name as Binance publishes it, such as `ETHUSDT-1m-2025-06-01.zip`; else None."""
    named = _PUBLISHED.match(path.name)
    return None if named is None else named[1]


def files_of_other_symbols(paths: Iterable[str | Path], symbol: str) -> dict[str, Path]:
    """Return the symbols other than `symbol` in the file names, each with one of its files.

    Only names as Binance publishes them count, such as `ETHUSDT-1m-2025-06-01.zip`.
    """
    found: dict[str, Path] = {}
    for path in map(Path, paths):
        named = published_symbol(path)
        if named is not None and named != symbol.upper():
            found.setdefault(named, path)
    return found


def grid_of_decimals(places: int) -> Decimal:
    """Return the smallest step with `places` decimals: 2 gives 0.01."""
    return Decimal(1).scaleb(-places)


def in_order(inspections: Sequence[FileInspection]) -> bool:
    """Whether the klines of these files, one file after the other, are in order of time."""
    runs = [run for inspection in inspections for run in inspection.runs]
    return all(before <= after for (before, _), (after, _) in pairwise(runs)) and not any(
        inspection.goes_back for inspection in inspections
    )


def missing_klines(inspections: Sequence[FileInspection]) -> list[str]:
    """Return a sentence for each gap between the first and the last kline: how many klines no file has."""
    runs = sorted(run for inspection in inspections for run in inspection.runs)
    interval_ms = max((inspection.interval_ms for inspection in inspections), default=0)
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
    """Binance's name of an interval: 60000 is "1m"."""
    for unit_ms, unit in _UNITS:
        if interval_ms % unit_ms == 0:
            return f"{interval_ms // unit_ms}{unit}"
    return f"{interval_ms}ms"


def _in_words(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M}"

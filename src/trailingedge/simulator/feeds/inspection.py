"""Inspection of market files before they are played: schema, symbol, decimals, order, and what is missing.

All rows of all files are read. A row that cannot be read is counted, and every later reader of the file leaves it out.
A file of which most rows cannot be read is refused.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise, repeat
from operator import eq, itemgetter, le, lt, sub
from pathlib import Path
from typing import Final

from trailingedge.core.errors import ConfigError
from trailingedge.core.time_units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from trailingedge.model.market import Kline
from trailingedge.simulator.feeds.csv_files import EMPTY_ROW, CsvFile, csv_files
from trailingedge.simulator.feeds.csv_schemas import (
    PRICE_COLUMNS,
    QUANTITY_COLUMNS,
    READ_COLUMNS,
    CsvRow,
    CsvSchema,
    QuoteRow,
    RowColumns,
    TradeRow,
    decimal_places,
    parse_columns,
    parse_row,
)

_BATCH_ROWS: Final = 512  # read at a time
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

    For klines, `interval_ms` is their interval. `runs` lists the spans without a gap, each as start and end in
    milliseconds. `first_key` and `last_key` are the smallest and the largest key of a row (`RowColumns.keys`); `late`
    counts the rows whose key is smaller than that of an earlier row, `doubled` the rows whose key equals the largest
    key before them. `too_long_gap` is set if there is no row for more than a year.
    """

    file: CsvFile
    schema: CsvSchema
    symbol: str | None
    first_ms: int = 0
    prices: NumberRange = field(default_factory=NumberRange)
    quantities: NumberRange = field(default_factory=NumberRange)
    interval_ms: int = 0
    runs: list[tuple[int, int]] = field(default_factory=list)
    rows: int = 0
    unreadable: int = 0
    first_unreadable: tuple[int, str] = (0, "")
    first_key: int = 0
    last_key: int = -1
    late: int = 0
    doubled: int = 0
    too_long_gap: ConfigError | None = None
    has_market: bool = False  # of best prices: whether the book has both sides, uncrossed, in any row

    def add_kline(self, open_ms: int, close_ms: int) -> None:
        """Update `interval_ms` and `runs` with the next kline of the file."""
        after_ms = close_ms + 1
        # The last kline before an outage of the exchange closes early, so the longest one is the interval.
        self.interval_ms = max(self.interval_ms, after_ms - open_ms)
        began_ms, ends_ms = self.runs[-1] if self.runs else (after_ms + 1, -1)
        if open_ms > ends_ms or after_ms < began_ms:
            self.runs.append((open_ms, after_ms))
        else:
            self.runs[-1] = (min(began_ms, open_ms), max(ends_ms, after_ms))

    def add_keys(self, keys: Sequence[int], first_ms: int) -> None:
        """Update the counts with the next rows of the file; `first_ms` is the earliest time among them."""
        self.first_ms = min(self.first_ms, first_ms) if self.rows else first_ms
        self.first_key = min(self.first_key, *keys) if self.rows else min(keys)
        self.rows += len(keys)
        rises = le if self.schema is CsvSchema.BOOK_TICKER else lt  # the same book twice is no error
        if rises(self.last_key, keys[0]) and all(map(rises, keys, keys[1:])):  # as it nearly always is
            self.last_key = keys[-1]
            return
        for key in keys:
            self.late += key < self.last_key
            self.doubled += key == self.last_key and rises is lt
            self.last_key = max(self.last_key, key)

    def unreadable_text(self) -> str:
        """Say in a sentence how many rows cannot be read, with line and value of the first."""
        line, why = self.first_unreadable
        rows = f"{self.unreadable} of {self.unreadable + self.rows} rows left out, which cannot be read"
        return f"{self.file.name}: {rows}; {'the first is ' * (self.unreadable > 1)}line {line}: {why}"


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
    """Read all rows of a file. Raises ConfigError if most of them cannot be read.

    For speed, rows are checked in batches, column by column. Only if a batch looks wrong are its rows checked one by
    one.
    """
    schema = file.detect_schema()
    named = _SYMBOL_IN_NAME.match(file.name) or _SYMBOL_IN_NAME.match(file.path.name)
    inspection = FileInspection(file, schema, named.group(1).upper() if named else None)
    for line, rows in file.row_batches(_BATCH_ROWS, READ_COLUMNS[schema]):
        if not _inspect_batch(inspection, line, rows):
            for number, row in enumerate(rows, line):
                if row != EMPTY_ROW:
                    _inspect_row(inspection, number, row)
    if schema is CsvSchema.BOOK_TICKER and inspection.rows and not inspection.has_market:
        raise file.error(
            f"all {inspection.rows} rows have a book that is crossed or has one side, so that there is no best price; "
            "give another file, or download it again"
        )
    if inspection.unreadable > inspection.rows:
        line, why = inspection.first_unreadable
        total = inspection.unreadable + inspection.rows
        most = f"{inspection.unreadable} of {total} rows cannot be read as {schema.value}"
        raise file.error(f"{why}; {most}: give another file, or download it again", line)
    return inspection


def _inspect_batch(inspection: FileInspection, line: int, rows: Sequence[CsvRow]) -> bool:
    """Add a batch of rows if all of them look plausible, and between klines there is no gap.

    Otherwise returns False and adds nothing.
    """
    try:
        cells = list(zip(*rows, strict=True))
        columns = parse_columns(inspection.schema, cells)
    except (ValueError, IndexError):
        return False
    if inspection.schema is CsvSchema.KLINES and not _add_klines(inspection, columns):
        return False
    inspection.add_keys(columns.keys, min(columns.times_ms))
    prices, quantities = PRICE_COLUMNS[inspection.schema], QUANTITY_COLUMNS[inspection.schema]
    for column, numbers in zip((*prices, *quantities), columns.numbers, strict=True):
        numbers_of = inspection.prices if column in prices else inspection.quantities
        numbers_of.add_column(line, cells[column], numbers)
    if inspection.schema is CsvSchema.BOOK_TICKER and not inspection.has_market:
        inspection.has_market = any(0 < bid < ask for bid, ask in zip(*columns.numbers[:2], strict=True))
    return True


def _add_klines(inspection: FileInspection, columns: RowColumns) -> bool:
    """Add klines if each of them directly follows the one before it; else return False and add nothing."""
    open_ms, close_ms = columns.times_ms, columns.ends_ms
    # Several times as fast as a Python loop over the rows.
    follows = all(map(eq, open_ms[1:], (end_ms + 1 for end_ms in close_ms[:-1])))
    follows = follows and (not inspection.runs or open_ms[0] == inspection.runs[-1][1])
    if not follows or len(set(map(sub, close_ms, open_ms))) != 1:
        return False
    inspection.add_kline(open_ms[0], close_ms[0])
    began_ms, ends_ms = inspection.runs[-1]
    inspection.runs[-1] = (began_ms, max(ends_ms, close_ms[-1] + 1))
    return True


def _inspect_row(inspection: FileInspection, line: int, row: CsvRow) -> None:
    try:
        value = parse_row(inspection.schema, row)
    except ValueError as exc:
        inspection.first_unreadable = inspection.first_unreadable if inspection.unreadable else (line, str(exc))
        inspection.unreadable += 1
        return
    if isinstance(value, Kline):
        if inspection.runs and inspection.too_long_gap is None:
            inspection.too_long_gap = long_gap(inspection.file, line, inspection.runs[-1][1], value.open_ms)
        inspection.add_kline(value.open_ms, value.close_ms)
    if isinstance(value, QuoteRow):
        inspection.has_market = inspection.has_market or 0 < value.bid < value.ask
    inspection.add_keys([sort_key(value)], row_time_ms(value))
    for column in PRICE_COLUMNS[inspection.schema]:
        inspection.prices.add(line, row[column])
    for column in QUANTITY_COLUMNS[inspection.schema]:
        inspection.quantities.add(line, row[column])


def sort_key(value: Kline | TradeRow | QuoteRow) -> int:
    """Return the number by which the rows of a file are sorted."""
    return value.trade_id if isinstance(value, TradeRow) else row_time_ms(value)


def row_time_ms(value: Kline | TradeRow | QuoteRow) -> int:
    """Return the time of a row; of a kline, when it opens."""
    return value.open_ms if isinstance(value, Kline) else value.time_ms


def _most_decimals(cells: Sequence[str], known: int) -> int:
    """Return the largest number of decimals that the cells use, and at least `known`.

    A quick check covers the usual column: all numbers are padded to eight decimals, and the
    decimals beyond `known` are zero.
    """
    tail = "0" * (_USUAL_PLACES - known)
    if all(map(str.endswith, cells, repeat(tail))) and set(map(_AT_THE_POINT, cells)) == {"."}:
        return known
    return max(known, *map(decimal_places, cells))


def long_gap(file: CsvFile, line: int, before_ms: int, time_ms: int) -> ConfigError | None:
    """Return an error if the market pauses for more than a year before the row at `line`."""
    if time_ms - before_ms <= LONGEST_GAP_MS:
        return None
    span = f"{_in_words(before_ms)} to {_in_words(time_ms)} UTC"
    what = f"no rows for more than a year, from {span}; run the files before and after this gap separately"
    return file.error(what, line)


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
    """Whether this is a file of quotes while other files have the trades of the same market."""
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
    """Whether the rows of these files, read one file after the other, are sorted and none is doubled.

    The files have one schema.
    """
    rises = le if inspections and inspections[0].schema is CsvSchema.BOOK_TICKER else lt
    return all(rises(before.last_key, after.first_key) for before, after in pairwise(inspections)) and not any(
        inspection.late or inspection.doubled for inspection in inspections
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

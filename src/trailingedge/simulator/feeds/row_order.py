"""Order of the rows of market files. Files that are out of order get a sorted copy, made in little memory.

Some vendors deliver the newest row first, some files overlap, and rows may be shuffled. An external merge sort writes
parts that fit into memory to a temporary folder, and merges them into one CSV file there.
"""

import heapq
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Final, NamedTuple

from trailingedge.core.errors import ConfigError
from trailingedge.simulator.feeds.csv_files import CsvFile
from trailingedge.simulator.feeds.csv_schemas import CsvSchema, parse_row
from trailingedge.simulator.feeds.inspection import FileInspection, in_order, long_gap, row_time_ms, sort_key

_ROWS_IN_MEMORY: Final = 200_000  # some 80 MB
_MERGED_AT_ONCE: Final = 64  # files open at a time


class _KeyedRow(NamedTuple):
    """A row, the numbers by which it is sorted, and its position in the files."""

    key: int
    tie: int  # of rows with equal keys: the id of the update of a quote
    time_ms: int
    file: int
    line: int
    text: str


_ORDER: Final = itemgetter(0, 1)
_KEY_NAMES: Final = {CsvSchema.KLINES: "opening time", CsvSchema.TRADES: "id", CsvSchema.AGG_TRADES: "id"}


@dataclass(frozen=True)
class OrderedFiles:
    """Files whose rows are in order, one file after the other. A sorted copy is deleted with this object.

    `damaged` has the files with rows that cannot be read. `notes` has a sentence for each thing that was out of order,
    doubled or missing.
    """

    files: tuple[CsvFile, ...]
    damaged: frozenset[CsvFile] = frozenset()
    notes: tuple[str, ...] = ()


NO_FILES: Final = OrderedFiles(())


def put_in_order(inspections: Sequence[FileInspection]) -> OrderedFiles:
    """Return files that contain the rows of the inspected files in order. All these files have one schema.

    If several trades have one id, or several klines open at one time, only the first is kept. Raises ConfigError if the
    market pauses for more than a year, or if a sorted copy cannot be written.
    """
    files = tuple(inspection.file for inspection in inspections)
    if in_order(inspections):
        if gaps := [inspection.too_long_gap for inspection in inspections if inspection.too_long_gap]:
            raise ConfigError([problem for gap in gaps for problem in gap.problems])
        damaged = frozenset(inspection.file for inspection in inspections if inspection.unreadable)
        return OrderedFiles(files, damaged, tuple(_missing_trades(inspections, 0)))
    schema = inspections[0].schema
    try:
        folder = Path(tempfile.mkdtemp(prefix="trailing-edge-"))
        try:
            copy, doubled = _sorted_copy(files, schema, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    except OSError as exc:
        what = f"rows are out of order, and a sorted copy cannot be written ({exc.strerror or exc})"
        raise files[0].error(f"{what}; set TMPDIR to a folder with room for it") from exc
    notes = [*_disorder(inspections, doubled), *_missing_trades(inspections, doubled)]
    ordered = OrderedFiles((copy,), notes=tuple(notes))
    weakref.finalize(ordered, shutil.rmtree, folder, ignore_errors=True)
    return ordered


def _disorder(inspections: Sequence[FileInspection], doubled: int) -> Iterator[str]:
    late = sum(inspection.late for inspection in inspections)
    if late:
        yield f"{late} row{'s' * (late > 1)} out of order: sorted"
    if any(after.first_key <= before.last_key for before, after in pairwise(inspections)):
        yield "the files overlap: their rows were merged"
    if doubled:
        yield f"{doubled} row{'s' * (doubled > 1)} left out: another has the same {_KEY_NAMES[inspections[0].schema]}"


def _missing_trades(inspections: Sequence[FileInspection], doubled: int) -> Iterator[str]:
    """Yield a sentence if ids are missing between the first and the last trade."""
    if not inspections or inspections[0].schema not in (CsvSchema.TRADES, CsvSchema.AGG_TRADES):
        return
    ids = max(each.last_key for each in inspections) + 1 - min(each.first_key for each in inspections)
    missing = ids - sum(each.rows + each.unreadable for each in inspections) + doubled
    if missing > 0:
        yield f"{missing} of {ids} trades missing, by their ids"


def _sorted_copy(files: Sequence[CsvFile], schema: CsvSchema, folder: Path) -> tuple[CsvFile, int]:
    """Return a copy of all readable rows in order, each once, and the number of doubled rows that were left out."""
    parts: list[Path] = []
    rows = _keyed_rows(files, schema)
    while part := sorted(islice(rows, _ROWS_IN_MEMORY), key=_ORDER):
        parts.append(_write_part(folder / f"part-{len(parts)}", part))
    level = 0
    while len(parts) > _MERGED_AT_ONCE:
        level += 1
        groups = [parts[start : start + _MERGED_AT_ONCE] for start in range(0, len(parts), _MERGED_AT_ONCE)]
        parts = [_merge(group, folder / f"merged-{level}-{number}") for number, group in enumerate(groups)]
    file, doubled = CsvFile(folder / "sorted.csv"), 0
    last: _KeyedRow | None = None
    with file.path.open("w", encoding="utf-8") as written, ExitStack() as stack:
        for row in heapq.merge(*(_read_part(part, stack) for part in parts), key=_ORDER):
            if last is not None:
                if row.key == last.key and schema is not CsvSchema.BOOK_TICKER:
                    doubled += 1
                    continue
                if gap := long_gap(files[row.file], row.line, last.time_ms, row.time_ms):
                    raise gap
            last = row
            written.write(f"{row.text}\n")
    for path in parts:
        path.unlink()
    return file, doubled


def _keyed_rows(files: Sequence[CsvFile], schema: CsvSchema) -> Iterator[_KeyedRow]:
    for number, file in enumerate(files):
        for line, row in file.rows():
            try:
                value = parse_row(schema, row)
            except ValueError:
                continue
            tie = int(row[0]) if schema is CsvSchema.BOOK_TICKER and row[0].isascii() and row[0].isdigit() else 0
            yield _KeyedRow(sort_key(value), tie, row_time_ms(value), number, line, ",".join(row))


def _write_part(path: Path, rows: Iterable[_KeyedRow]) -> Path:
    with path.open("w", encoding="utf-8") as part:
        part.writelines(f"{row.key},{row.tie},{row.time_ms},{row.file},{row.line},{row.text}\n" for row in rows)
    return path


def _read_part(path: Path, stack: ExitStack) -> Iterator[_KeyedRow]:
    for line in stack.enter_context(path.open(encoding="utf-8")):
        key, tie, time_ms, file, number, text = line.rstrip("\n").split(",", 5)
        yield _KeyedRow(int(key), int(tie), int(time_ms), int(file), int(number), text)


def _merge(parts: Sequence[Path], into: Path) -> Path:
    with ExitStack() as stack:
        _write_part(into, heapq.merge(*(_read_part(part, stack) for part in parts), key=_ORDER))
    for part in parts:
        part.unlink()
    return into

"""CSV files of market data: plain or in a zip archive, read as rows with their line numbers.

A file that cannot be read as a whole is a `ConfigError` with its name and the remedy. A line that is no row of a market
file becomes a row that no parser accepts; the inspection counts such rows. A damaged or hostile file cannot fill the
memory: a line is cut after `LONGEST_LINE` characters, and reading ends at a line of more than `MOST_PIECES` times that
length.
"""

import csv
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, TextIO

from trailingedge.core.errors import ConfigError
from trailingedge.simulator.feeds.csv_schemas import CsvRow, CsvSchema, detect_schema, is_header

LONGEST_LINE: Final = 4096  # characters; Binance's own lines have at most some 200
MOST_PIECES: Final = 256  # of LONGEST_LINE in one line, a megabyte: more is no text with lines
EMPTY_ROW: Final = [""]
_BATCH_LINES: Final = 512
_ROWS_TRIED: Final = 100  # to find out the schema: a damaged first row does not hide it
_TOO_LONG: Final = f"a line of more than {LONGEST_LINE} characters"
# Binance's archives are deflated. The module unpacks other methods without a limit.
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# What `zipfile` raises on damaged, encrypted and too new archives.
_ARCHIVE_ERRORS: Final = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    NotImplementedError,
    ValueError,
    OverflowError,
)
# A Mac packs a second file `__MACOSX/._NAME.csv` beside each file, which holds no rows but what Finder knows about it.
_MAC_FOLDER: Final = "__MACOSX/"
_MAC_PREFIX: Final = "._"


class _NoText(Exception):
    """Raised at a line so long that the file cannot be text.

    `lines_before` is the number of lines before it in its batch.
    """

    def __init__(self, lines_before: int) -> None:
        super().__init__(f"a line of more than {MOST_PIECES * LONGEST_LINE} characters")
        self.lines_before = lines_before


@dataclass(frozen=True, slots=True)
class CsvFile:
    """One CSV: a file, or a member of a zip archive."""

    path: Path
    member: str | None = None

    @property
    def name(self) -> str:
        """The name of the CSV without directories; of the member, if it is in a zip archive."""
        return self.path.name if self.member is None else Path(self.member).name

    @property
    def size_bytes(self) -> int:
        """Size of the text in bytes; 0 if it cannot be found out."""
        try:
            if self.member is None:
                return self.path.stat().st_size
            with zipfile.ZipFile(self.path) as archive:
                return archive.getinfo(self.member).file_size
        except (OSError, KeyError, *_ARCHIVE_ERRORS):
            return 0  # the size only serves a progress bar; reading the file raises the error

    def error(self, what: str, line: int | None = None) -> ConfigError:
        """Build a ConfigError about this file. `what` says in one sentence what is wrong and how to fix it."""
        # A zip archive of Binance holds one file of the same name; naming it twice would not help.
        inside = "" if self.member is None or self.name == self.path.with_suffix(".csv").name else f" ({self.member})"
        where = "" if line is None else f", line {line}"
        return ConfigError([f"{self.path}{inside}{where}: {what}"])

    def rows(self) -> Iterator[tuple[int, CsvRow]]:
        """Yield the line number and the cells of each row. The header and empty lines are left out."""
        for line, rows in self.row_batches(_BATCH_LINES):
            for number, row in enumerate(rows, line):
                if row != EMPTY_ROW:
                    yield number, row

    def row_batches(self, count: int, cells: int = -1) -> Iterator[tuple[int, list[CsvRow]]]:
        """Yield the rows in batches of about `count` lines, each batch with the number of its first line.

        This is meant for files of millions of rows. The header and each empty line become a row of one empty cell. A
        line that is too long becomes a row of one cell, which says so. With `cells`, only the first `cells` cells are
        separate; one more cell holds the rest of the line.
        """
        line, skipped = 1, 0
        with self._located_errors(lambda: line), self._open() as text:
            pieces = iter(partial(text.readline, LONGEST_LINE), "")
            while lines := list(islice(pieces, count)):
                if skipped or max(map(len, lines)) >= LONGEST_LINE:
                    lines, skipped = _without_rests(lines, skipped)
                if not lines:
                    continue
                rows: list[CsvRow] = _split(lines, cells)
                # The header becomes an empty row instead of being removed, so that line numbers stay right.
                if line == 1 and is_header(rows[0]):
                    rows[0] = EMPTY_ROW
                yield line, rows
                line += len(lines)

    @contextmanager
    def _located_errors(self, line: Callable[[], int]) -> Iterator[None]:
        """Turn errors of text, archive and disk into a ConfigError; `line` returns the line being read."""
        try:
            yield
        except _NoText as exc:
            raise self.error(f"is no CSV text ({exc}); download it again", line() + exc.lines_before) from exc
        except csv.Error as exc:
            raise self.error(f"is no CSV text ({exc}); download it again", line()) from exc
        except _ARCHIVE_ERRORS as exc:
            raise self.error(f"cannot be unpacked ({exc}); download it again") from exc
        except OSError as exc:
            raise self.error(f"cannot be read ({exc.strerror or exc}); check path and permissions") from exc

    @contextmanager
    def _open(self) -> Iterator[TextIO]:
        if self.member is None:
            with self.path.open(encoding="utf-8-sig", errors="replace", newline="") as text:
                yield text
        else:
            with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as data:
                if archive.getinfo(self.member).compress_type not in _METHODS:
                    raise NotImplementedError("packed by another method than deflate")
                yield io.TextIOWrapper(data, encoding="utf-8-sig", errors="replace", newline="")

    def detect_schema(self) -> CsvSchema:
        """The schema of the file, by its first rows. Raises ConfigError if there is no row or the schema is unknown."""
        first: tuple[int, CsvRow] | None = None
        for line, row in islice(self.rows(), _ROWS_TRIED):
            schema = detect_schema(row)
            if schema is not None:
                return schema
            first = first or (line, row)
        if first is None:
            raise self.error("holds no rows; leave it out or download it again")
        known = ", ".join(schema.value for schema in CsvSchema)
        what = f"{len(first[1])} columns match none of Binance's layouts ({known})"
        if not all(map(str.isascii, first[1])):
            what = "is no CSV text"
        raise self.error(f"{what}; name CSV or ZIP files of Binance's public data", first[0])


def _without_rests(lines: Sequence[str], skipped: int) -> tuple[list[str], int]:
    """Return the lines, each cut if it is too long, and whether the last of these lines continues in the next piece.

    `skipped`, and the second value returned, are the number of pieces read so far of a line that is too long; 0 if
    there is none.
    """
    kept = []
    for piece in lines:
        if not skipped:
            kept.append(_TOO_LONG if len(piece) >= LONGEST_LINE else piece)
        skipped = skipped + 1 if len(piece) >= LONGEST_LINE and not piece.endswith("\n") else 0
        if skipped > MOST_PIECES:
            raise _NoText(len(kept) - 1)
    return kept, skipped


def _split(lines: Sequence[str], cells: int) -> list[CsvRow]:
    """Split each line into cells.

    Binance quotes no cell, and `str.split` takes a third of the time of `csv.reader`.
    """
    # A file that another program saved may quote its cells; then the csv module takes over.
    if any('"' in line for line in lines):
        # Each line by itself: a stray quote must not take the lines after it into its cell.
        return [next(csv.reader([line]), EMPTY_ROW) or EMPTY_ROW for line in lines]
    return [line.rstrip("\r\n").split(",", cells) for line in lines]


def csv_files(path: Path) -> list[CsvFile]:
    """The CSV files at `path`: the file itself, or the members of a zip archive by name. Raises ConfigError."""
    if not path.exists():
        raise CsvFile(path).error("no such file; name CSV or ZIP files of Binance's public data")
    if path.is_dir():
        raise CsvFile(path).error("is a directory; name the files in it")
    if not path.is_file():
        raise CsvFile(path).error("is a pipe or a device, and a market is read several times; write it to a file first")
    if path.suffix.lower() != ".zip":
        return [CsvFile(path)]
    try:
        with zipfile.ZipFile(path) as archive:
            members = sorted(filter(_is_market_file, archive.namelist()))
    except _ARCHIVE_ERRORS as exc:
        why = "" if isinstance(exc, zipfile.BadZipFile) else f" that can be read ({exc})"
        raise CsvFile(path).error(f"is no zip archive{why}; download it again") from exc
    except OSError as exc:
        raise CsvFile(path).error(f"cannot be read ({exc.strerror or exc}); check path and permissions") from exc
    if not members:
        raise CsvFile(path).error("holds no CSV file; download it again")
    return [CsvFile(path, member) for member in members]


def _is_market_file(member: str) -> bool:
    """Whether a member of an archive is a CSV file, and not the metadata file that macOS packs beside it."""
    of_mac = member.startswith(_MAC_FOLDER) or member.rpartition("/")[2].startswith(_MAC_PREFIX)
    return member.lower().endswith(".csv") and not of_mac

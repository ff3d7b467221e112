"""CSV files of market data: plain or in a zip archive, read as rows with their line numbers.

Everything that can be wrong with a file becomes a `ConfigError` that names the file, the line and the remedy. A
damaged or hostile file cannot fill the memory: a line of more than `LONGEST_LINE` characters is an error, and lines
are read one by one or in batches, also from an archive.
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
from typing import Final, TextIO, TypeVar

from trailingedge.core.errors import ConfigError
from trailingedge.model.market import Kline
from trailingedge.simulator.feeds.csv_schemas import (
    PARSERS,
    CsvRow,
    CsvSchema,
    QuoteRow,
    TradeRow,
    detect_schema,
    is_header,
)

Said = TypeVar("Said")

LONGEST_LINE: Final = 4096  # characters; Binance's own lines have at most some 200
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


class _UnreadableLine(Exception):
    """Raised for a line that cannot be a line of a market file."""


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
        """Yield line number and cells of each row, but not the header and empty lines."""
        line = 0
        with self._located_errors(lambda: line + 1), self._open() as text:
            reader = csv.reader(_checked(text))
            for row in reader:
                line = reader.line_num
                if row and not (line == 1 and is_header(row)):
                    yield line, row

    def row_batches(self, count: int, cells: int = -1) -> Iterator[tuple[int, list[CsvRow]]]:
        """Yield the rows in batches of `count` lines, each batch with the number of its first line.

        This is meant for files of millions of rows. The header and empty lines become rows of one
        empty cell. With `cells`, only the first `cells` cells are split off, and one more cell
        holds the rest of the line.
        """
        line = 1
        with self._located_errors(lambda: line), self._open() as text:
            pieces = iter(partial(text.readline, LONGEST_LINE), "")
            while lines := list(islice(pieces, count)):
                if max(map(len, lines)) >= LONGEST_LINE or not all(map(str.isascii, lines)):
                    for each in lines:
                        _check_line(each)
                        line += 1
                rows: list[CsvRow] = _split(lines, cells)
                # The header becomes an empty row instead of being removed, so that line numbers stay right.
                if line == 1 and is_header(rows[0]):
                    rows[0] = [""]
                yield line, rows
                line += len(lines)

    @contextmanager
    def _located_errors(self, line: Callable[[], int]) -> Iterator[None]:
        """Turn errors of text, archive and disk into a ConfigError; `line` returns the line being read."""
        try:
            yield
        except (UnicodeDecodeError, csv.Error, _UnreadableLine) as exc:
            raise self.error(f"is no CSV text ({exc}); download it again", line()) from exc
        except _ARCHIVE_ERRORS as exc:
            raise self.error(f"cannot be unpacked ({exc}); download it again") from exc
        except OSError as exc:
            raise self.error(f"cannot be read ({exc.strerror or exc}); check path and permissions") from exc

    @contextmanager
    def _open(self) -> Iterator[TextIO]:
        if self.member is None:
            with self.path.open(encoding="utf-8-sig", newline="") as text:
                yield text
        else:
            with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as data:
                if archive.getinfo(self.member).compress_type not in _METHODS:
                    raise NotImplementedError("packed by another method than deflate")
                yield io.TextIOWrapper(data, encoding="utf-8-sig", newline="")

    def detect_schema(self) -> CsvSchema:
        """The schema of the file, by its first row. Raises ConfigError if there is no row or the schema is unknown."""
        for line, row in self.rows():
            schema = detect_schema(row)
            if schema is None:
                known = ", ".join(schema.value for schema in CsvSchema)
                what = f"{len(row)} columns match none of Binance's layouts ({known})"
                raise self.error(f"{what}; name CSV or ZIP files of Binance's public data", line)
            return schema
        raise self.error("holds no rows; leave it out or download it again")

    def values(self, schema: CsvSchema) -> Iterator[tuple[int, CsvRow, Kline | TradeRow | QuoteRow]]:
        """Yield line number, cells and parsed value of each row.

        Raises ConfigError at the first row that cannot be parsed.
        """
        parse = PARSERS[schema]
        for line, row in self.rows():
            yield line, row, self.parse_row(parse, line, row)

    def parse_row(self, parse: Callable[[CsvRow], Said], line: int, row: CsvRow) -> Said:
        """Return `parse(row)`. Raises ConfigError with the line number if that fails."""
        try:
            return parse(row)
        except IndexError as exc:
            raise self.error(f"only {len(row)} columns; repair or remove the line", line) from exc
        except ValueError as exc:
            raise self.error(f"{exc}; repair or remove the line", line) from exc


def _checked(text: TextIO) -> Iterator[str]:
    """Yield the lines. Raises _UnreadableLine at one that is too long or holds other characters than ASCII."""
    while line := text.readline(LONGEST_LINE):
        _check_line(line)
        yield line


def _check_line(line: str) -> None:
    if len(line) >= LONGEST_LINE:
        raise _UnreadableLine(f"the line has more than {LONGEST_LINE} characters")
    if not line.isascii():
        raise _UnreadableLine("the line has characters that no number has")


def _split(lines: Sequence[str], cells: int) -> list[CsvRow]:
    """Split each line into cells.

    Binance quotes no cell, and `str.split` takes a third of the time of `csv.reader`.
    """
    # A file that another program saved may quote its cells; then the csv module takes over.
    if any('"' in line for line in lines):
        return list(csv.reader(lines))
    return [line.rstrip("\r\n").split(",", cells) for line in lines]


def csv_files(path: Path) -> list[CsvFile]:
    """The CSV files at `path`: the file itself, or the members of a zip archive by name. Raises ConfigError."""
    if not path.exists():
        raise CsvFile(path).error("no such file; name CSV or ZIP files of Binance's public data")
    if path.is_dir():
        raise CsvFile(path).error("is a directory; name the files in it")
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

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from trailingedge.core.errors import ConfigError
from trailingedge.simulator.feeds.csv_files import LONGEST_LINE, CsvFile, csv_files
from trailingedge.simulator.feeds.csv_schemas import CsvSchema

TRADES = "1,10.5,2,21,1723939200000,True,True\n2,10.6,1,10.6,1723939200500,False,True\n"


def zipped(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "."), text)
    return path


def cells(file: CsvFile) -> list[tuple[int, str]]:
    return [(line, row[0]) for line, row in file.rows()]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        pytest.param(TRADES, [(1, "1"), (2, "2")], id="plain"),
        pytest.param("id,price\n" + TRADES, [(2, "1"), (3, "2")], id="with a header"),
        pytest.param("\ufeffid,price\n" + TRADES, [(2, "1"), (3, "2")], id="with a byte order mark"),
        pytest.param(TRADES.replace("\n", "\r\n"), [(1, "1"), (2, "2")], id="with Windows line ends"),
        pytest.param("\n" + TRADES + "\n\n", [(2, "1"), (3, "2")], id="with empty lines"),
        pytest.param("", [], id="empty"),
    ],
)
def test_rows_come_with_their_line(tmp_path: Path, text: str, rows: list[tuple[int, str]]) -> None:
    plain = tmp_path / "a.csv"
    plain.write_bytes(text.encode())
    (inside,) = csv_files(zipped(tmp_path / "a.zip", a__csv=text))
    assert cells(CsvFile(plain)) == cells(inside) == rows


def test_an_archive_gives_its_csv_files_by_name(tmp_path: Path) -> None:
    path = zipped(tmp_path / "days.zip", b__csv=TRADES, a__CSV=TRADES, readme__txt="hello")
    assert [file.name for file in csv_files(path)] == ["a.CSV", "b.csv"]


def test_a_damaged_first_row_does_not_hide_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "ETHUSDT-trades.csv"
    path.write_text("0,10\n" + TRADES)
    assert CsvFile(path).detect_schema() is CsvSchema.TRADES


@pytest.mark.parametrize(
    ("line", "row"),
    [
        pytest.param(b"1" * 5 * LONGEST_LINE, ["a line of more than 4096 characters"], id="without an end"),
        pytest.param(b'2,"10.5,1', ["2", "10.5,1\n"], id="with a quote"),
        pytest.param(b"2,\xff\x00", ["2", "\ufffd\0"], id="no text"),
    ],
)
def test_a_line_that_is_no_row_takes_no_other_with_it(tmp_path: Path, line: bytes, row: list[str]) -> None:
    path = tmp_path / "a.csv"
    first, second = TRADES.encode().splitlines(keepends=True)
    path.write_bytes(first + line + b"\n" + second)
    rows = dict(CsvFile(path).rows())
    assert {number: len(cells) for number, cells in rows.items()} == {1: 7, 2: len(row), 3: 7}
    assert rows[2] == row


def a_missing_file(folder: Path) -> Path:
    return folder / "gone.zip"


def a_directory(folder: Path) -> Path:
    return folder


def an_archive_that_is_none(folder: Path) -> Path:
    path = folder / "broken.zip"
    path.write_bytes(b"PK but not really")
    return path


def an_archive_of_other_things(folder: Path) -> Path:
    return zipped(folder / "other.zip", readme__txt="hello")


def an_archive_cut_inside(folder: Path) -> Path:
    path = zipped(folder / "cut.zip", a__csv=TRADES * 2000)
    data = bytearray(path.read_bytes())
    data[60:90] = b"\xff" * 30
    path.write_bytes(data)
    return path


def a_picture(folder: Path) -> Path:
    path = folder / "picture.csv"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\xff")
    return path


def a_table_of_something_else(folder: Path) -> Path:
    path = folder / "other.csv"
    path.write_text("a,b,c\n1,2,3\n")
    return path


def a_pipe(folder: Path) -> Path:
    if not hasattr(os, "mkfifo"):
        pytest.skip("there are no named pipes")
    os.mkfifo(folder / "pipe.csv")
    return folder / "pipe.csv"


def an_empty_file(folder: Path) -> Path:
    path = folder / "empty.csv"
    path.write_text("id,price\n")
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(a_missing_file, "gone.zip: no such file; name CSV or ZIP files", id="missing"),
        pytest.param(a_directory, "is a directory; name the files in it", id="directory"),
        pytest.param(a_pipe, r"pipe.csv: is a pipe or a device, .*; write it to a file first", id="pipe"),
        pytest.param(an_archive_that_is_none, "broken.zip: is no zip archive; download it again", id="no archive"),
        pytest.param(an_archive_of_other_things, "other.zip: holds no CSV file", id="archive without CSV"),
        pytest.param(an_archive_cut_inside, r"cut.zip \(a.csv\): cannot be unpacked .*; download", id="corrupt"),
        pytest.param(a_picture, "picture.csv, line 1: is no CSV text; name CSV or ZIP", id="not text"),
        pytest.param(a_table_of_something_else, "other.csv, line 2: 3 columns match none of", id="other columns"),
        pytest.param(an_empty_file, "empty.csv: holds no rows; leave it out", id="empty"),
    ],
)
def test_an_error_names_file_line_and_remedy(tmp_path: Path, make: Callable[[Path], Path], words: str) -> None:
    path = make(tmp_path)
    with pytest.raises(ConfigError, match=words):
        read(path)


def read(path: Path) -> None:
    for file in csv_files(path):
        file.detect_schema()
        list(file.rows())

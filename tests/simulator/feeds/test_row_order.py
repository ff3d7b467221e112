"""Rows out of order, in files of any kind: sorted, and what was wrong is told."""

import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import pytest
from tests.backtest import market_files

from trailingedge.core.errors import ConfigError
from trailingedge.simulator.feeds.historical import open_market
from trailingedge.simulator.feeds.inspection import LONGEST_GAP_MS

WRITERS: Final = [market_files.write_klines, market_files.write_trades, market_files.write_quotes]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files; sorted in parts of a few rows, merged three at a time."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.setattr("trailingedge.simulator.feeds.row_order._ROWS_IN_MEMORY", 20)
    monkeypatch.setattr("trailingedge.simulator.feeds.row_order._MERGED_AT_ONCE", 3)
    return folder


def rewritten(path: Path, rows: Sequence[str]) -> Path:
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


DISORDERS: Final[dict[str, Callable[[list[str]], list[str]]]] = {
    "newest first": lambda rows: rows[::-1],
    "second half first": lambda rows: rows[len(rows) // 2 :] + rows[: len(rows) // 2],
    "shuffled": lambda rows: random.Random(7).sample(rows, len(rows)),
    "two swapped": lambda rows: [*rows[:5], rows[20], *rows[6:20], rows[5], *rows[21:]],
}


@pytest.mark.parametrize("write", WRITERS)
@pytest.mark.parametrize("disorder", DISORDERS)
def test_a_market_is_the_same_in_whatever_order_its_rows_come(
    write: market_files.Write, disorder: str, tmp_path: Path, temporary: Path
) -> None:
    path = write(tmp_path, 3, 9)
    rows = path.read_text(encoding="utf-8").splitlines()
    if write is market_files.write_klines:
        rows = market_files.klines(3, 30, scripted=True).splitlines()
        rewritten(path, rows)
    usual = list(open_market([path]))
    market = open_market([rewritten(path, DISORDERS[disorder](rows))])
    assert list(market) == usual
    (told,) = market.gaps
    assert told.endswith("out of order: sorted")
    del market
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("write", WRITERS)
def test_files_may_be_given_in_any_order_and_may_overlap(write: market_files.Write, tmp_path: Path) -> None:
    path = write(tmp_path, 3, 30)
    usual, rows = list(open_market([path])), path.read_text(encoding="utf-8").splitlines()
    path.unlink()
    later, earlier = path.with_stem(f"{path.stem}-a"), path.with_stem(f"{path.stem}-b")
    rewritten(later, rows[20:])
    market = open_market([later, rewritten(earlier, rows[:20])])
    assert (list(market), market.gaps) == (usual, ())
    market = open_market([later, rewritten(earlier, rows[:25])])
    assert market.gaps[0] == "the files overlap: their rows were merged"
    if write is not market_files.write_quotes:  # the same book twice is no error
        assert market.gaps[1].startswith("5 rows left out: another has the same ")
        assert list(market) == usual


@pytest.mark.parametrize("write", [market_files.write_klines, market_files.write_trades])
def test_rows_twice_and_rows_missing_are_told(write: market_files.Write, tmp_path: Path) -> None:
    path = write(tmp_path, 3, 30)
    rows = path.read_text(encoding="utf-8").splitlines()
    market = open_market([rewritten(path, [*rows[:4], rows[3], *rows[7:]])])
    doubled, missing = market.gaps
    assert doubled.startswith("1 row left out: another has the same ")
    assert missing.startswith(("3 1m klines missing", f"3 of {len(rows)} trades missing, by their ids"))


def test_a_gap_of_years_in_rows_out_of_order_is_refused_with_the_line_of_the_file(tmp_path: Path) -> None:
    path = market_files.write_trades(tmp_path, 3, 3)
    row = path.read_text(encoding="utf-8").splitlines()[0].split(",")
    later = ",".join(["9", *row[1:4], str(int(row[4]) + 2 * LONGEST_GAP_MS), *row[5:]])
    with pytest.raises(ConfigError, match=r"2026-07.csv, line 1: no rows for more than a year"):
        open_market([rewritten(path, [later, ",".join(row)])])


def test_a_copy_that_cannot_be_written_is_an_error_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = market_files.write_trades(tmp_path, 3, 3)
    rewritten(path, path.read_text(encoding="utf-8").splitlines()[::-1])
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(ConfigError, match=r"2026-07.csv: rows are out of order, .*; set TMPDIR to a folder with room"):
        open_market([path])

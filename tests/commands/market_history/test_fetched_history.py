"""What is missing is told: days without a file, klines inside a day, ids of trades; and nothing twice."""

import zipfile
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest

from trailingedge.commands.market_history.archive_download import FileOutcome, FileState
from trailingedge.commands.market_history.archive_layout import day_file
from trailingedge.commands.market_history.fetched_history import FetchedHistory
from trailingedge.commands.market_history.history_span import HistorySpan, start_ms
from trailingedge.simulator.feeds.csv_schemas import CsvSchema

FIRST = date(2024, 6, 2)
MINUTE_MS = 60_000


def klines(day: date, minutes: Sequence[int]) -> str:
    opened = [start_ms(day) + minute * MINUTE_MS for minute in minutes]
    return "".join(f"{ms},1.0,1.2,0.9,1.1,5,{ms + MINUTE_MS - 1},5.5,7,2,2.2,0\n" for ms in opened)


def trades(day: date, ids: Sequence[int]) -> str:
    return "".join(f"{number},1.0,2,2,{start_ms(day) + number},True,True\n" for number in ids)


def history_of(
    folder: Path, days: Sequence[str | FileState], kind: CsvSchema = CsvSchema.KLINES, waits: int = 0
) -> FetchedHistory:
    """A history of consecutive days: each has a file with this content, or another state. `waits` days are to come."""
    last = FIRST + timedelta(days=len(days) + waits - 1)
    span = HistorySpan("ETHUSDT", kind, "1m", FIRST, last)
    outcomes = []
    for number, content in enumerate(days):
        file = day_file(span, FIRST + timedelta(days=number))
        state = content if isinstance(content, FileState) else FileState.FETCHED
        if isinstance(content, str):
            with zipfile.ZipFile(folder / file.name, "w") as archive:
                archive.writestr(file.name.replace(".zip", ".csv"), content)
        outcomes.append(FileOutcome(file, state, "the transfer was cut" if state is FileState.FAILED else ""))
    return FetchedHistory(span, folder, outcomes, FIRST + timedelta(days=len(days)))


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


ALL_DAY = range(1440)


def test_klines_missing_inside_days_and_at_their_ends_are_gaps(tmp_path: Path) -> None:
    holes = [minute for minute in ALL_DAY if not 600 <= minute < 610]
    history = history_of(tmp_path, [klines(day(0), range(5, 1440)), klines(day(1), holes), klines(day(2), range(1439))])
    assert history.gaps() == [
        "5 1m klines missing: 2024-06-02 00:00 to 2024-06-02 00:05 UTC",
        "10 1m klines missing: 2024-06-03 10:00 to 2024-06-03 10:10 UTC",
        "1 1m kline missing: 2024-06-04 23:59 to 2024-06-05 00:00 UTC",
    ]


@pytest.mark.parametrize("state", [FileState.MISSING, FileState.FAILED])
def test_a_day_without_a_file_is_told_once_and_is_no_gap(tmp_path: Path, state: FileState) -> None:
    history = history_of(tmp_path, [klines(day(0), ALL_DAY), state, state, klines(day(3), range(60, 1440))])
    assert history.gaps() == ["60 1m klines missing: 2024-06-05 00:00 to 2024-06-05 01:00 UTC"]
    told = list(history.missing_text())
    if state is FileState.MISSING:
        assert told == ["missing: 2024-06-03 to 2024-06-04, not published"]
    else:
        assert told == [f"failed: ETHUSDT-1m-2024-06-0{n}.zip: the transfer was cut" for n in (3, 4)]


@pytest.mark.parametrize(
    ("kind", "second", "gaps"),
    [
        pytest.param(CsvSchema.TRADES, range(5, 9), [], id="none"),
        pytest.param(
            CsvSchema.TRADES,
            [6, 7, 9],
            ["1 trade missing before id 6 in {}", "1 trade missing before id 9 in {}"],
            id="between two days, and inside one",
        ),
        pytest.param(CsvSchema.TRADES, [3, 4, 4, 5], [], id="rows twice"),
        pytest.param(CsvSchema.BOOK_TICKER, [6, 7, 9], [], id="bookTicker has no sequence"),
    ],
)
def test_ids_that_are_missing_are_gaps(
    tmp_path: Path, kind: CsvSchema, second: Sequence[int], gaps: Sequence[str]
) -> None:
    history = history_of(tmp_path, [trades(day(0), range(1, 5)), trades(day(1), second)], kind)
    assert history.gaps() == [gap.format("ETHUSDT-trades-2024-06-03.csv") for gap in gaps]


def test_days_that_are_not_over_are_told_apart(tmp_path: Path) -> None:
    history = history_of(tmp_path, [klines(day(0), ALL_DAY), FileState.MISSING], waits=3)
    assert list(history.missing_text()) == [
        "missing: 2024-06-03, not published",
        "missing: 2024-06-04 to 2024-06-06, not over yet",
    ]
    assert [path.name for path in history.files] == ["ETHUSDT-1m-2024-06-02.zip"]


def test_a_long_list_is_shortened(tmp_path: Path) -> None:
    absent = [FileState.MISSING if number % 2 else FileState.KEPT for number in range(40)]
    history = history_of(tmp_path, absent)
    told = list(history.missing_text())
    assert len(told) == 11
    assert told[-1] == "… and 10 more"

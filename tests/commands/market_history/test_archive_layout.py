"""The names and paths of the public archive, as its documentation gives them."""

from datetime import date

import pytest

from trailingedge.commands.market_history.archive_layout import day_file, months
from trailingedge.commands.market_history.history_span import HistorySpan
from trailingedge.simulator.feeds.csv_schemas import CsvSchema

TODAY = date(2025, 7, 10)


def span(first: date, last: date, kind: CsvSchema = CsvSchema.KLINES) -> HistorySpan:
    return HistorySpan("BNBUSDT", kind, "1m", first, last)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (CsvSchema.KLINES, "data/spot/daily/klines/BNBUSDT/1m/BNBUSDT-1m-2025-06-02.zip"),
        (CsvSchema.TRADES, "data/spot/daily/trades/BNBUSDT/BNBUSDT-trades-2025-06-02.zip"),
        (CsvSchema.AGG_TRADES, "data/spot/daily/aggTrades/BNBUSDT/BNBUSDT-aggTrades-2025-06-02.zip"),
        (CsvSchema.BOOK_TICKER, "data/spot/daily/bookTicker/BNBUSDT/BNBUSDT-bookTicker-2025-06-02.zip"),
    ],
)
def test_the_file_of_a_day(kind: CsvSchema, path: str) -> None:
    day = date(2025, 6, 2)
    file = day_file(span(day, day, kind), day)
    assert (file.path, file.name, file.first, file.last) == (path, path.rsplit("/", 1)[1], day, day)


def test_a_symbol_in_another_script_is_written_as_an_address() -> None:
    day = date(2025, 6, 2)
    file = day_file(HistorySpan("币安人生USDT", CsvSchema.TRADES, "1m", day, day), day)
    assert file.name == "币安人生USDT-trades-2025-06-02.zip"
    assert file.path.isascii()


def test_a_whole_month_that_is_over_has_a_file_of_its_own() -> None:
    found = list(months(span(date(2025, 4, 30), date(2025, 6, 29)), TODAY))
    assert [(len(month.days), month.whole and month.whole.path) for month in found] == [
        (1, None),
        (31, "data/spot/monthly/klines/BNBUSDT/1m/BNBUSDT-1m-2025-05.zip"),
        (29, None),
    ]


def test_the_present_month_ends_yesterday() -> None:
    (month,) = months(span(date(2025, 7, 1), date(2025, 7, 31)), TODAY)
    assert month.whole is None
    assert [month.days[0].first, month.days[-1].last] == [date(2025, 7, 1), date(2025, 7, 9)]
    assert list(months(span(TODAY, date(2025, 7, 31)), TODAY)) == []

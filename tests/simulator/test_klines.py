from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.simulator.exchange_builders import START_MS, tick

from trailingedge.model.market import Kline, Side
from trailingedge.simulator.bars import TradedBar
from trailingedge.simulator.feeds.ticks import Tick
from trailingedge.simulator.klines import INTERVALS, Interval, KlineFeed, Klines, kline_row_json

MINUTE = Interval("1m")


def trade(price: str, at_s: float, traded: str = "1") -> Tick:
    return tick(at_s=at_s, last=price, traded=traded, aggressor=Side.BUY)


def built(*ticks: Tick) -> Klines:
    klines = Klines()
    for each in ticks:
        klines.on_tick(each)
    return klines


def prices(bars: Sequence[TradedBar]) -> list[tuple[str, str, str, str]]:
    return [(str(bar.open), str(bar.high), str(bar.low), str(bar.close)) for bar in bars]


def test_a_kline_opens_and_closes_with_its_first_and_last_trade() -> None:
    klines = built(trade("100", 0), trade("103", 10), trade("98", 20), trade("101", 50, traded="0.5"))
    (bar,) = klines.rows(MINUTE, None, None, 10)
    assert prices([bar]) == [("100", "103", "98", "101")]
    assert (bar.volume, bar.trade_count, bar.quote_volume) == (Decimal("3.5"), 4, Decimal("351.5"))


def test_a_minute_without_trades_is_flat_at_the_close_before() -> None:
    rows = built(trade("100", 0), trade("105", 130)).rows(MINUTE, None, None, 10)
    assert prices(rows) == [("100",) * 4, ("100",) * 4, ("105",) * 4]
    assert [bar.open_ms for bar in rows] == [START_MS, START_MS + 60_000, START_MS + 120_000]
    assert rows[1].volume == 0


def test_the_first_trade_opens_a_kline_not_the_quiet_tick_before_it() -> None:
    klines = built(trade("100", 0), tick(at_s=61, last="100"), trade("104", 70))
    assert prices(klines.rows(MINUTE, None, None, 1)) == [("104",) * 4]


def test_seconds_and_hours_come_from_the_same_trades() -> None:
    klines = built(trade("100", 0.2), trade("101", 0.9), trade("99", 2.5), trade("102", 3700))
    assert prices(klines.rows(Interval("1s"), START_MS, START_MS + 2000, 10)) == [
        ("100", "101", "100", "101"),
        ("101", "101", "101", "101"),
        ("99", "99", "99", "99"),
    ]
    assert prices(klines.rows(Interval("1h"), None, None, 10)) == [("100", "101", "99", "99"), ("102",) * 4]


@pytest.mark.parametrize(
    ("start", "end", "limit", "first", "rows"),
    [
        pytest.param(None, None, 3, 7, 3, id="the newest"),
        pytest.param(2, None, 3, 2, 3, id="the oldest from a start"),
        pytest.param(None, 5, 2, 4, 2, id="the newest up to an end"),
        pytest.param(3, 5, 500, 3, 3, id="all between two times"),
        pytest.param(0, 100, 500, 0, 10, id="no more than there are"),
    ],
)
def test_pages_follow_the_times_given(start: int | None, end: int | None, limit: int, first: int, rows: int) -> None:
    klines = built(*(trade(str(100 + minute), minute * 60) for minute in range(10)))
    page = klines.rows(
        MINUTE,
        None if start is None else START_MS + start * 60_000,
        None if end is None else START_MS + end * 60_000,
        limit,
    )
    assert [bar.open_ms for bar in page] == [START_MS + (first + row) * 60_000 for row in range(rows)]


def test_a_start_within_a_kline_begins_with_the_next() -> None:
    klines = built(*(trade("100", minute * 60) for minute in range(3)))
    assert klines.rows(MINUTE, START_MS + 1, None, 10)[0].open_ms == START_MS + 60_000


def test_history_continues_into_the_ticks() -> None:
    past = Kline(
        START_MS - 60_000, START_MS - 1, Decimal(90), Decimal(95), Decimal(89), Decimal(94), volume=Decimal(10)
    )
    klines = Klines([past])
    klines.on_tick(trade("100", 0))
    assert prices(klines.rows(MINUTE, None, None, 10)) == [("90", "95", "89", "94"), ("100",) * 4]


@pytest.mark.parametrize(
    ("interval", "time_ms", "opens_ms"),
    [
        pytest.param(Interval("1m"), START_MS + 59_999, START_MS, id="a minute"),
        pytest.param(Interval("1w"), 1_700_000_000_000, 1_699_833_600_000, id="a week begins on Monday"),
        pytest.param(Interval("1M"), 1_700_000_000_000, 1_698_796_800_000, id="a month begins on the first"),
        pytest.param(Interval("1d"), 1_700_000_000_000, 1_699_920_000_000, id="a day is UTC's"),
        pytest.param(
            Interval("1d", 8 * 3_600_000), 1_700_000_000_000, 1_699_977_600_000, id="or that of another time zone"
        ),
    ],
)
def test_intervals_open_where_binances_do(interval: Interval, time_ms: int, opens_ms: int) -> None:
    assert interval.start_ms(time_ms) == opens_ms
    assert interval.start_ms(interval.next_start_ms(opens_ms)) == interval.next_start_ms(opens_ms)


@given(
    steps=st.lists(st.tuples(st.integers(0, 400), st.integers(90, 110), st.booleans()), min_size=1, max_size=60),
    name=st.sampled_from(["1m", "3m", "5m", "1h"]),
)
def test_coarse_klines_are_merged_minutes(steps: list[tuple[int, int, bool]], name: str) -> None:
    klines, at_s, price = Klines(), 0, 100
    for wait_s, next_price, trades in steps:
        at_s += wait_s
        price = next_price if trades else price
        klines.on_tick(trade(str(price), at_s) if trades else tick(at_s=at_s, last=str(price)))
    coarse = klines.rows(Interval(name), None, None, 1000)
    minutes = klines.rows(MINUTE, None, None, 1000)
    assert sum(bar.volume for bar in coarse) == sum(bar.volume for bar in minutes)
    by_trades, by_minutes = ([bar for bar in bars if bar.trade_count] or bars[:1] for bars in (coarse, minutes))
    assert max(bar.high for bar in by_trades) == max(bar.high for bar in by_minutes)
    assert min(bar.low for bar in by_trades) == min(bar.low for bar in by_minutes)
    assert coarse[-1].close == minutes[-1].close == Decimal(price)
    assert all(after.open_ms - before.open_ms == INTERVALS[name] for before, after in pairwise(coarse))


def published_klines(feed: KlineFeed, klines: Klines, moved: Tick) -> list[tuple[int, bool]]:
    """The klines that a tick publishes: opening time in seconds from the start, and whether closed."""
    published = [((bar.open_ms - START_MS) // 1000, True) for bar in feed.closed_until(moved.time_ms)]
    klines.on_tick(moved)
    forming = feed.forming()
    return published + ([((forming.open_ms - START_MS) // 1000, False)] if forming else [])


def test_a_feed_publishes_every_two_seconds_and_once_at_each_close() -> None:
    klines = built(trade("100", 0))
    feed = KlineFeed(MINUTE, klines)
    assert published_klines(feed, klines, trade("101", 1)) == [(0, False)]
    assert published_klines(feed, klines, trade("102", 2)) == []
    assert published_klines(feed, klines, trade("103", 3)) == [(0, False)]
    assert published_klines(feed, klines, trade("104", 60)) == [(0, True)]
    assert published_klines(feed, klines, trade("104", 62)) == [(60, False)]


def test_a_feed_leaves_out_no_minute_of_a_gap() -> None:
    klines = built(trade("100", 0))
    feed = KlineFeed(MINUTE, klines)
    assert published_klines(feed, klines, trade("105", 200)) == [(0, True), (60, True), (120, True)]


def test_the_closed_kline_holds_every_trade_before_its_end_and_none_after() -> None:
    klines = built(trade("100", 0), trade("107", 59.9))
    feed = KlineFeed(MINUTE, klines)
    (closed,) = feed.closed_until(START_MS + 60_000)
    assert (closed.close, closed.trade_count) == (Decimal(107), 2)


def test_memory_stays_flat_however_long_the_market_runs() -> None:
    klines = Klines()
    for day in range(40):
        for hour in range(24):
            klines.on_tick(trade("100", (day * 24 + hour) * 3600))
    assert len(klines.rows(Interval("1s"), START_MS, None, 1000)) == 1000
    assert klines.rows(MINUTE, START_MS, None, 1)[0].open_ms > START_MS + 30 * 86_400_000
    assert klines.rows(Interval("1h"), START_MS, None, 1)[0].open_ms < START_MS + 3_600_000


def test_a_row_has_binances_columns() -> None:
    (bar,) = built(trade("100.5", 1, traded="2")).rows(MINUTE, None, None, 1)
    assert kline_row_json(bar, MINUTE) == [
        START_MS,
        *("100.50000000",) * 4,
        "2.00000000",
        START_MS + 59_999,
        "201.00000000",
        1,
        "2.00000000",
        "201.00000000",
        "0",
    ]


def test_without_trades_klines_follow_the_last_price() -> None:
    quotes = [("100", 0), ("103", 10), ("98", 20), ("101", 50), ("101", 70), ("105", 80)]
    klines = built(*(tick(at_s=at_s, last=price) for price, at_s in quotes))
    rows = klines.rows(MINUTE, None, None, 10)
    assert prices(rows) == [("103", "103", "98", "101"), ("105",) * 4]
    assert [(bar.volume, bar.trade_count) for bar in rows] == [(Decimal(0), 0), (Decimal(0), 0)]


def test_a_source_of_quotes_closes_klines() -> None:
    klines = built(tick(at_s=0, last="100"), tick(at_s=30, last="102"))
    feed = KlineFeed(MINUTE, klines)
    (closed,) = feed.closed_until(START_MS + 61_000)
    assert (closed.close, closed.volume) == (Decimal(102), Decimal(0))

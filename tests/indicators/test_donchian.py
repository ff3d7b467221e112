"""Donchian's channel, as a series and one kline at a time."""

from decimal import Decimal
from math import isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailingedge.indicators.donchian import (
    Breakout,
    Channel,
    DonchianChannel,
    Source,
    compute_donchian_channels,
)
from trailingedge.model.market import Kline


def kline(minute: int, close: int, high: int | None = None, low: int | None = None) -> Kline:
    opens = minute * 60_000
    return Kline(
        open_ms=opens,
        close_ms=opens + 59_999,
        open=Decimal(close),
        high=Decimal(close if high is None else high),
        low=Decimal(close if low is None else low),
        close=Decimal(close),
    )


def closes(*prices: int) -> list[Kline]:
    return [kline(minute, price) for minute, price in enumerate(prices)]


def same(left: list[float], right: list[float]) -> bool:
    return len(left) == len(right) and all(a == b or (isnan(a) and isnan(b)) for a, b in zip(left, right, strict=True))


ranges = st.lists(
    st.tuples(st.integers(10, 40), st.integers(0, 5), st.integers(0, 5)).map(
        lambda t: (t[0], t[0] + t[1], t[0] - t[2])
    ),
    max_size=60,
)
sources = st.sampled_from(["close", "high_low"])


def test_each_row_covers_the_window_that_ends_at_it() -> None:
    upper, lower, mid = compute_donchian_channels(closes(5, 3, 8, 6, 4), window=3)
    assert upper == [5, 5, 8, 8, 8]
    assert lower == [5, 3, 3, 3, 4]
    assert mid == [5, 4, 5.5, 5.5, 6]


def test_a_shift_looks_further_back_and_knows_nothing_at_first() -> None:
    upper, lower, mid = compute_donchian_channels(closes(5, 3, 8, 6, 4), window=2, shift=2)
    assert same(upper, [nan, nan, 5, 5, 8])
    assert same(lower, [nan, nan, 5, 3, 3])
    assert same(mid, [nan, nan, 5, 4, 5.5])


def test_highs_and_lows_are_taken_on_demand() -> None:
    klines = [kline(0, 5, high=7, low=4), kline(1, 6, high=6, low=2)]
    upper, lower, _ = compute_donchian_channels(klines, window=2, source="high_low")
    assert (upper, lower) == ([7, 7], [4, 2])


def test_no_klines_give_no_rows() -> None:
    assert compute_donchian_channels([], window=3) == ([], [], [])


@pytest.mark.parametrize(
    ("window", "shift", "source"),
    [
        pytest.param(0, 0, "close", id="no window"),
        pytest.param(3, -1, "close", id="a shift into the future"),
        pytest.param(3, 0, "open", id="an unknown source"),
    ],
)
def test_bad_numbers_are_refused(window: int, shift: int, source: Source) -> None:
    with pytest.raises(ValueError, match=r"must be"):
        compute_donchian_channels(closes(1), window, shift, source)


@pytest.mark.parametrize(
    ("window", "shift", "rolling"),
    [
        pytest.param(0, 1, 100, id="no window"),
        pytest.param(3, 0, 100, id="the forming kline would be part of it"),
        pytest.param(40, 2, 41, id="rolling klines too few for one window"),
    ],
)
def test_the_running_channel_refuses_bad_numbers(window: int, shift: int, rolling: int) -> None:
    with pytest.raises(ValueError, match=r"window|shift"):
        DonchianChannel(window, shift, rolling=rolling)


@given(rows=ranges, window=st.integers(1, 12), shift=st.integers(0, 5), source=sources)
def test_the_series_is_what_its_definition_says(
    rows: list[tuple[int, int, int]], window: int, shift: int, source: Source
) -> None:
    klines = [kline(minute, *row) for minute, row in enumerate(rows)]
    upper, lower, mid = compute_donchian_channels(klines, window, shift, source)
    assert len(upper) == len(lower) == len(mid) == len(klines)
    for row in range(len(klines)):
        covered = klines[max(0, row - shift - window + 1) : max(0, row - shift + 1)]
        if not covered:
            assert isnan(upper[row])
            assert isnan(lower[row])
            assert isnan(mid[row])
            continue
        assert upper[row] == max(float(each.close if source == "close" else each.high) for each in covered)
        assert lower[row] == min(float(each.close if source == "close" else each.low) for each in covered)
        assert upper[row] >= mid[row] >= lower[row]


@given(rows=ranges, window=st.integers(1, 12), shift=st.integers(1, 5), source=sources)
def test_one_kline_at_a_time_gives_the_whole_series(
    rows: list[tuple[int, int, int]], window: int, shift: int, source: Source
) -> None:
    klines = [kline(minute, *row) for minute, row in enumerate(rows)]
    upper, lower, mid = compute_donchian_channels([*klines, kline(len(klines), 1)], window, shift, source)
    running = DonchianChannel(window, shift, source)
    for row in range(len(klines) + 1):
        channel = running.current
        assert (channel is None) == isnan(upper[row])
        if channel is not None:
            assert (channel.upper, channel.lower, channel.mid) == (upper[row], lower[row], mid[row])
            assert channel.full == (row - shift + 1 >= window)
        if row < len(klines):
            assert running.push(klines[row]) is channel


def test_a_kline_is_no_part_of_the_channel_it_is_judged_by() -> None:
    running = DonchianChannel(window=2, shift=1, klines=closes(10, 11))
    in_force = running.push(kline(2, 15))
    assert in_force == Channel(11.0, 10.0, full=True)
    assert running.current == Channel(15.0, 11.0, full=True)


@pytest.mark.parametrize(
    ("close", "full", "expected"),
    [
        pytest.param(12.1, True, Breakout.UP, id="above the upper edge"),
        pytest.param(12.0, True, None, id="on the upper edge"),
        pytest.param(10.0, True, None, id="on the lower edge"),
        pytest.param(9.9, True, Breakout.DOWN, id="below the lower edge"),
        pytest.param(99.0, False, None, id="not full"),
    ],
)
def test_a_breakout_is_a_close_beyond_an_edge(close: float, full: bool, expected: Breakout | None) -> None:
    assert Channel(12.0, 10.0, full=full).breakout(close) is expected


def test_there_is_no_squeeze_before_a_hundred_widths() -> None:
    running = DonchianChannel(window=1, shift=1)
    for minute in range(99):
        running.push(kline(minute, 10))
    assert running.current is not None
    assert running.current.squeeze_share is None
    running.push(kline(99, 10))
    assert running.current.squeeze_share == 0.0


def test_a_narrow_channel_among_wide_ones_is_a_squeeze() -> None:
    running = DonchianChannel(window=2, shift=1)
    for minute in range(200):
        running.push(kline(minute, 10 if minute % 2 else 20))
    assert running.current is not None
    assert running.current.squeeze_share == 0.0  # all alike: none is strictly smaller
    running.push(kline(200, 11))
    assert running.current.squeeze_share == 0.0
    assert running.current.squeezed(0.1)
    running.push(kline(201, 31))
    assert running.current.squeeze_share == pytest.approx(200 / 201)
    assert not running.current.squeezed(0.1)


@given(prices=st.lists(st.integers(10, 40), min_size=130, max_size=260))
def test_a_restart_with_the_rolling_klines_changes_no_squeeze(prices: list[int]) -> None:
    klines = closes(*prices)
    since_ever = DonchianChannel(window=5, shift=2, rolling=125, klines=klines)
    since_now = DonchianChannel(window=5, shift=2, rolling=125, klines=klines[-125:])
    assert since_ever.current == since_now.current
    assert since_now.current is not None
    assert since_now.current.squeeze_share is not None

"""Tests of random paths within klines."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailingedge.simulator.feeds.candle_path import GridKline, PathTicks
from trailingedge.simulator.feeds.random_path import RandomPath, SplitMix64, first_words, steps_per_length, stream_of

OPEN_MS = 1_783_000_020_000


@st.composite
def klines(draw: st.DrawFn) -> GridKline:
    """A kline; often a narrow one, in which corners coincide, or one of few trades."""
    prices = st.integers(2, draw(st.sampled_from([3, 4, 6, 1000, 10**6])))
    opened, closed, one, other = draw(prices), draw(prices), draw(prices), draw(prices)
    return GridKline(
        OPEN_MS + draw(st.integers(0, 10**9)) * 60_000,
        0,
        opened,
        max(opened, closed, one, other),
        min(opened, closed, one, other),
        closed,
        draw(st.sampled_from([4, 59, 60, 8000, 123_456])),
        draw(st.sampled_from([0, 4, 5, 9, 12, 15, 60, 180, 5000])),
    )


def closing(kline: GridKline, length_ms: int = 60_000) -> GridKline:
    return kline._replace(close_ms=kline.open_ms + length_ms - 1)


seeds = st.integers(0, 2**64 - 1)


def test_the_stream_is_that_of_splitmix64() -> None:
    stream = SplitMix64(1234567)  # the published test vector of this seed
    assert [stream.next() for _ in range(3)] == [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert SplitMix64(1234567).take(3) == (6457827717110365317, 3203168211198807973, 9817491932198370423)


def test_first_words_of_many_streams_are_those_of_each() -> None:
    times = range(OPEN_MS, OPEN_MS + 600 * 60_000, 60_000)
    assert first_words(7, times) == [stream_of(7, time_ms).next() for time_ms in times]


@given(seeds, st.integers(1, 700), st.integers(1, 700))
def test_words_taken_together_are_those_taken_one_by_one(seed: int, one: int, other: int) -> None:
    together, singly = SplitMix64(seed), SplitMix64(seed)
    assert [*together.take(one), *together.take(other)] == [singly.next() for _ in range(one + other)]


@given(klines(), seeds, st.sampled_from([1_000, 60_000, 900_000]))
def test_open_high_low_close_and_volume_are_kept(kline: GridKline, seed: int, length_ms: int) -> None:
    kline = closing(kline, length_ms)
    ticks = RandomPath(seed).ticks(kline)
    traded = [price for price, quantity in zip(ticks.prices, ticks.traded, strict=True) if quantity]
    for prices in (ticks.prices, traded):
        assert (prices[0], max(prices), min(prices), prices[-1]) == kline[2:6]
    assert sum(ticks.traded) == kline.volume
    assert min(ticks.traded) >= 0
    assert len(ticks.prices) == len(ticks.bids) == len(ticks.traded) == steps_per_length(length_ms)


@given(klines(), seeds, st.booleans())
def test_the_bid_is_below_the_price_after_a_rise_and_at_it_after_a_fall(
    kline: GridKline, seed: int, move_up: bool
) -> None:
    for before in (None, kline.open, kline.open + 1, kline.open - 1):
        path = RandomPath(seed, before, last_move_up=move_up)
        rises, last = move_up, before
        ticks = path.ticks(closing(kline))
        for bid, price, _ in zip(*ticks, strict=True):
            if last is not None and price != last:
                rises = price > last
            assert bid == (price - 1 if rises and price > 1 else price)
            last = price
        assert (path.last_price, path.last_move_up) == (last, rises)


@given(st.lists(klines(), min_size=1, max_size=4), seeds)
def test_skip_returns_the_lowest_highest_and_last_bid_of_the_path(told: list[GridKline], seed: int) -> None:
    walking, skipping, leaping = RandomPath(seed), RandomPath(seed), RandomPath(seed)
    leapt = leaping.skip([closing(kline) for kline in told])
    for kline, extremes in zip(map(closing, told), leapt, strict=True):
        bids = walking.ticks(kline).bids
        assert extremes == (min(bids), max(bids), bids[-1], walking.last_move_up)
        assert skipping.skip((kline,)) == [extremes]
        state = skipping.last_price, skipping.last_move_up, skipping.depth
        assert state == (walking.last_price, walking.last_move_up, walking.depth)


@given(klines(), klines(), seeds)
def test_a_path_does_not_depend_on_the_klines_before_it(kline: GridKline, other: GridKline, seed: int) -> None:
    path = RandomPath(seed)
    path.ticks(closing(other))
    assert path.ticks(closing(kline)).prices == RandomPath(seed).ticks(closing(kline)).prices


def many(kline: GridKline, count: int = 400) -> list[PathTicks]:
    return [RandomPath(seed).ticks(closing(kline)) for seed in range(count)]


def test_seeds_and_klines_have_different_paths() -> None:
    kline = GridKline(OPEN_MS, 0, 5_000, 6_000, 4_000, 5_500, 8_000)
    assert len({tuple(ticks.prices) for ticks in many(kline, 50)}) == 50
    assert (
        RandomPath(1).ticks(closing(kline)).prices
        != RandomPath(1).ticks(closing(kline._replace(open_ms=OPEN_MS + 60_000))).prices
    )


def test_a_kline_that_closes_far_up_mostly_makes_its_low_first() -> None:
    paths = many(GridKline(OPEN_MS, 0, 4_300, 6_000, 4_000, 5_700, 8_000))
    share = sum(ticks.prices.index(4_000) < ticks.prices.index(6_000) for ticks in paths) / len(paths)
    assert share > 0.8


@pytest.mark.parametrize("trades", [4, 9, 10, 12])
def test_few_trades_make_few_prices(trades: int) -> None:
    for ticks in many(GridKline(OPEN_MS, 0, 5_000, 6_000, 4_000, 5_500, 8_000, trades), 40):
        assert len(set(ticks.prices)) <= 4
        assert sum(quantity > 0 for quantity in ticks.traded) <= 4


def test_a_walk_of_way_points_goes_the_short_way_85_times_in_100() -> None:
    paths = many(GridKline(OPEN_MS, 0, 5_000, 6_000, 4_000, 5_500, 8_000, 4))
    share = sum(ticks.prices.index(4_000) < ticks.prices.index(6_000) for ticks in paths) / len(paths)
    assert 0.8 < share < 0.9


def test_an_eighth_of_a_minutes_volume_waits_at_each_best_price() -> None:
    kline = GridKline(OPEN_MS, 0, 5_000, 6_000, 4_000, 5_500, 8_000)
    for length_ms, volume, depth in ((60_000, 8_000, 1_000), (600_000, 8_000, 100), (60_000, 3, 1)):
        path = RandomPath(1)
        path.skip((closing(kline._replace(volume=volume), length_ms),))
        assert path.depth == depth


def test_the_walk_of_a_kline_is_no_straight_line() -> None:
    dice = Random("turns")
    for _ in range(20):
        kline = GridKline(OPEN_MS + dice.randrange(10**6) * 60_000, 0, 5_000, 6_000, 4_000, 5_500, 8_000)
        (ticks,) = many(kline, 1)
        turns = sum(
            (b - a) * (c - b) < 0 for a, b, c in zip(*(ticks.prices[i : 58 + i] for i in range(3)), strict=True)
        )
        assert turns > 15

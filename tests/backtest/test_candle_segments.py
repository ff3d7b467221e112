"""Tests of segments, bars and candles."""

from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Final

import pytest
from tests.backtest import random_market

from trailingedge.backtest.bar_columns import BarColumns
from trailingedge.backtest.candles import CandleBuilder
from trailingedge.backtest.market_memo import MarketMemo
from trailingedge.backtest.market_split import segments_of, split_market
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.feeds.candle_path import GridPath, StraightPath
from trailingedge.simulator.feeds.columns import Columns, PriceGrid
from trailingedge.simulator.feeds.random_path import RandomPath
from trailingedge.simulator.feeds.ticks import Tick
from trailingedge.simulator.klines import INTERVALS, Interval, KlineFeed, Klines

# Prices within klines: straight lines, the other straight lines, a random walk.
PATHS: Final[list[Callable[[], GridPath]]] = [StraightPath, lambda: StraightPath(opposite=True), lambda: RandomPath(5)]
GRID = PriceGrid(ExchangeSpec().tick_size, ExchangeSpec().step_size)


def market(kind: str, seed: int) -> list[Columns]:
    dice = Random(f"stretches {kind} {seed}")
    if kind == "klines":
        return random_market.klines(dice, 60, swing=3.0)
    return random_market.ticks(dice, 400, swing=1.0, trades=kind == "trades")


@pytest.mark.parametrize("kind", ["klines", "trades", "quotes"])
@pytest.mark.parametrize("interval", ["1s", "1m", "3m"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("seed", range(3))
def test_a_segment_knows_the_extremes_of_its_ticks(
    kind: str, interval: str, path: Callable[[], GridPath], seed: int
) -> None:
    interval_ms = INTERVALS[interval]
    for whole in segments_of(market(kind, seed), interval_ms, path()):
        all_bids: list[int] = []
        all_asks: list[int] = []
        for stretch in whole.parts():
            columns, begin, end = stretch.ticks()
            bids, asks = list(columns.bids[begin:end]), list(columns.asks[begin:end])
            assert (stretch.low_bid, stretch.high_bid, stretch.bid) == (min(bids), max(bids), bids[-1])
            assert (stretch.low_ask, stretch.high_ask, stretch.ask) == (min(asks), max(asks), asks[-1])
            assert stretch.first_ms == columns.time_ms[begin]
            assert {each // interval_ms for each in columns.time_ms[begin:end]} == {whole.open_ms // interval_ms}
            all_bids += bids
            all_asks += asks
        assert (whole.low_bid, whole.high_bid, whole.bid) == (min(all_bids), max(all_bids), all_bids[-1])
        assert (whole.low_ask, whole.high_ask, whole.ask) == (min(all_asks), max(all_asks), all_asks[-1])
        assert (whole.first_ms, whole.last_ms) == (whole.parts()[0].first_ms, whole.parts()[-1].last_ms)


@pytest.mark.parametrize("path", PATHS)
def test_bars_that_a_memo_kept_are_the_same(path: Callable[[], GridPath]) -> None:
    told, memo, found = market("klines", 4), MarketMemo(), []
    for shared in (None, memo, memo):
        walked = path()
        bars = [each for each in split_market(told, 180_000, walked, shared) if isinstance(each, BarColumns)]
        parts = [part for each in bars for index in range(len(each)) for part in each.segment(index).parts()]
        ticks_made = [list(part.ticks()[0].bids) for part in parts]
        found.append((ticks_made, walked.last_price, walked.last_move_up, walked.depth))
    assert found[0] == found[1] == found[2]
    assert len(found[0][0]) > 30


@pytest.mark.parametrize("kind", ["klines", "trades", "quotes"])
@pytest.mark.parametrize("path", PATHS)
def test_no_tick_is_lost_and_time_never_goes_back(kind: str, path: Callable[[], GridPath]) -> None:
    told = market(kind, 1)
    cut = [part for segment in segments_of(told, 180_000, path()) for part in segment.parts()]
    times = [
        time_ms for columns, begin, end in (each.ticks() for each in cut) for time_ms in columns.time_ms[begin:end]
    ]
    assert times == sorted(times)
    assert len(times) == sum(len(columns) for columns in told) * (
        {"klines": 60 if path is PATHS[2] else 8}.get(kind, 1)
    )
    assert all(before.open_ms <= after.open_ms for before, after in pairwise(cut))


@pytest.mark.parametrize("kind", ["klines", "trades", "quotes"])
@pytest.mark.parametrize("interval", ["1m", "5m"])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("seed", range(3))
def test_the_candles_equal_those_of_the_simulator(
    kind: str, interval: str, path: Callable[[], GridPath], seed: int
) -> None:
    interval_ms, told = INTERVALS[interval], market(kind, seed)
    candles, closed = CandleBuilder(interval_ms), []
    for stretch in segments_of(told, interval_ms, path()):
        if stretch.open_ms != candles.open_ms:
            closed += [candle.to_kline(GRID) for candle in candles.closed_by(stretch)]
        candles.add(stretch)
    expected = exchange_klines(
        [
            tick
            for whole in segments_of(told, interval_ms, path())
            for part in whole.parts()
            for tick in ticks(part.ticks())
        ],
        interval,
    )
    assert [(kline.open_ms, kline.open, kline.high, kline.low, kline.close) for kline in closed] == expected
    assert closed


def ticks(cut: tuple[object, int, int]) -> list[Tick]:
    columns, begin, end = cut
    return [columns.tick(index, GRID) for index in range(begin, end)]  # type: ignore[attr-defined]


def exchange_klines(told: list[Tick], interval: str) -> list[tuple[object, ...]]:
    klines = Klines()
    klines.on_tick(told[0])
    feed = KlineFeed(Interval(interval), klines)
    closed: list[tuple[object, ...]] = []
    for tick in told[1:]:
        closed += [(bar.open_ms, bar.open, bar.high, bar.low, bar.close) for bar in feed.closed_until(tick.time_ms)]
        klines.on_tick(tick)
    return closed

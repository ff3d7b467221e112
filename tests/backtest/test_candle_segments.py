"""Tests of segments and candles."""

from collections.abc import Callable
from itertools import pairwise
from random import Random
from typing import Final

import pytest
from tests.backtest import random_market

from trailingedge.backtest.candle_segments import split_segments
from trailingedge.backtest.candles import CandleBuilder
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
    for stretch in split_segments(market(kind, seed), interval_ms, path()):
        columns, begin, end = stretch.ticks()
        bids, asks = list(columns.bids[begin:end]), list(columns.asks[begin:end])
        assert (stretch.low_bid, stretch.high_bid, stretch.bid) == (min(bids), max(bids), bids[-1])
        assert (stretch.low_ask, stretch.high_ask, stretch.ask) == (min(asks), max(asks), asks[-1])
        assert stretch.first_ms == columns.time_ms[begin]
        assert {time_ms // interval_ms for time_ms in columns.time_ms[begin:end]} == {stretch.open_ms // interval_ms}


@pytest.mark.parametrize("kind", ["klines", "trades", "quotes"])
@pytest.mark.parametrize("path", PATHS)
def test_no_tick_is_lost_and_time_never_goes_back(kind: str, path: Callable[[], GridPath]) -> None:
    told = market(kind, 1)
    cut = list(split_segments(told, 60_000, path()))
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
    for stretch in split_segments(told, interval_ms, path()):
        if stretch.open_ms != candles.open_ms:
            closed += [candle.to_kline(GRID) for candle in candles.closed_by(stretch)]
        candles.add(stretch)
    expected = exchange_klines(
        [tick for each in split_segments(told, interval_ms, path()) for tick in ticks(each.ticks())], interval
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

from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trailingedge.model.market import ZERO, Kline, Side
from trailingedge.simulator.feeds.candle_path import GridKline, StraightPath, ticks_per_length
from trailingedge.simulator.feeds.columns import PriceGrid, walk_kline
from trailingedge.simulator.feeds.ticks import Tick

TICK, STEP = Decimal("0.01"), Decimal("0.001")
OPEN_MS = 1_783_000_020_000


def candle(open_: str, high: str, low: str, close: str, volume: str = "8.000", length_ms: int = 60_000) -> Kline:
    return Kline(
        OPEN_MS,
        OPEN_MS + length_ms - 1,
        Decimal(open_),
        Decimal(high),
        Decimal(low),
        Decimal(close),
        Decimal(volume),
    )


class CandlePath:
    """Turns klines into ticks, one after the other."""

    def __init__(self) -> None:
        self._path, self._grid = StraightPath(), PriceGrid(TICK, STEP)

    def ticks_of(self, kline: Kline) -> list[Tick]:
        opened, high, low, close = (int(price / TICK) for price in (kline.open, kline.high, kline.low, kline.close))
        volume = int(kline.volume / STEP)
        ticks = walk_kline(GridKline(kline.open_ms, kline.close_ms, opened, high, low, close, volume), self._path)
        return [ticks.tick(index, self._grid) for index in range(len(ticks))]


def rebuilt(ticks: Sequence[Tick]) -> tuple[Decimal, Decimal, Decimal, Decimal, Decimal]:
    """Open, high, low, close and volume of the ticks' trades."""
    traded = [tick for tick in ticks if tick.aggressor is not None]
    prices = [tick.last_price for tick in traded]
    volume = sum((tick.traded for tick in traded), ZERO)
    return prices[0], max(prices), min(prices), prices[-1], volume


@st.composite
def candles(draw: st.DrawFn) -> Kline:
    """A kline that trades could have made: with at least as many steps of volume as it has corners."""
    ticks = st.integers(min_value=2, max_value=100_000)
    opened, closed, one, other = draw(ticks), draw(ticks), draw(ticks), draw(ticks)
    volume = draw(st.one_of(st.integers(4, 20), st.integers(4, 10_000_000)))
    return Kline(
        OPEN_MS,
        OPEN_MS + draw(st.sampled_from([1_000, 60_000, 180_000, 3_600_000])) - 1,
        opened * TICK,
        max(opened, closed, one, other) * TICK,
        min(opened, closed, one, other) * TICK,
        closed * TICK,
        volume * STEP,
    )


@given(candles())
def test_the_trades_rebuild_the_kline(kline: Kline) -> None:
    ticks = CandlePath().ticks_of(kline)
    assert rebuilt(ticks) == (kline.open, kline.high, kline.low, kline.close, kline.volume)


@given(st.lists(candles(), min_size=1, max_size=3))
def test_every_tick_is_a_book_on_the_grid_inside_the_kline(klines: list[Kline]) -> None:
    walker = CandlePath()
    for kline in klines:
        ticks = walker.ticks_of(kline)
        times = [tick.time_ms for tick in ticks]
        assert times[0] == kline.open_ms
        assert times == sorted(times)
        assert times[-1] < kline.close_ms
        for tick in ticks:
            assert ZERO < tick.bid == tick.ask - TICK
            assert tick.bid % TICK == tick.traded % STEP == tick.bid_quantity % STEP == ZERO
            assert kline.low <= tick.last_price <= kline.high
            if tick.aggressor is not None:
                assert tick.last_price == (tick.ask if tick.aggressor is Side.BUY else tick.bid)


@pytest.mark.parametrize(
    ("kline", "corners"),
    [
        pytest.param(candle("100", "103", "98", "101"), ["100", "98", "103", "101"], id="up: low before high"),
        pytest.param(candle("101", "103", "98", "100"), ["101", "103", "98", "100"], id="down: high before low"),
        pytest.param(candle("100", "103", "98", "100"), ["100", "98", "103", "100"], id="unchanged: as if up"),
    ],
)
def test_the_path_is_the_least_favourable_one(kline: Kline, corners: list[str]) -> None:
    ticks = CandlePath().ticks_of(kline)
    assert [ticks[frame].last_price for frame in (0, 2, 4, 7)] == [Decimal(corner) for corner in corners]


@pytest.mark.parametrize(
    ("length_ms", "frames"),
    [
        pytest.param(1_000, 8, id="1s"),
        pytest.param(60_000, 8, id="1m"),
        pytest.param(300_000, 40, id="5m"),
        pytest.param(3_600_000, 480, id="1h"),
        pytest.param(2_454_774, 327, id="an hour cut short"),
    ],
)
def test_there_are_eight_ticks_a_minute(length_ms: int, frames: int) -> None:
    kline = candle("100", "101", "99", "100.5", length_ms=length_ms)
    assert ticks_per_length(length_ms) == frames == len(CandlePath().ticks_of(kline))


def test_rises_are_bought_at_the_ask_and_falls_sold_at_the_bid() -> None:
    ticks = CandlePath().ticks_of(candle("100", "103", "98", "101"))
    down, up = ticks[1], ticks[3]
    assert (down.aggressor, down.last_price) == (Side.SELL, down.bid)
    assert (up.aggressor, up.last_price) == (Side.BUY, up.ask)


def test_the_direction_carries_over_from_one_kline_to_the_next() -> None:
    walker = CandlePath()
    walker.ticks_of(candle("100", "100", "100", "100"))
    assert walker.ticks_of(candle("100.5", "100.5", "100.5", "100.5"))[0].aggressor is Side.BUY
    assert {tick.aggressor for tick in walker.ticks_of(candle("100.5", "100.5", "100.5", "100.5"))} == {Side.BUY}
    assert walker.ticks_of(candle("99", "99", "99", "99"))[0].aggressor is Side.SELL


def test_volume_is_spread_evenly_and_the_rest_comes_last() -> None:
    shares = [tick.traded for tick in CandlePath().ticks_of(candle("100", "101", "99", "100", volume="8.003"))]
    assert shares == [Decimal("1.000")] * 7 + [Decimal("1.003")]


def test_a_kline_without_volume_has_ticks_but_no_trades() -> None:
    ticks = CandlePath().ticks_of(candle("100", "100", "100", "100", volume="0"))
    assert len(ticks) == 8
    assert {(tick.aggressor, tick.traded) for tick in ticks} == {(None, ZERO)}


def test_a_price_of_one_tick_leaves_no_bid_at_zero() -> None:
    ticks = CandlePath().ticks_of(candle("0.01", "0.03", "0.01", "0.03"))
    assert min(tick.bid for tick in ticks) == TICK
    assert rebuilt(ticks)[:4] == (Decimal("0.01"), Decimal("0.03"), Decimal("0.01"), Decimal("0.03"))


@st.composite
def on_the_grid(draw: st.DrawFn) -> tuple[int, int, int, int, int]:
    """Open, high, low, close in ticks and volume in steps; often narrow ones, in which corners coincide."""
    prices = st.integers(1, draw(st.sampled_from([2, 4, 1000])))
    opened, closed, one, other = draw(prices), draw(prices), draw(prices), draw(prices)
    highest, lowest = max(opened, closed, one, other), min(opened, closed, one, other)
    return opened, highest, lowest, closed, draw(st.sampled_from([0, 3, 8000]))


@pytest.mark.parametrize("opposite", [False, True])
@given(st.lists(on_the_grid(), min_size=1, max_size=6))
def test_skip_returns_the_lowest_highest_and_last_bid_of_the_path(
    opposite: bool, klines: list[tuple[int, int, int, int, int]]
) -> None:
    walking, striding = StraightPath(opposite=opposite), StraightPath(opposite=opposite)
    for kline in klines:
        told = GridKline(OPEN_MS, OPEN_MS + 59_999, *kline)
        bids = walking.ticks(told).bids
        assert striding.skip((told,)) == [(min(bids), max(bids), bids[-1], walking.last_move_up)]
        assert (striding.last_price, striding.last_move_up, striding.depth) == (
            walking.last_price,
            walking.last_move_up,
            walking.depth,
        )


def test_the_opposite_path_makes_the_other_extreme_first() -> None:
    rise, fall = GridKline(0, 59_999, 100, 110, 90, 105, 8), GridKline(0, 59_999, 105, 110, 90, 100, 8)
    for kline, low_first in ((rise, True), (fall, False)):
        for opposite in (False, True):
            prices = StraightPath(opposite=opposite).ticks(kline).prices
            assert (prices.index(90) < prices.index(110)) is (low_first is not opposite)

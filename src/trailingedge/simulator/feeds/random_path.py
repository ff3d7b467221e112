"""Random path within a kline: a seeded random walk from its open to its close that touches its high and its low.

A backtest runs on several random paths. Its result is then a band, which shows how much it depends on the unknown
prices within the candles.

- Each kline has a random stream of its own, from the seed and its open time. So a path depends neither on the settings
  nor on where the file starts.
- The walk has 60 steps a minute (at most 600 in a kline). If the number of trades is known, it has only one price for
  every three trades, because prices of thin markets jump. A walk of only two or three prices goes from the open through
  the extremes to the close. In 85 of 100 klines it visits the extremes in the order that makes the way shorter.
- The walk is a bridge of uniform steps, reflected at low and high. Of up to eight walks the best one is stretched until
  it reaches both low and high.
- The volume is split evenly over the prices of the walk. An eighth of a minute's volume waits at each best price.

The model leaves out bursts and jumps within the minute (real stops slip more), a spread wider than one tick size, the
real queue, and the correlation of one minute with the next.

Only arithmetic and square roots of floats are used, which give the same numbers on every platform.
"""

from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from math import sqrt
from struct import pack, unpack
from typing import Final

from trailingedge.core.time_units import MINUTE_MS
from trailingedge.simulator.feeds.candle_path import (
    GridKline,
    GridPath,
    PathTicks,
    best_bids,
    first_move_up,
    split_volume,
)

STEPS_PER_MINUTE: Final = 60
MOST_STEPS: Final = 600
FEWEST_STEPS: Final = 8  # in a kline of a second
STEP_SCALE: Final = 0.75  # the standard deviation of a walk without a bridge, in ranges of the kline
TRADES_PER_STEP: Final = 3  # fitted to one thin market
SHORT_WAY_SHARE: Final = 0.85  # of the klines whose low comes first when they close up, or high when they close down
QUEUE_SHARE: Final = 8  # an eighth of a minute's volume waits at each best price
_TRIES: Final = 8
_CLOSE_ENOUGH: Final = 0.02  # of the range: how far a walk may stay from low and high before it is stretched

_WORD: Final = (1 << 64) - 1
_GAMMA: Final = 0x9E3779B97F4A7C15
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_UNIT: Final = 2.0**-64
_MOST_LANES: Final = 256  # in one long integer; with more, the integers leave the processor's cache


def _mix(word: int) -> int:
    """The output function of splitmix64 (Steele, Lea, Flood 2014)."""
    word = ((word ^ (word >> 30)) * _FIRST) & _WORD
    word = ((word ^ (word >> 27)) * _SECOND) & _WORD
    return word ^ (word >> 31)


@cache
def _lanes(count: int) -> tuple[int, int, int]:
    """Return, in lanes of 128 bits: the multiples of gamma from 1 to `count`, ones, and masks of 64 bits."""
    gammas = sum((number * _GAMMA & _WORD) << 128 * (number - 1) for number in range(1, count + 1))
    ones = sum(1 << 128 * lane for lane in range(count))
    return gammas, ones, ones * _WORD


class SplitMix64:
    """The random stream of splitmix64: 64-bit words."""

    __slots__ = ("_state",)

    def __init__(self, state: int) -> None:
        self._state = state

    def next(self) -> int:
        self._state = (self._state + _GAMMA) & _WORD
        return _mix(self._state)

    def take(self, count: int) -> tuple[int, ...]:
        """Return the next `count` words, computed side by side in one long integer: ten times as fast as `next`."""
        gammas, ones, low = _lanes(count)
        words = _mix_lanes((gammas + self._state * ones) & low, low)
        self._state = (self._state + count * _GAMMA) & _WORD
        return unpack(f"<{2 * count}Q", words.to_bytes(16 * count, "little"))[::2]


def _mix_lanes(words: int, low: int) -> int:
    """Apply `_mix` to each word; `low` masks 64 bits in each lane."""
    words = ((words ^ (words >> 30 & low)) * _FIRST) & low
    words = ((words ^ (words >> 27 & low)) * _SECOND) & low
    return words ^ (words >> 31 & low)


def stream_of(seed: int, open_ms: int) -> SplitMix64:
    """Return the random stream of the kline that opens at `open_ms`."""
    return SplitMix64(_mix((seed * _GAMMA & _WORD) ^ _mix(open_ms & _WORD)))


def first_words(seed: int, open_ms: Sequence[int]) -> list[int]:
    """Return the first word of the random stream of each kline that opens at these times."""
    words: list[int] = []
    for begin in range(0, len(open_ms), _MOST_LANES):
        times = open_ms[begin : begin + _MOST_LANES]
        count = len(times)
        _, ones, low = _lanes(count)
        lanes = pack("<" + "Q8x" * count, *(time_ms & _WORD for time_ms in times))
        states = _mix_lanes(int.from_bytes(lanes, "little"), low)
        states = _mix_lanes(states ^ (seed * _GAMMA & _WORD) * ones, low)
        found = _mix_lanes((states + _GAMMA * ones) & low, low)
        words += unpack(f"<{2 * count}Q", found.to_bytes(16 * count, "little"))[::2]
    return words


def steps_per_length(length_ms: int) -> int:
    """Return how many ticks a kline of `length_ms` becomes."""
    return min(MOST_STEPS, max(FEWEST_STEPS, STEPS_PER_MINUTE * length_ms // MINUTE_MS))


class RandomPath(GridPath):
    """The random path of one seed; see the top of the module."""

    __slots__ = ("_seed",)

    def __init__(self, seed: int, last: int | None = None, *, last_move_up: bool = False) -> None:
        super().__init__(("random", seed), last, last_move_up=last_move_up)
        self._seed = seed

    def resumed(self, last_price: int | None, *, last_move_up: bool) -> "RandomPath":
        return RandomPath(self._seed, last_price, last_move_up=last_move_up)

    def ticks(self, kline: GridKline) -> PathTicks:
        tick_count = steps_per_length(kline.length_ms)
        stream = stream_of(self._seed, kline.open_ms)
        count = _price_count(kline, tick_count)
        first = stream.next()
        if kline.low == kline.high:
            walk = [kline.close] * count
        elif _by_way_points(kline, count):
            walk = _way_points(kline, first)
        else:
            closes_up = _closes_up(kline, count, first)
            walk = [kline.low + offset for offset in _bridge(kline, count, stream, closes_up=closes_up)]
        prices, trading = _held(walk, tick_count, stream)
        bids = best_bids(prices, move_up=first_move_up(self, kline.open))
        needed = [
            0,
            trading[-1],
            *(prices.index(price) for price in {kline.high, kline.low} - {kline.open, kline.close}),
        ]
        self.skip((kline,))
        return PathTicks(bids, prices, split_volume(kline.volume, tick_count, trading, needed))

    def rises(self, klines: Sequence[GridKline]) -> list[bool]:
        if len(klines) == 1:
            words = [stream_of(self._seed, klines[0].open_ms).next()]
        else:
            words = first_words(self._seed, [kline.open_ms for kline in klines])
        return [
            # Most klines have no count of trades, and then the words alone decide.
            kline.close == kline.high
            or (kline.close != kline.low and (_few_trades_rise(kline, word) if kline.trades else word >> 63 == 1))
            for kline, word in zip(klines, words, strict=True)
        ]

    def depth_of(self, kline: GridKline) -> int:
        minutes = max(1, kline.length_ms // MINUTE_MS)
        return max(1, kline.volume // (QUEUE_SHARE * minutes))


def _few_trades_rise(kline: GridKline, word: int) -> bool:
    return _closes_up(kline, _price_count(kline, steps_per_length(kline.length_ms)), word)


def _inner_points(kline: GridKline) -> int:
    """How many of high and low differ from both open and close, so that the walk must reach them in between."""
    ends = kline.open, kline.close
    return (kline.high > max(ends)) + (kline.low < min(ends))


def _price_count(kline: GridKline, tick_count: int) -> int:
    """Return how many prices the walk has."""
    if not kline.trades:
        return tick_count
    needed = 1 if kline.low == kline.high else 2 + _inner_points(kline)
    return min(tick_count, max(needed, -(-kline.trades // TRADES_PER_STEP)))


def _by_way_points(kline: GridKline, count: int) -> bool:
    """Whether the walk has too few prices for a bridge, and so consists of open, extremes and close."""
    return count < 4 or (count == 4 and _inner_points(kline) == 2)


def _way_points(kline: GridKline, word: int) -> list[int]:
    """Return open, extremes and close, in the order that the random `word` decides."""
    low_first = (kline.close >= kline.open) is (word * _UNIT < SHORT_WAY_SHARE)
    ends = kline.open, kline.close
    inner = [price for price in (kline.low, kline.high) if not min(ends) <= price <= max(ends)]
    return [kline.open, *(inner if low_first else reversed(inner)), kline.close]


def _closes_up(kline: GridKline, count: int, word: int) -> bool:
    """Whether the price rises in the last change before the close.

    This is decided before the walk is made, so that most walks need not be made.
    """
    if _by_way_points(kline, count):
        *_, before, close = _way_points(kline, word)
        return close > before
    if kline.close == kline.high or kline.close == kline.low:
        return kline.close == kline.high
    return word >> 63 == 1


def _bridge(kline: GridKline, count: int, stream: SplitMix64, *, closes_up: bool) -> list[int]:
    """Return `count` prices relative to the low, from open to close, which include high and low."""
    span, start, end = float(kline.high - kline.low), float(kline.open - kline.low), float(kline.close - kline.low)
    width = STEP_SCALE * span * sqrt(3 / (count - 1))
    best: list[float] = []
    least = float("inf")
    for _ in range(_TRIES):
        walk = _reflected(start, end, span, width, stream.take(count - 1))
        missed = span - max(walk) + min(walk)
        if missed < least:
            best, least = walk, missed
        if least <= _CLOSE_ENOUGH * span:
            break
    if 0.0 < end < span:  # the last step comes from the side that was decided
        before = best[-2]
        if closes_up and before > end - 1.0:
            best[-2] = max(0.0, min(end - 1.0, 2.0 * end - before))
        elif not closes_up and before < end + 1.0:
            best[-2] = min(span, max(end + 1.0, 2.0 * end - before))
    return _stretched(best, span, stream)


def _reflected(start: float, end: float, span: float, width: float, words: tuple[int, ...]) -> list[float]:
    """Return a walk from `start` to `end`, reflected at 0 and `span`, with steps within `width`."""
    scale = 2.0 * width * _UNIT
    sums = list(accumulate([word * scale - width for word in words]))
    drift, twice = (end - start - sums[-1]) / len(sums), 2.0 * span
    walk = [start]
    for number, offset in enumerate(sums[:-1], 1):
        height = (start + offset + drift * number) % twice
        walk.append(height if height <= span else twice - height)
    walk.append(end)
    return walk


def _stretched(walk: list[float], span: float, stream: SplitMix64) -> list[int]:
    """Stretch the part of the walk above both ends until it touches `span`, and the part below them until it touches 0.

    Returns whole numbers. If no price lies above both ends (or below them), a random inner price becomes that extreme.
    """
    start, end, last = walk[0], walk[-1], len(walk) - 1
    above, below = max(start, end), min(start, end)
    top, bottom = max(walk), min(walk)
    up = (span - above) / (top - above) if top > above else 0.0
    down = below / (below - bottom) if bottom < below else 0.0
    offsets = [
        round(above + (height - above) * up) if height > above else
        round(below - (below - height) * down) if height < below else round(height)
        for height in walk
    ]  # fmt: skip
    taken = -1
    if span > above:
        taken = walk.index(top) if top > above else 1 + stream.next() % (last - 2)
        offsets[taken] = int(span)
    if below > 0.0:
        lowest = walk.index(bottom) if bottom < below else 1 + stream.next() % (last - 2)
        if lowest == taken:
            lowest = 1 + taken % (last - 2)
        offsets[lowest] = 0
    return offsets


def _held(walk: list[int], tick_count: int, stream: SplitMix64) -> tuple[list[int], range | list[int]]:
    """Return the price of each tick, and the ticks at which the walk takes its next price: tick 0 and random ticks."""
    if len(walk) == tick_count:
        return walk, range(tick_count)
    keys = stream.take(tick_count - 1)
    trading = [0, *sorted(sorted(range(1, tick_count), key=lambda tick: keys[tick - 1])[: len(walk) - 1])]
    prices: list[int] = []
    for price, until in zip(walk, [*trading[1:], tick_count], strict=True):
        prices += [price] * (until - len(prices))
    return prices, trading

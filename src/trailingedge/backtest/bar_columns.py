"""Bars of a market: consecutive klines, grouped by the candle of the strategy that they lie in, in columns.

A bar holds those klines of a piece of the market that lie in one candle, with the extremes of the best prices. A
backtest compares these extremes, of one bar or of many at once, with the prices at which an action might be due. In
nearly all cases no extreme reaches such a price, and no single kline is looked at. The columns depend on the klines,
the interval and the path within the klines, and not on the strategy's other settings: `market_memo` keeps them for the
next backtest.
"""

from array import array
from collections.abc import Callable, Iterable
from functools import partial
from itertools import groupby, islice, pairwise
from typing import Final

from trailingedge.backtest.candle_segments import KlineSegment, OhlcTicks, Segment, TickedSegment
from trailingedge.simulator.feeds.candle_path import GridPath, PathExtremes
from trailingedge.simulator.feeds.columns import IntColumn, KlineColumns, TickColumns, walk_kline

_KLINES_PER_TICKS_KEPT: Final = 32  # the ticks of one take 4 KB, as much as 40 bars


class BarColumns:
    """Bars, oldest first, with one number for each bar in each column.

    `open_ms` is the opening time of its candle, `first_ms` and `last_ms` are the first and last time of its klines.
    The best ask is always one tick above the best bid.
    """

    __slots__ = (
        "_begin",
        "_closes_up",
        "_extremes",
        "_klines",
        "_path",
        "_starts",
        "_state",
        "_ticks",
        "bids",
        "closes",
        "first_ms",
        "high_bids",
        "highs",
        "last_ms",
        "low_bids",
        "lows",
        "open_ms",
        "opens",
    )

    def __init__(self, klines: KlineColumns, begin: int, end: int, interval_ms: int, path: GridPath) -> None:
        """Make bars of the klines from index `begin` to `end` - 1.

        `path` must be at the start of the first of these klines, and is moved to the end of the last. Each kline must
        lie within one candle of `interval_ms` and have a volume.
        """
        self._klines, self._begin = klines, begin
        self._ticks: dict[int, TickColumns] = {}
        self._path = path.resumed(path.last_price, last_move_up=path.last_move_up)  # the state before all of them
        found = path.skip(list(islice(klines, begin, end)))
        self._state = path.last_price, path.last_move_up, path.depth
        low_bids, high_bids, bids, closes_up = zip(*found, strict=True)
        self._extremes = array("q", low_bids), array("q", high_bids), array("q", bids)
        self._closes_up = bytes(closes_up)
        opens_ms = [open_ms - open_ms % interval_ms for open_ms in klines.open_ms[begin:end]]
        starts = [0, *(number for number, (before, now) in enumerate(pairwise(opens_ms), 1) if now != before)]
        bounds = list(pairwise([*starts, end - begin]))  # the klines of each bar
        self._starts = array("q", [*starts, end - begin])
        self.open_ms = array("q", [opens_ms[start] for start in starts])
        self.first_ms, self.opens = (
            array("q", [column[begin + first] for first, _ in bounds]) for column in (klines.open_ms, klines.opens)
        )
        self.last_ms, self.closes, self.bids = (
            array("q", [column[offset + after - 1] for _, after in bounds])
            for column, offset in ((klines.close_ms, begin), (klines.closes, begin), (self._extremes[2], 0))
        )
        self.highs, self.lows = _most(max, klines.highs[begin:end], bounds), _most(min, klines.lows[begin:end], bounds)
        self.low_bids, self.high_bids = _most(min, self._extremes[0], bounds), _most(max, self._extremes[1], bounds)

    def __len__(self) -> int:
        return len(self.open_ms)

    @property
    def klines(self) -> int:
        """The number of klines in all bars."""
        return len(self._closes_up)

    def move(self, path: GridPath) -> None:
        """Move `path` from the start of the first of these klines to the end of the last."""
        path.last_price, path.last_move_up, path.depth = self._state

    def prices(self, index: int) -> OhlcTicks:
        """Return open, high, low and close of a bar."""
        return self.opens[index], self.highs[index], self.lows[index], self.closes[index]

    def segment(self, index: int) -> "BarSegment":
        """Return the bar at `index` as a segment."""
        return BarSegment(self, index)

    def parts(self, index: int) -> tuple[TickedSegment, ...]:
        """Return the klines of a bar, each as a segment."""
        return tuple(
            self._kline_segment(self.open_ms[index], number)
            for number in range(self._starts[index], self._starts[index + 1])
        )

    def _kline_segment(self, open_ms: int, number: int) -> KlineSegment:
        low_bids, high_bids, bids = self._extremes
        extremes = PathExtremes(low_bids[number], high_bids[number], bids[number], bool(self._closes_up[number]))
        kline = self._klines.row(self._begin + number)
        return KlineSegment(open_ms, kline, extremes, partial(self._ticks_of, number))

    def _ticks_of(self, number: int) -> TickColumns:
        """Return the ticks of a kline. A limited number of results is kept: those that were requested first."""
        ticks = self._ticks.get(number)
        if ticks is None:
            before, path = self._path.last_price, self._path
            last_move_up = path.last_move_up
            if number:
                before, last_move_up = self._klines.closes[self._begin + number - 1], bool(self._closes_up[number - 1])
            kline = self._klines.row(self._begin + number)
            ticks = walk_kline(kline, path.resumed(before, last_move_up=last_move_up))
            if len(self._ticks) * _KLINES_PER_TICKS_KEPT < self.klines:
                self._ticks[number] = ticks
        return ticks


class BarSegment(Segment):
    """One bar. The segments of its klines are made on request."""

    __slots__ = ("_bars", "_index", "_parts")

    def __init__(self, bars: BarColumns, index: int) -> None:
        self._bars, self._index = bars, index
        self._parts: tuple[TickedSegment, ...] = ()
        self.open_ms = bars.open_ms[index]
        self.first_ms, self.last_ms = bars.first_ms[index], bars.last_ms[index]
        self.prices = bars.prices(index)
        self.low_bid, self.high_bid, self.bid = bars.low_bids[index], bars.high_bids[index], bars.bids[index]
        self.low_ask, self.high_ask, self.ask = self.low_bid + 1, self.high_bid + 1, self.bid + 1

    def parts(self) -> tuple[TickedSegment, ...]:
        # The engine knows by the object which ticks the exchange has played.
        self._parts = self._parts or self._bars.parts(self._index)
        return self._parts


KlineGroup = tuple[int, int, bool]
"""Index of the first kline, index after the last, and whether they fit bars."""


def kline_groups(klines: KlineColumns, interval_ms: int) -> list[KlineGroup]:
    """Split the klines into groups: klines that fit bars, and klines that do not.

    Klines that fit bars have a volume and lie within one candle each.
    """
    fits = [
        volume > 0 and close_ms < open_ms - open_ms % interval_ms + interval_ms
        for open_ms, close_ms, volume in zip(klines.open_ms, klines.close_ms, klines.volumes, strict=True)
    ]
    if all(fits):
        return [(0, len(fits), True)]
    groups, begin = [], 0
    for is_bar, group in groupby(fits):
        end = begin + sum(1 for _ in group)
        groups.append((begin, end, is_bar))
        begin = end
    return groups


def _most(extreme: Callable[[Iterable[int]], int], column: IntColumn, bounds: list[tuple[int, int]]) -> "array[int]":
    """Return the highest or the lowest number of the column for each bar."""
    if len(bounds) == len(column):
        return array("q", column)
    return array("q", [extreme(column[first:after]) for first, after in bounds])

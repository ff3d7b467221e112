"""Segments of a market: market ticks within one candle of the strategy, with their minimum and maximum prices.

A fast-forward first compares these extremes with the prices at which an action might be due. If no extreme reaches such
a price, it skips the segment without looking at single ticks. For klines, the ticks of a skipped segment are never
built.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from trailingedge.simulator.feeds.candle_path import GridKline, PathExtremes
from trailingedge.simulator.feeds.columns import TickColumns

OhlcTicks = tuple[int, int, int, int]
"""Open, high, low and close in ticks."""


class Segment(ABC):
    """Market ticks within the candle that opens at `open_ms`; the candle may have other segments before and after.

    `last_ms` is the time of the last tick, or a little later. `low_bid`, `high_bid`, `low_ask` and `high_ask` are the
    extremes of the best prices; `bid` and `ask` are the last best prices. `prices` are the open, high, low and close
    that count for the candle. They are None if nothing traded and the last price stayed the same.
    """

    __slots__ = ("ask", "bid", "first_ms", "high_ask", "high_bid", "last_ms", "low_ask", "low_bid", "open_ms", "prices")

    open_ms: int
    first_ms: int
    last_ms: int
    low_bid: int
    high_bid: int
    bid: int
    low_ask: int
    high_ask: int
    ask: int
    prices: OhlcTicks | None

    @abstractmethod
    def parts(self) -> "Sequence[TickedSegment]":
        """Return the smallest segments that this segment consists of, oldest first; the same objects at each call."""


class TickedSegment(Segment):
    """A segment whose ticks can be played."""

    __slots__ = ()

    def parts(self) -> "Sequence[TickedSegment]":
        return (self,)

    @abstractmethod
    def ticks(self) -> tuple[TickColumns, int, int]:
        """Return the columns that hold the segment's ticks.

        Also returns the index of the first tick and the index after the last tick.
        """


class TickSegment(TickedSegment):
    """A segment (group of ticks) of a file that has trades or quotes, not klines."""

    __slots__ = ("_begin", "_columns", "_end")

    def __init__(self, open_ms: int, columns: TickColumns, begin: int, end: int, first_priced: int) -> None:
        """Use the ticks of `columns` from index `begin` to `end` - 1.

        A candle opens with the first trade or price change in it. `first_priced` is the index of that tick; `begin` if
        it lies in an earlier segment, `end` if this segment has none.
        """
        bids, asks, lasts = columns.bids[begin:end], columns.asks[begin:end], columns.lasts[first_priced:end]
        self.open_ms, self.first_ms, self.last_ms = open_ms, columns.time_ms[begin], columns.time_ms[end - 1]
        self.low_bid, self.high_bid, self.bid = min(bids), max(bids), bids[-1]
        self.low_ask, self.high_ask, self.ask = min(asks), max(asks), asks[-1]
        self.prices = (lasts[0], max(lasts), min(lasts), lasts[-1]) if lasts else None
        self._columns = columns
        self._begin = begin
        self._end = end

    def ticks(self) -> tuple[TickColumns, int, int]:
        return self._columns, self._begin, self._end


class KlineSegment(TickedSegment):
    """A segment (group of ticks) from one kline. The ticks are built only when `ticks` is called."""

    __slots__ = ("_build", "_ticks")

    def __init__(
        self, open_ms: int, kline: GridKline, extremes: PathExtremes, build: Callable[[], TickColumns]
    ) -> None:
        """`build` builds the ticks of the kline."""
        self._build = build
        self._ticks: TickColumns | None = None
        self.open_ms = open_ms
        self.first_ms, self.last_ms = kline.open_ms, kline.close_ms
        self.prices = kline[2:6]
        self.low_bid, self.high_bid, self.bid, _ = extremes
        self.low_ask, self.high_ask, self.ask = self.low_bid + 1, self.high_bid + 1, self.bid + 1

    def ticks(self) -> tuple[TickColumns, int, int]:
        if self._ticks is None:
            self._ticks = self._build()
        return self._ticks, 0, len(self._ticks)

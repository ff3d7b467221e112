"""Segments of a market: market ticks within one candle of the strategy, with precomputed minimum and maximum prices.

A fast-forward first compares these extremes with the prices at which an action might be due. If no extreme reaches such
a price, it skips the segment without looking at single ticks. For klines, the ticks of a skipped segment are never
built.
"""

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from trailingedge.simulator.feeds.candle_path import GridKline, GridPath
from trailingedge.simulator.feeds.columns import Columns, KlineColumns, TickColumns, walk_kline

OhlcTicks = tuple[int, int, int, int]
"""Open, high, low and close in ticks."""


class Segment(ABC):
    """Market ticks within the candle that opens at `open_ms`; the candle may have other segments before and after.

    `last_ms` is the time of the last tick, or a little later. `low_bid`, `high_bid`, `low_ask` and `high_ask` are the
    extremes of the best prices; `bid` and `ask` are the last best prices. `prices` are the open, high, low and close
    that count for the candle. They are None if nothing traded and the last price stayed the same.
    """

    __slots__ = ("ask", "bid", "first_ms", "high_ask", "high_bid", "last_ms", "low_ask", "low_bid", "open_ms", "prices")

    def __init__(
        self, open_ms: int, times_ms: tuple[int, int], bids: OhlcTicks, asks: OhlcTicks, prices: OhlcTicks | None
    ) -> None:
        self.open_ms = open_ms
        self.first_ms, self.last_ms = times_ms
        _, self.high_bid, self.low_bid, self.bid = bids
        _, self.high_ask, self.low_ask, self.ask = asks
        self.prices = prices

    @abstractmethod
    def ticks(self) -> tuple[TickColumns, int, int]:
        """Return the columns that hold the segment's ticks.

        Also returns the index of the first tick and the index after the last tick.
        """


class TickSegment(Segment):
    """A segment (group of ticks) of a file that has trades or quotes, not klines."""

    __slots__ = ("_begin", "_columns", "_end")

    def __init__(self, open_ms: int, columns: TickColumns, begin: int, end: int, first_priced: int) -> None:
        """Use the ticks of `columns` from index `begin` up to, but without, `end`.

        A candle opens with the first trade or price change in it. `first_priced` is the index of the first tick
        from there on; it equals `end` if there is none in this segment.
        """
        bids, asks, lasts = columns.bids[begin:end], columns.asks[begin:end], columns.lasts[first_priced:end]
        super().__init__(
            open_ms,
            (columns.time_ms[begin], columns.time_ms[end - 1]),
            (bids[0], max(bids), min(bids), bids[-1]),
            (asks[0], max(asks), min(asks), asks[-1]),
            (lasts[0], max(lasts), min(lasts), lasts[-1]) if lasts else None,
        )
        self._columns = columns
        self._begin = begin
        self._end = end

    def ticks(self) -> tuple[TickColumns, int, int]:
        return self._columns, self._begin, self._end


class KlineSegment(Segment):
    """A segment (group of ticks) from one kline. The ticks are built only when `ticks` is called.

    The constructor moves `path`, which generates the prices within klines, to the end of this
    kline. It keeps the path's state at the start, to build the ticks from it later.
    """

    __slots__ = ("_kline", "_last_move_up_before", "_last_price_before", "_path", "_ticks")

    def __init__(self, open_ms: int, kline: GridKline, path: GridPath) -> None:
        self._kline = kline
        self._path = path
        self._ticks: TickColumns | None = None
        # Of the path's state only these matter later: the depth follows from the volume alone.
        self._last_price_before, self._last_move_up_before = path.last_price, path.last_move_up
        self.open_ms = open_ms
        self.first_ms, self.last_ms = kline.open_ms, kline.close_ms
        self.prices = kline[2:6]
        low, high, bid = path.skip(kline)
        self.low_bid, self.high_bid, self.bid = low, high, bid
        self.low_ask, self.high_ask, self.ask = low + 1, high + 1, bid + 1

    def ticks(self) -> tuple[TickColumns, int, int]:
        if self._ticks is None:
            path = self._path.resumed(self._last_price_before, last_move_up=self._last_move_up_before)
            self._ticks = walk_kline(self._kline, path)
        return self._ticks, 0, len(self._ticks)


def split_segments(market: Iterable[Columns], interval_ms: int, path: GridPath) -> Iterator[Segment]:
    """Split the market into segments (groups of ticks), each within one candle.

    Candles open at multiples of `interval_ms`. `path` generates the prices within klines.
    """
    splitter = _SegmentSplitter(interval_ms, path)
    for columns in market:
        if isinstance(columns, KlineColumns):
            yield from splitter.split_klines(columns)
        else:
            yield from splitter.split_ticks(columns)


class _SegmentSplitter:
    """Splits klines and ticks into segments that each lie within one candle.

    It keeps the last price, to detect the first price change in a candle.
    """

    def __init__(self, interval_ms: int, path: GridPath) -> None:
        self._interval_ms = interval_ms
        self._path = path
        self._last_price: int | None = None
        self._priced_candle_ms = -1  # the open time of the newest candle with a price

    def split_klines(self, klines: KlineColumns) -> Iterator[Segment]:
        interval_ms, path = self._interval_ms, self._path
        for kline in klines:
            open_ms = kline.open_ms - kline.open_ms % interval_ms
            if kline.close_ms < open_ms + interval_ms and kline.volume:
                yield KlineSegment(open_ms, kline, path)
                self._last_price, self._priced_candle_ms = path.last_price, open_ms
            else:  # longer than a candle, or without a trade: then only its ticks show which prices count
                yield from self.split_ticks(walk_kline(kline, path))

    def split_ticks(self, columns: TickColumns) -> Iterator[Segment]:
        begin, count, interval_ms = 0, len(columns), self._interval_ms
        if self._last_price is None and count:
            self._last_price = columns.lasts[0]
        while begin < count:
            open_ms = columns.time_ms[begin] - columns.time_ms[begin] % interval_ms
            end = bisect_left(columns.time_ms, open_ms + interval_ms, begin, count)
            # As at the exchange, a candle opens with the first trade or price change in it, not with its first tick.
            first_priced = begin
            if self._priced_candle_ms != open_ms:
                while (
                    first_priced < end
                    and not columns.traded[first_priced]
                    and columns.lasts[first_priced] == self._last_price
                ):
                    first_priced += 1
                if first_priced < end:
                    self._priced_candle_ms = open_ms
            yield TickSegment(open_ms, columns, begin, end, first_priced)
            self._last_price = columns.lasts[end - 1]
            begin = end

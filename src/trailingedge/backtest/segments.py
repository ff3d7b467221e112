"""A market cut into stretches: ticks within one candle of the strategy, and what they amount to without being seen.

Whoever knows the prices at which something happens asks a stretch for its extremes first, and looks at its
ticks only where that does not suffice. A kline's ticks are not even made before they are asked for.
"""

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Iterator

from trailingedge.backtest.columns import Columns, KlineColumns, TickColumns
from trailingedge.simulator.feeds.candle_path import GridCandlePath, ticks_per_length

OhlcTicks = tuple[int, int, int, int]
"""Open, high, low and close of what was heard, in ticks."""


class Segment(ABC):
    """Ticks within the candle that opens at `open_ms`; it may have others before and after it.

    Bids and asks are the extremes of the best prices, `bid` and `ask` the last of them. `prices` is None where
    no price was heard: nothing traded, and the last price stood still.
    """

    __slots__ = ("ask", "bid", "first_ms", "high_ask", "high_bid", "low_ask", "low_bid", "open_ms", "prices")

    def __init__(self, open_ms: int, first_ms: int, bids: OhlcTicks, asks: OhlcTicks, prices: OhlcTicks | None) -> None:
        self.open_ms = open_ms
        self.first_ms = first_ms
        _, self.high_bid, self.low_bid, self.bid = bids
        _, self.high_ask, self.low_ask, self.ask = asks
        self.prices = prices

    @abstractmethod
    def ticks(self) -> tuple[TickColumns, int, int]:
        """Columns that hold its ticks, the first and the one after the last."""


class TickSegment(Segment):
    """Ticks that are there already."""

    __slots__ = ("_begin", "_columns", "_end")

    def __init__(self, open_ms: int, columns: TickColumns, begin: int, end: int, heard: int) -> None:
        """`heard` is the first tick of a price that counts for the candle, `end` where there is none."""
        bids, asks, lasts = columns.bids[begin:end], columns.asks[begin:end], columns.lasts[heard:end]
        super().__init__(
            open_ms,
            columns.time_ms[begin],
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
    """A kline that was not walked yet. `walker` stands where it begins, and afterwards where it ends."""

    __slots__ = ("_last_move_up_before", "_klines", "_last_price_before", "_number", "_ticks")

    def __init__(self, open_ms: int, klines: KlineColumns, number: int, walker: GridCandlePath, frames: int) -> None:
        self._klines = klines
        self._number = number
        self._ticks: TickColumns | None = None
        self._last_price_before, self._last_move_up_before = (
            walker.last_price,
            walker.last_move_up,
        )  # its volume alone says what the best prices hold
        self.open_ms = open_ms
        self.first_ms = klines.open_ms[number]
        opened, high, low, closed = (
            klines.opens[number],
            klines.highs[number],
            klines.lows[number],
            klines.closes[number],
        )
        self.prices = (opened, high, low, closed)
        low, high, bid = walker.skip(opened, high, low, closed, klines.volumes[number], frames)
        self.low_bid, self.high_bid, self.bid = low, high, bid
        self.low_ask, self.high_ask, self.ask = low + 1, high + 1, bid + 1

    def ticks(self) -> tuple[TickColumns, int, int]:
        if self._ticks is None:
            self._ticks = walk_kline(
                self._klines,
                self._number,
                GridCandlePath(self._last_price_before, last_move_up=self._last_move_up_before),
            )
        return self._ticks, 0, len(self._ticks)


def walk_kline(klines: KlineColumns, number: int, walker: GridCandlePath) -> TickColumns:
    """The ticks of one kline."""
    open_ms, length_ms = klines.open_ms[number], klines.close_ms[number] + 1 - klines.open_ms[number]
    frames = ticks_per_length(length_ms)
    prices = (klines.opens[number], klines.highs[number], klines.lows[number], klines.closes[number])
    told = walker.path(*prices, klines.volumes[number], frames)
    columns, depth = TickColumns(), walker.depth
    for frame, (bid, price, traded) in enumerate(told):
        time_ms = open_ms + length_ms * frame // frames
        columns.add(time_ms, bid, depth, bid + 1, depth, price, traded, bought=traded > 0 and price > bid)
    return columns


def split_segments(market: Iterable[Columns], interval_ms: int) -> Iterator[Segment]:
    """The market in stretches, each within one candle of that length. Candles open at multiples of it."""
    cutter = _SegmentSplitter(interval_ms)
    for columns in market:
        if isinstance(columns, KlineColumns):
            yield from cutter.split_klines(columns)
        else:
            yield from cutter.split_ticks(columns)


class _SegmentSplitter:
    def __init__(self, interval_ms: int) -> None:
        self._interval_ms = interval_ms
        self._path = GridCandlePath()
        self._last_price: int | None = None  # the last price so far
        self._priced_candle_ms = -1  # when the newest candle opened for which a price was heard

    def split_klines(self, klines: KlineColumns) -> Iterator[Segment]:
        interval_ms, walker = self._interval_ms, self._path
        length_ms = frames = 0
        for number, (first_ms, last_ms) in enumerate(zip(klines.open_ms, klines.close_ms, strict=True)):
            open_ms = first_ms - first_ms % interval_ms
            if last_ms < open_ms + interval_ms and klines.volumes[number]:
                if last_ms + 1 - first_ms != length_ms:  # mostly they are all of one length
                    length_ms = last_ms + 1 - first_ms
                    frames = ticks_per_length(length_ms)
                yield KlineSegment(open_ms, klines, number, walker, frames)
                self._last_price, self._priced_candle_ms = walker.last_price, open_ms
            else:  # longer than a candle; or nothing traded, and what of it counts as heard its ticks must tell
                yield from self.split_ticks(walk_kline(klines, number, walker))

    def split_ticks(self, columns: TickColumns) -> Iterator[Segment]:
        begin, count, interval_ms = 0, len(columns), self._interval_ms
        if self._last_price is None and count:
            self._last_price = columns.lasts[0]
        while begin < count:
            open_ms = columns.time_ms[begin] - columns.time_ms[begin] % interval_ms
            end = bisect_left(columns.time_ms, open_ms + interval_ms, begin, count)
            heard = begin
            if self._priced_candle_ms != open_ms:
                while heard < end and not columns.traded[heard] and columns.lasts[heard] == self._last_price:
                    heard += 1
                if heard < end:
                    self._priced_candle_ms = open_ms
            yield TickSegment(open_ms, columns, begin, end, heard)
            self._last_price = columns.lasts[end - 1]
            begin = end

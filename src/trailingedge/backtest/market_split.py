"""Split of a market into segments: each lies within one candle of the strategy."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from trailingedge.backtest.bar_columns import BarColumns
from trailingedge.backtest.candle_segments import Segment, TickSegment
from trailingedge.backtest.market_memo import MarketMemo
from trailingedge.simulator.feeds.candle_path import GridPath
from trailingedge.simulator.feeds.columns import Columns, KlineColumns, TickColumns, walk_kline

Segments = BarColumns | Sequence[TickSegment]


def split_market(
    market: Iterable[Columns], interval_ms: int, path: GridPath, memo: MarketMemo | None = None
) -> Iterator[Segments]:
    """Split the market into segments (groups of ticks), each within one candle.

    Candles open at multiples of `interval_ms`. `path` generates the prices within klines. A `memo` must be the memo of
    this market.
    """
    splitter = _MarketSplitter(interval_ms, path, memo or MarketMemo(most_klines=0))
    for columns in market:
        if isinstance(columns, KlineColumns):
            yield from splitter.split_klines(columns)
        else:
            yield splitter.split_ticks(columns)


def segments_of(market: Iterable[Columns], interval_ms: int, path: GridPath) -> Iterator[Segment]:
    """Yield all segments. A bar is one segment."""
    for segments in split_market(market, interval_ms, path):
        if isinstance(segments, BarColumns):
            yield from map(segments.segment, range(len(segments)))
        else:
            yield from segments


class _MarketSplitter:
    """Splits klines and ticks into segments that each lie within one candle.

    It keeps the last price, to detect the first price change in a candle.
    """

    def __init__(self, interval_ms: int, path: GridPath, memo: MarketMemo) -> None:
        self._interval_ms = interval_ms
        self._path = path
        self._memo = memo
        self._last_price: int | None = None
        self._priced_candle_ms = -1  # the open time of the newest candle with a price

    def split_klines(self, klines: KlineColumns) -> Iterator[Segments]:
        for begin, end, is_bar in self._memo.kline_groups(klines, self._interval_ms):
            if is_bar:
                bars = self._memo.bars(klines, begin, end, self._interval_ms, self._path)
                yield bars
                self._last_price, self._priced_candle_ms = self._path.last_price, bars.open_ms[-1]
            else:  # longer than a candle, or without a trade: then only its ticks show which prices count
                for index in range(begin, end):
                    yield self.split_ticks(walk_kline(klines.row(index), self._path))

    def split_ticks(self, columns: TickColumns) -> list[TickSegment]:
        found = []
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
            found.append(TickSegment(open_ms, columns, begin, end, first_priced))
            self._last_price = columns.lasts[end - 1]
            begin = end
        return found

"""The strategy's candles out of stretches: what closed, and flat ones where the market said nothing."""

from collections.abc import Sequence
from typing import NamedTuple

from trailingedge.backtest.columns import PriceGrid
from trailingedge.backtest.segments import Segment
from trailingedge.model.market import Kline


class TickCandle(NamedTuple):
    """A candle that closed, in ticks. A tuple, for there are half a million of them in a year."""

    open_ms: int
    close_ms: int  # its last millisecond
    open: int
    high: int
    low: int
    close: int

    def to_kline(self, grid: PriceGrid) -> Kline:
        """The same as the strategy hears it."""
        return Kline(
            self.open_ms,
            self.close_ms,
            grid.price(self.open),
            grid.price(self.high),
            grid.price(self.low),
            grid.price(self.close),
        )


class CandleBuilder:
    """The candle that forms, from one stretch to the next.

    As the exchange builds them: of ticks that trade nothing at the price before, no price is heard, and a
    candle in which none was heard is flat at the close before it.
    """

    def __init__(self, interval_ms: int) -> None:
        self.open_ms = -1
        self._interval_ms = interval_ms
        self._prices: tuple[int, int, int, int] | None = None
        self._last_close = 0  # the close before

    def closed_by(self, stretch: Segment) -> Sequence[TickCandle]:
        """The candles that are over once `stretch` begins, oldest first."""
        if self.open_ms < 0:
            self.open_ms, self._last_close = stretch.open_ms, stretch.bid
        closed, interval_ms, open_ms = [], self._interval_ms, self.open_ms
        if stretch.open_ms == open_ms + interval_ms and self._prices is not None:  # as it nearly always is
            prices, self.open_ms, self._prices = self._prices, stretch.open_ms, None
            self._last_close = prices[3]
            return (TickCandle(open_ms, open_ms + interval_ms - 1, *prices),)
        while self.open_ms < stretch.open_ms:
            prices, open_ms = self._prices or (self._last_close,) * 4, self.open_ms
            self.open_ms, self._last_close, self._prices = open_ms + interval_ms, prices[3], None
            closed.append(TickCandle(open_ms, open_ms + interval_ms - 1, *prices))
        return closed

    def add(self, stretch: Segment) -> None:
        """What was heard of a stretch of the forming candle."""
        heard = stretch.prices
        if heard is None:
            return
        if self._prices is None:
            self._prices = heard
        else:
            opened, high, low, _ = self._prices
            self._prices = (opened, max(high, heard[1]), min(low, heard[2]), heard[3])

    def forming(self) -> TickCandle | None:
        """The candle that is not over yet; None where no price was heard of it."""
        if self._prices is None:
            return None
        return TickCandle(self.open_ms, self.open_ms + self._interval_ms - 1, *self._prices)

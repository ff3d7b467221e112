"""Candles of the strategy's interval, built from the recorded market.

The market comes in segments, which are groups of ticks that follow each other (`candle_segments`). A candle in which
nothing traded and no price changed is flat: its four prices are the previous close.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from trailingedge.backtest.candle_segments import Segment
from trailingedge.core.errors import ConfigError
from trailingedge.model.market import Kline
from trailingedge.simulator.feeds.columns import PriceGrid

MOST_CANDLES_IN_A_GAP: Final = 1_000_000  # of 400 bytes each; almost two years of minutes


class TickCandle(NamedTuple):
    """A closed candle with prices in ticks.

    It is a tuple, which is cheap to create: a year has half a million candles.
    """

    open_ms: int
    close_ms: int  # its last millisecond
    open: int
    high: int
    low: int
    close: int

    def to_kline(self, grid: PriceGrid) -> Kline:
        """Convert the candle to the `Kline` that the strategy gets."""
        return Kline(
            self.open_ms,
            self.close_ms,
            grid.price(self.open),
            grid.price(self.high),
            grid.price(self.low),
            grid.price(self.close),
        )


class CandleBuilder:
    """Builds the forming candle from successive segments (groups of ticks)."""

    def __init__(self, interval_ms: int) -> None:
        self.open_ms = -1
        self._interval_ms = interval_ms
        self._prices: tuple[int, int, int, int] | None = None
        self._last_close = 0

    def closed_by(self, segment: Segment) -> Sequence[TickCandle]:
        """Close and return the candles that end before this group of ticks, oldest first.

        Raises ConfigError if there are no ticks for too many candles.
        """
        if self.open_ms < 0:
            self.open_ms, self._last_close = segment.open_ms, segment.bid
        closed, interval_ms, open_ms = [], self._interval_ms, self.open_ms
        if segment.open_ms == open_ms + interval_ms and self._prices is not None:  # as it nearly always is
            prices, self.open_ms, self._prices = self._prices, segment.open_ms, None
            self._last_close = prices[3]
            return (TickCandle(open_ms, open_ms + interval_ms - 1, *prices),)
        # After a gap: the candle that was forming, then flat ones up to the segment, as the exchange publishes them.
        if (segment.open_ms - self.open_ms) // interval_ms > MOST_CANDLES_IN_A_GAP:
            raise ConfigError([_too_long(self.open_ms, segment.open_ms, interval_ms)])
        while self.open_ms < segment.open_ms:
            prices, open_ms = self._prices or (self._last_close,) * 4, self.open_ms
            self.open_ms, self._last_close, self._prices = open_ms + interval_ms, prices[3], None
            closed.append(TickCandle(open_ms, open_ms + interval_ms - 1, *prices))
        return closed

    def add(self, segment: Segment) -> None:
        """Add the prices of a segment to the forming candle."""
        prices = segment.prices
        if prices is None:
            return
        if self._prices is None:
            self._prices = prices
        else:
            opened, high, low, _ = self._prices
            self._prices = (opened, max(high, prices[1]), min(low, prices[2]), prices[3])

    def leap(self, open_ms: int, prices: tuple[int, int, int, int], last_close: int) -> None:
        """Begin the candle that opens at `open_ms` with `prices`.

        The candle before it closed at `last_close`. The candles between the two are skipped.
        """
        self.open_ms, self._prices, self._last_close = open_ms, prices, last_close

    def forming(self) -> TickCandle | None:
        """Return the candle that has not closed yet; None if it has no price yet."""
        if self._prices is None:
            return None
        return TickCandle(self.open_ms, self.open_ms + self._interval_ms - 1, *self._prices)


def _too_long(from_ms: int, to_ms: int, interval_ms: int) -> str:
    span = " to ".join(f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M}" for time_ms in (from_ms, to_ms))
    count = (to_ms - from_ms) // interval_ms
    return (
        f"the files have no prices from {span} UTC, which is {count} candles of KLINE_INTERVAL; at most "
        f"{MOST_CANDLES_IN_A_GAP} missing candles are filled in; backtest the files before and after this gap "
        "separately, or set a longer KLINE_INTERVAL"
    )

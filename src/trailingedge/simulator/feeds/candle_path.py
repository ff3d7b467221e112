"""How a kline becomes ticks: the path that hurts, because nobody knows the real one.

A kline that closes up went open, low, high, close; one that closes down open, high, low, close. So a
stop is reached before the gain that would have moved it, and a gain is taken away before the next one.
"""

from decimal import Decimal
from typing import Final

from trailingedge.core.time_units import MINUTE_MS
from trailingedge.model.market import Kline, Side
from trailingedge.simulator.feeds.ticks import Tick

TICKS_PER_MINUTE: Final = 8


def ticks_per_kline(kline: Kline) -> int:
    """How many ticks tell this kline: eight for each minute of its length, and never fewer than eight."""
    return ticks_per_length(kline.close_ms + 1 - kline.open_ms)


def ticks_per_length(length_ms: int) -> int:
    """The same for a kline of that length."""
    return max(TICKS_PER_MINUTE, TICKS_PER_MINUTE * length_ms // MINUTE_MS)


class GridCandlePath:
    """The walk itself, in whole numbers: prices in ticks, quantities in steps.

    `last`, `bought` and `depth` are what one kline leaves to the next: the last price, whether a rise led to
    it, and what each best price holds. They can be read, and set to begin in the middle of a market.
    """

    __slots__ = ("last_move_up", "depth", "last_price")

    def __init__(self, last: int | None = None, *, bought: bool = False, depth: int = 1) -> None:
        self.last_price = last
        self.last_move_up = bought
        self.depth = depth

    def path(
        self, opened: int, high: int, low: int, closed: int, volume: int, frames: int
    ) -> list[tuple[int, int, int]]:
        """Best bid, last price and traded quantity of each frame. The ask is one tick above the bid."""
        stops = (opened, low, high, closed) if closed >= opened else (opened, high, low, closed)
        last = frames - 1
        corners = (0, last // 3, 2 * last // 3, last)
        prices = [opened]
        for leg in range(3):
            start, ticks = stops[leg], stops[leg + 1] - stops[leg]
            count = corners[leg + 1] - corners[leg]
            prices += [start + round(ticks * frame / count) for frame in range(1, count + 1)]
        shares = _shares(volume, prices, corners)
        if volume:
            self.depth = max(volume // frames, 1)
        told = []
        for price, share in zip(prices, shares, strict=True):
            if self.last_price is not None and price != self.last_price:
                self.last_move_up = price > self.last_price
            self.last_price = price
            bid = price - 1 if self.last_move_up and price > 1 else price  # no bid at zero
            told.append((bid, price, share))
        return told

    def skip(self, opened: int, high: int, low: int, closed: int, volume: int, frames: int) -> tuple[int, int, int]:
        """Lowest, highest and last best bid of that walk, without walking it; the state moves on all the same.

        The highest price is reached by a rise, so it is the ask, and the lowest by a fall: but for an open
        that is one of them already.
        """
        if self.last_price is not None and opened != self.last_price:
            self.last_move_up = opened > self.last_price
        lowest = low - 1 if opened == low and self.last_move_up else low
        highest = high if opened == high and not self.last_move_up else high - 1
        if closed >= opened:
            if closed < high:
                self.last_move_up = False
            elif low < high:
                self.last_move_up = True
        else:
            self.last_move_up = closed > low
        self.last_price = closed
        if volume:
            self.depth = max(volume // frames, 1)
        return max(lowest, 1), max(highest, 1), closed - 1 if self.last_move_up and closed > 1 else closed


def _shares(volume: int, prices: list[int], corners: tuple[int, int, int, int]) -> list[int]:
    """The volume in even parts, what does not divide going to the last frame.

    Where there is less than a step for each frame, the corners come first: without a trade there the
    kline could not be rebuilt.
    """
    share = volume // len(prices)
    shares = [share] * len(prices)
    if share == 0:
        opens, first, second, closes = corners
        ends = (prices[opens], prices[closes])
        needed = [opens, closes, *(frame for frame in (first, second) if prices[frame] not in ends)]
        for frame in needed[:volume]:
            shares[frame] = 1
    shares[-1] += volume - sum(shares)
    return shares


class CandlePath:
    """Turns klines into ticks, one after the other. Prices lie on the tick, volumes on the step.

    Its ticks are spread evenly over a kline, the first as it opens, and trade exactly the kline's open,
    high, low, close and volume. The spread is one tick: a rise is bought at the ask, a fall sold at the bid,
    and a price that stands still goes on as before. Each best price holds as much as one tick trades, in
    want of anything known.
    """

    def __init__(self, tick_size: Decimal, step_size: Decimal) -> None:
        self._tick_size = tick_size
        self._step_size = step_size
        self._grid_path = GridCandlePath()

    def ticks_of(self, kline: Kline) -> list[Tick]:
        """The ticks of `kline`, oldest first. A kline without volume has ticks without trades."""
        frames = ticks_per_kline(kline)
        opened, high, low, closed = (
            int(price / self._tick_size) for price in (kline.open, kline.high, kline.low, kline.close)
        )
        told = self._grid_path.path(opened, high, low, closed, int(kline.volume / self._step_size), frames)
        length_ms = kline.close_ms + 1 - kline.open_ms
        depth = self._grid_path.depth * self._step_size
        return [
            Tick(
                time_ms=kline.open_ms + length_ms * number // frames,
                bid=bid * self._tick_size,
                bid_quantity=depth,
                ask=(bid + 1) * self._tick_size,
                ask_quantity=depth,
                last_price=price * self._tick_size,
                traded=traded * self._step_size,
                aggressor=None if not traded else Side.BUY if price > bid else Side.SELL,
            )
            for number, (bid, price, traded) in enumerate(told)
        ]

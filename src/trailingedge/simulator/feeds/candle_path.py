"""Candle path: turns a kline into ticks along the least favourable path, since the real one is unknown.

A kline that closes up goes open, low, high, close; one that closes down goes open, high, low,
close. So the price first falls to a stop, and only then makes the gain that would have raised the
stop; or it makes a gain and loses it again before the close. A backtest on klines is meant to look
worse than the market was, never better.
"""

from decimal import Decimal
from typing import Final

from trailingedge.core.time_units import MINUTE_MS
from trailingedge.model.market import Kline, Side
from trailingedge.simulator.feeds.ticks import Tick

TICKS_PER_MINUTE: Final = 8


def ticks_per_kline(kline: Kline) -> int:
    """How many ticks a kline becomes: eight per minute of its length, and never fewer than eight."""
    return ticks_per_length(kline.close_ms + 1 - kline.open_ms)


def ticks_per_length(length_ms: int) -> int:
    """Return how many ticks a kline of `length_ms` becomes: eight per minute, at least eight."""
    return max(TICKS_PER_MINUTE, TICKS_PER_MINUTE * length_ms // MINUTE_MS)


class GridCandlePath:
    """Computes the candle path in whole numbers: prices in tick sizes, quantities in step sizes.

    Three values carry over from one kline to the next: `last_price`, `last_move_up` (whether a rise
    led to that price) and `depth` (the quantity at each best price). A caller can read them, and
    set them in order to begin in the middle of a market.
    """

    __slots__ = ("depth", "last_move_up", "last_price")

    def __init__(self, last: int | None = None, *, last_move_up: bool = False, depth: int = 1) -> None:
        self.last_price = last
        self.last_move_up = last_move_up
        self.depth = depth

    def path(
        self, opened: int, high: int, low: int, closed: int, volume: int, tick_count: int
    ) -> list[tuple[int, int, int]]:
        """Return best bid, last price and traded quantity of each tick of a kline.

        The ask is always one tick size above the bid.
        """
        stops = (opened, low, high, closed) if closed >= opened else (opened, high, low, closed)
        last = tick_count - 1
        corners = (0, last // 3, 2 * last // 3, last)
        prices = [opened]
        for leg in range(3):
            start, change = stops[leg], stops[leg + 1] - stops[leg]
            count = corners[leg + 1] - corners[leg]
            prices += [start + round(change * number / count) for number in range(1, count + 1)]
        shares = _shares(volume, prices, corners)
        if volume:
            self.depth = max(volume // tick_count, 1)
        ticks_made = []
        for price, share in zip(prices, shares, strict=True):
            if self.last_price is not None and price != self.last_price:
                self.last_move_up = price > self.last_price
            self.last_price = price
            # After a rise the last trade was a buy at the ask, after a fall a sell at the bid. No bid at zero.
            bid = price - 1 if self.last_move_up and price > 1 else price
            ticks_made.append((bid, price, share))
        return ticks_made

    def skip(self, opened: int, high: int, low: int, closed: int, volume: int, tick_count: int) -> tuple[int, int, int]:
        """Return lowest, highest and last best bid of the ticks that `path` would make.

        The path is not built, but the state changes as `path` would change it. The backtest uses
        this to skip klines in which no bid can lead to an action. A rise leads to the highest
        price, so that price is the ask and the bid is one below it. A fall leads to the lowest
        price, so that price is the bid. If the open is the highest or lowest price, the move from
        the previous kline decides.
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
            self.depth = max(volume // tick_count, 1)
        return max(lowest, 1), max(highest, 1), closed - 1 if self.last_move_up and closed > 1 else closed


def _shares(volume: int, prices: list[int], corners: tuple[int, int, int, int]) -> list[int]:
    """Split a kline's volume evenly over its ticks. The last tick takes the remainder.

    If the volume is too small for one step size per tick, the ticks at open, close, high and low
    get it first: the exchange builds its klines from trades and needs one at each of these prices.
    """
    share = volume // len(prices)
    shares = [share] * len(prices)
    if share == 0:
        opens, first, second, closes = corners
        ends = (prices[opens], prices[closes])
        needed = [opens, closes, *(number for number in (first, second) if prices[number] not in ends)]
        for number in needed[:volume]:
            shares[number] = 1
    shares[-1] += volume - sum(shares)
    return shares


class CandlePath:
    """Turns klines into ticks, one kline after the other.

    Prices must be multiples of the tick size, volumes of the step size. The ticks are spread evenly
    over the kline, the first at its opening time, and trade exactly its open, high, low, close and
    volume. The spread is one tick size. After a rise the trade is a buy at the ask, after a fall a
    sell at the bid; an unchanged price keeps the side of the last change. A kline does not contain
    the quantity at the best prices, so the quantity that one tick trades is used for it.
    """

    def __init__(self, tick_size: Decimal, step_size: Decimal) -> None:
        self._tick_size = tick_size
        self._step_size = step_size
        self._grid_path = GridCandlePath()

    def ticks_of(self, kline: Kline) -> list[Tick]:
        """The ticks of `kline`, oldest first. A kline without volume has ticks without trades."""
        tick_count = ticks_per_kline(kline)
        opened, high, low, closed = (
            int(price / self._tick_size) for price in (kline.open, kline.high, kline.low, kline.close)
        )
        path = self._grid_path.path(opened, high, low, closed, int(kline.volume / self._step_size), tick_count)
        length_ms = kline.close_ms + 1 - kline.open_ms
        depth = self._grid_path.depth * self._step_size
        return [
            Tick(
                time_ms=kline.open_ms + length_ms * number // tick_count,
                bid=bid * self._tick_size,
                bid_quantity=depth,
                ask=(bid + 1) * self._tick_size,
                ask_quantity=depth,
                last_price=price * self._tick_size,
                traded=traded * self._step_size,
                aggressor=None if not traded else Side.BUY if price > bid else Side.SELL,
            )
            for number, (bid, price, traded) in enumerate(path)
        ]

"""How a kline becomes ticks: the path that hurts, because nobody knows the real one.

A kline that closes up went open, low, high, close; one that closes down open, high, low, close. So a
stop is reached before the gain that would have moved it, and a gain is taken away before the next one.
"""

from decimal import Decimal
from typing import Final

from trailingedge.market import ZERO, Kline, Side, floor_to_step
from trailingedge.simulator.tape import Tick

FRAMES_A_MINUTE: Final = 8
_MINUTE_MS: Final = 60_000


def path(kline: Kline) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """The four corners in the order in which they are visited."""
    if kline.close >= kline.open:
        return kline.open, kline.low, kline.high, kline.close
    return kline.open, kline.high, kline.low, kline.close


def frames_of(kline: Kline) -> int:
    """How many ticks tell this kline: eight for each minute of its length, and never fewer than eight."""
    length_ms = kline.close_ms + 1 - kline.open_ms
    return max(FRAMES_A_MINUTE, FRAMES_A_MINUTE * length_ms // _MINUTE_MS)


class Walker:
    """Turns klines into ticks, one after the other.

    Its ticks are spread evenly over a kline, the first as it opens, and trade exactly the kline's open,
    high, low, close and volume; between the corners prices lie on the tick. The spread is one tick: a
    rise is bought at the ask, a fall sold at the bid, and a price that stands still goes on as before.
    Each best price holds as much as one tick trades, in want of anything known.
    """

    def __init__(self, tick_size: Decimal, step_size: Decimal) -> None:
        self._tick_size = tick_size
        self._step_size = step_size
        self._last: Decimal | None = None
        self._aggressor = Side.SELL
        self._depth = step_size

    def walk(self, kline: Kline) -> list[Tick]:
        """The ticks of `kline`, oldest first. A kline without volume has ticks without trades."""
        prices, corners = self._prices(kline)
        shares = self._shares(kline.volume, prices, corners)
        if kline.volume > ZERO:
            self._depth = max(floor_to_step(kline.volume / len(prices), self._step_size), self._step_size)
        length_ms = kline.close_ms + 1 - kline.open_ms
        return [
            self._tick(kline.open_ms + length_ms * number // len(prices), price, share)
            for number, (price, share) in enumerate(zip(prices, shares, strict=True))
        ]

    def _prices(self, kline: Kline) -> tuple[list[Decimal], tuple[int, int, int, int]]:
        """A price for each frame, and which frames are the corners."""
        stops = path(kline)
        last = frames_of(kline) - 1
        corners = (0, last // 3, 2 * last // 3, last)
        prices = [stops[0]]
        for leg in range(3):
            start, end = stops[leg], stops[leg + 1]
            frames = corners[leg + 1] - corners[leg]
            ticks = int((end - start) / self._tick_size)
            prices += [start + round(ticks * frame / frames) * self._tick_size for frame in range(1, frames)]
            prices.append(end)
        return prices, corners

    def _shares(self, volume: Decimal, prices: list[Decimal], corners: tuple[int, int, int, int]) -> list[Decimal]:
        """The volume in even parts on the step, what does not divide going to the last frame.

        Where there is less than a step for each frame, the corners come first: without a trade there the
        kline could not be rebuilt.
        """
        share = floor_to_step(volume / len(prices), self._step_size)
        shares = [share] * len(prices)
        if share == ZERO:
            opens, first, second, closes = corners
            ends = (prices[opens], prices[closes])
            needed = [opens, closes, *(frame for frame in (first, second) if prices[frame] not in ends)]
            for frame in needed[: int(volume / self._step_size)]:
                shares[frame] = self._step_size
        shares[-1] += volume - sum(shares, ZERO)
        return shares

    def _tick(self, time_ms: int, price: Decimal, traded: Decimal) -> Tick:
        if self._last is not None and price != self._last:
            self._aggressor = Side.BUY if price > self._last else Side.SELL
        self._last = price
        bought = self._aggressor is Side.BUY and price > self._tick_size  # no bid at zero
        bid = price - self._tick_size if bought else price
        return Tick(
            time_ms=time_ms,
            bid=bid,
            bid_quantity=self._depth,
            ask=bid + self._tick_size,
            ask_quantity=self._depth,
            last_price=price,
            traded=traded,
            aggressor=None if traded == ZERO else Side.BUY if bought else Side.SELL,
        )

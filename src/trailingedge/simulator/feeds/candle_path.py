"""Candle paths: turn a kline into ticks. The real path is unknown; each class here is one assumption about it.

`StraightPath` walks three straight lines. Its usual order is the one that is worst for a strategy: a kline that closes
higher goes open, low, high, close; one that closes lower goes open, high, low, close. So the price first falls to a
stop, and only then rises to where the stop would have been raised; or it first rises and then loses that gain before
the close. `random_path` has seeded random paths. The ticks of every path have exactly the kline's open, high, low,
close and volume.

Paths are computed in whole numbers: prices in tick sizes, quantities in step sizes.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from typing import Final, NamedTuple, Self

from trailingedge.core.time_units import MINUTE_MS

TICKS_PER_MINUTE: Final = 8


class GridKline(NamedTuple):
    """A kline in whole numbers. `close_ms` is its last millisecond, `trades` its number of trades, 0 if unknown."""

    open_ms: int
    close_ms: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    trades: int = 0

    @property
    def length_ms(self) -> int:
        return self.close_ms + 1 - self.open_ms


class PathTicks(NamedTuple):
    """The ticks of a kline, spread evenly over it: best bid, last price and traded quantity of each.

    The ask is one tick size above the bid. After a rise the trade was a buy at the ask, after a fall a sell at the bid;
    an unchanged price keeps the side of the last change.
    """

    bids: list[int]
    prices: list[int]
    traded: list[int]


class PathExtremes(NamedTuple):
    """Lowest, highest and last best bid of the ticks of a kline.

    `closes_up` tells whether the price rose in the last change before the close.
    """

    lowest_bid: int
    highest_bid: int
    last_bid: int
    closes_up: bool


class GridPath(ABC):
    """Turns klines into ticks, one after the other.

    Three values carry over from one kline to the next: `last_price`, `last_move_up` (whether a rise led to that price)
    and `depth` (the quantity at each best price). Two paths with the same `key` and the same state generate the same
    ticks.
    """

    __slots__ = ("depth", "key", "last_move_up", "last_price")

    def __init__(self, key: Hashable, last_price: int | None, *, last_move_up: bool) -> None:
        self.key = key
        self.last_price = last_price
        self.last_move_up = last_move_up
        self.depth = 1

    @abstractmethod
    def ticks(self, kline: GridKline) -> PathTicks:
        """Return the ticks of the next kline."""

    @abstractmethod
    def resumed(self, last_price: int | None, *, last_move_up: bool) -> Self:
        """Return a path of the same kind with the given state.

        It builds the ticks of a kline that this path has skipped.
        """

    @abstractmethod
    def rises(self, klines: Sequence[GridKline]) -> list[bool]:
        """Return for each kline whether the price rose in the last change before its close.

        For a kline with only one price, the value has no meaning.
        """

    @abstractmethod
    def depth_of(self, kline: GridKline) -> int:
        """Return the quantity at each best price during a kline with a volume."""

    def skip(self, klines: Sequence[GridKline]) -> list[PathExtremes]:
        """Return the extremes of the ticks that `ticks` would return, and change the state as `ticks` would.

        A backtest skips klines in which no price can lead to an action, and never builds their ticks.
        """
        found, last, up, traded = [], self.last_price, self.last_move_up, None
        for kline, rises in zip(klines, self.rises(klines), strict=True):
            _, _, opened, high, low, closed, volume, _ = kline
            # As the first move of the ticks: a rise or a fall leads to another price, and an unchanged one stays.
            opens_up = up if last is None or opened == last else opened > last
            up = rises if low < high else opens_up
            # A rise leads to the highest price, so that price is the ask and the bid is one below it. A fall leads to
            # the lowest price, so that price is the bid. If the open is the highest or lowest price, the move to the
            # open decides. No bid at zero: a price is at least one.
            lowest = low - 1 if opens_up and opened == low else low
            highest = high - 1 if opens_up or opened != high else high
            found.append(PathExtremes(lowest or 1, highest or 1, closed - 1 if up and closed > 1 else closed, up))
            last = closed
            traded = kline if volume else traded
        self.last_price, self.last_move_up = last, up
        if traded is not None:
            self.depth = self.depth_of(traded)
        return found


def ticks_per_length(length_ms: int) -> int:
    """Return how many ticks a kline of `length_ms` becomes: eight per minute, at least eight."""
    return max(TICKS_PER_MINUTE, TICKS_PER_MINUTE * length_ms // MINUTE_MS)


def best_bids(prices: list[int], *, move_up: bool) -> list[int]:
    """Return the best bid at each price.

    `move_up` tells whether the price rose in the change that led to the first price.
    """
    bids, before = [], prices[0]
    for price in prices:
        if price != before:
            move_up, before = price > before, price
        # After a rise the last trade was a buy at the ask, after a fall a sell at the bid. No bid at zero.
        bids.append(price - 1 if move_up and price > 1 else price)
    return bids


def first_move_up(path: GridPath, opened: int) -> bool:
    """Whether the price rose in the last change before the open of the next kline."""
    if path.last_price is None or opened == path.last_price:
        return path.last_move_up
    return opened > path.last_price


class StraightPath(GridPath):
    """Straight lines from open over low and high to close; eight ticks a minute.

    A kline that closes higher reaches its low first; one that closes lower reaches its high first. On `opposite` paths
    it is the other way round.
    """

    __slots__ = ("_opposite",)

    def __init__(self, last: int | None = None, *, last_move_up: bool = False, opposite: bool = False) -> None:
        super().__init__(("straight", opposite), last, last_move_up=last_move_up)
        self._opposite = opposite

    def resumed(self, last_price: int | None, *, last_move_up: bool) -> "StraightPath":
        return StraightPath(last_price, last_move_up=last_move_up, opposite=self._opposite)

    def ticks(self, kline: GridKline) -> PathTicks:
        opened, high, low, closed = kline.open, kline.high, kline.low, kline.close
        stops = (opened, low, high, closed) if self._low_first(kline) else (opened, high, low, closed)
        last = ticks_per_length(kline.length_ms) - 1
        corners = (0, last // 3, 2 * last // 3, last)
        prices = [opened]
        for leg in range(3):
            start, change = stops[leg], stops[leg + 1] - stops[leg]
            count = corners[leg + 1] - corners[leg]
            prices += [start + round(change * number / count) for number in range(1, count + 1)]
        bids = best_bids(prices, move_up=first_move_up(self, opened))
        self.skip((kline,))
        return PathTicks(bids, prices, _shares(kline.volume, prices, corners))

    def rises(self, klines: Sequence[GridKline]) -> list[bool]:
        return [kline.close == kline.high if self._low_first(kline) else kline.close > kline.low for kline in klines]

    def depth_of(self, kline: GridKline) -> int:
        return max(kline.volume // ticks_per_length(kline.length_ms), 1)

    def _low_first(self, kline: GridKline) -> bool:
        return (kline.close >= kline.open) is not self._opposite


def _shares(volume: int, prices: list[int], corners: tuple[int, int, int, int]) -> list[int]:
    """Split a kline's volume evenly over its ticks. The last tick takes the remainder.

    If the volume is too small for one step size per tick, the ticks at open, close, high and low
    get it first: the exchange builds its klines from trades and needs one at each of these prices.
    """
    opens, first, second, closes = corners
    ends = (prices[opens], prices[closes])
    needed = [opens, closes, *(number for number in (first, second) if prices[number] not in ends)]
    return split_volume(volume, len(prices), range(len(prices)), needed)


def split_volume(volume: int, tick_count: int, trading: range | list[int], needed: list[int]) -> list[int]:
    """Split a volume evenly over the ticks whose numbers are in `trading`, in ascending order; the last of them takes
    the remainder.

    If the volume is too small for one step size per tick, the ticks in `needed` get one step size first.
    """
    share = volume // len(trading)
    if share and len(trading) == tick_count:
        shares = [share] * tick_count
    else:
        shares = [0] * tick_count
        for number in trading if share else needed[:volume]:
            shares[number] = share or 1
    shares[trading[-1]] += volume - sum(shares)
    return shares

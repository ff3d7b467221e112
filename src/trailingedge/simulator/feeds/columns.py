"""Columns of a recorded market in memory: integers in arrays, prices in ticks and quantities in steps.

A `Tick` object with `Decimal` prices takes a microsecond to build and another to read. In columns a tick takes a few
bytes, and a million ticks can be searched in the time that the trading core needs for a thousand.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import gt
from typing import Final, Self, TypeAlias

from trailingedge.model.market import Side
from trailingedge.simulator.feeds.candle_path import GridKline, GridPath, PathTicks
from trailingedge.simulator.feeds.ticks import Tick

IntColumn: TypeAlias = Sequence[int]

_AGGRESSORS: Final = (Side.SELL, Side.BUY)


@dataclass(frozen=True, slots=True)
class PriceGrid:
    """The units of the integers in columns: prices are in ticks, quantities in steps."""

    tick_size: Decimal
    step_size: Decimal

    @property
    def scale(self) -> int:
        """Return the number of ticks in a price of 1. The tick size must be 1, 0.1, 0.01 and so on.

        A price in ticks divided by `scale` is the float nearest to the price. The strategy computes
        the same float.
        """
        return int(1 / self.tick_size)

    def price(self, ticks: int) -> Decimal:
        return ticks * self.tick_size

    def quantity(self, steps: int) -> Decimal:
        return steps * self.step_size


def int_array() -> "array[int]":
    return array("q")


class KlineColumns:
    """Consecutive klines, oldest first; `close_ms` is the last millisecond of each.

    `trades` is the number of trades in each; 0 if it is unknown.
    """

    __slots__ = ("close_ms", "closes", "highs", "lows", "open_ms", "opens", "trades", "volumes")

    def __init__(self) -> None:
        self.open_ms, self.close_ms = int_array(), int_array()
        self.opens, self.highs, self.lows, self.closes = int_array(), int_array(), int_array(), int_array()
        self.volumes, self.trades = int_array(), int_array()

    def __len__(self) -> int:
        return len(self.open_ms)

    def starting_after(self, end_ms: int) -> "KlineColumns":
        """Return the klines that start after `end_ms`, without overlaps.

        A kline is left out if it starts before an earlier kline has ended.
        """
        open_ms = self.open_ms
        # Nearly always all of them are in order; comparing whole arrays is much faster than adding rows.
        if open_ms[0] > end_ms and all(map(gt, open_ms[1:], self.close_ms)):
            return self
        kept = KlineColumns()
        for kline in self:
            if kline.open_ms > end_ms:
                kept.add(*kline)
                end_ms = kline.close_ms
        return kept

    def row(self, index: int) -> GridKline:
        """Return the kline at `index`."""
        return GridKline(
            self.open_ms[index],
            self.close_ms[index],
            self.opens[index],
            self.highs[index],
            self.lows[index],
            self.closes[index],
            self.volumes[index],
            self.trades[index],
        )

    def __iter__(self) -> Iterator[GridKline]:
        columns = (self.open_ms, self.close_ms, self.opens, self.highs, self.lows, self.closes)
        return map(GridKline, *columns, self.volumes, self.trades)

    def add(
        self, open_ms: int, close_ms: int, opened: int, high: int, low: int, closed: int, volume: int, trades: int = 0
    ) -> None:
        """Append one kline."""
        self.open_ms.append(open_ms)
        self.close_ms.append(close_ms)
        self.opens.append(opened)
        self.highs.append(high)
        self.lows.append(low)
        self.closes.append(closed)
        self.volumes.append(volume)
        self.trades.append(trades)


class TickColumns:
    """Consecutive market ticks, oldest first. `buyers` is 1 for a trade whose aggressor is the buyer."""

    __slots__ = ("ask_steps", "asks", "bid_steps", "bids", "buyers", "lasts", "time_ms", "traded")

    def __init__(self) -> None:
        self.time_ms, self.lasts, self.traded, self.buyers = int_array(), int_array(), int_array(), array("b")
        self.bids, self.bid_steps, self.asks, self.ask_steps = int_array(), int_array(), int_array(), int_array()

    def __len__(self) -> int:
        return len(self.time_ms)

    def add(
        self,
        time_ms: int,
        bid: int,
        bid_steps: int,
        ask: int,
        ask_steps: int,
        last: int,
        traded: int,
        *,
        bought: bool,
    ) -> None:
        """Append one market tick."""
        self.time_ms.append(time_ms)
        self.bids.append(bid)
        self.bid_steps.append(bid_steps)
        self.asks.append(ask)
        self.ask_steps.append(ask_steps)
        self.lasts.append(last)
        self.traded.append(traded)
        self.buyers.append(bought)

    def part(self, begin: int, end: int) -> Self:
        """Return the market ticks with indexes from `begin` to `end` - 1."""
        kept = type(self)()
        for name in self.__slots__:
            setattr(kept, name, getattr(self, name)[begin:end])
        return kept

    @classmethod
    def of_path(cls, kline: GridKline, ticks: PathTicks, depth: int) -> Self:
        """Return the ticks of one kline, spread evenly over it. `depth` is the quantity at each best price."""
        columns, count = cls(), len(ticks.bids)
        open_ms, length_ms = kline.open_ms, kline.length_ms
        columns.time_ms.extend([open_ms + length_ms * number // count for number in range(count)])
        columns.bids.extend(ticks.bids)
        columns.asks.extend([bid + 1 for bid in ticks.bids])
        columns.bid_steps.extend([depth] * count)
        columns.ask_steps.extend(columns.bid_steps)
        columns.lasts.extend(ticks.prices)
        columns.traded.extend(ticks.traded)
        columns.buyers.extend([traded > 0 and price > bid for bid, price, traded in zip(*ticks, strict=True)])
        return columns

    def tick(self, index: int, grid: PriceGrid) -> Tick:
        """Build the `Tick` at `index`, in the form that the backtest's exchange plays."""
        tick_size, step_size, traded = grid.tick_size, grid.step_size, self.traded[index]
        # Without the names of the fields, because a call with names takes three times as long.
        return Tick(
            self.time_ms[index],
            self.bids[index] * tick_size,
            self.bid_steps[index] * step_size,
            self.asks[index] * tick_size,
            self.ask_steps[index] * step_size,
            self.lasts[index] * tick_size,
            traded * step_size,
            _AGGRESSORS[self.buyers[index]] if traded else None,
        )


Columns = KlineColumns | TickColumns


def walk_kline(kline: GridKline, path: GridPath) -> TickColumns:
    """Build the market ticks of one kline. `path` generates the prices within the kline."""
    ticks = path.ticks(kline)
    return TickColumns.of_path(kline, ticks, path.depth)


def opening_price(columns: Columns) -> int:
    """Return the first price in ticks. The columns must not be empty."""
    return columns.opens[0] if isinstance(columns, KlineColumns) else columns.bids[0]

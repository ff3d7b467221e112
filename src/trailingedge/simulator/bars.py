"""Bars of prices and volumes: one span of time each, in stores of a second, a minute and an hour.

`klines` builds its rows from them, and `price_statistics` its rolling windows. Bars in which nothing traded and the
price stood still are not stored.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Final, NamedTuple

from trailingedge.core.time_units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from trailingedge.model.market import ZERO, Kline, Side
from trailingedge.simulator.feeds.ticks import Tick

FAR_MS: Final = 2**62  # later than any time


class TradedBar(NamedTuple):
    """Prices and volumes of one span of time. `buy_*`: the part of the volume whose aggressor bought.

    `observed`: a tick showed these prices; otherwise they are the previous close. `first_id` and `last_id`: ids of the
    span's first and last trade; -1 without a trade, and in a bar from a kline.
    """

    open_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = ZERO
    quote_volume: Decimal = ZERO
    trade_count: int = 0
    buy_volume: Decimal = ZERO
    buy_quote_volume: Decimal = ZERO
    observed: bool = True
    first_id: int = -1
    last_id: int = -1

    def merge(self, later: "TradedBar") -> "TradedBar":
        """Return one bar made of this bar and the later bar, with this bar's opening time."""
        if not later.observed:
            return self
        if not self.observed:  # a carried-on price is no trade: only the opening time is taken from it
            return later.opening_at(self.open_ms)
        return TradedBar(
            self.open_ms,
            self.open,
            max(self.high, later.high),
            min(self.low, later.low),
            later.close,
            self.volume + later.volume,
            self.quote_volume + later.quote_volume,
            self.trade_count + later.trade_count,
            self.buy_volume + later.buy_volume,
            self.buy_quote_volume + later.buy_quote_volume,
            first_id=later.first_id if self.first_id < 0 else self.first_id,
            last_id=self.last_id if later.last_id < 0 else later.last_id,
        )

    def opening_at(self, open_ms: int) -> "TradedBar":
        """Return this bar with another opening time."""
        return TradedBar(open_ms, *self[1:])

    def flat_at(self, open_ms: int) -> "TradedBar":
        """Return a bar without trades that opens at `open_ms`; its price is this bar's close."""
        return flat_bar(open_ms, self.close)


def flat_bar(open_ms: int, price: Decimal) -> TradedBar:
    """A bar in which nothing was observed and the price stayed at `price`."""
    return TradedBar(open_ms, price, price, price, price, observed=False)


def bar_of_tick(tick: Tick, trade_ids: Sequence[int] = ()) -> TradedBar:
    """Return a tick's trade as a bar. Without a trade, the bar has the tick's last price.

    `trade_ids` are the ids that the trade tape gave to the tick's trade: several if it filled accounts' orders.
    """
    price, volume = tick.last_price, tick.traded
    if not volume:
        return TradedBar(tick.time_ms, price, price, price, price)
    return bar_of_trades(tick.time_ms, price, volume, tick.aggressor, trade_ids)


def bar_of_trades(
    time_ms: int, price: Decimal, volume: Decimal, aggressor: Side | None, trade_ids: Sequence[int]
) -> TradedBar:
    """Return trades at one time and price as a bar."""
    bought = volume if aggressor is Side.BUY else ZERO
    return TradedBar(
        time_ms,
        price,
        price,
        price,
        price,
        volume,
        volume * price,
        len(trade_ids) or 1,
        bought,
        bought * price,
        first_id=trade_ids[0] if trade_ids else -1,
        last_id=trade_ids[-1] if trade_ids else -1,
    )


def bar_of_kline(kline: Kline) -> TradedBar:
    """Return a kline as a bar.

    Two volumes are estimated, because a `Kline` lacks them. The quote volume is the volume at the
    middle of open and close. Half of the volume counts as bought.
    """
    quote = kline.volume * (kline.open + kline.close) / 2
    return TradedBar(
        kline.open_ms,
        kline.open,
        kline.high,
        kline.low,
        kline.close,
        kline.volume,
        quote,
        1,
        kline.volume / 2,
        quote / 2,
    )


class BarStore:
    """Bars of one length, kept for `span_ms`, oldest first. A span with neither a trade nor a new price has no bar."""

    def __init__(self, length_ms: int, span_ms: int) -> None:
        self.length_ms = length_ms
        self._span_ms = span_ms
        self._bars: deque[TradedBar] = deque()

    def add(self, bar: TradedBar) -> None:
        """Add a bar that is no older than the newest one; a bar of the same span is merged."""
        open_ms = bar.open_ms - bar.open_ms % self.length_ms
        if self._bars and self._bars[-1].open_ms == open_ms:
            self._bars[-1] = self._bars[-1].merge(bar)
        elif bar.observed or not self._bars:
            self._bars.append(bar.opening_at(open_ms))
        # The deque is bounded by time, not by count: on a quiet market it holds few bars and reaches as far back.
        while self._bars[0].open_ms < open_ms - self._span_ms:
            self._bars.popleft()

    def bars_from(self, from_ms: int) -> Sequence[TradedBar]:
        """Return the bars that open at `from_ms` or later, preceded by the last bar that opens earlier.

        The earlier bar is included because a kline in which nothing traded is flat at the close before it.
        """
        newest_first: list[TradedBar] = []
        # From the newest end: clients mostly ask for recent klines, and the walk ends as soon as they are collected.
        for bar in reversed(self._bars):
            newest_first.append(bar)
            if bar.open_ms < from_ms:
                break
        return newest_first[::-1]

    def bars_between(self, from_ms: int, until_ms: int) -> list[TradedBar]:
        """Return the bars that open at `from_ms` or later and before `until_ms`, oldest first."""
        first, end = self._index_at(from_ms), self._index_at(until_ms)
        return [self._bars[index] for index in range(first, end)]

    def close_before(self, time_ms: int) -> Decimal | None:
        """The close of the last bar that opens before `time_ms`; None if there is none."""
        index = self._index_at(time_ms)
        return self._bars[index - 1].close if index else None

    @property
    def first_ms(self) -> int | None:
        """The opening time of the oldest bar; None if there is no bar."""
        return self._bars[0].open_ms if self._bars else None

    def _index_at(self, time_ms: int) -> int:
        # By bisection: a day has 86,400 seconds, and a window mostly begins near the oldest of them.
        return bisect_left(self._bars, time_ms, key=attrgetter("open_ms"))


class BarStores:
    """Bars of a second, a minute and an hour over one stream of trades."""

    def __init__(self) -> None:
        self.seconds = BarStore(SECOND_MS, 26 * HOUR_MS)
        self.minutes = BarStore(MINUTE_MS, 8 * DAY_MS)
        self.hours = BarStore(HOUR_MS, 400 * DAY_MS)

    def add(self, bar: TradedBar) -> None:
        """Add a bar that is no older than the newest one."""
        for store in (self.seconds, self.minutes, self.hours):
            store.add(bar)

    def add_past(self, bar: TradedBar) -> None:
        """Add a one-minute bar of a time before the market's first tick."""
        self.minutes.add(bar)
        self.hours.add(bar)

    def merged_from(self, from_ms: int) -> TradedBar | None:
        """Return one bar of everything since `from_ms`, rounded down to the second. None if nothing is stored.

        Merges bars of a second up to the next full minute, of a minute up to the next full hour, then of an hour.
        """
        minute_ms = -(-from_ms // MINUTE_MS) * MINUTE_MS
        hour_ms = -(-minute_ms // HOUR_MS) * HOUR_MS
        merged: TradedBar | None = None
        for store, first_ms, end_ms in (
            (self.seconds, from_ms - from_ms % SECOND_MS, minute_ms),
            (self.minutes, minute_ms, hour_ms),
            (self.hours, hour_ms, FAR_MS),
        ):
            for bar in store.bars_between(first_ms, end_ms):
                merged = bar if merged is None else merged.merge(bar)
        return merged

    def close_before(self, time_ms: int) -> Decimal | None:
        """The last price before `time_ms`; None if none is known."""
        close = self.seconds.close_before(time_ms - time_ms % SECOND_MS)
        return self.minutes.close_before(time_ms - time_ms % MINUTE_MS) if close is None else close

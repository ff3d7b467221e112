"""Klines of every interval, built from the ticks' trades, or from their prices if a source has no trades.

Three stores hold bars of a second (26 hours of them), a minute (8 days) and an hour (400 days), see `bars`. A longer
interval is merged from the longest bars that fit into it. Bars in which nothing traded and the price stood still are
not stored: a reader gets a flat kline there, made on request. This keeps memory bounded on a quiet market and each tick
cheap, because a tick updates three bars and nothing else.

A live market relays one interval's klines from the real exchange. These klines are returned unchanged, and none are
built for that interval, because our ticks may lack trades that the real klines contain. A fill of an account is in the
klines only if it is a part of the tick's own trade. So the klines of a recorded market stay as recorded.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Final

from trailingedge.core.time_units import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from trailingedge.model.market import Kline
from trailingedge.simulator.bars import BarStore, BarStores, TradedBar, bar_of_kline, bar_of_tick, flat_bar
from trailingedge.simulator.exchange_spec import format_amount
from trailingedge.simulator.feeds.ticks import Tick

MONDAY_MS: Final = 4 * DAY_MS  # 1970 began on a Thursday

INTERVALS: Final = {
    "1s": SECOND_MS,
    "1m": MINUTE_MS,
    "3m": 3 * MINUTE_MS,
    "5m": 5 * MINUTE_MS,
    "15m": 15 * MINUTE_MS,
    "30m": 30 * MINUTE_MS,
    "1h": HOUR_MS,
    "2h": 2 * HOUR_MS,
    "4h": 4 * HOUR_MS,
    "6h": 6 * HOUR_MS,
    "8h": 8 * HOUR_MS,
    "12h": 12 * HOUR_MS,
    "1d": DAY_MS,
    "3d": 3 * DAY_MS,
    "1w": 7 * DAY_MS,
    "1M": 28 * DAY_MS,  # the shortest month; `Interval` follows the calendar
}


@dataclass(frozen=True, slots=True)
class Interval:
    """A kline interval by its name. It is aligned to UTC shifted by `offset_ms` (a request's `timeZone`)."""

    name: str
    offset_ms: int = 0

    @property
    def length_ms(self) -> int:
        return INTERVALS[self.name]

    def start_ms(self, time_ms: int) -> int:
        """The opening time of the interval that contains `time_ms`."""
        local_ms = time_ms + self.offset_ms
        if self.name == "1M":
            local = datetime.fromtimestamp(local_ms / 1000, UTC)
            first = local.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
            return int(first.timestamp()) * 1000 - self.offset_ms
        origin_ms = MONDAY_MS if self.name == "1w" else 0
        return local_ms - (local_ms - origin_ms) % self.length_ms - self.offset_ms

    def next_start_ms(self, start_ms: int) -> int:
        """The opening time of the interval after the one that opens at `start_ms`."""
        if self.name == "1M":
            return self.start_ms(start_ms + 31 * DAY_MS)
        return start_ms + self.length_ms


class RelayedKlines:
    """Keeps at most `most` klines of one interval, as another exchange published them."""

    def __init__(self, most: int) -> None:
        self._bars: deque[TradedBar] = deque(maxlen=most)

    def add(self, bar: TradedBar) -> None:
        """Store a kline. It replaces an earlier version of the same kline.

        A kline older than the newest one is dropped.
        """
        # This is a late message of the other exchange. A newer kline has followed it, so it was published in full
        # before.
        if self._bars and bar.open_ms < self._bars[-1].open_ms:
            return
        if self._bars and bar.open_ms == self._bars[-1].open_ms:
            self._bars.pop()
        self._bars.append(bar)

    def rows(self, from_ms: int | None, until_ms: int | None, limit: int) -> list[TradedBar]:
        """The stored klines within the times given; see `Klines.rows`."""
        within = [
            bar
            for bar in self._bars
            if (from_ms is None or from_ms <= bar.open_ms) and (until_ms is None or bar.open_ms <= until_ms)
        ]
        return within[-limit:] if from_ms is None else within[:limit]


class Klines:
    """All klines of one market up to its newest tick."""

    def __init__(self, history: Iterable[Kline] = ()) -> None:
        self.stores = BarStores()
        self._relayed: dict[Interval, RelayedKlines] = {}
        self.time_ms = 0
        self._last_price: Decimal | None = None
        for kline in history:
            self.stores.add_past(bar_of_kline(kline))
            self.time_ms, self._last_price = kline.close_ms, kline.close

    def on_tick(self, tick: Tick, trade_ids: Sequence[int] = ()) -> None:
        """Add a tick to the bars of a second, a minute and an hour: its trade, or, without a trade, a new price.

        `trade_ids` are the ids that the trade tape gave to the tick's trade: several if it filled accounts' orders.
        """
        bar = bar_of_tick(tick, trade_ids)
        # A tick without a trade or a new price moves time on and stores nothing. Sources without trades (bookTicker
        # files) still make klines, because a changed price counts as an observation.
        if not tick.traded and self._last_price in {None, tick.last_price}:
            bar = flat_bar(tick.time_ms, tick.last_price)
        self._last_price = tick.last_price
        self.stores.add(bar)
        self.time_ms = tick.time_ms

    def relay_interval(self, interval: Interval, most: int) -> None:
        """From now on, take the klines of `interval` from another exchange, and keep the newest `most` of them."""
        self._relayed[interval] = RelayedKlines(most)

    def is_relayed(self, interval: Interval) -> bool:
        """Whether the klines of `interval` come from another exchange."""
        return interval in self._relayed

    def add_relayed(self, interval: Interval, kline: Kline) -> None:
        """Store a kline that another exchange published (see `relay_interval`), forming or closed."""
        self._relayed[interval].add(bar_of_kline(kline))

    def rows(self, interval: Interval, from_ms: int | None, until_ms: int | None, limit: int) -> list[TradedBar]:
        """Return klines that open from `from_ms` to `until_ms`, oldest first and without gaps.

        The newest kline may still be forming. With `from_ms` the oldest `limit` klines of the span
        are returned, without it the newest, as Binance's `klines` request does.
        """
        if interval in self._relayed:
            return self._relayed[interval].rows(from_ms, until_ms, limit)
        store = self._store(interval)
        if store.first_ms is None:
            return []
        newest_ms = interval.start_ms(min(self.time_ms, self.time_ms if until_ms is None else until_ms))
        if from_ms is None:
            # Start far enough back for `limit` rows of the longest possible length, then cut to the newest `limit`.
            longest_ms = 31 * DAY_MS if interval.name == "1M" else interval.length_ms
            first_ms = interval.start_ms(max(store.first_ms, newest_ms - limit * longest_ms))
            return list(self._grouped(store, interval, first_ms, newest_ms))[-limit:]
        first_ms = interval.start_ms(max(from_ms, store.first_ms))
        # `startTime` selects klines by their opening time, so the one that contains it is not included.
        if first_ms < from_ms:
            first_ms = interval.next_start_ms(first_ms)
        return list(islice(self._grouped(store, interval, first_ms, newest_ms), limit))

    def row(self, interval: Interval, open_ms: int) -> TradedBar | None:
        """Return the kline that opens at `open_ms`. It is flat if nothing traded in it.

        Returns None before any price is known.
        """
        return next(self._grouped(self._store(interval), interval, open_ms, open_ms), None)

    def _store(self, interval: Interval) -> BarStore:
        """Return the coarsest store whose bars fit into `interval`, so that few bars are merged."""
        for store in (self.stores.hours, self.stores.minutes):
            if interval.length_ms % store.length_ms == 0 and interval.offset_ms % store.length_ms == 0:
                return store
        return self.stores.seconds

    @staticmethod
    def _grouped(store: BarStore, interval: Interval, first_ms: int, newest_ms: int) -> Iterator[TradedBar]:
        """Yield one merged bar per interval; the first opens at `first_ms`, the last at `newest_ms`."""
        bars = deque(store.bars_from(first_ms))
        if not bars:
            return
        # The bar before the first row carries its close into rows without trades. Without one, the first bar stands in.
        before = bars[0]
        while bars and bars[0].open_ms < first_ms:
            before = bars.popleft()
        open_ms = first_ms
        while open_ms <= newest_ms:
            next_ms = interval.next_start_ms(open_ms)
            row = before.flat_at(open_ms)
            while bars and bars[0].open_ms < next_ms:
                row = row.merge(bars.popleft())
            yield row
            before, open_ms = row, next_ms


class KlineFeed:
    """Decides when a kline stream publishes: every one or two seconds while the kline forms, and once at its close.

    The times are those of the real exchange: every 1 s for "1s" klines, every 2 s for the others.
    """

    def __init__(self, interval: Interval, klines: Klines) -> None:
        self.interval = interval
        self._klines = klines
        self._publish_every_ms = 1000 if interval.name == "1s" else 2000
        self._open_ms = interval.start_ms(klines.time_ms)
        self._published_ms = 0

    def closed_until(self, time_ms: int) -> Iterator[TradedBar]:
        """Yield the klines that close when market time moves to `time_ms`.

        Call this before `Klines.on_tick` with the tick of that time.
        """
        current_ms = self.interval.start_ms(time_ms)
        # A gap between two ticks may close several klines; each is published, as a client counts them.
        while self._open_ms < current_ms:
            row = self._klines.row(self.interval, self._open_ms)
            if row is not None:
                yield row
            self._open_ms = self.interval.next_start_ms(self._open_ms)
            self._published_ms = time_ms

    def forming(self) -> TradedBar | None:
        """The forming kline if it is due to be published, else None."""
        if self._klines.time_ms - self._published_ms < self._publish_every_ms:
            return None
        self._published_ms = self._klines.time_ms
        return self._klines.row(self.interval, self._open_ms)


def kline_row_json(bar: TradedBar, interval: Interval) -> list[object]:
    """A kline as a row of the `klines` reply."""
    return [
        bar.open_ms,
        format_amount(bar.open),
        format_amount(bar.high),
        format_amount(bar.low),
        format_amount(bar.close),
        format_amount(bar.volume),
        interval.next_start_ms(bar.open_ms) - 1,
        format_amount(bar.quote_volume),
        bar.trade_count,
        format_amount(bar.buy_volume),
        format_amount(bar.buy_quote_volume),
        "0",
    ]


def kline_event_json(bar: TradedBar, interval: Interval, symbol: str, event_ms: int, closed: bool) -> dict[str, object]:
    """A kline as the `kline` event of the stream."""
    return {
        "e": "kline",
        "E": event_ms,
        "s": symbol,
        "k": {
            "t": bar.open_ms,
            "T": interval.next_start_ms(bar.open_ms) - 1,
            "s": symbol,
            "i": interval.name,
            "f": bar.first_id,
            "L": bar.last_id,
            "o": format_amount(bar.open),
            "c": format_amount(bar.close),
            "h": format_amount(bar.high),
            "l": format_amount(bar.low),
            "v": format_amount(bar.volume),
            "n": bar.trade_count,
            "x": closed,
            "q": format_amount(bar.quote_volume),
            "V": format_amount(bar.buy_volume),
            "Q": format_amount(bar.buy_quote_volume),
            "B": "0",
        },
    }

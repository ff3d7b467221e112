"""Market streams: decides when each stream of the market publishes, and builds its events.

A stream is opened by its first subscription and stays open. bookTicker and the trade streams publish at once. The
others publish at their documented pace in market time, but only together with a tick or a change of the book.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from trailingedge.core.time_units import DAY_MS, HOUR_MS, SECOND_MS
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.klines import INTERVALS, Interval, KlineFeed, kline_event_json
from trailingedge.simulator.market_data import MarketData
from trailingedge.simulator.market_payloads import (
    aggregate_event,
    average_price_event,
    day_event,
    mini_event,
    trade_event,
    window_event,
)
from trailingedge.simulator.payloads import Json, MarketEvent, book_ticker_json
from trailingedge.simulator.trade_tape import AggregateTrade

WINDOWS_MS: Final = {"1h": HOUR_MS, "4h": 4 * HOUR_MS, "1d": DAY_MS}
EIGHT_HOURS_MS: Final = 8 * HOUR_MS
KLINE_STREAM: Final = re.compile(r"kline_(?P<interval>[^@]+)(?P<zone>@\+08:00)?")
DEPTH_STREAM: Final = re.compile(r"depth(?P<levels>5|10|20)?(?:@(?P<speed_ms>100|1000)ms)?")
WINDOW_STREAM: Final = re.compile(r"ticker_(?P<window>1h|4h|1d)")
# Clients ask for the array of mini tickers with a pace, too, although the documentation names only one pace.
ARRAY_STREAM: Final = re.compile(r"!(?P<name>miniTicker|ticker|ticker_1h|ticker_4h|ticker_1d)@arr(?:@[13]000ms)?")
# Streams of the documentation that are not offered, of any symbol.
MISSING_STREAM: Final = re.compile(r"[^!@]+@(?:blockTrade|referencePrice)")
TIMES: Final = frozenset("ECO")  # the fields of a statistics event that change although nothing happened

Build = Callable[[int], Json | None]


def is_missing_stream(stream: str) -> bool:
    """Whether the documentation has a stream of that name which this exchange does not offer."""
    return MISSING_STREAM.fullmatch(stream) is not None


def kline_interval(name: str) -> Interval | None:
    """Return the interval of a kline stream: 1m for `kline_1m`. None for other streams."""
    named = KLINE_STREAM.fullmatch(name)
    if named is None or named["interval"] not in INTERVALS:
        return None
    return Interval(named["interval"], EIGHT_HOURS_MS if named["zone"] else 0)


@dataclass(slots=True)
class PeriodicStream:
    """A stream that publishes every `every_ms`. `build(market_ms)` returns its event, or None to skip it."""

    every_ms: int
    build: Build
    is_array: bool = False  # an array with the event of each symbol, as the streams of all markets send it
    published_ms: int = 0


class MarketStreams:
    """The streams of one market. `emit` receives each event."""

    def __init__(self, spec: ExchangeSpec, market: MarketData, emit: Callable[[MarketEvent], None]) -> None:
        self._spec = spec
        self._market = market
        self._emit = emit
        self._kline_feeds: dict[str, KlineFeed] = {}  # by stream name, as the periodic streams
        self._periodic: dict[str, PeriodicStream] = {}
        self._trade_events: dict[str, Callable[[AggregateTrade], list[Json]]] = {}
        self._published_aggregate = 0

    def open(self, stream: str) -> None:
        """Start publishing a stream. Does nothing if it is already open or its name is unknown."""
        symbol, _, name = stream.partition("@")
        array = ARRAY_STREAM.fullmatch(stream)
        if array is not None:
            self._open_periodic(stream, array["name"], is_array=True)
        elif symbol == self._spec.stream_prefix:
            interval = kline_interval(name)
            if interval is not None:
                self._open_klines(stream, interval)
            elif name == "aggTrade":
                self._trade_events[stream] = lambda aggregate: [aggregate_event(aggregate, self._spec.symbol)]
            elif name == "trade":
                self._trade_events[stream] = lambda aggregate: [
                    trade_event(trade, self._spec.symbol) for trade in aggregate.trades
                ]
            else:
                self._open_periodic(stream, name, is_array=False)

    def close_klines(self, time_ms: int) -> None:
        """Publish the klines that close when market time moves to `time_ms`.

        Call this before the tick of that time is recorded: a closed kline must not contain the tick's trade.
        """
        for stream, feed in self._kline_feeds.items():
            for bar in feed.closed_until(time_ms):
                event = kline_event_json(bar, feed.interval, self._spec.symbol, time_ms, closed=True)
                self._emit(MarketEvent(stream, event))

    def publish(self, market_ms: int, top_changed: bool) -> None:
        """Publish what is due: new trades, forming klines, the best prices if they changed, and periodic streams."""
        self._publish_trades()
        for stream, feed in self._kline_feeds.items():
            forming = feed.forming()
            if forming is not None:
                event = kline_event_json(forming, feed.interval, self._spec.symbol, market_ms, closed=False)
                self._emit(MarketEvent(stream, event))
        if top_changed:
            event = book_ticker_json(self._market.book.top, self._spec.symbol)
            self._emit(MarketEvent(f"{self._spec.stream_prefix}@bookTicker", event))
        for name, periodic in self._periodic.items():
            if market_ms - periodic.published_ms >= periodic.every_ms:
                found = periodic.build(market_ms)
                if found is not None:
                    periodic.published_ms = market_ms
                    self._emit(MarketEvent(name, found, periodic.is_array))

    def _open_klines(self, stream: str, interval: Interval) -> None:
        # The klines of a relayed interval are published as they come from the other exchange.
        klines = self._market.klines
        if stream not in self._kline_feeds and not klines.is_relayed(interval):
            self._kline_feeds[stream] = KlineFeed(interval, klines)

    def _open_periodic(self, stream: str, name: str, is_array: bool) -> None:
        if stream in self._periodic:
            return
        depth, every_ms = DEPTH_STREAM.fullmatch(name), SECOND_MS
        build: Build | None = self._statistics_builder(name)
        if is_array:
            build = None if build is None else _changed_only(build)
        elif name == "avgPrice":
            build = self._average_price
        elif depth is not None:
            every_ms = int(depth["speed_ms"] or SECOND_MS)
            build = self._depth_builder(depth["levels"])
        if build is not None:
            self._periodic[stream] = PeriodicStream(every_ms, build, is_array)

    def _statistics_builder(self, name: str) -> Build | None:
        windowed = WINDOW_STREAM.fullmatch(name)
        if windowed is not None:
            return partial(self._window_statistics, windowed["window"])
        return {"miniTicker": self._mini_statistics, "ticker": self._day_statistics}.get(name)

    def _depth_builder(self, levels: str | None) -> Build:
        book = self._market.book
        if levels is None:
            return book.open_diff_stream(self._spec.symbol).event
        return lambda _: book.snapshot_json(int(levels)) if book.is_open else None

    def _mini_statistics(self, market_ms: int) -> Json:
        return mini_event(self._market.day_statistics(market_ms), self._spec.symbol)

    def _day_statistics(self, market_ms: int) -> Json:
        market = self._market
        return day_event(market.day_statistics(market_ms), self._spec.symbol, market.book.top, market.last_quantity)

    def _window_statistics(self, window: str, market_ms: int) -> Json:
        return window_event(self._market.rolling_statistics(WINDOWS_MS[window], market_ms), self._spec.symbol, window)

    def _average_price(self, market_ms: int) -> Json:
        market, spec = self._market, self._spec
        return average_price_event(
            market.average_price(), spec.average_minutes, spec.symbol, market.last_trade_ms(market_ms), market_ms
        )

    def _publish_trades(self) -> None:
        """Publish the aggregate trades that are newer than the last published one."""
        tape, published = self._market.tape, self._published_aggregate
        if not tape.aggregates or tape.aggregates[-1].aggregate_id == published:
            return
        self._published_aggregate = tape.aggregates[-1].aggregate_id
        if not self._trade_events:
            return
        new = tape.newer_than(published)
        for stream, events_of in self._trade_events.items():
            for aggregate in new:
                for event in events_of(aggregate):
                    self._emit(MarketEvent(stream, event))


def _changed_only(build: Build) -> Build:
    """Wrap `build` so that it returns None if its event would differ from the last event only in times."""
    before: Json = {}

    def changed(market_ms: int) -> Json | None:
        nonlocal before
        found = build(market_ms)
        told = {name: value for name, value in (found or {}).items() if name not in TIMES}
        if told == before:
            return None
        before = told
        return found

    return changed

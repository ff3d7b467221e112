"""Live market feed: plays another exchange's prices, trades and klines on the simulated one as they arrive.

Nothing is invented: prices, trades and the klines of one interval are those that the other exchange
published. While its connections are down, nothing is played: prices stand still and no order fills.
Market time is the other exchange's time. It never goes back, although events may arrive out of
order because the streams use several connections.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from trailingedge.model.market import ZERO, BookTop, Kline, Side, SymbolRules
from trailingedge.simulator.connection_hub import ConnectionHub
from trailingedge.simulator.feeds.ticks import LargestNumbers, Tick
from trailingedge.simulator.klines import Interval


@dataclass(slots=True)
class OpeningTick:
    """A source with a single tick: the opening of a market that is played live from then on."""

    symbol: str
    base_asset: str
    quote_asset: str
    tick_size: Decimal
    step_size: Decimal
    tick: Tick
    history: Sequence[Kline] = ()
    gaps: Sequence[str] = ()
    largest: LargestNumbers | None = None

    @classmethod
    def of_market(cls, rules: SymbolRules, top: BookTop, last_price: Decimal, market_ms: int) -> Self:
        """Return the market as it is now: its best prices and the price of its last trade.

        The trade itself is not played, so it fills no order.
        """
        tick = Tick(market_ms, top.bid, top.bid_quantity, top.ask, top.ask_quantity, last_price, ZERO, None)
        return cls(rules.symbol, rules.base_asset, rules.quote_asset, rules.tick_size, rules.step_size, tick)

    def __iter__(self) -> Iterator[Tick]:
        yield self.tick


class LiveMarket:
    """Plays another exchange's events on the simulated exchange behind `hub`.

    The simulated market must be open already. `interval` is that of the relayed klines; see
    `Klines.relay_interval`.
    """

    def __init__(self, hub: ConnectionHub, interval: Interval) -> None:
        self._hub = hub
        self._engine = hub.exchange.engine
        self._interval = interval

    def on_top(self, top: BookTop, market_ms: int) -> None:
        """Play new best prices without a trade."""
        tick = self._engine.book.tick._replace(
            bid=top.bid,
            bid_quantity=top.bid_quantity,
            ask=top.ask,
            ask_quantity=top.ask_quantity,
            traded=ZERO,
            # A book update must not repeat the last trade: it would fill orders a second time.
            aggressor=None,
            traded_ms=None,
        )
        self._on_tick(tick, market_ms)

    def on_trade(self, price: Decimal, quantity: Decimal, aggressor: Side, market_ms: int, traded_ms: int) -> None:
        """Play a trade that was made at `traded_ms` and is reported now, at `market_ms`. The best prices stay.

        The trade fills no order that was accepted between these two times.
        """
        tick = self._engine.book.tick._replace(
            last_price=price, traded=quantity, aggressor=aggressor, traded_ms=traded_ms
        )
        self._on_tick(tick, market_ms)

    def on_kline(self, kline: Kline, market_ms: int) -> None:
        """Relay a kline, forming or closed."""
        self._hub.exchange.relay_kline(kline, self._interval, market_ms)
        self._hub.publish_events()

    def on_symbol_status(self, status: str) -> str:
        """Set the symbol's status to `status`, a value of `exchangeInfo` such as "TRADING". Returns the old one."""
        before, self._engine.symbol_status = self._engine.symbol_status, status
        return before

    def _on_tick(self, tick: Tick, market_ms: int) -> None:
        self._hub.on_tick(tick._replace(time_ms=max(market_ms, self._engine.market_ms)))

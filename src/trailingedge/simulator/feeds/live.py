"""A market that another exchange makes: what it tells is played on this one as it comes.

Nothing is made up. Prices are those told last, trades those that were told, and so are the klines of one
interval. While the other exchange cannot be heard nobody calls anything here: nothing moves, and nothing
fills. Time is the other's as well, but never goes back.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Self

from trailingedge.model.market import ZERO, BookTop, Kline, Side, SymbolRules
from trailingedge.simulator.connections import ConnectionHub
from trailingedge.simulator.feeds.ticks import Tick
from trailingedge.simulator.klines import Interval


@dataclass(slots=True)
class OpeningTick:
    """A tape of a single tick, with which a market opens that is played live from then on."""

    symbol: str
    base_asset: str
    quote_asset: str
    tick_size: Decimal
    step_size: Decimal
    tick: Tick
    history: Sequence[Kline] = ()
    gaps: Sequence[str] = ()

    @classmethod
    def of_market(cls, rules: SymbolRules, top: BookTop, last_price: Decimal, market_ms: int) -> Self:
        """The market as it stands: its best prices, and what traded last, by which nothing is filled any more."""
        tick = Tick(market_ms, top.bid, top.bid_quantity, top.ask, top.ask_quantity, last_price, ZERO, None)
        return cls(rules.symbol, rules.base_asset, rules.quote_asset, rules.tick_size, rules.step_size, tick)

    def __iter__(self) -> Iterator[Tick]:
        yield self.tick


class LiveMarket:
    """The other exchange's news, for everybody behind `switchboard`, whose market has opened.

    `interval` is that of the klines that are told; they must be expected (see `Klines.expect`).
    """

    def __init__(self, switchboard: ConnectionHub, interval: Interval) -> None:
        self._hub = switchboard
        self._engine = switchboard.exchange.engine
        self._interval = interval

    def on_top(self, top: BookTop, market_ms: int) -> None:
        """The best prices have changed; nothing traded."""
        tick = replace(
            self._engine.book.tick,
            bid=top.bid,
            bid_quantity=top.bid_quantity,
            ask=top.ask,
            ask_quantity=top.ask_quantity,
            traded=ZERO,
            aggressor=None,
        )
        self._on_tick(tick, market_ms)

    def on_trade(self, price: Decimal, quantity: Decimal, aggressor: Side, market_ms: int) -> None:
        """Somebody took `quantity` at `price`."""
        tick = replace(self._engine.book.tick, last_price=price, traded=quantity, aggressor=aggressor)
        self._on_tick(tick, market_ms)

    def on_kline(self, kline: Kline, market_ms: int) -> None:
        """A kline, forming or closed."""
        self._engine.relay_kline(kline, self._interval, market_ms)
        self._hub.publish_events()

    def on_symbol_status(self, status: str) -> None:
        """Whether the symbol trades, in the exchange's word."""
        self._engine.symbol_status = status

    def _on_tick(self, tick: Tick, market_ms: int) -> None:
        self._hub.on_tick(replace(tick, time_ms=max(market_ms, self._engine.market_ms)))

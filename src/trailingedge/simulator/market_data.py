"""Market data of the simulated exchange: the public book, trades, klines and average price.

The engine records each tick, each fill and each change of the book here. The methods of the API and the market streams
read the same object, so they cannot disagree.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import groupby

from trailingedge.core.time_units import DAY_MS, MINUTE_MS
from trailingedge.model.market import ZERO, Kline, Side
from trailingedge.simulator.book import MakerFill
from trailingedge.simulator.depth import PublishedBook
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.feeds.ticks import Tick
from trailingedge.simulator.klines import Klines
from trailingedge.simulator.price_statistics import PriceStatistics, window_statistics
from trailingedge.simulator.trade_tape import TradeTape


class MarketData:
    """The published book, the trade tape, the klines and the average price of one market."""

    def __init__(self, spec: ExchangeSpec, history: Iterable[Kline] = ()) -> None:
        self.book = PublishedBook()
        self.tape = TradeTape()
        self.klines = Klines(history)
        self.last_price = ZERO
        self._average_ms = spec.average_minutes * MINUTE_MS
        # Trades of the averaging window (time, quote volume, base volume) and their sums: adding and subtracting
        # keeps the average exact in Decimal, without a pass over the window at each tick.
        self._recent_trades: deque[tuple[int, Decimal, Decimal]] = deque()
        self._recent_quote_volume = self._recent_base_volume = ZERO

    def record_tick(self, tick: Tick, fills: Sequence[MakerFill]) -> list[int]:
        """Record a tick and the fills that it caused. Returns the trade id of each fill.

        Fills at the price of the tick's trade are parts of that trade. The rest of it is a trade of its own.
        """
        self.last_price = tick.last_price
        ids: list[int] = []
        printed: list[int] = []
        left = tick.traded
        for (side, price), group in groupby(fills, key=lambda fill: (fill.order.side, fill.order.price)):
            quantities = [fill.quantity for fill in group]
            total = sum(quantities, ZERO)
            covered = min(left, total) if price == tick.last_price and tick.aggressor is side.opposite else ZERO
            rest = [left - covered] if covered and left > covered else []
            trades = self.tape.record(
                tick.time_ms, price, side.opposite, [*quantities, *rest], beyond_market=total - covered
            ).trades
            if covered:
                left = ZERO
                printed = [trade.trade_id for trade in trades]
            ids += [trade.trade_id for trade in trades[: len(quantities)]]
        if left:
            aggressor = tick.aggressor or Side.BUY
            trades = self.tape.record(tick.time_ms, tick.last_price, aggressor, [left], beyond_market=ZERO).trades
            printed = [trades[0].trade_id]
        self.klines.on_tick(tick, printed)
        self._update_average(tick)
        return ids

    def record_taken(self, time_ms: int, price: Decimal, aggressor: Side, quantities: Sequence[Decimal]) -> list[int]:
        """Record trades of an account's taker order at one price; no tick contains them. Returns their ids."""
        aggregate = self.tape.record(time_ms, price, aggressor, quantities, beyond_market=sum(quantities, ZERO))
        return [trade.trade_id for trade in aggregate.trades]

    def average_price(self) -> Decimal:
        """The volume-weighted price of the last `average_minutes`; the last price if nothing traded in them."""
        return self._recent_quote_volume / self._recent_base_volume if self._recent_trades else self.last_price

    def last_trade_ms(self, market_ms: int) -> int:
        """The time of the newest trade; `market_ms` before the first."""
        last = self.tape.last_trade
        return market_ms if last is None else last.time_ms

    def day_statistics(self, market_ms: int) -> PriceStatistics:
        """The statistics of the last 24 hours."""
        return self.statistics(market_ms - DAY_MS, market_ms)

    def rolling_statistics(self, window_ms: int, market_ms: int) -> PriceStatistics:
        """The statistics of the last `window_ms`. The window begins at a full minute, up to a minute earlier."""
        open_ms = market_ms - window_ms
        return self.statistics(open_ms - open_ms % MINUTE_MS, market_ms)

    def statistics(self, open_ms: int, market_ms: int) -> PriceStatistics:
        """The statistics from `open_ms` until now."""
        return window_statistics(self.klines.stores, self.tape.account_bars, open_ms, market_ms, self.last_price)

    @property
    def last_quantity(self) -> Decimal:
        """The quantity of the newest trade; zero before the first."""
        last = self.tape.last_trade
        return ZERO if last is None else last.quantity

    def _update_average(self, tick: Tick) -> None:
        if tick.traded:
            quote = tick.last_price * tick.traded
            self._recent_trades.append((tick.time_ms, quote, tick.traded))
            self._recent_quote_volume += quote
            self._recent_base_volume += tick.traded
        # Remove the trades that are older than the averaging window. A quiet market empties the window, and the average
        # is then the last price.
        while self._recent_trades and self._recent_trades[0][0] <= tick.time_ms - self._average_ms:
            _, quote, base = self._recent_trades.popleft()
            self._recent_quote_volume -= quote
            self._recent_base_volume -= base

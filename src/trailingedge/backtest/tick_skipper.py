"""Tick skipper: skips the market ticks of a backtest at which the trading core would do nothing, according to the
core's own plan.

The plan names the best prices within which the strategy does nothing and our order stays (`strategy.plan`,
`execution.trading_plan`). Here these limits are kept in ticks. A segment is skipped if its extremes are within the
limits; otherwise its ticks are searched for the first one outside. The skipper decides nothing: the core runs a full
cycle at the tick that it finds. It only keeps the best prices of the skipped ticks for the next cycle, and adapts the
limits if a skipped tick sets a new high of the unit value, or if a candle that closes without a cycle moves the
channel.
"""

from bisect import bisect_left
from math import ceil, floor, inf
from typing import Final, NamedTuple

from trailingedge.backtest.bar_columns import BarColumns
from trailingedge.backtest.candle_segments import Segment
from trailingedge.execution.quote_prices import keeping_prices
from trailingedge.execution.trading_plan import TradingPlan
from trailingedge.indicators.donchian import Channel
from trailingedge.model.market import Regime, Side
from trailingedge.simulator.feeds.columns import IntColumn, PriceGrid, TickColumns
from trailingedge.strategy.decide import Decision
from trailingedge.strategy.inputs import StrategyParams
from trailingedge.strategy.plan import (
    NO_PRICE,
    PriceLimits,
    PriceRange,
    lasting_limits,
    price_limits,
    quiet_closes,
    revised,
)

_FAR: Final = 2**62  # ticks: no price is there


class _Ticks(NamedTuple):
    """Limits in ticks: best prices strictly between them need no cycle."""

    above_bid: int
    below_bid: int
    above_ask: int
    below_ask: int

    def contain(self, low_bid: int, high_bid: int, low_ask: int, high_ask: int) -> bool:
        return (
            self.above_bid < low_bid
            and high_bid < self.below_bid
            and self.above_ask < low_ask
            and high_ask < self.below_ask
        )


_NONE: Final = _Ticks(_FAR, -_FAR, _FAR, -_FAR)


class TickSkipper:
    """Skips ticks between two cycles, up to `due_ms`. If the core has no plan, it skips nothing.

    `highest_bid` and `lowest_ask` are the best prices skipped so far, in ticks; None if none was skipped. A candle that
    closes within `quiet_closes` needs no cycle.
    """

    def __init__(
        self,
        plan: TradingPlan | None,
        decision: Decision | None,
        params: StrategyParams,
        grid: PriceGrid,
        bid: int,
        ask: int,
        due_ms: int,
    ) -> None:
        """`bid` and `ask` are the best prices of the other participants, in ticks."""
        self.highest_bid: int | None = None
        self.lowest_ask: int | None = None
        self.quiet_closes: PriceRange = NO_PRICE
        self.skips = False
        self._due_ms = due_ms
        self._scale = grid.scale
        self._params = params
        self._decision = decision
        self._channel = None if decision is None else decision.channel
        self._kept: PriceLimits | None = None  # by our resting order
        self._order_price: int | None = None
        self._selling = False
        self._lasting = self._limits = _NONE
        self._outdated = False
        if plan is None or decision is None:
            return
        requote = plan.requote
        if requote is not None:
            if requote.rules.tick_size != grid.tick_size:
                return  # PRICE_TICK: our prices lie on a coarser grid than those of the market
            side, price = requote.intent.side, requote.resting.price
            best = grid.price(bid), grid.price(ask)
            self._kept = keeping_prices(side, price, requote.intent.pricing, *best, grid.tick_size)
            self._order_price, self._selling = int(price / grid.tick_size), side is Side.SELL
        self.skips = True
        self.quiet_closes = quiet_closes(decision, params)
        self._limits = self._in_ticks(plan.limits)
        lasting = lasting_limits(decision, params)
        self._lasting = _NONE if lasting is None else self._in_ticks(lasting)

    @property
    def high(self) -> float:
        """The best unit value since the anchor, skipped ticks included; 0 if the strategy holds no side."""
        state = None if self._decision is None else self._decision.state
        if state is None or state.regime is None:
            return 0.0
        best = self.highest_bid if state.regime is Regime.BASE else self.lowest_ask
        if best is None or not state.funded or self._params.trigger_on.at_close:
            return state.high
        return max(state.high, best / self._scale if state.regime is Regime.BASE else 1 / (best / self._scale))

    def on_channel(self, channel: Channel | None) -> None:
        """Use this channel from now on: a candle has closed without a cycle."""
        self._channel, self._outdated = channel, True

    def skip_bars(self, bars: BarColumns, begin: int, end: int, forming_close: int) -> bool:
        """Skip several bars if nothing in them needs a cycle, for any position of the channel.

        Returns whether they were skipped. The candle before these bars closes at `forming_close`. During the bars, that
        candle and those of all bars but the last close.
        """
        if self._lasting is _NONE or self.quiet_closes is NO_PRICE or bars.last_ms[end - 1] >= self._due_ms:
            return False
        low_bid, high_bid = min(bars.low_bids[begin:end]), max(bars.high_bids[begin:end])
        if not self._lasting.contain(low_bid, high_bid, low_bid + 1, high_bid + 1):
            return False
        closes, scale = (forming_close, *bars.closes[begin : end - 1]), self._scale
        if not (self.quiet_closes.contains(min(closes) / scale) and self.quiet_closes.contains(max(closes) / scale)):
            return False
        self._note(high_bid, low_bid + 1)
        return True

    def skip_segment(self, segment: Segment) -> bool:
        """Skip a segment if no tick in it needs a cycle. Returns whether it was skipped."""
        if not self.skips or segment.last_ms >= self._due_ms:
            return False
        extremes = (segment.low_bid, segment.high_bid, segment.low_ask, segment.high_ask)
        if not self._lasting.contain(*extremes):
            self._adapt(segment.low_bid, segment.high_ask)
            if not self._limits.contain(*extremes):
                return False
        prices = segment.prices
        if self._order_price is not None and prices is not None:
            # A trade at our price moves the queue that we wait in.
            reached = prices[1] >= self._order_price if self._selling else prices[2] <= self._order_price
            if reached:
                return False
        self._note(segment.high_bid, segment.low_ask)
        return True

    def find_tick(self, columns: TickColumns, begin: int, end: int) -> int:
        """Return the index of the first tick that needs a cycle, else `end`. Skips the ticks before it."""
        if not self.skips:
            return begin
        bids, asks, index = columns.bids, columns.asks, begin
        end = bisect_left(columns.time_ms, self._due_ms, begin, end)
        while index < end:
            self._adapt(bids[index], asks[index])
            beyond = self._first_beyond(columns, index, end)
            if beyond == index:
                break
            self._note(max(bids[index:beyond]), min(asks[index:beyond]))
            index = beyond
            if index < end and not self._moves_the_high(bids[index], asks[index]):
                break
        return index

    def _moves_the_high(self, bid: int, ask: int) -> bool:
        """Whether this tick sets a new high of the unit value. The limits made after that may contain the tick."""
        if self._order_price is not None or self._decision is None or self._params.trigger_on.at_close:
            return False
        state, scale = self._decision.state, self._scale
        value = bid / scale if state.regime is Regime.BASE else 1 / (ask / scale)
        if value <= self.high:
            return False
        self._note_high(bid, ask)
        return True

    def _note_high(self, bid: int, ask: int) -> None:
        """Adapt the limits to a new high of the unit value.

        This happens before it is known whether the tick that sets the high can be skipped.
        """
        if self._decision is None:
            return
        scale = self._scale
        value = bid / scale if self._decision.state.regime is Regime.BASE else 1 / (ask / scale)
        self._limits = self._limits_at(bid, ask, max(self.high, value))
        self._outdated = False

    def _first_beyond(self, columns: TickColumns, begin: int, end: int) -> int:
        """Return the index of the first tick that cannot be skipped.

        That is a tick outside of the limits, or a tick with a trade that reaches the price of our order.
        """
        above_bid, below_bid, above_ask, below_ask = self._limits
        found = min(
            _first_outside(columns.bids, begin, end, above_bid, below_bid),
            _first_outside(columns.asks, begin, end, above_ask, below_ask),
        )
        price = self._order_price
        if price is None:
            return found
        lasts, traded = columns.lasts, columns.traded
        for index in range(begin, found):
            if traded[index] and (lasts[index] >= price if self._selling else lasts[index] <= price):
                return index
        return found

    def _adapt(self, bid: int, ask: int) -> None:
        """Make new limits if the channel, or the high of the unit value, has changed since the limits were made."""
        if self._outdated:
            self._limits = self._limits_at(bid, ask, self.high)
            self._outdated = False

    def _limits_at(self, bid: int, ask: int, high: float) -> _Ticks:
        if self._decision is None:
            return _NONE
        scale = self._scale
        decision = revised(
            self._decision, self._params, high=high, bid=bid / scale, ask=ask / scale, channel=self._channel
        )
        limits = price_limits(decision, self._params)
        return _NONE if limits is None else self._in_ticks(limits)

    def _note(self, highest_bid: int, lowest_ask: int) -> None:
        """Remember the best prices of skipped ticks, if they are better than those before."""
        before = self.high
        if self._order_price is not None:
            # The core sees our order among the best prices, so no price of the others is at or beyond it.
            if self._selling:
                highest_bid = min(highest_bid, self._order_price - 1)
            else:
                lowest_ask = max(lowest_ask, self._order_price + 1)
        if self.highest_bid is None or highest_bid > self.highest_bid:
            self.highest_bid = highest_bid
        if self.lowest_ask is None or lowest_ask < self.lowest_ask:
            self.lowest_ask = lowest_ask
        if self.high > before:
            self._outdated = True
            # With this high, a channel to come may arm the trail.
            if not self._lasting.contain(highest_bid, highest_bid, lowest_ask, lowest_ask):
                self._lasting = _NONE

    def _in_ticks(self, limits: PriceLimits) -> _Ticks:
        """Return the limits in ticks, narrowed to the prices at which our order stays where it is."""
        scale, kept = self._scale, self._kept
        bids, asks = limits
        if kept is not None:
            bids, asks = bids.narrowed(kept.bids), asks.narrowed(kept.asks)
        return _Ticks(_down(bids.low * scale), _up(bids.high * scale), _down(asks.low * scale), _up(asks.high * scale))


def _down(ticks: float) -> int:
    """Return this price in ticks, rounded down.

    As a lower limit, it allows the next higher tick.
    """
    return (-_FAR if ticks < 0 else _FAR) if abs(ticks) == inf else floor(ticks)


def _up(ticks: float) -> int:
    return (-_FAR if ticks < 0 else _FAR) if abs(ticks) == inf else ceil(ticks)


def _first_outside(prices: IntColumn, begin: int, end: int, low: int, high: int) -> int:
    """Return the index of the first price not strictly between `low` and `high`; `end` if there is none."""
    found = prices[begin:end]
    # Nearly always all of them are between, which the extremes tell at once.
    if not found or (low < min(found) and max(found) < high):
        return end
    for index, price in enumerate(found, begin):
        if not low < price < high:
            return index
    return end

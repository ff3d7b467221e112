"""Fast-forward of a backtest: skips market ticks at which the trading core would do nothing.

There is one class for each kind of state of the core.

A fast-forward searches market ticks and stops at the first one at which the core might act. It decides nothing: the
core runs a full cycle at that tick, and would have done nothing at the skipped ones. The fast-forward keeps the high up
to date, because a tick without an action changes only the high.
"""

from math import ceil, inf
from typing import Protocol

from trailingedge.backtest.candle_segments import Segment
from trailingedge.backtest.columns import IntColumn, TickColumns
from trailingedge.backtest.no_action_bounds import (
    FAR,
    BoundsInputs,
    NoActionBounds,
    base_bounds,
    base_stop_bid,
    channel_free_base_bounds,
    channel_free_quote_bounds,
    quote_bounds,
    quote_stop_close,
)
from trailingedge.indicators.donchian import Channel
from trailingedge.model.market import Regime, Side
from trailingedge.model.pricing_mode import Pricing
from trailingedge.strategy.inputs import StrategyParams


class FastForward(Protocol):
    """Skips the market ticks at which the core, in its present state, would do nothing.

    `high` is the best unit value so far. A candle that closes below `quiet_close_below` (in quote
    per base) changes nothing.
    """

    high: float
    quiet_close_below: float

    def skip_segment(self, segment: Segment) -> bool:
        """Skip a segment (group of ticks) if no tick in it needs a trading cycle. Returns whether it was skipped."""
        ...

    def find_tick(self, columns: TickColumns, begin: int, end: int) -> int:
        """Return the index of the first tick that needs a trading cycle, else `end`. Skips the ticks before it."""
        ...

    def on_channel(self, channel: Channel | None) -> None:
        """Use this channel from now on. Called when a candle has closed without a trading cycle."""
        ...


class EveryTick:
    """Skips nothing. Used while an order is not yet at its target, or while something waits for time to pass."""

    quiet_close_below = -inf

    def __init__(self, high: float) -> None:
        self.high = high

    def skip_segment(self, segment: Segment) -> bool:  # noqa: ARG002 - as the protocol has it
        return False

    def find_tick(self, columns: TickColumns, begin: int, end: int) -> int:  # noqa: ARG002
        return begin

    def on_channel(self, channel: Channel | None) -> None:
        pass


class WhileHoldingBase:
    """Skips ticks while base is held and the bid stays between hard stop and take-profit."""

    quiet_close_below = inf

    def __init__(self, high: float, inputs: BoundsInputs) -> None:
        self.high = high
        self._best_bid = int(high * inputs.scale)
        self._inputs = inputs
        self._channel_free_bounds = channel_free_base_bounds(
            inputs.anchor, inputs.params, inputs.scale, inputs.funded.above_bid
        )
        self._cached_bounds: NoActionBounds | None = None
        self._channel = inputs.channel

    def on_channel(self, channel: Channel | None) -> None:
        self._cached_bounds = None
        self._channel = channel

    def skip_segment(self, segment: Segment) -> bool:
        # Try the bounds that hold for any channel first, then those of the present channel, then single ticks.
        if segment.high_ask >= self._inputs.funded.below_ask:
            return False
        low, high, bounds = segment.low_bid, segment.high_bid, self._channel_free_bounds
        if not (bounds.low < low and high < bounds.high and self._best_bid < bounds.high):
            cached = self._cached_bounds
            if cached is None or not cached.low < low < cached.high:
                cached = self._cached_bounds = self._bounds(low)
            if cached is None or not (cached.low < low and high < cached.high):
                return False
        self._update_high(high)
        return True

    def find_tick(self, columns: TickColumns, begin: int, end: int) -> int:
        bids, index = columns.bids, begin
        end = _first_beyond(columns.asks, begin, end, -1, self._inputs.funded.below_ask)
        while index < end:
            if bids[index] <= self._inputs.funded.above_bid:
                break  # before the high: the core does not raise it where too little is held to trade
            self._update_high(bids[index])
            bounds = self._bounds(bids[index])
            if bounds is None:
                break
            outside = _first_outside(bids, index, end, bounds)  # up to there the bounds hold; then new ones are needed
            if bounds.high_may_move:
                self._update_high(max(bids[index:outside]))
            index = outside
        return index

    def _bounds(self, price: int) -> NoActionBounds | None:
        return base_bounds(self.high, self._best_bid, price, self._inputs._replace(channel=self._channel))

    def _update_high(self, bid: int) -> None:
        if bid > self._best_bid:
            self._best_bid = bid
            self._cached_bounds = None
            self.high = max(self.high, bid / self._inputs.scale)


class WhileHoldingQuote:
    """Skips ticks while quote is held and the ask is at a price at which we do not buy.

    While the gate is shut, we do not buy at any price.
    """

    def __init__(self, high: float, inputs: BoundsInputs, *, gate_shut: bool) -> None:
        self.high = high
        self._best_ask = ceil(inputs.scale / high)
        self._gate_shut = gate_shut
        self._inputs = inputs
        self._channel_free_bounds = channel_free_quote_bounds(
            inputs.anchor, inputs.params, inputs.scale, inputs.funded.below_ask
        )
        if gate_shut or inputs.paused_by_breaker:
            self._channel_free_bounds = NoActionBounds(-1, inputs.funded.below_ask, high_may_move=True)
        self._cached_bounds: NoActionBounds | None = None
        self._channel = inputs.channel
        self.quiet_close_below = -inf if gate_shut else quote_stop_close(inputs)

    def on_channel(self, channel: Channel | None) -> None:
        self._cached_bounds = None
        self._channel = channel

    def skip_segment(self, segment: Segment) -> bool:
        if segment.low_bid <= self._inputs.funded.above_bid:
            return False
        low, high, bounds = segment.low_ask, segment.high_ask, self._channel_free_bounds
        if not (bounds.low < low and high < bounds.high and bounds.low < self._best_ask):
            cached = self._cached_bounds
            if cached is None or not cached.low < high < cached.high:
                cached = self._cached_bounds = self._bounds(high)
            if cached is None or not (cached.low < low and high < cached.high):
                return False
        self._update_high(low)
        return True

    def find_tick(self, columns: TickColumns, begin: int, end: int) -> int:
        asks, index = columns.asks, begin
        end = _first_beyond(columns.bids, begin, end, self._inputs.funded.above_bid, FAR)
        while index < end:
            if asks[index] >= self._inputs.funded.below_ask:
                break
            self._update_high(asks[index])
            bounds = self._bounds(asks[index])
            if bounds is None:
                break
            outside = _first_outside(asks, index, end, bounds)
            if bounds.high_may_move:
                self._update_high(min(asks[index:outside]))
            index = outside
        return index

    def _bounds(self, price: int) -> NoActionBounds | None:
        if self._gate_shut:
            return self._channel_free_bounds if price < self._channel_free_bounds.high else None
        return quote_bounds(self.high, self._best_ask, price, self._inputs._replace(channel=self._channel))

    def _update_high(self, ask: int) -> None:
        if ask < self._best_ask:
            self._best_ask = ask
            self._cached_bounds = None
            self.high = max(self.high, 1 / (ask / self._inputs.scale))


class WhileOrderRests:
    """Skips ticks while our order rests at its target and no price change requires a replace.

    `price` is the price of our order. While our order is alone at the best price, the prices behind
    it may move freely. If other orders share that price, a change of their best price needs
    a trading cycle. So does a trade at our price, because it moves the queue.
    """

    quiet_close_below = -inf

    def __init__(
        self,
        high: float,
        regime: Regime,
        side: Side,
        price: int,
        pricing: Pricing,
        bid: int,
        ask: int,
        *,
        stop: tuple[float, StrategyParams] | None,
        channel: Channel | None,
        scale: int,
    ) -> None:
        """`bid` and `ask` are the best prices of the other participants.

        `stop` holds the anchor and the parameters while the hard stop of BASE applies, else None.
        """
        self.high = high
        self._regime = regime
        self._selling = side is Side.SELL
        self._price = price
        self._scale = scale
        self._stop = stop
        self._bids, self._asks = _undisturbed_prices(side, price, pricing, bid, ask)
        self._bid_low = self._bids[0]
        self.on_channel(channel)

    @property
    def is_possible(self) -> bool:
        """Whether there are prices of the other participants at which our order stays where it is."""
        return self._bids[0] <= self._bids[1] and self._asks[0] <= self._asks[1]

    def on_channel(self, channel: Channel | None) -> None:
        if self._stop is not None:
            # A bid at the stop or below needs a cycle, because the exit may become a hard stop.
            anchor, params = self._stop
            self._bids = (max(self._bid_low, base_stop_bid(anchor, channel, params, self._scale) + 1), self._bids[1])

    def skip_segment(self, segment: Segment) -> bool:
        (low_bid, high_bid), (low_ask, high_ask) = self._bids, self._asks
        if not (low_bid <= segment.low_bid and segment.high_bid <= high_bid):
            return False
        if not (low_ask <= segment.low_ask and segment.high_ask <= high_ask):
            return False
        prices = segment.prices
        if prices is not None and (prices[1] >= self._price if self._selling else prices[2] <= self._price):
            return False
        self._update_high(segment.high_bid, segment.low_ask)
        return True

    def find_tick(self, columns: TickColumns, begin: int, end: int) -> int:
        (low_bid, high_bid), (low_ask, high_ask), limit = self._bids, self._asks, self._price
        bids, asks, lasts, traded = columns.bids, columns.asks, columns.lasts, columns.traded
        index = begin
        while index < end:
            if not (low_bid <= bids[index] <= high_bid and low_ask <= asks[index] <= high_ask):
                break
            if traded[index] and (lasts[index] >= limit if self._selling else lasts[index] <= limit):
                break
            index += 1
        if index > begin:
            self._update_high(max(bids[begin:index]), min(asks[begin:index]))
        return index

    def _update_high(self, highest_bid: int, lowest_ask: int) -> None:
        price = highest_bid / self._scale if self._regime is Regime.BASE else 1 / (lowest_ask / self._scale)
        self.high = max(self.high, price)


def _undisturbed_prices(
    side: Side, price: int, pricing: Pricing, bid: int, ask: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return two ranges: the best bids and the best asks of other participants at which our order stays at `price`.

    Each case inverts one branch of the pricing rules. If a range ends below its start, it is empty.
    """
    nowhere = ((1, 0), (1, 0))
    if side is Side.SELL:
        tight = (price - 1, price)  # OPPOSITE: the bid is one tick below our order, or has reached it
        if ask > price:
            return (tight if pricing is Pricing.OPPOSITE else (-FAR, price)), (price + 1, FAR)
        if ask < price or bid >= price:
            return nowhere
        if pricing in (Pricing.OPPOSITE, Pricing.IMPROVE):
            return ((price - 1, price - 1), (price, price)) if bid == price - 1 else nowhere
        return (-FAR, price - 1), (price, price)
    tight = (price, price + 1)
    if bid < price:
        return (-FAR, price - 1), (tight if pricing is Pricing.OPPOSITE else (price, FAR))
    if bid > price or ask <= price:
        return nowhere
    if pricing in (Pricing.OPPOSITE, Pricing.IMPROVE):
        return ((price, price), (price + 1, price + 1)) if ask == price + 1 else nowhere
    return (price, price), (price + 1, FAR)


def _first_beyond(prices: IntColumn, begin: int, end: int, low: int, high: int) -> int:
    """Return the index of the first price not strictly between `low` and `high`; `end` if there is none.

    It is fast if all prices are between them, which is nearly always so.
    """
    within = begin >= end or (low < min(prices[begin:end]) and max(prices[begin:end]) < high)
    return end if within else _first_outside(prices, begin, end, NoActionBounds(low, high, high_may_move=True))


def _first_outside(prices: IntColumn, begin: int, end: int, bounds: NoActionBounds) -> int:
    low, high = bounds.low, bounds.high
    for index in range(begin, end):
        if not low < prices[index] < high:
            return index
    return end

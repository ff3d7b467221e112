"""What would have to happen for a beat to be worth giving, in each of the states a trade can be in.

A mode looks through ticks and stops at the first that somebody must think about. It decides nothing: where it
stops, the trader is given that tick as a daemon would be, and where it does not, the trader would have done
nothing. Meanwhile it keeps the high, which is all that quiet ticks leave behind.
"""

from math import ceil, inf
from typing import Protocol

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
from trailingedge.backtest.segments import Segment
from trailingedge.indicators.donchian import Channel
from trailingedge.model.market import Regime, Side
from trailingedge.model.pricing import Pricing
from trailingedge.strategy.inputs import StrategyParams


class FastForward(Protocol):
    """`high` is the best unit value so far. Closes below `calm_below`, in quote per base, move nothing."""

    high: float
    quiet_close_below: float

    def skip_segment(self, stretch: Segment) -> bool:
        """Nothing in the whole of `stretch` is worth a beat, and it is behind us now."""
        ...

    def find_tick(self, columns: TickColumns, begin: int, end: int) -> int:
        """The first tick worth a beat, `end` where none is; those before it are behind us."""
        ...

    def on_channel(self, channel: Channel | None) -> None:
        """A candle closed quietly, and the channel moved on."""
        ...


class EveryTick:
    """Every tick is worth a beat, and so is time: an order is on its way to where it is to be, or a breach lasts."""

    quiet_close_below = -inf

    def __init__(self, high: float) -> None:
        self.high = high

    def skip_segment(self, stretch: Segment) -> bool:  # noqa: ARG002 - as the protocol has it
        return False

    def find_tick(self, columns: TickColumns, begin: int, end: int) -> int:  # noqa: ARG002
        return begin

    def on_channel(self, channel: Channel | None) -> None:
        pass


class WhileHoldingBase:
    """Base is held, and the bid is between stop and take-profit."""

    quiet_close_below = inf

    def __init__(self, high: float, standing: BoundsInputs) -> None:
        self.high = high
        self._best_bid = int(high * standing.scale)
        self._inputs = standing
        self._channel_free_bounds = channel_free_base_bounds(
            standing.anchor, standing.params, standing.scale, standing.funded_limit
        )
        self._cached_bounds: NoActionBounds | None = None
        self._channel = standing.channel

    def on_channel(self, channel: Channel | None) -> None:
        self._cached_bounds = None
        self._channel = channel

    def skip_segment(self, stretch: Segment) -> bool:
        low, high, quiet = stretch.low_bid, stretch.high_bid, self._channel_free_bounds
        if not (quiet.low < low and high < quiet.high and self._best_bid < quiet.high):
            found = self._cached_bounds
            if found is None or not found.low < low < found.high:
                found = self._cached_bounds = self._bounds(low)
            if found is None or not (found.low < low and high < found.high):
                return False
        self._update_high(high)
        return True

    def find_tick(self, columns: TickColumns, begin: int, end: int) -> int:
        bids, index = columns.bids, begin
        while index < end:
            self._update_high(bids[index])
            quiet = self._bounds(bids[index])
            if quiet is None:
                break
            outside = _first_outside(bids, index, end, quiet)
            if quiet.high_may_move:
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
    """Quote is held, and the ask is where nothing is bought. Under a shut gate that is everywhere."""

    def __init__(self, high: float, standing: BoundsInputs, *, gated: bool) -> None:
        self.high = high
        self._best_ask = ceil(standing.scale / high)
        self._gate_shut = gated
        self._inputs = standing
        self._channel_free_bounds = channel_free_quote_bounds(
            standing.anchor, standing.params, standing.scale, standing.funded_limit
        )
        if gated or standing.paused_by_breaker:
            self._channel_free_bounds = NoActionBounds(-1, standing.funded_limit, high_may_move=True)
        self._cached_bounds: NoActionBounds | None = None
        self._channel = standing.channel
        self.quiet_close_below = -inf if gated else quote_stop_close(standing)

    def on_channel(self, channel: Channel | None) -> None:
        self._cached_bounds = None
        self._channel = channel

    def skip_segment(self, stretch: Segment) -> bool:
        low, high, quiet = stretch.low_ask, stretch.high_ask, self._channel_free_bounds
        if not (quiet.low < low and high < quiet.high and quiet.low < self._best_ask):
            found = self._cached_bounds
            if found is None or not found.low < high < found.high:
                found = self._cached_bounds = self._bounds(high)
            if found is None or not (found.low < low and high < found.high):
                return False
        self._update_high(low)
        return True

    def find_tick(self, columns: TickColumns, begin: int, end: int) -> int:
        asks, index = columns.asks, begin
        while index < end:
            self._update_high(asks[index])
            quiet = self._bounds(asks[index])
            if quiet is None:
                break
            outside = _first_outside(asks, index, end, quiet)
            if quiet.high_may_move:
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
    """An order of ours rests where it should, and goes on to: the best prices are where they leave it in peace.

    `price` is the order's. While nobody stands beside it, others may move behind it as they like; where
    somebody does, nothing may move at all. A trade at its price moves the queue, and is looked at.
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
        """`bid` and `ask` are the others' now; `stop` is what the BASE stop follows from, while it watches."""
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
        """There are such prices at all."""
        return self._bids[0] <= self._bids[1] and self._asks[0] <= self._asks[1]

    def on_channel(self, channel: Channel | None) -> None:
        if self._stop is not None:
            anchor, params = self._stop
            self._bids = (max(self._bid_low, base_stop_bid(anchor, channel, params, self._scale) + 1), self._bids[1])

    def skip_segment(self, stretch: Segment) -> bool:
        (low_bid, high_bid), (low_ask, high_ask) = self._bids, self._asks
        if not (low_bid <= stretch.low_bid and stretch.high_bid <= high_bid):
            return False
        if not (low_ask <= stretch.low_ask and stretch.high_ask <= high_ask):
            return False
        heard = stretch.prices
        if heard is not None and (heard[1] >= self._price if self._selling else heard[2] <= self._price):
            return False
        self._update_high(stretch.high_bid, stretch.low_ask)
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
    """Bids and asks of the others, from and to, at which `execution.pricing` leaves the order where it is."""
    nowhere = ((1, 0), (1, 0))
    if side is Side.SELL:
        tight = (price - 1, price)  # one tick from taking it, or touching it
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


def _first_outside(prices: IntColumn, begin: int, end: int, quiet: NoActionBounds) -> int:
    low, high = quiet.low, quiet.high
    for index in range(begin, end):
        if not low < prices[index] < high:
            return index
    return end

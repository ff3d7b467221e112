"""Price limits: the next best prices at which the strategy would do nothing but raise the high.

`decide` finds out for one price whether an action is due. This module finds out, after an evaluation, at which bids and
asks an action could be due. These are the formulas of `decide`, solved for the price. The daemon skips the evaluation
of a price within the limits, and a backtest all its ticks within them.

The limits hold until anything but the best prices changes. A backtest goes further: where it skips ticks it makes new
limits for a new high and a new channel from the old evaluation (`revised`), has limits that hold for any channel
(`lasting_limits`), and knows which closes need no evaluation either (`quiet_closes`).

Where a formula solved for the price rounds differently from the formula itself, the limit is narrower by MARGIN: an
evaluation may be made that was not necessary, but none is missing. A test compares limits and `decide` at random states
and prices.
"""

from dataclasses import replace
from math import inf, sqrt
from typing import Final, NamedTuple

from trailingedge.indicators.donchian import Channel
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Regime
from trailingedge.model.order_size import surely_orderable
from trailingedge.strategy.decide import Decision
from trailingedge.strategy.hard_stop import least_stop_distance, stop_distance
from trailingedge.strategy.inputs import Holdings, StrategyParams
from trailingedge.strategy.state import StrategyState
from trailingedge.strategy.trailing_take_profit import Trail, trail_at

MARGIN: Final = 1e-12  # a fraction of the price: far above the rounding of floats, far below any tick
_UP: Final = 1 + MARGIN
_DOWN: Final = 1 - MARGIN


class PriceRange(NamedTuple):
    """All prices strictly between `low` and `high`, in quote per base."""

    low: float = -inf
    high: float = inf

    def contains(self, price: float) -> bool:
        """Whether the price lies strictly between both ends."""
        return self.low < price < self.high

    def narrowed(self, other: "PriceRange") -> "PriceRange":
        """Return the prices that both ranges contain."""
        return PriceRange(max(self.low, other.low), min(self.high, other.high))


ANY_PRICE: Final = PriceRange()
NO_PRICE: Final = PriceRange(inf, -inf)


class PriceLimits(NamedTuple):
    """The best bids and the best asks of a book at which no action of the strategy is due."""

    bids: PriceRange = ANY_PRICE
    asks: PriceRange = ANY_PRICE

    def contain(self, bid: float, ask: float) -> bool:
        """Whether no action is due at these best prices."""
        bids, asks = self.bids, self.asks
        return bids.low < bid < bids.high and asks.low < ask < asks.high


def price_limits(decision: Decision, params: StrategyParams) -> PriceLimits | None:
    """Return the price limits after an evaluation; None if any next price needs another evaluation."""
    state = decision.state
    # The next evaluation looks at the rules below the one that acted.
    if decision.acted is not None or decision.halted or state.regime is None or decision.unit_value is None:
        return None
    # A price may decide that what is held can be traded again.
    if not state.funded or state.unorderable_book is not None:
        return None
    if state.stop_breach_since_ms is not None:
        return _during_breach(decision, params)
    if params.trigger_on.at_close:
        return _between_closes(decision, params)
    if state.exit is not None:
        # An exit lasts whatever the price does. Only the hard stop can take over a sale for another reason.
        watched = state.regime is Regime.BASE and state.exit.kind is not ExitKind.FLUSH and state.exit.ending is None
        return PriceLimits(bids=PriceRange(low=_stop_price(decision))) if watched else PriceLimits()
    if decision.holdings is None:
        return None
    funded = funded_limits(state.regime, decision.holdings, params)
    if state.regime is Regime.BASE:
        bids = _bids_in_base(decision)
        return None if bids is None else PriceLimits(bids.narrowed(funded.bids), funded.asks)
    asks = _asks_in_quote(decision, params)
    return None if asks is None else PriceLimits(funded.bids, asks.narrowed(funded.asks))


def _between_closes(decision: Decision, params: StrategyParams) -> PriceLimits | None:
    """Return the limits for TRIGGER_ON=close: prices between closes decide only whether the holdings can be traded."""
    state = decision.state
    if state.has_unjudged_close or state.regime is None:
        return None
    if state.exit is not None:
        return PriceLimits()
    return None if decision.holdings is None else funded_limits(state.regime, decision.holdings, params)


def _during_breach(decision: Decision, params: StrategyParams) -> PriceLimits | None:
    """Return the limits during an unconfirmed breach of the hard stop: bids that keep the breach as it is."""
    state = decision.state
    if state.exit is not None or state.regime is None or decision.holdings is None:
        return None
    bids = PriceRange(high=state.anchor * (1 - decision.stop_distance) * _DOWN)
    largest_loss = state.anchor * (1 - params.hard_stop_max_frac)
    # A loss of HARD_STOP_MAX_FRAC has a time of its own, which a price may start or end.
    is_largest = state.max_breach_since_ms is not None
    bids = bids.narrowed(PriceRange(high=largest_loss * _DOWN) if is_largest else PriceRange(low=largest_loss * _UP))
    funded = funded_limits(state.regime, decision.holdings, params)
    return PriceLimits(bids.narrowed(funded.bids), funded.asks)


def revised(
    decision: Decision, params: StrategyParams, *, high: float, bid: float, ask: float, channel: Channel | None
) -> Decision:
    """Return the decision that an evaluation at these best prices would make if no rule acted.

    `high` is the best unit value.
    """
    state = decision.state
    if high > state.high:
        state = replace(state, high=high)
    decision = decision._replace(state=state, channel=channel, stop_distance=stop_distance(channel, params))
    if state.regime is None:
        return decision
    price = bid if state.regime is Regime.BASE else ask
    trail = trail_at(state.regime, price, state.anchor, state.high, channel, params)
    return decision._replace(unit_value=trail.unit_value, trail=trail)


def lasting_limits(decision: Decision, params: StrategyParams) -> PriceLimits | None:
    """Return limits that hold for any channel as long as all prices stay within them.

    They are narrower than those for one channel. None if there are no such limits.
    """
    state = decision.state
    if price_limits(decision, params) is None or state.exit is not None or state.regime is None:
        return None
    if decision.holdings is None or state.stop_breach_since_ms is not None:
        return None
    funded = funded_limits(state.regime, decision.holdings, params)
    if params.trigger_on.at_close:
        return funded
    fees = 2 * params.fee + params.buffer
    if state.regime is Regime.BASE:
        gain = max(params.min_gain_trigger_frac_base, fees)
        arms_at = inf if decision.trading_paused else state.anchor * (1 + gain) * _DOWN
        if state.high >= arms_at:
            return None
        bids = PriceRange(state.anchor * (1 - least_stop_distance(params)) * _UP, arms_at)
        return PriceLimits(bids.narrowed(funded.bids), funded.asks)
    if decision.trading_paused or decision.gate is not None:
        return funded
    gain = max(params.min_gain_trigger_frac_quote, fees)
    asks = PriceRange(low=1 / (state.anchor * (1 + gain)) * _UP)
    if 1 / state.high <= asks.low:
        return None
    return PriceLimits(funded.bids, asks.narrowed(funded.asks))


def quiet_closes(decision: Decision, params: StrategyParams) -> PriceRange:
    """Return the closes of a candle that need no evaluation, for any channel, unless they break out of it."""
    state = decision.state
    if state.exit is not None or state.gate is not None or state.regime is None:
        return NO_PRICE
    if params.trigger_on.at_close:
        return _quiet_judged_closes(state, state.regime, params)
    # In QUOTE the stop acts on closes. In BASE they change neither gate nor exit.
    return ANY_PRICE if state.regime is Regime.BASE else PriceRange(high=_quote_stop_close(state.anchor, params))


def _quiet_judged_closes(state: StrategyState, regime: Regime, params: StrategyParams) -> PriceRange:
    """Return the closes that neither reach a stop nor raise the high, while no channel can arm the trail."""
    least_gain = max(params.min_gain_trigger_frac(regime), 2 * params.fee + params.buffer)
    if state.high >= state.anchor * (1 + least_gain) * _DOWN:
        return NO_PRICE
    if regime is Regime.BASE:
        return PriceRange(state.anchor * (1 - least_stop_distance(params)) * _UP, state.high)
    return PriceRange(1 / state.high * _UP, _quote_stop_close(state.anchor, params))


def _quote_stop_close(anchor: float, params: StrategyParams) -> float:
    return 1 / (anchor * (1 - least_stop_distance(params))) * _DOWN


def funded_limits(regime: Regime, holdings: Holdings, params: StrategyParams) -> PriceLimits:
    """Return the prices at which the holdings are surely enough for an order (`can_order`, solved for the price).

    The holdings are those of the asset held in `regime`. At other prices they may be too small.
    """
    sure = surely_orderable(params, regime.exit_side, holdings.amount_in(regime))
    return PriceLimits(PriceRange(low=float(sure.low) * _UP), PriceRange(high=float(sure.high) * _DOWN))


def _bids_in_base(decision: Decision) -> PriceRange | None:
    """Return the bids at which neither the hard stop nor a take-profit is due while base is held."""
    trail, stop = decision.trail, _stop_price(decision)
    if trail is None or trail.unit_value <= stop:
        return None
    if decision.trading_paused:
        return PriceRange(low=stop)
    if not trail.armed:
        arms_at = trail.arming_value
        return PriceRange(stop, inf if arms_at is None else arms_at * _DOWN)
    # A new high moves the whole trail.
    to_the_high = trail.high * _UP
    due_from, due_until = trail.break_even * _DOWN, (trail.high - trail.callback) * _UP
    if due_from > due_until:  # the trigger is still below break-even
        return PriceRange(stop, to_the_high)
    if trail.unit_value > due_until:
        return PriceRange(max(stop, due_until), to_the_high)
    return PriceRange(stop, due_from) if trail.unit_value < due_from else None


def _stop_price(decision: Decision) -> float:
    """Return a bid just above the highest bid at which the hard stop may be breached."""
    return decision.state.anchor * (1 - decision.stop_distance) * _UP


def _asks_in_quote(decision: Decision, params: StrategyParams) -> PriceRange | None:
    """Return the asks at which no take-profit is due while quote is held. The QUOTE stop acts on closes alone."""
    trail = decision.trail
    if trail is None:
        return None
    if decision.trading_paused or decision.gate is not None:
        return ANY_PRICE
    ask = 1 / trail.unit_value
    needed = max(trail.min_gain.static, trail.min_gain.fees)
    if trail.gain < needed:
        # The unit value is the inverse of the ask, so the ask must fall before the trail can arm.
        arms_at = 1 / (decision.state.anchor + needed) * _UP
        return PriceRange(low=arms_at) if ask > arms_at else None
    # The gain covers the fraction and the fees. The channel's term, which shrinks as the ask rises, is checked next.
    from_the_high = 1 / trail.high * _DOWN
    armed_from = _armed_from(trail, decision.channel, params)
    if armed_from is None:
        return PriceRange(low=from_the_high)
    due_from = max(1 / (trail.high - trail.callback), armed_from) * _DOWN
    due_until = 1 / trail.break_even * _UP
    if due_from > due_until:
        return PriceRange(low=from_the_high)
    if ask < due_from:
        return PriceRange(from_the_high, due_from)
    return PriceRange(low=due_until) if ask > due_until else None


def _armed_from(trail: Trail, channel: Channel | None, params: StrategyParams) -> float | None:
    """Return the lowest ask at which the gain reaches the channel's term of the minimum gain; None if there is none.

    That term is swing / (ask * (ask - swing)). The gain reaches it where ask² - swing * ask - swing / gain >= 0.
    """
    swing = params.donchian_gain_multiplier * channel.width if channel is not None and channel.full else 0.0
    if not swing:
        return 0.0
    return (swing + sqrt(swing * swing + 4 * swing / trail.gain)) / 2 if trail.gain > 0 else None

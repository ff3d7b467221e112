"""Between which prices nothing happens: what the strategy's own functions say, turned round into bounds.

`decide` says for one price whether something is due. Here its formulas are asked from the other side, with the
channel and the high of the moment: from which bid down (BASE), or ask up and down (QUOTE), could anything be
due? The bounds are a tick wide of the truth, and lean to the side of asking `decide` once too often, never of
not asking it. They hold until the high, the channel or anything in the memory changes.
"""

from math import ceil, floor, sqrt
from typing import Final, NamedTuple

from trailingedge.indicators.donchian import Channel
from trailingedge.model.market import Regime
from trailingedge.strategy.hard_stop import stop_distance
from trailingedge.strategy.inputs import Holdings, StrategyParams
from trailingedge.strategy.trailing_stop import Trail, compute_min_gain, compute_trail

FAR: Final = 2**62  # ticks: no price is there


class NoActionBounds(NamedTuple):
    """Nothing happens at prices in ticks strictly between `low` and `high`: bids in BASE, asks in QUOTE.

    `tracks`: within them the high may move without moving them.
    """

    low: int
    high: int
    high_may_move: bool


class BoundsInputs(NamedTuple):
    """What the bounds follow from, beside the high. `scale` ticks are one in quote per base.

    `limit` is the bid down to which, or the ask from which on, it is doubtful whether what is held still makes
    an order. `held`: a breaker forbids taking profit, but not the stop.
    """

    anchor: float
    channel: Channel | None
    params: StrategyParams
    scale: int
    funded_limit: int
    paused_by_breaker: bool


def base_bounds(high: float, best: int, price: int, standing: BoundsInputs) -> NoActionBounds | None:
    """Around the bid `price`, holding base; None where `decide` must say.

    `high` is the strategy's, `best` the highest bid that does not raise it.
    """
    anchor, params, scale = standing.anchor, standing.params, standing.scale
    stop = max(standing.funded_limit, base_stop_bid(anchor, standing.channel, params, scale))
    if price <= stop:
        return None
    if standing.paused_by_breaker:
        return NoActionBounds(stop, FAR, high_may_move=True)
    now = _trail(Regime.BASE, high, 0.0, standing)
    if not now.armed:
        arms_at = now.arming_value
        arms = FAR if arms_at is None else ceil(arms_at * scale) - 1
        return NoActionBounds(stop, arms, high_may_move=True) if price < arms else None
    due_from, due_until = ceil(now.break_even * scale) - 1, floor((now.high - now.callback) * scale) + 1
    if due_from > due_until or price > due_until:
        low = stop if due_from > due_until else max(stop, due_until)
        return NoActionBounds(low, best + 1, high_may_move=False) if price <= best else None
    return NoActionBounds(stop, due_from, high_may_move=False) if price < due_from else None


def base_stop_bid(anchor: float, channel: Channel | None, params: StrategyParams, scale: int) -> int:
    """The highest bid, in ticks, at which the hard stop might be breached."""
    return floor(anchor * (1 - stop_distance(channel, params)) * scale) + 1


def channel_free_base_bounds(anchor: float, params: StrategyParams, scale: int, limit: int) -> NoActionBounds:
    """The same whatever the channel, as long as the high stays below `high` as well: cheap to keep, seldom left."""
    nearest = min(params.hard_stop_max_frac, params.hard_stop_threshold_frac)
    gain = max(params.min_gain_trigger_frac_base, 2 * params.fee + params.buffer)
    stop = max(limit, floor(anchor * (1 - nearest) * scale) + 1)
    return NoActionBounds(stop, ceil(anchor * (1 + gain) * scale) - 1, high_may_move=True)


def quote_bounds(high: float, best: int, price: int, standing: BoundsInputs) -> NoActionBounds | None:
    """Around the ask `price`, holding quote; None where `decide` must say.

    `high` is the strategy's, `best` the lowest ask that does not raise it. The QUOTE stop is judged by closes.
    """
    anchor, channel, params, scale = standing.anchor, standing.channel, standing.params, standing.scale
    cap = standing.funded_limit
    if price >= cap:
        return None
    if standing.paused_by_breaker:
        return NoActionBounds(-1, cap, high_may_move=True)
    now = _trail(Regime.QUOTE, high, price / scale, standing)
    needed = max(now.min_gain.static, now.min_gain.fees)
    if now.gain < needed:
        arms = floor(scale / (anchor + needed)) + 1
        return NoActionBounds(arms, cap, high_may_move=True) if price > arms else None
    # Armed by now, as far as fraction and fees go; the channel's own term shrinks as the ask rises.
    swing = params.donchian_gain_multiplier * channel.width if channel is not None and channel.full else 0.0
    until_the_next_high = NoActionBounds(best - 1, cap, high_may_move=False) if price >= best else None
    if swing and now.gain <= 0:
        return until_the_next_high
    armed_from = (swing + sqrt(swing * swing + 4 * swing / now.gain)) / 2 if swing else 0.0
    due_from = max(floor(scale / (now.high - now.callback)), floor(armed_from * scale)) - 1
    due_until = ceil(scale / now.break_even) + 1
    if due_from > due_until:
        return until_the_next_high
    if price < due_from:
        return NoActionBounds(best - 1, min(due_from, cap), high_may_move=False) if price >= best else None
    return NoActionBounds(due_until, cap, high_may_move=False) if price > due_until else None


def channel_free_quote_bounds(anchor: float, params: StrategyParams, scale: int, limit: int) -> NoActionBounds:
    """The same whatever the channel, as long as the lowest ask stays above `low` as well."""
    gain = max(params.min_gain_trigger_frac_quote, 2 * params.fee + params.buffer)
    return NoActionBounds(floor(scale / (anchor * (1 + gain))) + 1, limit, high_may_move=True)


def quote_stop_close(standing: BoundsInputs) -> float:
    """A price in quote per base below which no close can be the QUOTE stop's, whatever the channel."""
    params = standing.params
    nearest = min(params.hard_stop_max_frac, params.hard_stop_threshold_frac)
    return 1 / (standing.anchor * (1 - nearest)) - 1 / standing.scale


def funded_ask_limit(holdings: Holdings, params: StrategyParams, scale: int) -> int:
    """The ask, in ticks, from which on the quote held might be too little for one order."""
    least = float(max(params.min_quantity, params.step_size) + params.step_size)
    spare = float((holdings.quote - params.min_notional) / params.step_size)
    return min(FAR, max(0, floor(min(float(holdings.quote) / least, spare) * scale) - 1))


def funded_bid_limit(holdings: Holdings, params: StrategyParams, scale: int) -> int:
    """The bid, in ticks, down to which the base held might be too little for one order; FAR where it always is."""
    steps = holdings.base // params.step_size * params.step_size
    if steps <= 0 or steps < params.min_quantity:
        return FAR
    return floor(float(params.min_notional / steps) * scale) + 1


def _trail(regime: Regime, high: float, ask: float, standing: BoundsInputs) -> Trail:
    anchor, params = standing.anchor, standing.params
    return compute_trail(
        high,
        anchor,
        high,
        compute_min_gain(regime, anchor, ask, standing.channel, params),
        params.fee,
        start_factor=params.start_factor,
        min_factor=params.min_factor,
        gain_scale_frac=params.gain_scale_frac(regime),
    )

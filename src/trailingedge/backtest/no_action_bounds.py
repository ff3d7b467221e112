"""Price bounds within which the strategy does nothing: the formulas of `strategy.decide`, solved for the price.

`decide` says for one price whether an action is due. Here the question is reversed: at the present high and channel,
from which bid (in BASE) or ask (in QUOTE) on could an action be due? Floats and ticks round differently, so each bound
is a tick narrower than computed: `decide` may be called once too often, never once too rarely. The bounds hold until
the high, the channel or the strategy's state changes.
"""

from math import ceil, floor, sqrt
from typing import Final, NamedTuple

from trailingedge.indicators.donchian import Channel
from trailingedge.model.market import ZERO, Regime, floor_to_step
from trailingedge.strategy.hard_stop import stop_distance
from trailingedge.strategy.inputs import Holdings, StrategyParams
from trailingedge.strategy.trailing_take_profit import Trail, compute_min_gain, compute_trail

FAR: Final = 2**62  # ticks: no price is there


class NoActionBounds(NamedTuple):
    """Bounds in ticks: at prices strictly between `low` and `high` no action is due.

    The price is the bid in BASE and the ask in QUOTE. If `high_may_move` is True, the bounds stay
    valid when a price within them sets a new best unit value since the anchor.
    """

    low: int
    high: int
    high_may_move: bool


class FundedRange(NamedTuple):
    """The holdings are enough for an order while the bid is above `above_bid` and the ask below `below_ask`, in ticks.

    At other prices they may be too small.
    """

    above_bid: int
    below_ask: int


class BoundsInputs(NamedTuple):
    """Holds the values, besides the high, from which the bounds are computed.

    `scale` is the number of ticks in one quote per base. The bounds respect one limit of `funded`:
    `above_bid` in BASE, `below_ask` in QUOTE. The fast-forward respects the other limit.
    `paused_by_breaker` is True while a circuit breaker forbids taking profit; the hard stop still
    works then.
    """

    anchor: float
    channel: Channel | None
    params: StrategyParams
    scale: int
    funded: FundedRange
    paused_by_breaker: bool


def base_bounds(high: float, best_bid: int, price: int, inputs: BoundsInputs) -> NoActionBounds | None:
    """Return the bid bounds around `price` within which no action is due in BASE; None if `decide` must run.

    `high` is the best unit value since the anchor. `best_bid` is the highest bid, in ticks, that
    does not raise `high`.
    """
    anchor, params, scale = inputs.anchor, inputs.params, inputs.scale
    stop = max(inputs.funded.above_bid, base_stop_bid(anchor, inputs.channel, params, scale))
    if price <= stop:
        return None
    if inputs.paused_by_breaker:
        return NoActionBounds(stop, FAR, high_may_move=True)
    trail_now = _trail(Regime.BASE, high, 0.0, inputs)
    if not trail_now.armed:  # nothing is due before the bid reaches the price at which the trail arms
        arms_at = trail_now.arming_value
        arms = FAR if arms_at is None else ceil(arms_at * scale) - 1
        return NoActionBounds(stop, arms, high_may_move=True) if price < arms else None
    # An armed trail takes profit between break-even and the trigger, `callback` below the high.
    due_from, due_until = (
        ceil(trail_now.break_even * scale) - 1,
        floor((trail_now.high - trail_now.callback) * scale) + 1,
    )
    if due_from > due_until or price > due_until:  # above the trigger, or the trigger is still below break-even
        low = stop if due_from > due_until else max(stop, due_until)
        return NoActionBounds(low, best_bid + 1, high_may_move=False) if price <= best_bid else None
    return NoActionBounds(stop, due_from, high_may_move=False) if price < due_from else None


def base_stop_bid(anchor: float, channel: Channel | None, params: StrategyParams, scale: int) -> int:
    """The highest bid, in ticks, at which the hard stop may be breached."""
    return floor(anchor * (1 - stop_distance(channel, params)) * scale) + 1


def channel_free_base_bounds(anchor: float, params: StrategyParams, scale: int, limit: int) -> NoActionBounds:
    """Return bid bounds within which no action is due while base is held, for any channel.

    They are valid while the best unit value since the anchor is below their `high`, too. They are
    narrower than bounds for one channel, but need not be computed again at every candle.
    Prices seldom leave them.
    """
    nearest = min(params.hard_stop_max_frac, params.hard_stop_threshold_frac)
    gain = max(params.min_gain_trigger_frac_base, 2 * params.fee + params.buffer)
    stop = max(limit, floor(anchor * (1 - nearest) * scale) + 1)
    return NoActionBounds(stop, ceil(anchor * (1 + gain) * scale) - 1, high_may_move=True)


def quote_bounds(high: float, best_ask: int, price: int, inputs: BoundsInputs) -> NoActionBounds | None:
    """Return the ask bounds around `price` within which no action is due in QUOTE; None if `decide` must run.

    `high` is the best unit value since the anchor. `best_ask` is the lowest ask, in ticks, that
    does not raise `high`. The hard stop of QUOTE sets no bound here, because it acts only on candle
    closes (`quote_stop_close`).
    """
    anchor, channel, params, scale = inputs.anchor, inputs.channel, inputs.params, inputs.scale
    limit_ask = inputs.funded.below_ask
    if price >= limit_ask:
        return None
    if inputs.paused_by_breaker:
        return NoActionBounds(-1, limit_ask, high_may_move=True)
    trail_now = _trail(Regime.QUOTE, high, price / scale, inputs)
    needed = max(trail_now.min_gain.static, trail_now.min_gain.fees)
    if trail_now.gain < needed:
        # Unit value is the inverse of the ask, so the ask must fall to 1 / (anchor + needed) before the trail can arm.
        arms = floor(scale / (anchor + needed)) + 1
        return NoActionBounds(arms, limit_ask, high_may_move=True) if price > arms else None
    # The gain covers the fraction and the fees. The channel's term, which shrinks as the ask rises, is checked next.
    swing = params.donchian_gain_multiplier * channel.width if channel is not None and channel.full else 0.0
    until_the_next_high = NoActionBounds(best_ask - 1, limit_ask, high_may_move=False) if price >= best_ask else None
    if swing and trail_now.gain <= 0:
        return until_the_next_high
    # In QUOTE the channel's term of the least gain is swing / (ask * (ask - swing)). The trail is armed at asks for
    # which this is at most the gain: ask² - swing * ask - swing / gain >= 0, solved for the ask.
    armed_from = (swing + sqrt(swing * swing + 4 * swing / trail_now.gain)) / 2 if swing else 0.0
    due_from = max(floor(scale / (trail_now.high - trail_now.callback)), floor(armed_from * scale)) - 1
    due_until = ceil(scale / trail_now.break_even) + 1
    if due_from > due_until:
        return until_the_next_high
    if price < due_from:
        return (
            NoActionBounds(best_ask - 1, min(due_from, limit_ask), high_may_move=False) if price >= best_ask else None
        )
    return NoActionBounds(due_until, limit_ask, high_may_move=False) if price > due_until else None


def channel_free_quote_bounds(anchor: float, params: StrategyParams, scale: int, limit: int) -> NoActionBounds:
    """Return ask bounds within which no action is due while quote is held, for any channel.

    They are valid while the lowest ask since the anchor is above their `low`, too.
    """
    gain = max(params.min_gain_trigger_frac_quote, 2 * params.fee + params.buffer)
    return NoActionBounds(floor(scale / (anchor * (1 + gain))) + 1, limit, high_may_move=True)


def quote_stop_close(inputs: BoundsInputs) -> float:
    """Return a price, in quote per base, below which a close never triggers the QUOTE stop.

    This holds for any channel.
    """
    params = inputs.params
    nearest = min(params.hard_stop_max_frac, params.hard_stop_threshold_frac)
    return 1 / (inputs.anchor * (1 - nearest)) - 1 / inputs.scale


def funded_range(regime: Regime, holdings: Holdings, params: StrategyParams, scale: int) -> FundedRange:
    """Return the prices at which the holdings are surely enough for an order (`can_order`, solved for the price).

    The holdings are those of the asset held in `regime`.
    """
    amount, selling = holdings.amount_in(regime), regime is Regime.BASE
    in_base = [most for most in (params.max_quantity, amount if selling else None) if most is not None]
    in_quote = [most for most in (params.max_notional, None if selling else amount) if most is not None]
    above_bid, below_ask = -1, FAR
    if in_base:
        most = floor_to_step(max(ZERO, min(in_base)), params.step_size)
        if most <= ZERO or most < params.min_quantity:
            return FundedRange(FAR, 0)
        above_bid = floor(float(params.min_notional / most) * scale) + 1
    if in_quote:
        # A step more than the minimum, because quantities are floored to the step.
        least = float(max(params.min_quantity, params.step_size) + params.step_size)
        spare = float((min(in_quote) - params.min_notional) / params.step_size)
        below_ask = min(FAR, max(0, floor(min(float(min(in_quote)) / least, spare) * scale) - 1))
    return FundedRange(above_bid, below_ask)


def _trail(regime: Regime, high: float, ask: float, inputs: BoundsInputs) -> Trail:
    anchor, params = inputs.anchor, inputs.params
    return compute_trail(
        high,
        anchor,
        high,
        compute_min_gain(regime, anchor, ask, inputs.channel, params),
        params.fee,
        start_factor=params.start_factor,
        min_factor=params.min_factor,
        gain_scale_frac=params.gain_scale_frac(regime),
    )

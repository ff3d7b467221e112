"""The hard stop: computes the largest loss that we accept, as a fraction of the anchor, and detects its breach."""

from functools import lru_cache
from typing import Final

from trailingedge.indicators.donchian import Channel
from trailingedge.strategy.inputs import StrategyParams

LARGEST_LOSS_CONFIRM_S: Final = 1.0  # a loss of HARD_STOP_MAX_FRAC needs no more time than one odd price may take


@lru_cache(maxsize=8)  # the channel changes with a candle, the price with every tick
def stop_distance(channel: Channel | None, params: StrategyParams) -> float:
    """Return how far below the anchor the hard stop is, as a fraction of the anchor.

    The distance grows with the channel width, between a floor and a cap. A channel that does not
    cover its whole window yet is ignored.
    """
    distance = params.hard_stop_threshold_frac
    if channel is not None and channel.full:
        distance = max(distance, params.hard_stop_donchian_multiplier * channel.width / channel.mid)
    # The cap wins over the floor: it is the loss that the operator is willing to take in any market.
    return min(params.hard_stop_max_frac, distance)


def least_stop_distance(params: StrategyParams) -> float:
    """Return the least stop distance that any channel can lead to, as a fraction of the anchor."""
    return min(params.hard_stop_max_frac, params.hard_stop_threshold_frac)


def is_breached(value: float, anchor: float, distance: float) -> bool:
    """Whether the unit value `value` is below the anchor by at least the fraction `distance`."""
    # The bounds between which a backtest skips ticks are rounded to the safe side of this expression.
    return (anchor - value) / anchor >= distance


def is_confirmed(breach_since_ms: int, market_ms: int, confirm_s: float) -> bool:
    """Whether a breach has lasted for `confirm_s`, so that a single outlier does not start a sale."""
    return market_ms - breach_since_ms >= confirm_s * 1000

"""The loss we accept, as a fraction of the anchor."""

from trailingedge.indicators.donchian import Channel
from trailingedge.strategy.inputs import StrategyParams


def stop_distance(channel: Channel | None, params: StrategyParams) -> float:
    """How far below the anchor the stop lies: wider in a wide market, within a floor and a cap.

    A channel that is not full has no say.
    """
    distance = params.hard_stop_threshold_frac
    if channel is not None and channel.full:
        distance = max(distance, params.hard_stop_donchian_multiplier * channel.width / channel.mid)
    return min(params.hard_stop_max_frac, distance)


def is_breached(u: float, anchor: float, distance: float) -> bool:
    """Whether the unit value has fallen from the anchor by that fraction of it."""
    return (anchor - u) / anchor >= distance


def is_confirmed(breach_since_ms: int, market_ms: int, confirm_s: float) -> bool:
    """Whether a breach has lasted long enough to be believed."""
    return market_ms - breach_since_ms >= confirm_s * 1000

"""The trailing take-profit: the more we have gained, the less of it we let go.

In unit values, so that a SELL and a buy-back are one and the same rule.
"""

from dataclasses import dataclass
from math import exp, inf, isinf

from trailingedge.indicators.donchian import Channel
from trailingedge.model.market import Regime
from trailingedge.strategy.inputs import StrategyParams


@dataclass(frozen=True, slots=True)
class MinGain:
    """The three terms; the largest counts. Infinite where the swing is as large as the price."""

    static: float
    fees: float
    donchian: float

    @property
    def value(self) -> float:
        return max(self.static, self.fees, self.donchian)


def compute_min_gain(
    regime: Regime, anchor: float, ask: float, channel: Channel | None, params: StrategyParams
) -> MinGain:
    """The least gain over `anchor` (a unit value) with the book's `ask` and the channel in force.

    A channel that is not full has no say.
    """
    swing = params.donchian_gain_multiplier * channel.width if channel is not None and channel.full else 0.0
    return MinGain(
        static=anchor * params.min_gain_trigger_frac(regime),
        fees=anchor * (2 * params.fee + params.buffer),
        donchian=swing if regime is Regime.BASE else _inverse_swing(swing, ask),
    )


def _inverse_swing(swing: float, ask: float) -> float:
    """What a fall of `swing` quote per base adds to 1 / ask."""
    return swing / (ask * (ask - swing)) if swing < ask else inf


@dataclass(frozen=True, slots=True)
class Trail:
    """Every number of one take-profit decision, as unit values where not fractions.

    `break_even` is the least unit value that still pays both fees: below it nothing is a profit.
    """

    unit_value: float
    high: float
    gain: float
    drawdown: float
    factor: float
    callback: float
    min_gain: MinGain
    break_even: float

    @property
    def armed(self) -> bool:
        """The gain is worth protecting."""
        return self.gain >= self.min_gain.value

    @property
    def due(self) -> bool:
        """The exit condition."""
        return self.armed and self.drawdown >= self.callback and self.unit_value >= self.break_even

    @property
    def arming_value(self) -> float | None:
        """The unit value from which the trail is armed; None where no gain suffices."""
        return None if isinf(self.min_gain.value) else self.high - self.gain + self.min_gain.value

    @property
    def trigger_value(self) -> float | None:
        """The unit value that, reached from above, makes the exit due.

        None before the trail is armed, and while the level would not even pay the fees.
        """
        level = self.high - self.callback
        return level if self.armed and level >= self.break_even else None


def callback_factor(gain_frac: float, start_factor: float, min_factor: float, gain_scale_frac: float) -> float:
    """The share of the gain that may be given back: from `start_factor` at no gain down to `min_factor`.

    It decays exponentially in gain / anchor; a scale of 0 decays at once.
    """
    if gain_frac <= 0:
        return start_factor
    if gain_scale_frac == 0:
        return min_factor
    return min_factor + (start_factor - min_factor) * exp(-gain_frac / gain_scale_frac)


def compute_trail(
    u: float,
    anchor: float,
    high: float,
    min_gain: MinGain,
    fee: float,
    *,
    start_factor: float,
    min_factor: float,
    gain_scale_frac: float,
) -> Trail:
    """The trail at unit value `u`. `high` >= `anchor` > 0."""
    gain = high - anchor
    factor = callback_factor(gain / anchor, start_factor, min_factor, gain_scale_frac)
    return Trail(
        unit_value=u,
        high=high,
        gain=gain,
        drawdown=high - u,
        factor=factor,
        callback=gain * factor,
        min_gain=min_gain,
        break_even=anchor * (1 + 2 * fee),
    )

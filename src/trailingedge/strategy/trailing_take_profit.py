"""The trailing take-profit: exits after a part of the gain has been lost again.

The larger the gain, the smaller the part that is given back. All levels are unit values, so that a
sale and a buy-back follow the same rule. The trail is "armed" when the gain is large enough to be
protected.
"""

from functools import lru_cache
from math import exp, inf, isinf
from typing import NamedTuple

from trailingedge.indicators.donchian import Channel
from trailingedge.model.market import Regime
from trailingedge.strategy.inputs import StrategyParams
from trailingedge.strategy.unit_value import unit_value


class MinGain(NamedTuple):
    """The least gain that arms the trail, in unit values: the largest of three terms.

    `static` comes from the setting MIN_GAIN_TRIGGER_FRAC_*. `fees` covers both fees and the buffer.
    `donchian` is a share of the channel's width. It is infinite if the asset held is quote and that
    share is at least as large as the ask.
    """

    static: float
    fees: float
    donchian: float

    @property
    def value(self) -> float:
        return max(self.static, self.fees, self.donchian)


def compute_min_gain(
    regime: Regime, anchor: float, ask: float, channel: Channel | None, params: StrategyParams
) -> MinGain:
    """Return the least gain over `anchor` (a unit value) that arms the trail.

    It is the largest of the three terms of the result. A channel that does not cover its whole window yet is ignored.
    """
    swing = _swing(channel, params)
    return MinGain(
        static=anchor * params.min_gain_trigger_frac(regime),
        fees=anchor * (2 * params.fee + params.buffer),
        # In QUOTE the channel's width, a distance of prices, has to be turned into a distance of 1 / price.
        donchian=swing if regime.is_base else _inverse_swing(swing, ask),
    )


def _swing(channel: Channel | None, params: StrategyParams) -> float:
    """Return the share of the channel's width that the gain must cover, in quote per base."""
    return params.donchian_gain_multiplier * channel.width if channel is not None and channel.full else 0.0


def _inverse_swing(swing: float, ask: float) -> float:
    """Return the growth of the unit value 1 / ask if the ask falls by `swing` (quote per base)."""
    return swing / (ask * (ask - swing)) if swing < ask else inf


class Trail(NamedTuple):
    """The numbers of one take-profit decision. All are unit values except `factor`.

    `gain` is high - anchor, `drawdown` is high - unit value. `factor` is the fraction of the gain
    that may be given back. `callback` is gain x factor: the drawdown at which we exit. `break_even`
    is the least unit value that pays both fees.
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
        """Whether the gain is large enough to be protected."""
        return self.gain >= self.min_gain.value

    @property
    def due(self) -> bool:
        """Return whether to exit now.

        The trail must be armed, the drawdown at least the callback, and the unit value high enough
        to pay both fees.
        """
        # The last condition matters after a gap: a price that fell through the trail and below break-even is no profit
        # to take, and the hard stop is there for it.
        return self.drawdown >= self.callback and self.armed and self.unit_value >= self.break_even

    @property
    def arming_value(self) -> float | None:
        """Return the unit value that arms the trail; None if no gain is large enough to arm it."""
        return None if isinf(self.min_gain.value) else self.high - self.gain + self.min_gain.value

    @property
    def trigger_value(self) -> float | None:
        """Return the unit value at or below which the exit is due.

        None while the trail is not armed, or while an exit at that value would not pay both fees.
        """
        level = self.high - self.callback
        return level if self.armed and level >= self.break_even else None


def callback_factor(gain_frac: float, start_factor: float, min_factor: float, gain_scale_frac: float) -> float:
    """Return the share of the gain that may be given back before the exit.

    The share is `start_factor` at no gain and falls exponentially with `gain_frac` (gain / anchor)
    towards `min_factor`. If `gain_scale_frac` is 0, any gain has the share `min_factor`.
    """
    # exp(-gain / scale) falls from 1 to 0: a small gain may swing freely, a large one is protected closely.
    if gain_frac <= 0:
        return start_factor
    if gain_scale_frac == 0:
        return min_factor
    return min_factor + (start_factor - min_factor) * exp(-gain_frac / gain_scale_frac)


def compute_trail(
    value: float,
    anchor: float,
    high: float,
    min_gain: MinGain,
    fee: float,
    *,
    start_factor: float,
    min_factor: float,
    gain_scale_frac: float,
) -> Trail:
    """Return the trail at the unit value `value`. Requires `high` >= `anchor` > 0."""
    gain, drawdown = high - anchor, high - value
    factor = callback_factor(gain / anchor, start_factor, min_factor, gain_scale_frac)
    callback, break_even = gain * factor, anchor * (1 + 2 * fee)
    return Trail(value, high, gain, drawdown, factor, callback, min_gain, break_even)


def trail_at(
    regime: Regime, price: float, anchor: float, high: float, channel: Channel | None, params: StrategyParams
) -> Trail:
    """Return the trail in `regime` at `price`: the bid in BASE, the ask in QUOTE.

    `anchor` and `high` are unit values. Requires `high` >= `anchor` > 0.
    """
    best, swing = _trail_at_the_high(regime, anchor, high, channel, params)
    value, min_gain = price, best.min_gain
    if not regime.is_base:
        value, min_gain = 1 / price, MinGain(min_gain.static, min_gain.fees, _inverse_swing(swing, price))
    return Trail(value, high, best.gain, high - value, best.factor, best.callback, min_gain, best.break_even)


@lru_cache(maxsize=8)  # high and channel change with a new best price and with a candle, the price with every tick
def _trail_at_the_high(
    regime: Regime, anchor: float, high: float, channel: Channel | None, params: StrategyParams
) -> tuple[Trail, float]:
    """Return the trail at its high, and the channel's swing. The present price changes neither of them."""
    trail = compute_trail(
        high,
        anchor,
        high,
        compute_min_gain(regime, anchor, unit_value(regime, high), channel, params),
        params.fee,
        start_factor=params.start_factor,
        min_factor=params.min_factor,
        gain_scale_frac=params.gain_scale_frac(regime),
    )
    return trail, _swing(channel, params)

"""The least gain worth an exit, in unit value: a fraction of its own, both fees, and the market's own swing."""

from dataclasses import dataclass
from math import inf

from trailingedge.indicators.donchian import Channel
from trailingedge.model.market import Regime
from trailingedge.strategy.inputs import Params


@dataclass(frozen=True, slots=True)
class MinGain:
    """The three terms; the largest counts. Infinite where the swing is as large as the price."""

    static: float
    fees: float
    donchian: float

    @property
    def value(self) -> float:
        return max(self.static, self.fees, self.donchian)


def min_gain(regime: Regime, anchor: float, ask: float, channel: Channel | None, params: Params) -> MinGain:
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

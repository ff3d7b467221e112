"""Which side we are on: what one unit is worth, what can be traded, and what is worth more."""

from decimal import Decimal

from trailingedge.model.market import ZERO, BookTop, Regime, floor_to_step
from trailingedge.strategy.inputs import Holdings, StrategyParams


def unit_value(regime: Regime, price: float) -> float:
    """What one unit of the asset held is worth in the other one, at a price in quote per base."""
    return price if regime is Regime.BASE else 1 / price


def price_at(regime: Regime, value: float) -> float:
    """The price, in quote per base, at which one unit held is worth `value`."""
    return value if regime is Regime.BASE else 1 / value


def is_tradable(regime: Regime, holdings: Holdings, top: BookTop, params: StrategyParams) -> bool:
    """Whether what is held in `regime` is enough for one order that leaves it."""
    if regime is Regime.BASE:
        return _enough(holdings.base, top.bid, params)
    return _enough(holdings.quote / top.ask, top.ask, params)


def more_valuable_regime(holdings: Holdings, top: BookTop, params: StrategyParams) -> Regime | None:
    """The tradable side worth more in quote, BASE where both are worth the same; None if neither is tradable."""
    base = is_tradable(Regime.BASE, holdings, top, params)
    quote = is_tradable(Regime.QUOTE, holdings, top, params)
    if base and quote:
        return Regime.BASE if holdings.base * top.bid >= holdings.quote else Regime.QUOTE
    if base:
        return Regime.BASE
    return Regime.QUOTE if quote else None


def _enough(quantity: Decimal, price: Decimal, params: StrategyParams) -> bool:
    clipped = floor_to_step(quantity, params.step_size)
    return clipped > ZERO and clipped >= params.min_quantity and clipped * price >= params.min_notional

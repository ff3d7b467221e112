"""Regime arithmetic: unit values, whether an asset can be traded, and which asset is worth more.

The unit value is what one unit of the asset held is worth in the other asset. In unit values a sale and a buy-back are
the same calculation: a higher value is always better.
"""

from decimal import Decimal

from trailingedge.model.market import ZERO, BookTop, Regime
from trailingedge.model.order_size import can_order, surely_orderable
from trailingedge.strategy.inputs import Holdings, StrategyParams


def unit_value(regime: Regime, price: float) -> float:
    """Return what one unit of the held asset is worth in the other asset.

    `price` is in quote per base.
    """
    return price if regime.is_base else 1 / price


def price_at(regime: Regime, value: float) -> float:
    """Return the price (quote per base) at which one unit of the held asset is worth `value`."""
    return value if regime.is_base else 1 / value


def is_tradable(
    regime: Regime, holdings: Holdings, top: BookTop, params: StrategyParams, margin: Decimal = ZERO
) -> bool:
    """Whether we hold enough of the asset of `regime` for one order, at every price from bid to ask.

    `margin` widens this range of prices by that fraction on both sides.
    """
    low, high = top.bid, top.ask
    if margin:
        low, high = low * (1 - margin), high * (1 + margin)
    side, funds = regime.exit_side, holdings.amount_in(regime)
    # Nearly always the holdings are far above the minimum, and this spares the exact calculation.
    sure = surely_orderable(params, side, funds)
    return (sure.low <= low and high <= sure.high) or can_order(params, side, funds, low, high)


def more_valuable_regime(
    holdings: Holdings, top: BookTop, params: StrategyParams, margin: Decimal = ZERO
) -> Regime | None:
    """Return the regime whose asset is worth more and can be traded; None if neither can be traded.

    The result is BASE if both are worth the same. `margin` widens the range of prices, as in `is_tradable`.
    """
    base = is_tradable(Regime.BASE, holdings, top, params, margin)
    quote = is_tradable(Regime.QUOTE, holdings, top, params, margin)
    # Both: a part-filled exit, or an account that was never all on one side.
    if base and quote:
        return Regime.BASE if holdings.base * top.bid >= holdings.quote else Regime.QUOTE
    if base:
        return Regime.BASE
    return Regime.QUOTE if quote else None

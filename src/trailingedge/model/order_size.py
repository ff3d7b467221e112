"""Order sizes: the quantity that an amount of funds gives at a price, and whether the exchange accepts that quantity.

No other module checks sizes. The strategy asks here whether an asset can be traded, and execution asks here which
quantity to place. So an amount that the strategy calls tradable can be placed at each price of the book.
"""

from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NamedTuple, Protocol

from trailingedge.model.market import ZERO, Side, floor_to_step

_ANY_PRICE: Final = Decimal("Infinity")
_WIDER: Final = Decimal("1.000000001")  # more than the rounding of a division can amount to
_NAMES: Final = ("step_size", "min_quantity", "max_quantity", "min_notional", "max_notional")


class SizeLimits(Protocol):
    """The exchange's limits on quantity (base) and notional (quote) of one order. A maximum of None is no limit."""

    @property
    def step_size(self) -> Decimal: ...

    @property
    def min_quantity(self) -> Decimal: ...

    @property
    def max_quantity(self) -> Decimal | None: ...

    @property
    def min_notional(self) -> Decimal: ...

    @property
    def max_notional(self) -> Decimal | None: ...


def size_limits_of(rules: SizeLimits) -> dict[str, Any]:
    """Return the size limits of `rules` as keyword arguments, for a dataclass with fields of the same names."""
    return {name: getattr(rules, name) for name in _NAMES}


def order_quantity(limits: SizeLimits, side: Side, funds: Decimal, price: Decimal) -> Decimal:
    """Return the quantity of base that `funds` allow to sell or buy at `price`.

    `funds` is base for a SELL and quote for a BUY. The quantity is rounded down to the step grid. It respects the
    exchange's maximums, and is never negative. It may be below the minimums.
    """
    # A BUY pays its fee out of what it brings, so that all of the quote funds can be spent.
    quantity = max(ZERO, funds if side is Side.SELL else funds / price)
    if limits.max_notional is not None:
        quantity = min(quantity, limits.max_notional / price)
    if limits.max_quantity is not None:
        quantity = min(quantity, limits.max_quantity)
    return floor_to_step(quantity, limits.step_size)


def can_order(limits: SizeLimits, side: Side, funds: Decimal, low: Decimal, high: Decimal) -> bool:
    """Whether an order of all `funds` passes the size limits at every price from `low` to `high`.

    `funds` is base for a SELL and quote for a BUY.
    """
    least = order_quantity(limits, side, funds, high)
    if least <= ZERO or least < limits.min_quantity:
        return False
    # Either is a proof. The first one is exact where an amount of base limits the quantity, and nearly always enough.
    return least * low >= limits.min_notional or _least_notional(limits, side, funds, low, high) >= limits.min_notional


class OrderablePrices(NamedTuple):
    """All prices from `low` to `high`. There is none if `low` is above `high`."""

    low: Decimal
    high: Decimal


_NO_PRICE: Final = OrderablePrices(_ANY_PRICE, ZERO)


@lru_cache(maxsize=8)  # limits and funds seldom change, the price with every tick
def surely_orderable(limits: SizeLimits, side: Side, funds: Decimal) -> OrderablePrices:
    """Return prices at which an order of all `funds` surely passes the size limits: `can_order`, solved for the price.

    At other prices the order may pass as well. `limits` must be hashable.
    """
    in_base = [amount for amount in (limits.max_quantity, funds if side is Side.SELL else None) if amount is not None]
    in_quote = [amount for amount in (limits.max_notional, None if side is Side.SELL else funds) if amount is not None]
    low, high = ZERO, _ANY_PRICE
    if in_base:
        most = floor_to_step(max(ZERO, min(in_base)), limits.step_size)
        if most <= ZERO or most < limits.min_quantity:
            return _NO_PRICE
        low = limits.min_notional / most * _WIDER
    if in_quote:
        least = min(in_quote)
        # A step more than the minimum, because quantities are rounded down to the step.
        smallest = max(limits.min_quantity, limits.step_size) + limits.step_size
        high = min(least / smallest, (least - limits.min_notional) / limits.step_size) / _WIDER
    return OrderablePrices(low, high)


def _least_notional(limits: SizeLimits, side: Side, funds: Decimal, low: Decimal, high: Decimal) -> Decimal:
    """Return a lower bound of the order's notional at all prices from `low` to `high`.

    If an amount of base limits the quantity, the quantity is the same at each price: the notional is least at `low`. If
    an amount of quote limits it, rounding down costs less than a step: the notional is at least that amount less one
    step at the price `high`.
    """
    base, quote = (funds, None) if side is Side.SELL else (None, funds)
    in_base = [amount for amount in (limits.max_quantity, base) if amount is not None]
    in_quote = [amount for amount in (limits.max_notional, quote) if amount is not None]
    bounds = [floor_to_step(min(in_base), limits.step_size) * low] if in_base else []
    bounds += [min(in_quote) - limits.step_size * high] if in_quote else []
    return min(bounds)


def largest_order_is_too_small(limits: SizeLimits, price: Decimal) -> bool:
    """Whether even the largest order that the exchange allows is below its minimum notional at `price`."""
    # Funds for any order: what the minimums ask for, and more.
    plenty = limits.min_quantity + limits.min_notional / price + 2 * limits.step_size
    return not can_order(limits, Side.SELL, plenty, price, price)

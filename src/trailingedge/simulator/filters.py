"""Symbol filters of the simulated exchange: PRICE_FILTER, PERCENT_PRICE_BY_SIDE, LOT_SIZE and NOTIONAL.

They are checked before an order reaches the engine. An order that fails one of them does not count
as an unfilled order.
"""

from decimal import Decimal

from trailingedge.model.market import Side
from trailingedge.simulator.errors import filter_failure
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.orders import NewOrder, OrderType


def check_filters(spec: ExchangeSpec, request: NewOrder, price: Decimal, quantity: Decimal, average: Decimal) -> None:
    """Raise ExchangeError for the first filter that the order fails.

    `price` is the price that the order would have in the book (the average price, for a MARKET order). The price
    multipliers apply to `average`. All comparisons are exact in Decimal. PRICE_FILTER requires a price that is a
    multiple of the tick size, counted from zero.
    """
    if request.type is not OrderType.MARKET:
        check_price(spec, request.side, price, average)
        if request.price is not None and request.price != price:  # sent along with a peg: it must pass as well
            check_price(spec, request.side, request.price, average)
    check_lot(spec, quantity)
    notional = price * quantity
    # applyMinToMarket is true and applyMaxToMarket false in our exchangeInfo, as for most real symbols.
    if notional < spec.min_notional or (request.type is not OrderType.MARKET and notional > spec.max_notional):
        raise filter_failure("NOTIONAL")


def check_new_quantity(spec: ExchangeSpec, price: Decimal, quantity: Decimal) -> None:
    """Raise ExchangeError for the first filter that an order at `price` fails with its new, smaller quantity."""
    check_lot(spec, quantity)
    if price * quantity < spec.min_notional:
        raise filter_failure("NOTIONAL")


def check_price(spec: ExchangeSpec, side: Side, price: Decimal, average: Decimal) -> None:
    """Check a price: grid, range, and distance from the average. Raises ExchangeError."""
    if not spec.min_price <= price <= spec.max_price or price % spec.tick_size:
        raise filter_failure("PRICE_FILTER")
    down, up = spec.price_multipliers(side)
    if not average * down <= price <= average * up:
        raise filter_failure("PERCENT_PRICE_BY_SIDE")


def check_lot(spec: ExchangeSpec, quantity: Decimal) -> None:
    """Check a quantity: grid and range. Raises ExchangeError."""
    if not spec.min_quantity <= quantity <= spec.max_quantity or quantity % spec.step_size:
        raise filter_failure("LOT_SIZE")

"""The symbol's filters: what the exchange refuses before an order reaches the engine."""

from decimal import Decimal

from trailingedge.model.market import Side
from trailingedge.simulator.errors import filter_failure
from trailingedge.simulator.exchange_spec import ExchangeSpec
from trailingedge.simulator.orders import NewOrder, OrderType


def check_filters(terms: ExchangeSpec, wanted: NewOrder, price: Decimal, quantity: Decimal, average: Decimal) -> None:
    """Raise the refusal of the first filter that the order fails.

    `price` is where the order would work (the average, for a MARKET order) and `average` what the percent
    bounds multiply. All comparisons are exact; PRICE_FILTER is a plain modulo, with no offset.
    """
    if wanted.type is not OrderType.MARKET:
        check_price(terms, wanted.side, price, average)
        if wanted.price is not None and wanted.price != price:  # sent beside a peg: it must pass as well
            check_price(terms, wanted.side, wanted.price, average)
    check_lot(terms, quantity)
    notional = price * quantity
    # NOTIONAL applies its minimum to MARKET orders too, its maximum only to the others.
    if notional < terms.min_notional or (wanted.type is not OrderType.MARKET and notional > terms.max_notional):
        raise filter_failure("NOTIONAL")


def check_price(terms: ExchangeSpec, side: Side, price: Decimal, average: Decimal) -> None:
    """The grid and range of prices, and their distance from the average."""
    if not terms.min_price <= price <= terms.max_price or price % terms.tick_size:
        raise filter_failure("PRICE_FILTER")
    down, up = terms.price_multipliers(side)
    if not average * down <= price <= average * up:
        raise filter_failure("PERCENT_PRICE_BY_SIDE")


def check_lot(terms: ExchangeSpec, quantity: Decimal) -> None:
    """The grid and range of quantities."""
    if not terms.min_quantity <= quantity <= terms.max_quantity or quantity % terms.step_size:
        raise filter_failure("LOT_SIZE")

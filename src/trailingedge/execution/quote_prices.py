"""Quote prices: computes the price at which an order of ours should rest, and the limit price of a taker order that
ends an exit.
"""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trailingedge.model.market import BookTop, Side, round_to_passive_tick
from trailingedge.model.pricing_mode import Pricing
from trailingedge.strategy.plan import PriceLimits, PriceRange


@dataclass(frozen=True, slots=True)
class RestingOrder:
    """An order of ours that market data may still show as a part of the book.

    For a working order, `quantity` is the quantity when it was placed, because market data may be older than a fill.
    For an order that has left the book, it is the quantity that was unfilled just before.
    """

    price: Decimal
    quantity: Decimal


class LeftOrders:
    """Our orders that have left the book, each until market data cannot show it any more.

    When the price moves fast there are dozens of them, but only those at the best price matter, so they are indexed by
    price.
    """

    def __init__(self) -> None:
        self._by_price: dict[Decimal, list[tuple[RestingOrder, float]]] = {}
        self._prices: deque[Decimal] = deque()  # of all orders, the earliest first

    def add(self, order: RestingOrder, until_s: float) -> None:
        """Keep an order until `until_s`, which must not be earlier than the `until_s` of the last call."""
        self._by_price.setdefault(order.price, []).append((order, until_s))
        self._prices.append(order.price)

    def forget_old(self, now_s: float) -> None:
        """Drop the orders that market data cannot show any more."""
        while self._prices:
            at_price = self._by_price[self._prices[0]]
            if at_price[0][1] > now_s:
                return
            del at_price[0]
            if not at_price:
                del self._by_price[self._prices[0]]
            self._prices.popleft()

    def at(self, price: Decimal, now_s: float) -> Sequence[RestingOrder]:
        """Return those of the orders whose price was `price`."""
        found = self._by_price.get(price)
        return () if found is None else [order for order, until_s in found if now_s < until_s]

    def explain_until(self, side: Side, top: BookTop, now_s: float) -> float | None:
        """Return the time until which the best price of `side` may be one of these orders; None if it must be another
        trader's.
        """
        shown, found = _quantity(top, side), self._by_price.get(top.best(side), ())
        until = [until_s for order, until_s in found if now_s < until_s and shown <= order.quantity]
        return until[-1] if until else None


def resting_price(
    pricing: Pricing,
    side: Side,
    top: BookTop,
    tick_size: Decimal,
    own: RestingOrder | None,
    left_orders: Collection[RestingOrder] = (),
) -> Decimal:
    """Return the price at which a `side` order should rest: on a tick, without crossing the book.

    `own` is our working order. `left_orders` are orders of ours that have just left the book. Market data may still
    show one of them as the best price, and we must not outbid it. If the quantity at its price is larger than its own,
    other traders have orders at that price too.
    """
    step = tick_size if side is Side.BUY else -tick_size  # one tick towards the other side
    other_side = top.best(side.opposite)
    nearest = round_to_passive_tick(other_side - step, side, tick_size)  # the most aggressive price that still rests
    # For an exit that must be quick: one tick from the other side, the most aggressive price that still rests.
    if pricing is Pricing.OPPOSITE:
        return nearest
    best, shown = top.best(side), _quantity(top, side)
    if own is not None and best == own.price and shown <= own.quantity:
        return own.price  # no other order is at our price: with a better price we would only outbid ourselves
    # If we followed our own old price, our order would move back and forth between two ticks.
    for left in left_orders:
        if best == left.price and shown <= left.quantity:
            return best if own is None else own.price
    if pricing is not Pricing.IMPROVE:
        return round_to_passive_tick(best, side, tick_size)
    better = round_to_passive_tick(best + step, side, tick_size)
    return better if _is_passive(better, side, other_side) else round_to_passive_tick(best, side, tick_size)


def keeping_prices(
    side: Side, price: Decimal, pricing: Pricing, bid: Decimal, ask: Decimal, tick_size: Decimal
) -> PriceLimits:
    """Return ranges of the others' best bid and best ask in which `resting_price` is still `price`.

    Within them our order need not move. `price` is on a tick. `bid` and `ask` are the best prices of the others now.
    The ranges hold only prices for which the same branch of the pricing rules applies; the order may also stay at
    prices outside of them.
    """
    bids, asks = _keeping_ticks(side, pricing, (bid - price) / tick_size, (ask - price) / tick_size)
    return PriceLimits(_around(bids, price, tick_size), _around(asks, price, tick_size))


_FAR: Final = Decimal(2**62)  # ticks
_Ticks = tuple[Decimal | int, Decimal | int]
_NOWHERE: Final[tuple[_Ticks, _Ticks]] = ((1, 0), (1, 0))


def _keeping_ticks(side: Side, pricing: Pricing, bid: Decimal, ask: Decimal) -> tuple[_Ticks, _Ticks]:
    """Return the ranges of best bids and best asks within which our order need not be replaced.

    All prices, `bid` and `ask` too, are in ticks relative to our price; lower ones are negative. Each `if` is the
    inverse of one branch of `resting_price`. A range whose end is smaller than its start is empty.
    """
    if side is Side.BUY:  # the mirror image
        asks, bids = _keeping_ticks(Side.SELL, pricing, -ask, -bid)
        return (-bids[1], -bids[0]), (-asks[1], -asks[0])
    # OPPOSITE: the bid is one tick below our order, or has reached it.
    tight = (-1, 0)
    if ask > 0:
        return (tight if pricing is Pricing.OPPOSITE else (-_FAR, 0)), (1, _FAR)
    if ask < 0 or bid >= 0:
        return _NOWHERE
    if pricing in (Pricing.OPPOSITE, Pricing.IMPROVE):
        return ((-1, -1), (0, 0)) if bid == -1 else _NOWHERE
    return (-_FAR, -1), (0, 0)


def _around(ticks: _Ticks, price: Decimal, tick_size: Decimal) -> PriceRange:
    """Return the price range from half a tick below the first tick to half a tick above the last one."""
    first, last = ticks
    half = tick_size / 2
    return PriceRange(float(price + first * tick_size - half), float(price + last * tick_size + half))


def escape_price(side: Side, top: BookTop, tick_size: Decimal, slippage_frac: Decimal) -> Decimal:
    """Return the limit price of a taker escape order: the other side's best price, worsened by `slippage_frac`.

    The price is rounded up for a SELL and down for a BUY, so it is never worse than `slippage_frac` allows.
    """
    best = top.best(side.opposite)
    worst = best * (1 + slippage_frac) if side is Side.BUY else best * (1 - slippage_frac)
    return round_to_passive_tick(worst, side, tick_size)


def _quantity(top: BookTop, side: Side) -> Decimal:
    return top.bid_quantity if side is Side.BUY else top.ask_quantity


def _is_passive(price: Decimal, side: Side, other_side: Decimal) -> bool:
    return price < other_side if side is Side.BUY else price > other_side

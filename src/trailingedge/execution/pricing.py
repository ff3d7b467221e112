"""Where one order should rest, from one book and from what of that book is ours."""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from trailingedge.model.intent import Pricing
from trailingedge.model.market import BookTop, Side, passive


@dataclass(frozen=True, slots=True)
class Resting:
    """An order of ours on the book, with its quantity as placed: a frame may be older than a fill."""

    price: Decimal
    quantity: Decimal


def rest_at(
    pricing: Pricing, side: Side, top: BookTop, tick_size: Decimal, own: Resting | None, left: Collection[Decimal] = ()
) -> Decimal:
    """The price at which a `side` order should rest: on the tick, and never taking.

    `own` is our working order; `left` the prices that orders of ours had until a moment ago: a frame
    that still shows one of them as the best shows us, and nobody worth outbidding.
    """
    toward = tick_size if side is Side.BUY else -tick_size  # one tick closer to the other side
    other_side = top.best(side.opposite)
    nearest = passive(other_side - toward, side, tick_size)  # the most aggressive price that still rests
    if pricing is Pricing.OPPOSITE:
        return nearest
    best = top.best(side)
    if own is not None and best == own.price and _quantity(top, side) <= own.quantity:
        return own.price  # we stand alone
    if best in left:
        return best if own is None else own.price
    if pricing is not Pricing.IMPROVE:
        return passive(best, side, tick_size)
    better = passive(best + toward, side, tick_size)
    return better if _rests(better, side, other_side) else passive(best, side, tick_size)


def escape_price(side: Side, top: BookTop, tick_size: Decimal, slippage_frac: Decimal) -> Decimal:
    """The worst price a taker escape accepts: the other side's best less the slippage.

    Rounded towards the book, never worse than the fraction allows.
    """
    best = top.best(side.opposite)
    worst = best * (1 + slippage_frac) if side is Side.BUY else best * (1 - slippage_frac)
    return passive(worst, side, tick_size)


def _quantity(top: BookTop, side: Side) -> Decimal:
    return top.bid_quantity if side is Side.BUY else top.ask_quantity


def _rests(price: Decimal, side: Side, other_side: Decimal) -> bool:
    return price < other_side if side is Side.BUY else price > other_side

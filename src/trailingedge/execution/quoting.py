"""Ready for the next price: what the last beat found out that holds until anything but the price changes.

While an exit rests on the book and nothing is asked, doubted or forbidden, another price has one answer, and
it takes no whole beat to find it. A beat that leaves things so leaves its poise behind; whatever comes in
other than a price takes it away again. The answer is on the wire before the books hear of it; then they must
come to the very same one, or a promise of ours is broken.
"""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from trailingedge.model.intent import OrderIntent
from trailingedge.model.market import BookTop, Side, SymbolRules, round_to_passive_tick
from trailingedge.model.order_commands import Replace
from trailingedge.model.order_requests import NewOrderRequest
from trailingedge.model.pricing import Pricing
from trailingedge.strategy.decide import Decision
from trailingedge.strategy.hard_stop import is_breached


@dataclass(frozen=True, slots=True)
class RestingOrder:
    """An order of ours on the book, with its quantity as placed: a frame may be older than a fill."""

    price: Decimal
    quantity: Decimal


def resting_price(
    pricing: Pricing,
    side: Side,
    top: BookTop,
    tick_size: Decimal,
    own: RestingOrder | None,
    left: Collection[Decimal] = (),
) -> Decimal:
    """The price at which a `side` order should rest: on the tick, and never taking.

    `own` is our working order; `left` the prices that orders of ours had until a moment ago: a frame
    that still shows one of them as the best shows us, and nobody worth outbidding.
    """
    toward = tick_size if side is Side.BUY else -tick_size  # one tick closer to the other side
    other_side = top.best(side.opposite)
    nearest = round_to_passive_tick(other_side - toward, side, tick_size)  # the most aggressive price that still rests
    if pricing is Pricing.OPPOSITE:
        return nearest
    best = top.best(side)
    if own is not None and best == own.price and _quantity(top, side) <= own.quantity:
        return own.price  # we stand alone
    if best in left:
        return best if own is None else own.price
    if pricing is not Pricing.IMPROVE:
        return round_to_passive_tick(best, side, tick_size)
    better = round_to_passive_tick(best + toward, side, tick_size)
    return better if _is_passive(better, side, other_side) else round_to_passive_tick(best, side, tick_size)


def escape_price(side: Side, top: BookTop, tick_size: Decimal, slippage_frac: Decimal) -> Decimal:
    """The worst price a taker escape accepts: the other side's best less the slippage.

    Rounded towards the book, never worse than the fraction allows.
    """
    best = top.best(side.opposite)
    worst = best * (1 + slippage_frac) if side is Side.BUY else best * (1 - slippage_frac)
    return round_to_passive_tick(worst, side, tick_size)


def _quantity(top: BookTop, side: Side) -> Decimal:
    return top.bid_quantity if side is Side.BUY else top.ask_quantity


def _is_passive(price: Decimal, side: Side, other_side: Decimal) -> bool:
    return price < other_side if side is Side.BUY else price > other_side


TargetQuote = tuple[Decimal, Decimal]
"""Price and quantity that an order is to move to."""


@dataclass(frozen=True, slots=True)
class RequotePlan:
    """An order that rests, and everything that decides where it would rest at another price.

    `left` are prices that orders of ours had, and until when a frame may show them. `watches_stop`: a price at
    which the hard stop would begin to be confirmed is not for us to answer.
    """

    intent: OrderIntent
    decision: Decision
    order_id: int
    client_order_id: str
    resting: RestingOrder
    left_prices: tuple[tuple[Decimal, float], ...]
    rules: SymbolRules
    watches_stop: bool
    quantity: Decimal | None  # where it is the same at any price

    @property
    def template(self) -> NewOrderRequest:
        """The order that is to take the place of this one, but for its price and quantity."""
        return NewOrderRequest(self.client_order_id, self.intent.side, self.resting.quantity, self.resting.price)

    def requote_for(self, top: BookTop, now_s: float) -> TargetQuote | None:
        """Price and quantity that the order is to move to; None where it stays, or where it takes a beat to tell."""
        if self.watches_stop and is_breached(float(top.bid), self.decision.state.anchor, self.decision.stop_distance):
            return None
        want, rules = self.intent, self.rules
        left = [price for price, until_s in self.left_prices if now_s < until_s]
        price = resting_price(want.pricing, want.side, top, rules.tick_size, self.resting, left)
        if price == self.resting.price:
            return None
        quantity = self.quantity or rules.affordable_quantity(want.side, want.funds, price)
        if rules.failed_filter(price, quantity) is not None:
            return None
        if want.side is Side.SELL:
            safe = price > top.bid and quantity <= want.funds
        else:
            safe = price < top.ask and quantity * price <= want.funds
        return (price, quantity) if safe else None


@dataclass(frozen=True, slots=True)
class SentRequote:
    """An answer that was sent and is in the books, and what they would have answered themselves."""

    command: Replace
    decision: Decision
    sent: TargetQuote
    expected: TargetQuote | None

"""Computes the prices of our orders, and the requote plan for a price change between two ticks.

Suppose that our order rests, no request is open, no order is UNKNOWN and no rule forbids a requote. Then our new order
depends only on the new price. A tick that ends in this state prepares a RequotePlan. At the next price change, the
market data callback uses the plan to send the cancel-replace at once, and records it right after. Then the full
calculation must give the same price and quantity, else BrokenInvariant is raised. Any input but a price makes the plan
void.
"""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

from trailingedge.model.intent import OrderIntent
from trailingedge.model.market import BookTop, Side, SymbolRules, round_to_passive_tick
from trailingedge.model.order_commands import Replace
from trailingedge.model.order_requests import NewOrderRequest
from trailingedge.model.order_size import order_quantity
from trailingedge.model.pricing_mode import Pricing
from trailingedge.strategy.decide import Decision
from trailingedge.strategy.hard_stop import is_breached


@dataclass(frozen=True, slots=True)
class RestingOrder:
    """An order of ours as market data may show it.

    `quantity` of a working order is the quantity as placed, because market data may be older than a fill. For an order
    that has left the book, it is the quantity that was unfilled before.
    """

    price: Decimal
    quantity: Decimal


def resting_price(
    pricing: Pricing,
    side: Side,
    top: BookTop,
    tick_size: Decimal,
    own: RestingOrder | None,
    left_orders: Collection[RestingOrder] = (),
) -> Decimal:
    """Return the price at which a `side` order should rest: on a tick, without crossing the book.

    `own` is our working order. `left_orders` are orders of ours that have just left the book, but market data may still
    show one as the best price. We must not outbid such an order. A larger quantity at its price means that others are
    there too.
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
    if any(best == left.price and shown <= left.quantity for left in left_orders):
        return best if own is None else own.price
    if pricing is not Pricing.IMPROVE:
        return round_to_passive_tick(best, side, tick_size)
    better = round_to_passive_tick(best + step, side, tick_size)
    return better if _is_passive(better, side, other_side) else round_to_passive_tick(best, side, tick_size)


def escape_price(side: Side, top: BookTop, tick_size: Decimal, slippage_frac: Decimal) -> Decimal:
    """Return the limit price of a taker escape order: the other side's best price, worsened by `slippage_frac`.

    The price is rounded to our advantage, so it is never worse than `slippage_frac` allows.
    """
    best = top.best(side.opposite)
    worst = best * (1 + slippage_frac) if side is Side.BUY else best * (1 - slippage_frac)
    return round_to_passive_tick(worst, side, tick_size)


def _quantity(top: BookTop, side: Side) -> Decimal:
    return top.bid_quantity if side is Side.BUY else top.ask_quantity


def _is_passive(price: Decimal, side: Side, other_side: Decimal) -> bool:
    return price < other_side if side is Side.BUY else price > other_side


TargetQuote = tuple[Decimal, Decimal]
"""The new price and quantity of an order that is to be replaced."""


@dataclass(frozen=True, slots=True)
class RequotePlan:
    """A resting order, and all inputs that decide its new price and quantity when the market price changes.

    `left_orders` have just left the book, each with the time until which market data may still show it.
    `watches_stop`: the plan gives no answer for a price beyond the hard stop, because the strategy must see that price.
    `quantity` is None if it depends on the price.
    """

    intent: OrderIntent
    decision: Decision
    order_id: int
    client_order_id: str
    resting: RestingOrder
    left_orders: tuple[tuple[RestingOrder, float], ...]
    rules: SymbolRules
    watches_stop: bool
    quantity: Decimal | None  # where it is the same at any price

    @property
    def template(self) -> NewOrderRequest:
        """The request for the new order, in which only price and quantity have to be changed."""
        return NewOrderRequest(self.client_order_id, self.intent.side, self.resting.quantity, self.resting.price)

    def requote_for(self, top: BookTop, now_s: float) -> TargetQuote | None:
        """Return the new price and quantity; None if the order stays, or if only a full tick can decide."""
        # A price beyond the hard stop starts the stop's confirmation. The strategy decides about that in a full tick.
        if self.watches_stop and is_breached(float(top.bid), self.decision.state.anchor, self.decision.stop_distance):
            return None
        intent, rules = self.intent, self.rules
        left_orders = [order for order, until_s in self.left_orders if now_s < until_s]
        price = resting_price(intent.pricing, intent.side, top, rules.tick_size, self.resting, left_orders)
        if price == self.resting.price:
            return None
        quantity = self.quantity or order_quantity(rules, intent.side, intent.funds, price)
        if rules.failed_filter(price, quantity) is not None:
            return None
        # The pre-trade checks have the same limits, but they check a requote only after it was sent. So check here.
        if intent.side is Side.SELL:
            safe = price > top.bid and quantity <= intent.funds
        else:
            safe = price < top.ask and quantity * price <= intent.funds
        return (price, quantity) if safe else None


@dataclass(frozen=True, slots=True)
class SentRequote:
    """A requote that was sent and recorded, with the result of the full calculation in `expected`."""

    command: Replace
    decision: Decision
    sent: TargetQuote
    expected: TargetQuote | None

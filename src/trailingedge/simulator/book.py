"""The book: the others' best prices, and the accounts' own orders resting among them.

When a resting SELL at price P fills (a BUY mirrors it):

1. in full, once the others bid above P, or a trade prints above P;
2. by a trade at exactly P whose aggressor buys: the volume ahead in the queue goes first, what is left
   of the trade fills the order, wholly or in part;
3. never by mere touch: others bidding exactly P leave it where it is.

The volume ahead is what the others offered at P when the order joined; nothing if it improved on them.
An order deeper than their best learns it when their best first stands at P.

Harsher than a real exchange: others bidding at P do not take us; the volume ahead shrinks by trades
only, never because somebody cancels; a trade in the tick that shows an order its queue is all theirs; of
what takers find, there is only the others' best level, refilled by the next tick; a post-only order is
judged by what the others really bid, also where the shown book hides it behind ours.
Kinder: a price that goes through P fills any quantity; the others never react to our orders and never
jump our queue; there is no time on the way.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from trailingedge.model.market import ZERO, BookTop, Side
from trailingedge.simulator.feeds.ticks import Tick
from trailingedge.simulator.orders import SimOrder


@dataclass(frozen=True, slots=True)
class MakerFill:
    """A resting order is filled, at its own price."""

    order: SimOrder
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class TakerMatch:
    """What a taker finds: a resting order, or (None) the others' best level."""

    resting_order: SimOrder | None
    price: Decimal
    quantity: Decimal


class Book:
    """Resting orders among the others' best prices. It moves nothing but itself: who fills is told, not paid."""

    def __init__(self, tick_size: Decimal) -> None:
        self._tick_size = tick_size
        self._resting: dict[int, SimOrder] = {}  # oldest first
        self._tick: Tick | None = None
        self._consumed = {Side.BUY: ZERO, Side.SELL: ZERO}  # of the others' best, since the last tick

    @property
    def tick(self) -> Tick:
        """Raises ValueError before the market has opened."""
        if self._tick is None:
            raise ValueError("the market has not opened")
        return self._tick

    @property
    def is_open(self) -> bool:
        return self._tick is not None

    def add(self, order: SimOrder) -> None:
        """`order` joins the queue at its price."""
        order.queue_ahead = self._queue_ahead_at(order.side, order.price)
        self._resting[order.order_id] = order

    def remove(self, order: SimOrder) -> None:
        self._resting.pop(order.order_id, None)

    def would_match(self, side: Side, price: Decimal) -> bool:
        """An order of `side` at `price` would match at once."""
        best = self._best_opposite_price(side)
        return price >= best if side is Side.BUY else price <= best

    def apply_tick(self, tick: Tick) -> list[MakerFill]:
        """The others move; what that fills, best price first, then oldest first."""
        self.set_tick(tick)
        hits: list[MakerFill] = []
        for side in (Side.SELL, Side.BUY):
            hits.extend(self._maker_fills(side, tick))
        return hits

    def set_tick(self, tick: Tick) -> None:
        """The others move, and nobody trades."""
        self._tick = tick
        self._consumed = {Side.BUY: ZERO, Side.SELL: ZERO}

    def orders_at_best(self) -> list[SimOrder]:
        """Resting orders that nobody stands before: buys, then sells, each oldest first."""
        shown = self.published_top()
        return [
            order
            for side in (Side.BUY, Side.SELL)
            for order in self._resting_orders(side)
            if order.price == shown.best(side)
        ]

    def match_taker(self, side: Side, limit: Decimal | None, quantity: Decimal) -> list[TakerMatch]:
        """What an order of `side` for `quantity` up to `limit` finds. At one price the others stand first."""
        found: list[TakerMatch] = []
        left = quantity
        for take in self._offers(side.opposite):
            if left == ZERO or (limit is not None and is_beyond_limit(take.price, limit, side)):
                break
            part = min(left, take.quantity)
            found.append(replace(take, quantity=part))
            left -= part
        return found

    def consume_best(self, side: Side, quantity: Decimal) -> None:
        """A taker of `side` took `quantity` of the others' best."""
        self._consumed[side.opposite] += quantity

    def published_top(self, update_id: int = 0) -> BookTop:
        """The published top: ours and the others' together, never crossed or locked.

        Where the others touch an order of ours, they are shown one tick behind it; where takers have emptied
        their best level, too.
        """
        tick, step = self.tick, self._tick_size
        our_bid, our_ask = self._best_resting_price(Side.BUY), self._best_resting_price(Side.SELL)
        bid = max(step, tick.bid - step) if self._is_best_consumed(Side.BUY) else tick.bid
        ask = tick.ask + step if self._is_best_consumed(Side.SELL) else tick.ask
        bid = bid if our_ask is None else min(bid, our_ask - step)
        ask = ask if our_bid is None else max(ask, our_bid + step)
        best_bid = bid if our_bid is None else max(bid, our_bid)
        best_ask = ask if our_ask is None else min(ask, our_ask)
        theirs_bid = self._published_market_quantity(Side.BUY) if bid == best_bid else ZERO
        theirs_ask = self._published_market_quantity(Side.SELL) if ask == best_ask else ZERO
        return BookTop(
            bid=best_bid,
            ask=best_ask,
            bid_quantity=theirs_bid + self._resting_quantity_at(Side.BUY, best_bid),
            ask_quantity=theirs_ask + self._resting_quantity_at(Side.SELL, best_ask),
            update_id=update_id,
        )

    def _maker_fills(self, side: Side, tick: Tick) -> Iterator[MakerFill]:
        """What the tick does to our orders of `side`: prices through, then the trade at its own price."""
        touching = tick.bid if side is Side.SELL else tick.ask
        printed = tick.last_price if tick.traded else touching
        volume = tick.traded if tick.aggressor is side.opposite else ZERO
        passed = ZERO  # of the queue ahead at the trade's price, which later orders there share
        for order in self._resting_orders(side):
            if self._is_traded_through(order, touching) or self._is_traded_through(order, printed):
                yield MakerFill(order, order.remaining)
            elif order.queue_ahead is None:
                order.queue_ahead = self._queue_ahead_at(side, order.price)
            elif volume > ZERO and order.price == tick.last_price:
                before = min(volume, max(ZERO, order.queue_ahead - passed))
                passed += before
                volume -= before
                order.queue_ahead = max(ZERO, order.queue_ahead - passed)
                ours = min(volume, order.remaining) if order.queue_ahead == ZERO else ZERO
                volume -= ours
                if ours > ZERO:
                    yield MakerFill(order, ours)

    def _queue_ahead_at(self, side: Side, price: Decimal) -> Decimal | None:
        """The others' volume before an order of `side` that joins at `price`; None where nobody can see it."""
        best = self.tick.bid if side is Side.BUY else self.tick.ask
        if price == best:
            return self._market_quantity_left(side)
        return None if is_beyond_limit(price, best, side.opposite) else ZERO

    def _offers(self, side: Side) -> list[TakerMatch]:
        """All that stands on `side`, best first."""
        tick = self.tick
        price = tick.bid if side is Side.BUY else tick.ask
        others = TakerMatch(None, price, self._market_quantity_left(side))
        ours = [TakerMatch(order, order.price, order.remaining) for order in self._resting_orders(side)]
        stands = [others, *ours] if others.quantity > ZERO else ours
        return sorted(stands, key=lambda take: take.price, reverse=side is Side.BUY)

    def _resting_orders(self, side: Side) -> list[SimOrder]:
        """Our orders of `side`, best price first, then oldest first."""
        ours = [order for order in self._resting.values() if order.side is side]
        return sorted(ours, key=lambda order: order.price, reverse=side is Side.BUY)

    def _market_quantity(self, side: Side) -> Decimal:
        """The others' best quantity as of the last tick."""
        return self.tick.bid_quantity if side is Side.BUY else self.tick.ask_quantity

    def _market_quantity_left(self, side: Side) -> Decimal:
        """What takers have left of it since."""
        return max(ZERO, self._market_quantity(side) - self._consumed[side])

    def _is_best_consumed(self, side: Side) -> bool:
        return ZERO < self._market_quantity(side) <= self._consumed[side]

    def _published_market_quantity(self, side: Side) -> Decimal:
        return self._market_quantity(side) if self._is_best_consumed(side) else self._market_quantity_left(side)

    def _best_resting_price(self, side: Side) -> Decimal | None:
        queue = self._resting_orders(side)
        return queue[0].price if queue else None

    def _resting_quantity_at(self, side: Side, price: Decimal) -> Decimal:
        return sum((order.remaining for order in self._resting_orders(side) if order.price == price), ZERO)

    def _best_opposite_price(self, side: Side) -> Decimal:
        """The best price that a taker of `side` would meet."""
        ours = self._best_resting_price(side.opposite)
        if side is Side.BUY:
            return self.tick.ask if ours is None else min(self.tick.ask, ours)
        return self.tick.bid if ours is None else max(self.tick.bid, ours)

    @staticmethod
    def _is_traded_through(order: SimOrder, price: Decimal) -> bool:
        """`price` has gone through the order."""
        return price > order.price if order.side is Side.SELL else price < order.price


def is_beyond_limit(price: Decimal, limit: Decimal, side: Side) -> bool:
    """`price` is beyond what an order of `side` limited to `limit` would trade at."""
    return price > limit if side is Side.BUY else price < limit

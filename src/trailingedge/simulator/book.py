"""Order book of the simulated exchange: the market's best prices and the accounts' resting orders.

"The market" is the outside world that the ticks describe. The book knows its best bid and ask, their quantities and
its last trade. The accounts' orders rest among these prices, each with a place in the queue.
The book decides which orders a tick fills and what a taker matches; the engine moves the money. The top of `engine`
explains the fill rule and how it differs from a real exchange.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from trailingedge.model.market import ZERO, BookTop, Side
from trailingedge.simulator.feeds.ticks import Tick
from trailingedge.simulator.orders import SimOrder


@dataclass(frozen=True, slots=True)
class MakerFill:
    """A quantity of a resting order that a tick fills, at the order's own price."""

    order: SimOrder
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class TakerMatch:
    """A quantity that a taker order matches.

    If `resting_order` is None, the quantity comes from the market's best level.
    """

    resting_order: SimOrder | None
    price: Decimal
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class BookLevels:
    """The price levels of both sides, each as price and quantity, best price first. An open market has both sides."""

    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]

    def top(self, update_id: int) -> BookTop:
        """The best level of each side."""
        (bid, bid_quantity), (ask, ask_quantity) = self.bids[0], self.asks[0]
        return BookTop(bid, ask, bid_quantity, ask_quantity, update_id)


class Book:
    """The market's best prices and the accounts' resting orders.

    The methods return fills. Balances are changed by the engine only.
    """

    def __init__(self, tick_size: Decimal) -> None:
        self._tick_size = tick_size
        self._resting: dict[int, SimOrder] = {}  # by order id, oldest first
        self._tick: Tick | None = None
        # What takers took from the market's best level since the last tick; the next tick refills it.
        self._consumed = {Side.BUY: ZERO, Side.SELL: ZERO}

    @property
    def tick(self) -> Tick:
        """The newest tick. Raises ValueError before the first one."""
        if self._tick is None:
            raise ValueError("the market has not opened")
        return self._tick

    @property
    def is_open(self) -> bool:
        return self._tick is not None

    def add(self, order: SimOrder) -> None:
        """Add a resting order at the end of the queue at its price."""
        order.queue_ahead = self._queue_ahead_at(order.side, order.price)
        self._resting[order.order_id] = order

    def remove(self, order: SimOrder) -> None:
        self._resting.pop(order.order_id, None)

    def would_match(self, side: Side, price: Decimal) -> bool:
        """Return whether an order of `side` at `price` would match at once.

        Post-only orders are rejected then. The market's true best price decides, even while
        `published_top` hides that price behind an account's order.
        """
        # An account's order counts as much as the market's: two accounts may trade with each other.
        best = self._best_opposite_price(side)
        return price >= best if side is Side.BUY else price <= best

    def apply_tick(self, tick: Tick) -> list[MakerFill]:
        """Apply the market's new prices and return the fills of resting orders.

        Sells come first; within a side the best price comes first, then the oldest order. This
        order is fixed, because trade ids and the audit log's digest depend on it.
        """
        self.set_tick(tick)
        fills: list[MakerFill] = []
        for side in (Side.SELL, Side.BUY):
            fills.extend(self._maker_fills(side, tick))
        return fills

    def set_tick(self, tick: Tick) -> None:
        """Apply the market's new prices but fill nothing. Used while the symbol does not trade."""
        self._tick = tick
        self._consumed = {Side.BUY: ZERO, Side.SELL: ZERO}

    def orders_at_best(self) -> list[SimOrder]:
        """Resting orders at the best published price: buys, then sells, each oldest first."""
        shown = self.published_top()
        return [
            order
            for side in (Side.BUY, Side.SELL)
            for order in self._resting_orders(side)
            if order.price == shown.best(side)
        ]

    def match_taker(self, side: Side, limit: Decimal | None, quantity: Decimal) -> list[TakerMatch]:
        """Return the quantities that a taker order would match, best price first.

        The book does not change. `limit` is the worst price allowed; None allows every price. At
        equal prices the market is matched before the accounts' orders.
        """
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
        """Reduce the market's best level by what a taker of `side` took; the next tick refills it."""
        self._consumed[side.opposite] += quantity

    def published_levels(self) -> BookLevels:
        """Return the book as published: the market's best levels and the accounts' orders, never crossed.

        The market cannot react to an account's order, so the market's price may touch or cross one.
        The market is then published one tick size away from the order. A best level that takers
        have used up is published one tick size further out. A client must never see a bid at or
        above the ask: real books are uncrossed, and the client's parser would drop the frame.
        """
        tick, step = self.tick, self._tick_size
        our_bids, our_asks = self._resting_orders(Side.BUY), self._resting_orders(Side.SELL)
        # First the market's own side: one tick behind if takers consumed its level. Then both sides are kept off the
        # accounts' orders.
        bid = max(step, tick.bid - step) if self._is_best_consumed(Side.BUY) else tick.bid
        ask = tick.ask + step if self._is_best_consumed(Side.SELL) else tick.ask
        bid = min(bid, our_asks[0].price - step) if our_asks else bid
        ask = max(ask, our_bids[0].price + step) if our_bids else ask
        return BookLevels(
            bids=_merge_levels(bid, self._published_market_quantity(Side.BUY), our_bids),
            asks=_merge_levels(ask, self._published_market_quantity(Side.SELL), our_asks),
        )

    def published_top(self, update_id: int = 0) -> BookTop:
        """Return the best levels of `published_levels`."""
        return self.published_levels().top(update_id)

    def _maker_fills(self, side: Side, tick: Tick) -> Iterator[MakerFill]:
        """Yield the fills that a tick causes on one side. The top of `engine` explains the rule.

        An order fills in full if the price went through it, else by the tick's trade at its price.
        """
        touching = tick.bid if side is Side.SELL else tick.ask
        printed = tick.last_price if tick.traded else touching
        volume = tick.traded if tick.aggressor is side.opposite else ZERO
        # The market volume that the trade has taken so far from the queue at its price. Two orders at one price wait
        # behind the same market volume, so the queue of the second order shrinks by as much as that of the first.
        passed = ZERO
        for order in self._resting_orders(side):
            # A trade from before the order was accepted could not have met it: of that tick only the quotes count.
            is_late = tick.traded_ms is not None and tick.traded_ms < order.created_ms
            # Rule 1: the price went through the order, by a quote or by a trade.
            if self._is_traded_through(order, touching if is_late else printed) or self._is_traded_through(
                order, touching
            ):
                yield MakerFill(order, order.remaining)
            elif order.queue_ahead is None:
                # The order learns its queue at the first tick with the market's best at its price. The trade of that
                # tick counts as taken from the queue.
                order.queue_ahead = self._queue_ahead_at(side, order.price)
            # Rule 2: a trade at the order's price takes from the queue ahead, then from the order.
            elif volume > ZERO and not is_late and order.price == tick.last_price:
                before = min(volume, max(ZERO, order.queue_ahead - passed))
                passed += before
                volume -= before
                order.queue_ahead = max(ZERO, order.queue_ahead - passed)
                ours = min(volume, order.remaining) if order.queue_ahead == ZERO else ZERO
                volume -= ours
                if ours > ZERO:
                    yield MakerFill(order, ours)

    def _queue_ahead_at(self, side: Side, price: Decimal) -> Decimal | None:
        """Return the market's volume ahead of an order of `side` that joins at `price`.

        Returns None if `price` is worse than the market's best, because ticks lack deeper levels.
        """
        best = self.tick.bid if side is Side.BUY else self.tick.ask
        if price == best:
            return self._market_quantity_left(side)
        return None if is_beyond_limit(price, best, side.opposite) else ZERO

    def _offers(self, side: Side) -> list[TakerMatch]:
        """Return all quantities that rest on `side`, best price first.

        These are the market's best level and the accounts' orders.
        """
        tick = self.tick
        price = tick.bid if side is Side.BUY else tick.ask
        others = TakerMatch(None, price, self._market_quantity_left(side))
        ours = [TakerMatch(order, order.price, order.remaining) for order in self._resting_orders(side)]
        stands = [others, *ours] if others.quantity > ZERO else ours
        return sorted(stands, key=lambda take: take.price, reverse=side is Side.BUY)

    def _resting_orders(self, side: Side) -> list[SimOrder]:
        """The accounts' orders of `side`, best price first, then oldest first."""
        ours = [order for order in self._resting.values() if order.side is side]
        return sorted(ours, key=lambda order: order.price, reverse=side is Side.BUY)

    def _market_quantity(self, side: Side) -> Decimal:
        """The market's quantity at its best price, as of the last tick."""
        return self.tick.bid_quantity if side is Side.BUY else self.tick.ask_quantity

    def _market_quantity_left(self, side: Side) -> Decimal:
        """The market's quantity at its best price less what takers took since the last tick."""
        return max(ZERO, self._market_quantity(side) - self._consumed[side])

    def _is_best_consumed(self, side: Side) -> bool:
        return ZERO < self._market_quantity(side) <= self._consumed[side]

    def _published_market_quantity(self, side: Side) -> Decimal:
        return self._market_quantity(side) if self._is_best_consumed(side) else self._market_quantity_left(side)

    def _best_resting_price(self, side: Side) -> Decimal | None:
        queue = self._resting_orders(side)
        return queue[0].price if queue else None

    def _best_opposite_price(self, side: Side) -> Decimal:
        """The best price that a taker of `side` would trade at."""
        ours = self._best_resting_price(side.opposite)
        if side is Side.BUY:
            return self.tick.ask if ours is None else min(self.tick.ask, ours)
        return self.tick.bid if ours is None else max(self.tick.bid, ours)

    @staticmethod
    def _is_traded_through(order: SimOrder, price: Decimal) -> bool:
        """Return whether a market at `price` went through the order.

        That is a price above a sell order's price, or below a buy order's price.
        """
        return price > order.price if order.side is Side.SELL else price < order.price


def _merge_levels(price: Decimal, quantity: Decimal, ours: Sequence[SimOrder]) -> tuple[tuple[Decimal, Decimal], ...]:
    """Return the levels of one side: the market's, and those of the accounts' orders (`ours`, best price first)."""
    if not ours:
        return ((price, quantity),)
    levels = {price: quantity}
    for order in ours:
        levels[order.price] = levels.get(order.price, ZERO) + order.remaining
    return tuple(sorted(levels.items(), reverse=ours[0].side is Side.BUY))


def is_beyond_limit(price: Decimal, limit: Decimal, side: Side) -> bool:
    """Return whether `price` is worse than the limit of an order of `side`."""
    return price > limit if side is Side.BUY else price < limit

"""Order book of the simulated exchange: the market's best prices and the accounts' resting orders.

"The market" is the outside world that the ticks describe. The book knows its best bid and ask, their quantities and
its last trade. The accounts' orders rest among these prices, each with a place in the queue.
The book decides which orders a tick fills and what a taker matches; the engine moves the money. The top of `engine`
explains the fill rule and how it differs from a real exchange.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NamedTuple

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


class BookLevels(NamedTuple):
    """The price levels of both sides, each as price and quantity, best price first. An open market has both sides."""

    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]

    def top(self, update_id: int) -> BookTop:
        """The best level of each side."""
        (bid, bid_quantity), (ask, ask_quantity) = self.bids[0], self.asks[0]
        return BookTop(bid, ask, bid_quantity, ask_quantity, update_id)


class _BookSide:
    """One side of the book.

    It has the market's best level, the quantity that takers took from it, and the accounts' resting orders.
    """

    __slots__ = ("consumed", "is_buy", "orders", "price", "quantity")

    def __init__(self, *, is_buy: bool) -> None:
        self.is_buy = is_buy
        self.price = self.quantity = ZERO
        self.consumed = ZERO  # by takers since the last tick, which refilled the level
        self.orders: list[SimOrder] = []  # best price first, then oldest first

    @property
    def quantity_left(self) -> Decimal:
        """The market's quantity at its best price, minus the quantity that takers took from it since the last tick."""
        return max(ZERO, self.quantity - self.consumed) if self.consumed else self.quantity

    @property
    def is_consumed(self) -> bool:
        """Whether takers have used up the market's level."""
        return ZERO < self.quantity <= self.consumed

    @property
    def published_quantity(self) -> Decimal:
        return self.quantity if self.is_consumed else self.quantity_left

    @property
    def best_price(self) -> Decimal:
        """The best price on this side, of the market and of the accounts' orders."""
        if not self.orders:
            return self.price
        ours = self.orders[0].price
        return max(ours, self.price) if self.is_buy else min(ours, self.price)

    def add(self, order: SimOrder) -> None:
        """Add an order behind all orders of the same or a better price."""
        self.orders.append(order)
        self.orders.sort(key=lambda each: each.price, reverse=self.is_buy)  # stable: the oldest first at equal prices

    def remove(self, order: SimOrder) -> None:
        """Remove an order; does nothing if it does not rest here."""
        if order in self.orders:
            self.orders.remove(order)


class Book:
    """The market's best prices and the accounts' resting orders.

    The methods return fills. Balances are changed by the engine only.
    """

    def __init__(self, tick_size: Decimal) -> None:
        self._tick_size = tick_size
        self._tick: Tick | None = None
        self._bids = _BookSide(is_buy=True)
        self._asks = _BookSide(is_buy=False)

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
        self._side(order.side).add(order)

    def remove(self, order: SimOrder) -> None:
        self._side(order.side).remove(order)

    def would_match(self, side: Side, price: Decimal) -> bool:
        """Return whether an order of `side` at `price` would match at once.

        Post-only orders are rejected then. The market's true best price decides, even while
        `published_top` hides that price behind an account's order.
        """
        # An account's order counts as much as the market's: two accounts may trade with each other.
        return price >= self._asks.best_price if side is Side.BUY else price <= self._bids.best_price

    def apply_tick(self, tick: Tick) -> list[MakerFill]:
        """Apply the market's new prices and return the fills of resting orders.

        Sells come first; within a side the best price comes first, then the oldest order. This
        order is fixed, because trade ids and the audit log's digest depend on it.
        """
        self.set_tick(tick)
        fills: list[MakerFill] = []
        for side in (self._asks, self._bids):
            if side.orders:
                fills.extend(self._maker_fills(side, tick))
        return fills

    def set_tick(self, tick: Tick) -> None:
        """Apply the market's new prices but fill nothing. Used while the symbol does not trade."""
        bids, asks = self._bids, self._asks
        self._tick = tick
        bids.price, bids.quantity = tick.bid, tick.bid_quantity
        asks.price, asks.quantity = tick.ask, tick.ask_quantity
        bids.consumed = asks.consumed = ZERO  # the new level refills what takers took

    def orders_at_best(self) -> list[SimOrder]:
        """Resting orders at the best published price: buys, then sells, each oldest first."""
        shown = self.published_top()
        bids = [order for order in self._bids.orders if order.price == shown.bid]
        return bids + [order for order in self._asks.orders if order.price == shown.ask]

    def match_taker(self, side: Side, limit: Decimal | None, quantity: Decimal) -> list[TakerMatch]:
        """Return the quantities that a taker order would match, best price first.

        The book does not change. `limit` is the worst price allowed; None allows every price. At
        equal prices the market is matched before the accounts' orders.
        """
        found: list[TakerMatch] = []
        left = quantity
        for take in self._offers(self._side(side.opposite)):
            if left == ZERO or (limit is not None and is_beyond_limit(take.price, limit, side)):
                break
            part = min(left, take.quantity)
            found.append(replace(take, quantity=part))
            left -= part
        return found

    def consume_best(self, side: Side, quantity: Decimal) -> None:
        """Reduce the market's best level by the quantity that a taker of `side` took; the next tick refills it."""
        self._side(side.opposite).consumed += quantity

    def published_levels(self) -> BookLevels:
        """Return the book as published: the market's best levels and the accounts' orders, never crossed.

        The market cannot react to an account's order, so the market's price may reach or cross its price. The market is
        then published one tick size away from the order, so that the book is not crossed. A best level that takers have
        used up is published one tick size further away from the other side. A client must never see a bid at or above
        the ask: real books are uncrossed, and the client's parser would drop the frame.
        """
        bid, ask = self._published_prices()
        return BookLevels(
            bids=_merge_levels(bid, self._bids.published_quantity, self._bids.orders),
            asks=_merge_levels(ask, self._asks.published_quantity, self._asks.orders),
        )

    def published_top(self, update_id: int = 0) -> BookTop:
        """Return the best levels of `published_levels`."""
        bids, asks = self._bids, self._asks
        if bids.orders or asks.orders or bids.consumed or asks.consumed or self._tick is None:
            return self.published_levels().top(update_id)
        return BookTop(bids.price, asks.price, bids.quantity, asks.quantity, update_id)

    def _published_prices(self) -> tuple[Decimal, Decimal]:
        """Return the market's bid and ask as published."""
        tick, step, bids, asks = self.tick, self._tick_size, self._bids, self._asks
        bid, ask = tick.bid, tick.ask
        # First the market's own side: one tick behind if takers consumed its level. Then both sides are kept off the
        # accounts' orders.
        if bids.is_consumed:
            bid = max(step, bid - step)
        if asks.is_consumed:
            ask += step
        if asks.orders:
            bid = min(bid, asks.orders[0].price - step)
        if bids.orders:
            ask = max(ask, bids.orders[0].price + step)
        return bid, ask

    def _maker_fills(self, side: _BookSide, tick: Tick) -> Iterator[MakerFill]:
        """Yield the fills that a tick causes on one side. The top of `engine` explains the rule.

        An order fills in full if the price went through it. Otherwise the tick's trade at the order's price may fill
        it.
        """
        touching = tick.ask if side.is_buy else tick.bid
        printed = tick.last_price if tick.traded else touching
        volume = tick.traded if tick.aggressor is (Side.SELL if side.is_buy else Side.BUY) else ZERO
        # The market volume that the trade has taken so far from the queue at its price. Two orders at one price wait
        # behind the same market volume, so the queue of the second order shrinks by as much as that of the first.
        passed = ZERO
        for order in side.orders:
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
                order.queue_ahead = self._queue_ahead_at(order.side, order.price)
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

    def _side(self, side: Side) -> _BookSide:
        return self._bids if side is Side.BUY else self._asks

    def _queue_ahead_at(self, side: Side, price: Decimal) -> Decimal | None:
        """Return the market's volume that is in the queue before an order of `side` that joins at `price`.

        Returns None if `price` is worse than the market's best, because ticks do not contain deeper levels.
        """
        level = self._side(side)
        if price == level.price:
            return level.quantity_left
        return None if is_beyond_limit(price, level.price, side.opposite) else ZERO

    @staticmethod
    def _offers(side: _BookSide) -> list[TakerMatch]:
        """Return all quantities that rest on a side, best price first.

        These are the market's best level and the accounts' orders.
        """
        others = TakerMatch(None, side.price, side.quantity_left)
        ours = [TakerMatch(order, order.price, order.remaining) for order in side.orders]
        stands = [others, *ours] if others.quantity > ZERO else ours
        return sorted(stands, key=lambda take: take.price, reverse=side.is_buy)

    @staticmethod
    def _is_traded_through(order: SimOrder, price: Decimal) -> bool:
        """Return whether the market, whose price is now `price`, went through the order.

        It did if `price` is above the price of a sell order, or below the price of a buy order.
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

"""Trade tape: the public list of trades, those of the market and those of the accounts, under one sequence of ids.

A tick's trade may fill accounts' orders at its price. Each such fill gets an id, and so does the rest of the trade;
together they are one aggregate trade. Other fills of an account are separate trades: the price went through its order,
or the account's order was the taker. The klines do not contain these trades. The tape keeps their volume in
`account_bars`, so that the price statistics count every trade once.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import count, islice
from typing import Final, NamedTuple

from trailingedge.model.market import ZERO, Side
from trailingedge.simulator.bars import BarStores, bar_of_trades

MAX_AGGREGATES: Final = 10_000  # the newest aggregate trades are kept


class TapeTrade(NamedTuple):
    """One trade as everybody sees it. `aggressor` is the side of its taker."""

    trade_id: int
    price: Decimal
    quantity: Decimal
    time_ms: int
    aggressor: Side

    @property
    def quote_volume(self) -> Decimal:
        return self.price * self.quantity


class AggregateTrade(NamedTuple):
    """The trades of one taker order at one time and price; their ids follow each other."""

    aggregate_id: int
    trades: tuple[TapeTrade, ...]

    @property
    def time_ms(self) -> int:
        return self.trades[0].time_ms

    @property
    def quantity(self) -> Decimal:
        return sum((trade.quantity for trade in self.trades), ZERO)


class TradeTape:
    """The newest aggregate trades, oldest first."""

    def __init__(self) -> None:
        self.aggregates: deque[AggregateTrade] = deque(maxlen=MAX_AGGREGATES)
        self.account_bars = BarStores()
        self._trade_ids = count(1)
        self._aggregate_ids = count(1)

    @property
    def last_trade(self) -> TapeTrade | None:
        """The newest trade; None before the first."""
        return self.aggregates[-1].trades[-1] if self.aggregates else None

    def record(
        self, time_ms: int, price: Decimal, aggressor: Side, quantities: Iterable[Decimal], beyond_market: Decimal
    ) -> AggregateTrade:
        """Record the trades of one taker order at one price and give them their ids.

        `beyond_market` is the part of the volume that the market's klines do not contain.
        """
        trades = tuple(TapeTrade(next(self._trade_ids), price, quantity, time_ms, aggressor) for quantity in quantities)
        aggregate = AggregateTrade(next(self._aggregate_ids), trades)
        self.aggregates.append(aggregate)
        if beyond_market:
            ids = (trades[0].trade_id, trades[-1].trade_id)
            self.account_bars.add(bar_of_trades(time_ms, price, beyond_market, aggressor, ids))
        return aggregate

    def newer_than(self, aggregate_id: int) -> list[AggregateTrade]:
        """The aggregate trades with ids above `aggregate_id` that are still kept, oldest first."""
        newest: list[AggregateTrade] = []
        for aggregate in reversed(self.aggregates):
            if aggregate.aggregate_id <= aggregate_id:
                break
            newest.append(aggregate)
        return newest[::-1]

    def trades(self, from_id: int | None, limit: int) -> Sequence[TapeTrade]:
        """The oldest `limit` trades from `from_id` on; without `from_id`, the newest `limit` trades. Oldest first."""
        if from_id is None:
            newest: list[TapeTrade] = []
            for aggregate in reversed(self.aggregates):
                newest.extend(reversed(aggregate.trades))
                if len(newest) >= limit:
                    break
            return newest[:limit][::-1]
        kept = (trade for aggregate in self.aggregates for trade in aggregate.trades if trade.trade_id >= from_id)
        return list(islice(kept, limit))

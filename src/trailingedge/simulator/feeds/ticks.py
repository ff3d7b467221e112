"""Ticks and tick sources: the market data that the embedded exchange plays.

A source is generated, recorded or live; the exchange does not know which.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol

from trailingedge.model.market import Kline, Side


class Tick(NamedTuple):
    """The market's best prices at one time, and the trade that led to them, if any.

    `aggressor` is the side of that trade's taker; without a trade it is None and `traded` is zero.
    0 < bid < ask. Times are market time and never go back. `traded_ms` is set for a trade that was made before
    `time_ms`: a live market learns of trades late.
    """

    time_ms: int
    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal
    last_price: Decimal
    traded: Decimal
    aggressor: Side | None
    traded_ms: int | None = None


class LargestNumbers(NamedTuple):
    """The largest price and quantity in any row of a recorded market."""

    price: Decimal
    quantity: Decimal


class TickSource(Protocol):
    """A market to be played. Iterating yields its ticks from the start, oldest first.

    A source need not support a second iteration.
    """

    # What the exchange needs to know about the pair before the first tick.
    symbol: str
    base_asset: str
    quote_asset: str
    tick_size: Decimal
    step_size: Decimal
    history: Sequence[Kline]  # closed one-minute klines before the first tick, oldest first; may be empty
    largest: LargestNumbers | None  # None if nothing is recorded
    gaps: Sequence[str]  # sentences about what the source lacks, for people; may be empty

    def __iter__(self) -> Iterator[Tick]: ...

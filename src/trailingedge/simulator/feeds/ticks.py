"""What the embedded exchange is told of the world outside: a tape of ticks.

A tape comes from the seeded generator or from recorded files; the exchange does not know which.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from trailingedge.model.market import Kline, Side


@dataclass(frozen=True, slots=True)
class Tick:
    """The best prices of the others at one moment, and what traded to get there.

    `aggressor` is the side of the taker of that trade; without a trade it is None and `traded` zero.
    0 < bid < ask. Times are market time and never go back.
    """

    time_ms: int
    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal
    last_price: Decimal
    traded: Decimal
    aggressor: Side | None


class TickSource(Protocol):
    """A market to be played. Iterating gives the ticks from its start, oldest first; once."""

    symbol: str
    base_asset: str
    quote_asset: str
    tick_size: Decimal
    step_size: Decimal
    history: Sequence[Kline]  # closed one-minute klines before the first tick, oldest first; may be empty
    gaps: Sequence[str]  # what is missing in the source, in words; may be empty

    def __iter__(self) -> Iterator[Tick]: ...

"""Still market: a tick every second with unchanged prices and no trades, so that nothing fills."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from tests.simulation.simulated_day import START_MS

from trailingedge.model.market import Kline
from trailingedge.simulator.feeds.ticks import LargestNumbers, Tick

MINUTE_MS = 60_000
BID, ASK = Decimal("2500.00"), Decimal("2500.10")


def flat_klines() -> Sequence[Kline]:
    """A day of one-minute klines at the bid."""
    opens = range(START_MS - START_MS % MINUTE_MS - 1440 * MINUTE_MS, START_MS - MINUTE_MS, MINUTE_MS)
    return [Kline(each, each + MINUTE_MS - 1, BID, BID, BID, BID, Decimal(1)) for each in opens]


@dataclass
class StillMarket:
    """A source of `hours` of ticks, after a day of flat klines. The bid's quantity alternates, so each tick is news."""

    hours: float = 1.0
    symbol: str = "ETHFDUSD"
    base_asset: str = "ETH"
    quote_asset: str = "FDUSD"
    tick_size: Decimal = Decimal("0.01")
    step_size: Decimal = Decimal("0.0001")
    history: Sequence[Kline] = field(default_factory=flat_klines)
    gaps: Sequence[str] = ()
    largest: LargestNumbers | None = None

    def __iter__(self) -> Iterator[Tick]:
        for second in range(int(self.hours * 3600)):
            depth = Decimal(2 + second % 2)
            yield Tick(START_MS + 1000 * second, BID, depth, ASK, depth, BID, Decimal(0), None)

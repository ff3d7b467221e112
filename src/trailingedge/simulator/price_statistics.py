"""Price statistics: the prices and volumes of a rolling window, as ticker methods and ticker streams publish them.

They cover the trades in the klines and the trades of the accounts that are not in the klines. Klines from before the
market's first tick add prices and volumes, but no trade ids and no number of trades.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from trailingedge.model.market import ZERO
from trailingedge.simulator.bars import BarStores

PERCENT_STEP: Final = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class PriceStatistics:
    """The prices and volumes of the time from `open_ms` to `close_ms`. Ids are -1 if nothing was traded."""

    open_ms: int
    close_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    last: Decimal
    previous_close: Decimal
    volume: Decimal = ZERO
    quote_volume: Decimal = ZERO
    first_id: int = -1
    last_id: int = -1

    @property
    def trade_count(self) -> int:
        return self.last_id - self.first_id + 1 if self.first_id >= 0 else 0

    @property
    def change(self) -> Decimal:
        return self.last - self.open

    @property
    def change_percent(self) -> Decimal:
        return (100 * self.change / self.open).quantize(PERCENT_STEP, ROUND_HALF_UP)

    @property
    def average(self) -> Decimal:
        """The volume-weighted price; zero if nothing was traded."""
        return self.quote_volume / self.volume if self.volume else ZERO


def window_statistics(
    market: BarStores, accounts: BarStores, open_ms: int, close_ms: int, last: Decimal
) -> PriceStatistics:
    """Compute the statistics since `open_ms`.

    `market` holds the bars of the klines; `accounts` holds bars of those trades of the accounts that are not in the
    klines. `last` is the market's last price. In a window without any trade, all prices are the last price before the
    window.
    """
    bar, extra = market.merged_from(open_ms), accounts.merged_from(open_ms)
    previous = market.close_before(open_ms)
    if bar is None or not bar.observed:
        flat = last if previous is None else previous
        opened, high, low, volume, quote_volume = flat, max(flat, last), min(flat, last), ZERO, ZERO
    else:
        opened, high, low, volume, quote_volume = bar.open, bar.high, bar.low, bar.volume, bar.quote_volume
    ids = [(each.first_id, each.last_id) for each in (bar, extra) if each is not None and each.first_id >= 0]
    return PriceStatistics(
        open_ms=open_ms,
        close_ms=close_ms,
        open=opened,
        high=high if extra is None else max(high, extra.high),
        low=low if extra is None else min(low, extra.low),
        last=last,
        previous_close=opened if previous is None else previous,
        volume=volume + (ZERO if extra is None else extra.volume),
        quote_volume=quote_volume + (ZERO if extra is None else extra.quote_volume),
        first_id=min((first for first, _ in ids), default=-1),
        last_id=max((newest for _, newest in ids), default=-1),
    )

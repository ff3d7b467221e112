"""The hard stop's confirmation after a restart: since when the price has been beyond the stop."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import pytest
from tests.reconciliation.account_histories import at, position_now
from tests.strategy.strategy_harness import params

from trailingedge.indicators.donchian import Channel, DonchianChannel
from trailingedge.model.market import BookTop, Kline, Regime
from trailingedge.reconciliation.anchor_timeline import CurrentPosition
from trailingedge.reconciliation.backfill import BackfillSpec, interval_length_ms
from trailingedge.reconciliation.stop_confirmation import breach_times, with_breach
from trailingedge.strategy.state import StrategyState

SETTINGS = params(
    hard_stop_threshold_frac=0.08,
    hard_stop_donchian_multiplier=0.5,
    hard_stop_max_frac=0.15,
    hard_stop_confirm_sec=600.0,
)
NOW_S = 5000.0


class Falling:
    """A market that trades at 100, and from the second `fell_s` on at `price`; `asked` has the intervals fetched."""

    def __init__(self, fell_s: int, price: str = "91") -> None:
        self.fell_ms = at(fell_s)
        self.price = Decimal(price)
        self.asked: list[str] = []

    async def fetch(self, interval: str, from_ms: int, until_ms: int) -> Sequence[Kline]:
        self.asked.append(interval)
        length = interval_length_ms(interval)
        opens = range(from_ms + -from_ms % length, until_ms - length + 2, length)
        return [self._kline(open_ms, open_ms + length - 1) for open_ms in opens]

    def _kline(self, open_ms: int, close_ms: int) -> Kline:
        first, last = (Decimal(100) if ms < self.fell_ms else self.price for ms in (open_ms, close_ms))
        return Kline(open_ms, close_ms, first, max(first, last), min(first, last), last)


def restored(market: Falling, state: StrategyState | None = None, interval: str = "15m") -> StrategyState:
    held = position_now("1", "0", seconds=NOW_S)
    now = CurrentPosition(
        held.rules, SETTINGS, held.holdings, BookTop(market.price, market.price + Decimal("0.01")), held.market_ms
    )
    base = StrategyState(regime=Regime.BASE, anchor=100.0, high=100.0, anchor_ms=at(1000)) if state is None else state
    return asyncio.run(with_breach(base, now, market.fetch, BackfillSpec(interval, 4, lambda: DonchianChannel(3, 1))))


@pytest.mark.parametrize("interval", ["1m", "15m"])
def test_a_breach_counts_from_its_first_second(interval: str) -> None:
    state = restored(Falling(4800), interval=interval)
    assert (state.stop_breach_since_ms, state.max_breach_since_ms) == (at(4800), None)


def test_a_breach_older_than_the_confirmation_is_confirmed_at_once() -> None:
    since = restored(Falling(2000)).stop_breach_since_ms
    assert since is not None
    assert since <= at(NOW_S - 600)


def test_the_largest_loss_has_a_time_of_its_own() -> None:
    state = restored(Falling(4990, "80"))
    assert (state.stop_breach_since_ms, state.max_breach_since_ms) == (at(4990), at(4990))


@pytest.mark.parametrize(
    ("price", "regime"),
    [pytest.param("93", Regime.BASE, id="far from the stop"), pytest.param("80", Regime.QUOTE, id="quote is held")],
)
def test_nothing_is_fetched_where_no_stop_can_be_breached(price: str, regime: Regime) -> None:
    market = Falling(4000, price)
    state = StrategyState(regime=regime, anchor=100.0, high=100.0, anchor_ms=at(1000))
    assert restored(market, state) == state
    assert market.asked == []


def test_the_channel_of_its_time_decides_how_far_the_stop_was() -> None:
    wide, narrow = Channel(110.0, 90.0, full=True), Channel(100.0, 99.0, full=True)  # a stop at 90 %, and at 92 %
    flat = Decimal(91)
    klines = [Kline(at(s), at(s + 1) - 1, flat, flat, flat, flat) for s in range(10)]
    assert breach_times(100.0, klines, [(at(-1), wide), (at(4), narrow)], SETTINGS) == (at(4), None)
    assert breach_times(100.0, klines, [(at(-1), narrow), (at(4), wide)], SETTINGS) == (None, None)

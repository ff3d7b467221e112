"""Tests of the market memo: what is shared is what each backtest would have computed."""

from random import Random

import pytest

from trailingedge.backtest.market_memo import MarketMemo
from trailingedge.indicators.donchian import DonchianChannel


def build() -> DonchianChannel:
    return DonchianChannel(3, 2, "high_low", rolling=110)


@pytest.mark.parametrize("most_channels", [0, 70, 1000])
def test_a_shared_channel_is_that_of_its_own_candles(most_channels: int) -> None:
    dice, memo = Random("channels"), MarketMemo(most_channels=most_channels)
    prices = [float(dice.randrange(90, 110)) for _ in range(130)]
    # The third run has other candles from its middle on, as on another path.
    for candles in (prices, prices, [*prices[:65], *(price + 1 for price in prices[65:])]):
        alone, shared = build(), memo.channel(60_000, build)
        begin = 0
        while begin < len(candles):
            lows = candles[begin : begin + dice.choice((1, 1, 7))]
            highs = [low + 0.5 for low in lows]
            assert shared.push_all(highs, lows) == alone.push_all(highs, lows)
            assert shared.current == alone.current
            begin += len(lows)


def test_channels_of_other_windows_and_intervals_are_not_mixed_up() -> None:
    memo = MarketMemo()
    wide = memo.channel(60_000, lambda: DonchianChannel(20, 2))
    longer = memo.channel(300_000, build)
    for shared, alone in ((memo.channel(60_000, build), build()), (wide, DonchianChannel(20, 2)), (longer, build())):
        for price in range(40):
            shared.push_edges(price + 1.0, price)
            alone.push_edges(price + 1.0, price)
            assert shared.current == alone.current

"""Tests of the history of prices and levels: one sample a minute, and only the newest half day."""

from decimal import Decimal

from trailingedge.model.market import Kline
from trailingedge.notifications.level_history import KEPT_SAMPLES, LevelHistory, LevelSample, of_klines

D = Decimal
MINUTE_MS = 60_000


def test_a_minute_has_one_sample_the_newest() -> None:
    history = LevelHistory()
    for time_ms, bid in ((0, 1), (59_999, 2), (60_000, 3), (50_000, 4)):
        history.add(LevelSample(time_ms, D(bid)))
    assert [(sample.market_ms, sample.bid) for sample in history.samples] == [(59_999, D(2)), (60_000, D(3))]


def test_the_oldest_samples_are_dropped() -> None:
    history = LevelHistory(LevelSample(at * MINUTE_MS, D(at)) for at in range(2000))
    history.add(LevelSample(2000 * MINUTE_MS, D(2000)))
    assert len(history.samples) == KEPT_SAMPLES
    assert history.samples[-1].bid == 2000


def test_the_candles_of_the_last_half_day_are_the_history_of_a_start() -> None:
    quarter_ms = 15 * MINUTE_MS
    klines = [
        Kline(at * quarter_ms, (at + 1) * quarter_ms - 1, D(1), D(9999), D(1), D(at), D(1)) for at in range(1, 1440)
    ]
    samples = of_klines(klines)
    assert len(samples) == 48
    assert samples[-1] == LevelSample(1440 * quarter_ms - 1, D(1439))
    assert of_klines([]) == []

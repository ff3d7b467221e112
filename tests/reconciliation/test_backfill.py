"""Backfill: which klines are fetched, and which part of them counts."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from tests.execution.order_builders import D
from tests.reconciliation.account_histories import at

from trailingedge.indicators.donchian import DonchianChannel
from trailingedge.model.market import Kline
from trailingedge.reconciliation.backfill import BackfillSpec, days_since, interval_length_ms, klines_since
from trailingedge.strategy.inputs import ClosedKline

LENGTHS_MS = {"1s": 1000, "1m": 60_000, "5m": 300_000}


class Market:
    """Every second trades at 200 and a hundredth for each second so far; coarser klines follow from that."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int]] = []

    async def fetch(self, interval: str, from_ms: int, until_ms: int) -> Sequence[Kline]:
        self.asked.append((interval, from_ms, until_ms))
        length = LENGTHS_MS[interval]
        first = from_ms + -from_ms % length
        return [
            kline(open_ms, length) for open_ms in range(first, until_ms + 1, length) if open_ms + length - 1 <= until_ms
        ]


def kline(open_ms: int, length: int) -> Kline:
    first, last = price(open_ms), price(open_ms + length - 1)
    return Kline(open_ms, open_ms + length - 1, first, last, first, last)


def price(ms: int) -> Decimal:
    return D(200) + D((ms - at(0)) // 1000) / 100


def since(*turns_ms: int, now_ms: int, interval: str = "1m") -> tuple[list[ClosedKline], list[Kline], Market]:
    market = Market()
    lens = BackfillSpec(interval, 4, lambda: DonchianChannel(3, 1))
    closes, fine = asyncio.run(klines_since(turns_ms, now_ms, market.fetch, lens))
    return closes, fine, market


def test_without_an_anchor_nothing_is_asked() -> None:
    closes, fine, market = since(now_ms=at(600))
    assert (closes, fine, market.asked) == ([], [], [])


def test_whole_candles_come_with_a_channel_that_is_warm() -> None:
    closes, _, _ = since(at(70.5), now_ms=at(250))
    assert [closed.kline.open_ms for closed in closes] == [at(60), at(120), at(180)]
    assert all(closed.channel is not None and closed.channel.full for closed in closes)


def test_seconds_cover_the_first_candle_and_the_one_that_forms() -> None:
    _, fine, _ = since(at(70.5), now_ms=at(250))
    assert [kline.open_ms for kline in fine] == [
        at(70.5),
        *(at(second) for second in range(71, 120)),
        *(at(second) for second in range(240, 250)),
    ]


def test_of_the_second_of_the_anchor_only_the_close_counts() -> None:
    _, fine, _ = since(at(70.5), now_ms=at(250))
    assert fine[0].open == fine[0].high == fine[0].low == fine[0].close


def test_an_anchor_in_the_forming_candle_has_seconds_alone() -> None:
    closes, fine, _ = since(at(245.2), now_ms=at(250))
    assert closes == []
    assert [kline.open_ms for kline in fine] == [at(245.2), at(246), at(247), at(248), at(249)]


def test_the_last_of_several_anchors_is_the_one_that_seconds_follow() -> None:
    closes, fine, _ = since(at(70.5), at(130), now_ms=at(200))
    assert closes[0].kline.open_ms == at(60)
    assert fine[0].open_ms == at(130)


def test_in_long_candles_minutes_stand_in_for_seconds() -> None:
    _, fine, market = since(at(330.5), now_ms=at(1000), interval="5m")
    assert {interval for interval, _, _ in market.asked} == {"5m", "1s", "1m"}
    assert len(fine) < 200


@given(st.integers(0, 900_000), st.integers(0, 900_000), st.sampled_from(["1m", "5m"]))
def test_nothing_is_counted_before_the_anchor_and_nothing_after_it_is_missed(
    turn_ms: int, later_ms: int, interval: str
) -> None:
    turn, now = at(0) + turn_ms, at(0) + turn_ms + later_ms
    closes, fine, _ = since(turn, now_ms=now, interval=interval)
    whole = [closed.kline for closed in closes if closed.kline.open_ms >= turn]
    seen = sorted((kline.open_ms, kline.close_ms) for kline in [*whole, *fine])
    assert all(kline.open_ms >= turn for kline in fine)
    reach = turn
    for opens, ends in seen:
        assert opens <= reach
        reach = max(reach, ends + 1)
    assert now - reach <= 1000


def test_the_length_of_a_candle_is_read_from_its_name() -> None:
    assert (interval_length_ms("1s"), interval_length_ms("15m"), interval_length_ms("1d")) == (
        1000,
        900_000,
        86_400_000,
    )


def test_for_an_old_anchor_days_do_with_finer_klines_around_them() -> None:
    class Days(Market):
        async def fetch(self, interval: str, from_ms: int, until_ms: int) -> Sequence[Kline]:
            self.asked.append((interval, from_ms, until_ms))
            length = interval_length_ms(interval)
            opens = range(from_ms + -from_ms % length, until_ms - length + 2, length)
            return [kline(open_ms, length) for open_ms in opens]

    market = Days()
    found = asyncio.run(days_since(at(70.5), at(40 * 86_400), market.fetch))
    spans = sorted((kline.open_ms, kline.close_ms) for kline in found)
    assert spans[0][0] == at(70.5)
    assert all(ends + 1 == opens for (_, ends), (opens, _) in pairwise(spans))
    assert at(40 * 86_400) - spans[-1][1] <= 1000
    assert len(market.asked) < 10

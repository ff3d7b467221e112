"""Backfill: fetches the klines since our anchors, and finer klines for the times that whole klines do not cover."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from trailingedge.core.time_units import MINUTE_MS, SECOND_MS
from trailingedge.indicators.donchian import DonchianChannel
from trailingedge.model.market import Kline
from trailingedge.strategy.inputs import ClosedKline

_UNITS_MS: Final = {
    "s": SECOND_MS,
    "m": MINUTE_MS,
    "h": 60 * MINUTE_MS,
    "d": 24 * 60 * MINUTE_MS,
    "w": 7 * 24 * 60 * MINUTE_MS,
    "M": 31 * 24 * 60 * MINUTE_MS,  # at most
}


class FetchKlines(Protocol):
    """Fetches the closed klines of `interval` from `from_ms` to `until_ms`, oldest first.

    Raises the same errors as any request to the exchange.
    """

    async def __call__(self, interval: str, from_ms: int, until_ms: int) -> Sequence[Kline]: ...


@dataclass(frozen=True, slots=True)
class BackfillSpec:
    """The strategy's kline interval and channel.

    `channel` makes an empty channel, which is full after `warm_up` klines.
    """

    interval: str
    warm_up: int
    channel: Callable[[], DonchianChannel]


def interval_length_ms(interval: str) -> int:
    """Return the length of a kline in milliseconds. A month counts as 31 days."""
    return int(interval[:-1]) * _UNITS_MS[interval[-1]]


async def klines_since(
    changes_ms: Sequence[int], market_ms: int, fetch: FetchKlines, spec: BackfillSpec
) -> tuple[list[ClosedKline], list[Kline]]:
    """Fetch whole klines since the first of `changes_ms`, and finer klines since the last one.

    `changes_ms` are the times of position changes. Whole klines are returned if they closed after
    the first change. The finer klines fill the two gaps that whole klines leave after the last
    change: until the end of the kline in which the change happened, and from the end of the last
    closed kline until now.
    """
    if not changes_ms:
        return [], []
    first_ms, last_ms = changes_ms[0], changes_ms[-1]
    # The channel in force at the first close needs a full window before it.
    warm_ms = (spec.warm_up + 1) * interval_length_ms(spec.interval)
    klines = await fetch(spec.interval, first_ms - warm_ms, market_ms)
    channel = spec.channel()
    closes = [
        closed
        for closed in (ClosedKline(kline, channel.push(kline)) for kline in klines)
        if _closes_after(closed, first_ms)
    ]
    ends_ms = [closed.kline.close_ms for closed in closes if _closes_after(closed, last_ms)]
    if not ends_ms:
        return closes, await fine_klines(fetch, last_ms, market_ms)
    head = await fine_klines(fetch, last_ms, ends_ms[0])
    return closes, head + await fine_klines(fetch, ends_ms[-1] + 1, market_ms)


async def days_since(since_ms: int, market_ms: int, fetch: FetchKlines) -> list[Kline]:
    """Fetch daily klines since `since_ms`, and finer klines before the first and after the last whole day.

    These klines suffice to find the high, and take few requests.
    """
    days = [*await fetch("1d", since_ms, market_ms)]
    if not days:
        return await fine_klines(fetch, since_ms, market_ms)
    head = await fine_klines(fetch, since_ms, days[0].open_ms - 1) if since_ms < days[0].open_ms else []
    return head + days + await fine_klines(fetch, days[-1].close_ms + 1, market_ms)


def _closes_after(closed: ClosedKline, market_ms: int) -> bool:
    return closed.kline.close_ms >= market_ms


async def fine_klines(fetch: FetchKlines, from_ms: int, until_ms: int, *, seconds: bool = False) -> list[Kline]:
    """Fetch minute klines for whole minutes from `from_ms` to `until_ms`, and second klines for both ends.

    `seconds` asks for second klines alone.
    If `from_ms` lies within a second, only the close of this second counts: a trade before
    `from_ms` must not raise the high.
    """
    whole_ms = from_ms + -from_ms % MINUTE_MS
    # Whole minutes in the middle; seconds only at both ends. A year of seconds would be thirty thousand requests.
    rest_ms = until_ms + 1 - (until_ms + 1) % MINUTE_MS
    second_ms = from_ms - from_ms % SECOND_MS
    if seconds or rest_ms <= whole_ms:
        found = [*await fetch("1s", second_ms, until_ms)]
    else:
        found = [*await fetch("1s", second_ms, whole_ms - 1)] if second_ms < whole_ms else []
        found += await fetch("1m", whole_ms, rest_ms - 1)
        found += await fetch("1s", rest_ms, until_ms) if rest_ms < until_ms else []
    if found and found[0].open_ms < from_ms:
        close = found[0].close
        found[0] = replace(found[0], open_ms=from_ms, open=close, high=close, low=close)
    return found

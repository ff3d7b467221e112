"""Stop confirmation after a restart: finds out since when the price has been at the hard stop, so that the confirmation
does not begin again.

The time is read from klines, which show trades and not the bid: a breach counts from the first kline that lies
completely beyond the stop. So the time found may be a second too late, but never too early.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from trailingedge.core.time_units import MINUTE_MS, SECOND_MS
from trailingedge.indicators.donchian import Channel
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import Kline, Regime
from trailingedge.reconciliation.anchor_timeline import CurrentPosition
from trailingedge.reconciliation.backfill import BackfillSpec, FetchKlines, fine_klines, interval_length_ms
from trailingedge.strategy.hard_stop import is_breached, least_stop_distance, stop_distance
from trailingedge.strategy.inputs import StrategyParams
from trailingedge.strategy.state import StrategyState

_SECONDS_UP_TO_MS: Final = 60 * MINUTE_MS  # a longer confirmation is measured in whole minutes

ChannelFrom = tuple[int, Channel | None]
"""A time, and the channel in force from then on."""


async def with_breach(
    state: StrategyState, now: CurrentPosition, fetch: FetchKlines, spec: BackfillSpec
) -> StrategyState:
    """Return `state` with the times at which the price reached the hard stop, if the price is at the hard stop now."""
    params, bid = now.params, now.exit_price(Regime.BASE)
    nearest = least_stop_distance(params)
    selling = state.exit is not None and (state.exit.kind is ExitKind.FLUSH or state.exit.ending is not None)
    if params.trigger_on.at_close:
        return state  # a close needs no confirmation
    # Nearly always the price is far from the stop, and no kline is needed.
    if state.regime is not Regime.BASE or selling or not is_breached(bid, state.anchor, nearest):
        return state
    confirm_ms = round(params.hard_stop_confirm_sec * 1000) + SECOND_MS
    from_ms = max(state.anchor_ms, now.market_ms - confirm_ms)
    # The channel in force at `from_ms` needs a full window before it.
    warm_ms = (spec.warm_up + 1) * interval_length_ms(spec.interval)
    channel, channels = spec.channel(), deque[ChannelFrom]()
    for kline in await fetch(spec.interval, from_ms - warm_ms, now.market_ms):
        channel.push(kline)
        channels.append((kline.close_ms + 1, channel.current))
    klines = await fine_klines(fetch, from_ms, now.market_ms, seconds=confirm_ms <= _SECONDS_UP_TO_MS)
    since, max_since = breach_times(state.anchor, klines, channels, params)
    return replace(state, stop_breach_since_ms=since, max_breach_since_ms=max_since)


def breach_times(
    anchor: float, klines: Sequence[Kline], channels: Iterable[ChannelFrom], params: StrategyParams
) -> tuple[int | None, int | None]:
    """Return since when all klines lie beyond the hard stop, and since when they lie beyond its largest distance.

    A time is None if the last kline is not beyond that level. Klines and channels come oldest first. Holds for BASE, at
    the unit value `anchor`.
    """
    waiting, channel = deque(channels), None
    since: int | None = None
    max_since: int | None = None
    for kline in klines:
        while waiting and waiting[0][0] <= kline.open_ms:
            channel = waiting.popleft()[1]
        best = float(kline.high)
        since = _since(since, kline, breached=is_breached(best, anchor, stop_distance(channel, params)))
        max_since = _since(max_since, kline, breached=is_breached(best, anchor, params.hard_stop_max_frac))
    return since, max_since


def _since(since: int | None, kline: Kline, *, breached: bool) -> int | None:
    if not breached:
        return None
    return kline.open_ms if since is None else since

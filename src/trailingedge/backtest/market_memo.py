"""Market memo: keeps in memory what backtests of one market would otherwise compute again and again.

It keeps the market in bars (`bar_columns`) for each interval and each path within the klines, and the channel after
each candle for each window. They depend on no other setting. Results are the same with a memo and without.
"""

from array import array
from collections.abc import Callable, Sequence
from typing import Final

from trailingedge.backtest.bar_columns import BarColumns, KlineGroup, kline_groups
from trailingedge.indicators.donchian import Channel, DonchianChannel, MovingChannel
from trailingedge.simulator.feeds.candle_path import GridPath
from trailingedge.simulator.feeds.columns import KlineColumns

MOST_KLINES: Final = 1_000_000  # kept as bars, of all intervals and paths: about 100 MB
MOST_CHANNELS: Final = 500_000  # kept, of all windows: about 100 MB


class MarketMemo:
    """Memory that the backtests of one market share. What does not fit is computed again each time."""

    def __init__(self, most_klines: int = MOST_KLINES, most_channels: int = MOST_CHANNELS) -> None:
        self._klines_left, self._channels_left = most_klines, most_channels
        self._groups: dict[tuple[int, int], list[KlineGroup]] = {}
        self._bars: dict[tuple[object, ...], BarColumns] = {}
        self._histories: dict[tuple[object, ...], ChannelHistory] = {}

    def kline_groups(self, klines: KlineColumns, interval_ms: int) -> list[KlineGroup]:
        """Return the klines in groups: klines that fit bars of this interval, and klines that do not."""
        key = id(klines), interval_ms
        groups = self._groups.get(key) or kline_groups(klines, interval_ms)
        # Bars keep the klines in memory, so that no other klines can have this id.
        if all(is_bar for _, _, is_bar in groups) and len(klines) <= self._klines_left:
            self._groups[key] = groups
        return groups

    def bars(self, klines: KlineColumns, begin: int, end: int, interval_ms: int, path: GridPath) -> BarColumns:
        """Return these klines as bars, and move `path` to their end."""
        key = (id(klines), begin, interval_ms, path.key, path.last_price, path.last_move_up)
        bars = self._bars.get(key)
        if bars is not None:
            bars.move(path)
            return bars
        bars = BarColumns(klines, begin, end, interval_ms, path)
        if bars.klines <= self._klines_left:
            self._klines_left -= bars.klines
            self._bars[key] = bars
        return bars

    def channel(self, interval_ms: int, build: Callable[[], DonchianChannel]) -> MovingChannel:
        """Return an empty channel, which `build` makes.

        It shares its computations with all channels of the same arguments.
        """
        channel = build()
        key = (interval_ms, *channel.key)
        if key not in self._histories:
            self._histories[key] = ChannelHistory(channel, self._take_channel)
        return SharedChannel(self._histories[key], build)

    def _take_channel(self) -> bool:
        """Whether one more channel may be kept."""
        self._channels_left -= 1
        return self._channels_left >= 0


class ChannelHistory:
    """The channel after each candle of a market, for one window.

    It reaches to the candle to which the furthest backtest has come.
    """

    def __init__(self, channel: DonchianChannel, may_grow: Callable[[], bool]) -> None:
        self.highs, self.lows = array("d"), array("d")
        self.channels: list[Channel | None] = []
        self.source = channel.source
        self._channel = channel
        self._may_grow = may_grow

    def follow(self, begin: int, highs: Sequence[float], lows: Sequence[float]) -> bool:
        """Whether the candles from number `begin` on have these highs and lows.

        Candles that the history lacks are added to it.
        """
        end = begin + len(highs)
        known = min(len(self.highs), end) - begin
        if self.highs[begin : begin + known] != array("d", highs[:known]):
            return False
        if self.lows[begin : begin + known] != array("d", lows[:known]):
            return False
        for high, low in zip(highs[known:], lows[known:], strict=True):
            if not self._may_grow():
                return False
            self._channel.push_edges(high, low)
            self.highs.append(high)
            self.lows.append(low)
            self.channels.append(self._channel.current)
        return True


class SharedChannel(MovingChannel):
    """A channel that looks up results that a history already has.

    If its candles differ from those of the history, it computes for itself from there on. They can differ if candles
    are shorter than the klines of the market, because they then depend on the path.
    """

    def __init__(self, history: ChannelHistory, build: Callable[[], DonchianChannel]) -> None:
        self.current: Channel | None = None
        self.source = history.source
        self._history = history
        self._build = build
        self._count = 0
        self._own: DonchianChannel | None = None

    def push_all(self, highs: Sequence[float], lows: Sequence[float]) -> Channel | None:
        if self._own is None:
            if self._history.follow(self._count, highs, lows):
                before = self._count + len(highs) - 2
                in_force = self.current if len(highs) == 1 else self._history.channels[before]
                self._count += len(highs)
                self.current = self._history.channels[self._count - 1]
                return in_force
            self._own = self._build()
            for high, low in zip(self._history.highs[: self._count], self._history.lows, strict=False):
                self._own.push_edges(high, low)
        in_force = self._own.push_all(highs, lows)
        self.current = self._own.current
        return in_force

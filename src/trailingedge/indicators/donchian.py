"""Donchian's channel: the highest and the lowest price of the last klines, and the mean of both.

`compute_donchian_channels` gives the whole series at once; `DonchianChannel` gives the same numbers one closed kline
at a time, at a cost that does not grow with the window. A property test compares the two.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Sequence
from enum import Enum
from math import nan
from typing import Final, Literal, NamedTuple, Protocol, get_args

from trailingedge.model.market import Kline

Source = Literal["close", "high_low"]

WIDTHS_FOR_SQUEEZE: Final = 100  # with fewer, "narrow" has no meaning yet


class Breakout(Enum):
    """A close beyond an edge of the channel."""

    UP = "up"
    DOWN = "down"


class Channel(NamedTuple):
    """The channel in force while one kline forms, in quote per base; upper >= mid >= lower.

    `full` tells whether the channel covers a whole window. `squeeze_share` is the share of recent
    full channels (this one counts too) that are strictly narrower, from 0 to 1. It is None until
    there are 100 widths. This is a NamedTuple and not a dataclass, because a backtest of a year
    creates half a million of them.
    """

    upper: float
    lower: float
    full: bool
    squeeze_share: float | None = None

    @property
    def mid(self) -> float:
        return (self.upper + self.lower) / 2

    @property
    def width(self) -> float:
        return self.upper - self.lower

    def breakout(self, close: float) -> Breakout | None:
        """Return the direction in which a close at this price leaves the channel.

        Returns None if the close is within the channel, or if the channel is not full.
        """
        if not self.full:
            return None
        if close > self.upper:
            return Breakout.UP
        return Breakout.DOWN if close < self.lower else None

    def squeezed(self, squeeze_frac: float) -> bool:
        """Whether the channel is narrow compared with its own recent widths."""
        return self.squeeze_share is not None and self.squeeze_share < squeeze_frac


def compute_donchian_channels(
    klines: Sequence[Kline], window: int, shift: int = 0, source: Source = "close"
) -> tuple[list[float], list[float], list[float]]:
    """Return the upper edges, the lower edges and the mids, in quote per base, oldest first.

    Each list is as long as `klines`. Row i covers the `window` klines that end at i - shift, or
    fewer if fewer exist. A row that covers no kline is NaN. In all other rows upper >= mid >=
    lower. Raises ValueError when window < 1 or shift < 0, or for an unknown source. Source:
    Donchian's breakout channel; mid is the mean of the two edges.
    """
    _check_arguments(window, shift, 0, source)
    extremes = _Extremes(window)
    upper: list[float] = []
    lower: list[float] = []
    mid: list[float] = []
    for row in range(len(klines)):
        if row < shift:
            highest = lowest = nan
        else:
            highest, lowest = extremes.push(*_edges(klines[row - shift], source))
        upper.append(highest)
        lower.append(lowest)
        mid.append((highest + lowest) / 2)
    return upper, lower, mid


class MovingChannel(Protocol):
    """Donchian's channel after the klines that have closed so far.

    After n closed klines, `current` equals row n of `compute_donchian_channels`: it is the channel
    in force while the next kline forms.
    """

    current: Channel | None
    source: Source

    def push(self, kline: Kline) -> Channel | None:
        """Add a closed kline. Returns the channel that was in force while it formed."""
        return self.push_edges(*_edges(kline, self.source))

    def push_prices(self, high: float, low: float, close: float) -> Channel | None:
        """Add a closed kline by its prices. Returns the same as `push`."""
        return self.push_edges(*((close, close) if self.source == "close" else (high, low)))

    def push_edges(self, high: float, low: float) -> Channel | None:
        """Add a closed kline by its high and low. Returns the same as `push`.

        If the source is "close", both values are the close of the kline.
        """
        return self.push_all((high,), (low,))

    def push_all(self, highs: Sequence[float], lows: Sequence[float]) -> Channel | None:
        """Add closed klines by highs and lows. Returns the channel that was in force while the last one formed."""
        ...


class DonchianChannel(MovingChannel):
    """Computes Donchian's channel one closed kline at a time, at an amortised cost of O(1).

    `shift` is at least 1, so the forming kline is never part of the channel.
    """

    def __init__(
        self, window: int, shift: int, source: Source = "close", rolling: int = 1440, klines: Iterable[Kline] = ()
    ) -> None:
        """Start with the closed `klines`, oldest first. Raises ValueError for bad arguments."""
        _check_arguments(window, shift, 1, source)
        if rolling < window + shift:
            raise ValueError(f"rolling {rolling} is too short for window {window} and shift {shift}")
        self.current: Channel | None = None
        self.source = source
        self._rolling = rolling
        self._window = window
        self._waiting: deque[tuple[float, float]] = (
            deque()
        )  # edges of klines that closed, but are younger than the shift
        self._shift = shift
        self._extremes = _Extremes(window)
        # As many widths as a start can compute from `rolling` klines. More would make a daemon that has run for a
        # week and one that was just restarted disagree about a squeeze.
        self._widths = _Widths(rolling - window - shift + 2)
        for kline in klines:
            self.push(kline)

    @property
    def key(self) -> tuple[object, ...]:
        """The arguments. Two channels with equal arguments are equal after the same klines."""
        return self._window, self._shift, self.source, self._rolling

    def push_all(self, highs: Sequence[float], lows: Sequence[float]) -> Channel | None:
        in_force = self.current
        for high, low in zip(highs, lows, strict=True):
            in_force = self.push_edges(high, low)
        return in_force

    def push_edges(self, high: float, low: float) -> Channel | None:
        in_force = self.current
        self._waiting.append((high, low))
        # With shift 1, the kline that just closed joins the channel at once, for the next kline. With a larger shift it
        # waits for shift - 1 further closes.
        if len(self._waiting) >= self._shift:
            self.current = self._cover(*self._waiting.popleft())
        return in_force

    def _cover(self, high: float, low: float) -> Channel:
        upper, lower = self._extremes.push(high, low)
        if self._extremes.pushed < self._window:
            return Channel(upper, lower, full=False)
        return Channel(upper, lower, full=True, squeeze_share=self._widths.push(upper - lower))


class _Extremes:
    """The highest high and the lowest low of the last `window` klines.

    Each deque keeps only the values that can still become an extreme, so that its first entry is the extreme.
    """

    def __init__(self, window: int) -> None:
        self.pushed = 0
        self._window = window
        self._highs: deque[tuple[int, float]] = deque()
        self._lows: deque[tuple[int, float]] = deque()

    def push(self, high: float, low: float) -> tuple[float, float]:
        index, expired = self.pushed, self.pushed - self._window
        self.pushed += 1
        highs, lows = self._highs, self._lows
        # An older value that is not beyond the new one can never be the extreme again: it leaves the window earlier.
        while highs and highs[-1][1] <= high:
            highs.pop()
        while lows and lows[-1][1] >= low:
            lows.pop()
        highs.append((index, high))
        lows.append((index, low))
        if highs[0][0] <= expired:
            highs.popleft()
        if lows[0][0] <= expired:
            lows.popleft()
        return highs[0][1], lows[0][1]


class _Widths:
    """The newest `maxlen` channel widths, kept both in order of age and in order of size."""

    def __init__(self, maxlen: int) -> None:
        self._maxlen = maxlen
        self._by_age: deque[float] = deque()
        self._by_size: list[float] = []

    def push(self, width: float) -> float | None:
        """Add `width`. Returns the share of strictly smaller widths, None while there are fewer than 100."""
        # A sorted list with bisect: a thousand widths, so that an insertion moves a few kilobytes.
        if len(self._by_age) == self._maxlen:
            oldest = self._by_age.popleft()
            del self._by_size[bisect_left(self._by_size, oldest)]
        self._by_age.append(width)
        smaller = bisect_left(self._by_size, width)
        self._by_size.insert(smaller, width)
        known = len(self._by_size)
        return smaller / known if known >= WIDTHS_FOR_SQUEEZE else None


def _edges(kline: Kline, source: Source) -> tuple[float, float]:
    if source == "close":
        close = float(kline.close)
        return close, close
    return float(kline.high), float(kline.low)


def _check_arguments(window: int, shift: int, least_shift: int, source: str) -> None:
    if window < 1:
        raise ValueError(f"window must be at least 1, not {window}")
    if shift < least_shift:
        raise ValueError(f"shift must be at least {least_shift}, not {shift}")
    if source not in get_args(Source):
        raise ValueError(f"source must be one of {', '.join(get_args(Source))}, not {source!r}")

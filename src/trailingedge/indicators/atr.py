"""Average true range: how far the price usually moves within one kline, including the gap to the kline before.

This indicator is complete and tested, but the strategy does not use it.
Source: J. Welles Wilder Jr., New Concepts in Technical Trading Systems (1978), chapter III.
"""

from collections.abc import Callable, Mapping, Sequence
from math import fsum, isfinite, nan
from typing import Final, Literal, SupportsFloat, overload

Method = Literal["wilder", "ema", "sma"]

# Columns of a kline row as the exchange sends it: open time, open, high, low, close, volume, close time, …
HIGH, LOW, CLOSE = 2, 3, 4


@overload
def compute_atr(
    high: Sequence[SupportsFloat],
    low: Sequence[SupportsFloat],
    close: Sequence[SupportsFloat],
    period: int = ...,
    method: Method = ...,
    last: Literal[False] = ...,
) -> list[float]: ...


@overload
def compute_atr(
    high: Sequence[SupportsFloat],
    low: Sequence[SupportsFloat],
    close: Sequence[SupportsFloat],
    period: int = ...,
    method: Method = ...,
    *,
    last: Literal[True],
) -> float: ...


def compute_atr(
    high: Sequence[SupportsFloat],
    low: Sequence[SupportsFloat],
    close: Sequence[SupportsFloat],
    period: int = 14,
    method: Method = "wilder",
    last: bool = False,
) -> list[float] | float:
    """Return the average true range of each row, in quote per base, oldest row first.

    The result is as long as `high`. The first period - 1 rows are NaN. Row period - 1 is the plain
    mean of the true ranges so far, where the first true range is high - low. Each later row follows
    from `method`:

    - "wilder": (previous · (period - 1) + true range) / period
    - "ema": the exponential mean of weight 2 / (period + 1)
    - "sma": the mean of the last `period` true ranges

    With `last`, only the newest value is returned; it is NaN while there are fewer than `period`
    rows. Raises ValueError for series of unequal length, numbers that are not finite, high < low, a
    close outside its range, period < 1 or an unknown method.
    """
    if period < 1:
        raise ValueError(f"period must be at least 1, not {period}")
    if method not in _METHODS:
        raise ValueError(f"method must be one of {', '.join(_METHODS)}, not {method!r}")
    ranges = _true_ranges(_numbers("high", high), _numbers("low", low), _numbers("close", close))
    # A mean of fewer ranges than the period would swing wildly, and look like an indicator all the same.
    undefined = [nan] * min(period - 1, len(ranges))
    series = undefined + (_METHODS[method](ranges, period) if len(ranges) >= period else [])
    if not last:
        return series
    return series[-1] if series else nan


@overload
def compute_atr_from_rows(
    rows: Sequence[Sequence[str | float]], period: int = ..., method: Method = ..., last: Literal[False] = ...
) -> list[float]: ...


@overload
def compute_atr_from_rows(
    rows: Sequence[Sequence[str | float]], period: int = ..., method: Method = ..., *, last: Literal[True]
) -> float: ...


def compute_atr_from_rows(
    rows: Sequence[Sequence[str | float]], period: int = 14, method: Method = "wilder", last: bool = False
) -> list[float] | float:
    """Call `compute_atr` with kline rows of the exchange, oldest first.

    A row holds open time, open, high, low, close, … Raises ValueError also if a row is too short or
    holds something that is not a number.
    """
    for index, row in enumerate(rows):
        if len(row) <= CLOSE:
            raise ValueError(f"row {index} has no close: {len(row)} columns")
    high, low, close = ([float(row[column]) for row in rows] for column in (HIGH, LOW, CLOSE))
    if last:
        return compute_atr(high, low, close, period, method, last=True)
    return compute_atr(high, low, close, period, method)


def _numbers(name: str, series: Sequence[SupportsFloat]) -> list[float]:
    numbers = [float(number) for number in series]
    for index, number in enumerate(numbers):
        if not isfinite(number):
            raise ValueError(f"{name} of row {index} is not a finite number: {number}")
    return numbers


def _true_ranges(high: list[float], low: list[float], close: list[float]) -> list[float]:
    """Return the true range of each row: high - low, with any gap after the previous close added.

    A previous close outside of high and low extends the range, because the gap is part of the move.
    """
    if not len(high) == len(low) == len(close):
        raise ValueError(f"series of unequal length: high {len(high)}, low {len(low)}, close {len(close)}")
    ranges = []
    for row in range(len(high)):
        if not low[row] <= close[row] <= high[row]:
            raise ValueError(f"row {row} contradicts itself: high {high[row]}, low {low[row]}, close {close[row]}")
        before = close[row - 1] if row else close[row]
        ranges.append(max(high[row], before) - min(low[row], before))
    return ranges


def _sma(ranges: list[float], period: int) -> list[float]:
    # fsum adds exactly and rounds once, so that the same ranges in another window give exactly the same mean.
    return [fsum(ranges[end - period : end]) / period for end in range(period, len(ranges) + 1)]


def _wilder(ranges: list[float], period: int) -> list[float]:
    means = _sma(ranges[:period], period)
    # Wilder's smoothing is an exponential mean of weight 1 / period that starts from a plain mean.
    for true_range in ranges[period:]:
        means.append((means[-1] * (period - 1) + true_range) / period)
    return means


def _ema(ranges: list[float], period: int) -> list[float]:
    weight = 2 / (period + 1)
    means = _sma(ranges[:period], period)
    for true_range in ranges[period:]:
        means.append(means[-1] + weight * (true_range - means[-1]))
    return means


_METHODS: Final[Mapping[str, Callable[[list[float], int], list[float]]]] = {"wilder": _wilder, "ema": _ema, "sma": _sma}

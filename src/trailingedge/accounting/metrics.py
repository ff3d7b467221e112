"""Metrics of a run: return, risk and trades, each with its formula and the source of its definition.

Return and risk are computed from a sequence of daily closes (00:00 UTC); a market of coins has 365 of them a year. An
incomplete first or last day counts as a day; a day without market data does not. Returns of trades are fractions of the
cost of each round trip. A metric that is not defined, such as the Sharpe ratio of a single day, is None. The suite
compares all of them with an independent library (`tests/accounting/test_metrics_library.py`).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, stdev
from typing import Final

DAYS_A_YEAR: Final = 365
_LEAST_SPREAD: Final = 1e-15  # of returns; a smaller one is rounding, and a ratio to it says nothing


def daily_returns(closes: Sequence[float]) -> list[float]:
    """Return the change from each close to the next: r_i = c_i / c_(i-1) - 1. A close of zero ends the sequence."""
    found = []
    for before, after in pairwise(closes):
        if before <= 0.0:
            break
        found.append(after / before - 1.0)
    return found


def total_return(closes: Sequence[float]) -> float:
    """Return the growth from the first to the last close: c_n / c_0 - 1."""
    return closes[-1] / closes[0] - 1.0 if len(closes) > 1 and closes[0] > 0.0 else 0.0


def annualised(total: float, days: float) -> float | None:
    """Return the growth a year at the same pace: (1 + total) ^ (365 / days) - 1, the compound annual growth rate.

    Source: CAGR as in empyrical's `annual_return`. For a short run the result is large and has little meaning.
    """
    if days <= 0.0:
        return None
    try:
        return float((1.0 + total) ** (DAYS_A_YEAR / days)) - 1.0
    except OverflowError:
        return None


def volatility(returns: Sequence[float]) -> float | None:
    """Return the standard deviation of the daily returns (n - 1) times sqrt(365).

    Source: empyrical's `annual_volatility`.
    """
    return stdev(returns) * math.sqrt(DAYS_A_YEAR) if len(returns) > 1 else None


def sharpe(returns: Sequence[float]) -> float | None:
    """Return mean(r) / stdev(r) * sqrt(365), with a riskless return of zero.

    Source: W. F. Sharpe, "The Sharpe Ratio", Journal of Portfolio Management 21 (1994).
    """
    if len(returns) < 2:
        return None
    spread = stdev(returns)
    return fmean(returns) / spread * math.sqrt(DAYS_A_YEAR) if spread > _LEAST_SPREAD else None


def sortino(returns: Sequence[float]) -> float | None:
    """Return mean(r) / sqrt(mean(min(r, 0)^2)) * sqrt(365), with a target of zero.

    Source: F. A. Sortino and L. N. Price, "Performance Measurement in a Downside Risk Framework" (1994).
    """
    if len(returns) < 2:
        return None
    downside = math.sqrt(fmean(min(each, 0.0) ** 2 for each in returns))
    return fmean(returns) / downside * math.sqrt(DAYS_A_YEAR) if downside > _LEAST_SPREAD else None


def max_drawdown(closes: Sequence[float]) -> float:
    """Return the largest loss from a peak: max(1 - c_i / max(c_0 … c_i)), a positive fraction.

    Source: empyrical's `max_drawdown`, which returns it as a negative number.
    """
    peak = deepest = 0.0
    for close in closes:
        peak = max(peak, close)
        if peak > 0.0:
            deepest = max(deepest, 1.0 - close / peak)
    return deepest


def calmar(closes: Sequence[float]) -> float | None:
    """Return the annualised return divided by the maximum drawdown, both of the daily closes.

    Source: T. W. Young, "Calmar Ratio: A Smoother Tool", Futures 20 (1991); here over the whole run.
    """
    deepest, growth = max_drawdown(closes), annualised(total_return(closes), len(closes) - 1)
    return growth / deepest if deepest > 0.0 and growth is not None else None


def profit_factor(trades: Iterable[float]) -> float | None:
    """Return the sum of all positive returns of trades, divided by the sum of all negative ones (without the sign).

    It uses returns and not amounts, so that each round trip counts alike and a deposit changes nothing. None if no
    trade lost. Source: quantstats' `profit_factor`.
    """
    gains = losses = 0.0
    for each in trades:
        if each > 0.0:
            gains += each
        else:
            losses -= each
    return gains / losses if losses > 0.0 else None


def expectancy(trades: Sequence[float]) -> float | None:
    """Return win rate * mean gain - loss rate * mean loss, which is the mean return of a trade.

    Source: V. K. Tharp, "Trade Your Way to Financial Freedom" (1998).
    """
    return fmean(trades) if trades else None


def losing_streak(trades: Iterable[float]) -> int:
    """Return the largest number of successive trades without a gain. Source: quantstats' `consecutive_losses`."""
    longest = current = 0
    for each in trades:
        current = 0 if each > 0.0 else current + 1
        longest = max(longest, current)
    return longest


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest and the longest drawdown of a curve. `max_frac` is the largest loss from a peak, a positive fraction.

    `longest_ms` is the longest time from a peak until the curve reached it again, or until the end. It began at
    `longest_from_ms`. `under_water_ms` is the sum of all such times. Source: quantstats' `drawdown_details`, in time
    instead of days.
    """

    max_frac: float = 0.0
    longest_ms: int = 0
    under_water_ms: int = 0
    longest_from_ms: int = 0


class DrawdownTracker:
    """Follows a curve and measures its drawdowns. Between two points the curve keeps the value of the first."""

    def __init__(self) -> None:
        self.peak = 0.0
        self._peak_ms = self._last_ms = 0
        self._max_frac = 0.0
        self._longest_ms = self._under_water_ms = self._longest_from_ms = 0
        self._below = False

    def add(self, time_ms: int, value: float) -> None:
        """Add the next point of the curve."""
        if value >= self.peak:
            if self._below:
                self._end_span(time_ms)
            self.peak, self._peak_ms, self._below = value, time_ms, False
        else:
            self._below = True
            self._max_frac = max(self._max_frac, 1.0 - value / self.peak)
        self._last_ms = time_ms

    @property
    def unmoved(self) -> tuple[float, float]:
        """Return two values of the curve between which nothing changes.

        A point strictly between them is no peak, and it neither begins nor deepens a drawdown.
        """
        return (self.peak * (1.0 - self._max_frac) if self._below else self.peak), self.peak

    def drawdown(self) -> Drawdown:
        """Return the drawdowns so far. A drawdown that has not ended counts up to the last point."""
        if not self._below:
            return Drawdown(self._max_frac, self._longest_ms, self._under_water_ms, self._longest_from_ms)
        lasting = self._last_ms - self._peak_ms
        longest, from_ms = max((self._longest_ms, self._longest_from_ms), (lasting, self._peak_ms))
        return Drawdown(self._max_frac, longest, self._under_water_ms + lasting, from_ms)

    def _end_span(self, time_ms: int) -> None:
        lasted = time_ms - self._peak_ms
        self._longest_ms, self._longest_from_ms = max(
            (self._longest_ms, self._longest_from_ms), (lasted, self._peak_ms)
        )
        self._under_water_ms += lasted

"""Session results for the panel and for `trailing-edge watch`: of today, and since the start of the session.

The results are those at the last valuation, which is at most one minute old. Transfers are not part of a result:
amounts do not include them, and fractions are time-weighted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from trailingedge.accounting.statistics import DailyResults, RunStatistics


@dataclass(frozen=True, slots=True)
class SessionResults:
    """Results in quote and as fractions. `trades` is the number of round trips, `wins` how many of them had a gain."""

    today: Decimal
    today_frac: float
    total: Decimal
    total_frac: float
    trades: int
    wins: int
    replaces: int
    fees: Mapping[str, Decimal]


def session_results(statistics: RunStatistics, daily: DailyResults) -> SessionResults | None:
    """Return the results so far; None before the first valuation."""
    first, morning = statistics.first, daily.began
    if first is None or morning is None:
        return None
    whole, today = statistics.since(first), statistics.since(morning)
    return SessionResults(
        today=today.result,
        today_frac=today.result_frac,
        total=whole.result,
        total_frac=whole.result_frac,
        trades=len(whole.round_trips),
        wins=whole.won,
        replaces=whole.replaces,
        fees=whole.fees,
    )

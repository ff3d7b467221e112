"""The results that the panel and those who watch show: of today, and since the start of the session."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from trailingedge.accounting.statistics import DailyResults, RunStatistics, growth, win_rate


@dataclass(frozen=True, slots=True)
class SessionResults:
    """Results in quote and as fractions of the value at the beginning of the day and of the session.

    `trades` are the exits with fills, `wins` those of them that ended better than their anchor.
    """

    today: Decimal
    today_frac: float
    total: Decimal
    total_frac: float
    trades: int
    wins: int
    replaces: int
    fees: Mapping[str, Decimal]


def session_results(statistics: RunStatistics, daily: DailyResults, value: Decimal) -> SessionResults | None:
    """Return the results if the account is worth `value` now; None before the first valuation."""
    morning = daily.morning_value
    if not statistics.first_value or morning is None:
        return None
    won = win_rate(statistics.exits)
    return SessionResults(
        today=value - morning,
        today_frac=growth(morning, value),
        total=value - statistics.first_value,
        total_frac=growth(statistics.first_value, value),
        trades=sum(1 for finished in statistics.exits if finished.base),
        wins=won.wins,
        replaces=statistics.replaces,
        fees=dict(statistics.fees),
    )

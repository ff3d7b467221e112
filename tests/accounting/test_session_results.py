"""Tests of the results on the panel: today's and the session's, from the account's value now."""

from decimal import Decimal

from trailingedge.accounting.session_results import session_results
from trailingedge.accounting.statistics import DailyResults, RunStatistics

D = Decimal
DAY_MS = 86_400_000


def test_before_the_first_valuation_there_is_none() -> None:
    statistics = RunStatistics("ETH", "FDUSD")
    assert session_results(statistics, DailyResults(statistics), D(2500)) is None


def test_today_counts_from_midnight_and_the_total_from_the_start() -> None:
    statistics = RunStatistics("ETH", "FDUSD")
    daily = DailyResults(statistics)
    for time_ms, bid in ((DAY_MS - 1000, 2000), (DAY_MS + 1000, 2500)):
        statistics.mark_to_market(time_ms, D(bid), D(1), D(0))
        daily.day_result_due(time_ms)
    results = session_results(statistics, daily, D(2400))
    assert results is not None
    assert (results.today, round(results.today_frac, 4)) == (D(-100), -0.04)
    assert (results.total, round(results.total_frac, 4)) == (D(400), 0.2)
    assert (results.trades, results.wins, dict(results.fees)) == (0, 0, {})

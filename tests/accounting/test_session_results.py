"""Tests of the results on the panel: today's and the session's, without transfers."""

from decimal import Decimal

from trailingedge.accounting.session_results import session_results
from trailingedge.accounting.statistics import DailyResults, RunStatistics

D = Decimal
DAY_MS = 86_400_000


def test_before_the_first_valuation_there_is_none() -> None:
    statistics = RunStatistics("ETH", "FDUSD")
    assert session_results(statistics, DailyResults(statistics)) is None


def test_today_counts_from_midnight_the_total_from_the_start_and_a_deposit_is_no_result() -> None:
    statistics = RunStatistics("ETH", "FDUSD")
    daily = DailyResults(statistics)
    for time_ms, bid in ((DAY_MS - 1000, 2000), (DAY_MS + 1000, 2500)):
        statistics.mark_to_market(time_ms, D(bid), D(1), D(0))
        daily.day_result_due(time_ms)
    statistics.on_asset_transfer("FDUSD", D(500), DAY_MS + 2000)
    statistics.mark_to_market(DAY_MS + 61_000, D(2400), D(1), D(500))
    results = session_results(statistics, daily)
    assert results is not None
    assert (results.today, results.total) == (D(-100), D(400))
    assert (round(results.today_frac, 4), round(results.total_frac, 4)) == (-0.04, 0.2)
    assert (results.trades, results.wins, dict(results.fees)) == (0, 0, {})

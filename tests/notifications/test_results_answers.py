"""Answers about days, trades and profit, and the sparkline of a day."""

from dataclasses import replace

import pytest
from tests.notifications.status_views import RULES, D
from tests.notifications.test_query_answers import HOUR_MS, MIDNIGHT_MS, finished, trip

from trailingedge.accounting.results import FinishedExit, RunResults
from trailingedge.accounting.statistics import RunStatistics
from trailingedge.model.market import Side
from trailingedge.notifications.query_answers import money, sparkline
from trailingedge.notifications.results_answers import (
    daily,
    daily_data,
    profit,
    profit_data,
    read_count,
    trades,
    trades_data,
)

DAY_MS = 24 * HOUR_MS


def valued(*marks: tuple[int, str]) -> RunStatistics:
    """One ETH, valued at these bids."""
    made = RunStatistics("ETH", "FDUSD")
    for market_ms, bid in marks:
        made.mark_to_market(market_ms, D(bid), D(1), D(0))
    return made


def exits_of(*exits: FinishedExit) -> RunResults:
    """Exits, of which each sale ended a round trip."""
    trips = tuple(trip(each.number) for each in exits if each.side is Side.SELL)
    return RunResults("ETH", "FDUSD", exits=exits, round_trips=trips)


def test_days_are_listed_with_their_result_in_money_newest_first() -> None:
    made = valued((MIDNIGHT_MS, "2500"), (MIDNIGHT_MS + HOUR_MS, "2450"))
    made.mark_to_market(MIDNIGHT_MS + DAY_MS + HOUR_MS, D(2499), D(1), D(0))
    made.on_exit(finished(26))
    made.mark_to_market(MIDNIGHT_MS + 3 * DAY_MS + HOUR_MS, D(2499), D(1), D(0))
    assert daily(RULES, "sim", made.results(), 4).splitlines() == [
        "daily sim ETHFDUSD, days begin at 00:00 UTC:",
        "2026-07-05 +0.00 %, +0.00 FDUSD, 0 round trips",
        "2026-07-04 no market data until 2026-07-05",
        "2026-07-03 +2.00 %, +49.00 FDUSD, 1 round trip, won 1",
        "2026-07-02 -2.00 %, -50.00 FDUSD, 0 round trips",
    ]
    assert len(daily(RULES, "sim", made.results(), 2).splitlines()) == 3


@pytest.mark.parametrize("shown_ms", [1, 60_000], ids=["the same day", "the next day"])
@pytest.mark.parametrize("amount", ["3000", "-1500"])
def test_a_transfer_is_no_profit_of_a_day_or_of_the_run(amount: str, shown_ms: int) -> None:
    midnight_ms = MIDNIGHT_MS + DAY_MS
    made = RunStatistics("ETH", "FDUSD")
    made.mark_to_market(midnight_ms - HOUR_MS, D(2500), D(0), D(2000))
    made.on_asset_transfer("FDUSD", D(amount), midnight_ms - 30_000)
    made.mark_to_market(midnight_ms - 30_000 + shown_ms, D(2500), D(0), D(2000) + D(amount))
    made.mark_to_market(midnight_ms + HOUR_MS, D(2500), D(0), D(2000) + D(amount))
    results = made.results()
    days = [line.split(" ", 1)[1] for line in daily(RULES, "sim", results, 2).splitlines()[1:]]
    assert days == ["+0.00 %, +0.00 FDUSD, 0 round trips"] * 2
    assert profit(RULES, "sim", results).splitlines()[0].endswith("ago: +0.00 FDUSD")
    told = profit_data(results)
    assert (told["result"], told["transferred"]) == ("0", amount)


def test_days_for_machines_have_their_date_and_the_keys_of_the_summary() -> None:
    told = daily_data(valued((MIDNIGHT_MS, "2500"), (MIDNIGHT_MS + HOUR_MS, "2450")).results(), 1)["days"]
    assert isinstance(told, list)
    shown = {key: told[0][key] for key in ("day", "result", "transferred", "value", "round_trips", "market")}
    assert list(shown.values()) == ["2026-07-02", "-50", "0", "2450", 0, True]


def test_the_newest_trades_are_listed_and_the_others_counted() -> None:
    bought = replace(finished(11), side=Side.BUY, brought_frac=-0.053)
    results = exits_of(finished(9), finished(10), bought)
    assert trades(RULES, "sim", results, 2).splitlines() == [
        "trades sim ETHFDUSD:",
        "2026-07-02 11:03 take-profit: BUY at 2551.20, -5.30 % ETH",
        "2026-07-02 10:03 take-profit: SELL at 2551.20, round trip +1.95 %",
        "and 1 earlier",
    ]
    assert trades(RULES, "sim", exits_of(), 2).endswith("none since this run began")


def test_trades_for_machines_have_the_text_and_the_round_trip() -> None:
    told = trades_data(RULES, exits_of(finished(9), finished(10)), 1)["orders"]
    assert isinstance(told, list)
    ((number, won, text),) = [(each["number"], each["round_trip_frac"], each["text"]) for each in told]
    assert (number, text) == (10, "10:03 take-profit: SELL at 2551.20, round trip +1.95 %")
    assert won == pytest.approx(0.0195)


def test_the_profit_is_in_money_and_beside_holding() -> None:
    results = valued((0, "2500"), (3_600_000, "2450")).results()
    assert profit(RULES, "sim", results).splitlines() == [
        "profit sim ETHFDUSD, since the start 1 h ago: -50.00 FDUSD",
        "round trips 0",
        "result -2.00 % in FDUSD, value 2450.00 FDUSD",
        "holding instead: ETH -2.00 %, FDUSD +0.00 %, half of each -1.00 %",
        "deepest drawdown -2.00 %, longest 1 h",
        "sales and buy-backs 0, fills 0, replaces 0, fees none",
        "slippage none, rejected orders: none",
    ]


@pytest.mark.parametrize(("text", "count"), [("", 7), ("1", 1), ("31", 31)])
def test_a_count_has_a_default(text: str, count: int) -> None:
    assert read_count(text, 7, 31) == count


@pytest.mark.parametrize("text", ["0", "32", "x", "-1", "٣", "9" * 5000, "1.5"])
def test_another_count_is_refused_with_its_limits(text: str) -> None:
    with pytest.raises(ValueError, match="not a number from 1 to 31"):
        read_count(text, 7, 31)


def test_money_has_its_sign() -> None:
    said = [money(RULES, D(amount)) for amount in ("1.5", "-2", "-0.004", "0")]
    assert said == ["+1.50 FDUSD", "-2.00 FDUSD", "+0.00 FDUSD", "+0.00 FDUSD"]


@pytest.mark.parametrize(
    ("values", "line"),
    [([], ""), ([1.0], ""), ([1.0, 2.0], "▁█"), ([5.0, 5.0], "▅▅"), ([float(each) for each in range(8)], "▁▂▃▄▅▆▇█")],
)
def test_a_sparkline_goes_from_low_to_high(values: list[float], line: str) -> None:
    assert sparkline(values) == line


def test_a_sparkline_fits_and_ends_with_the_newest_value() -> None:
    line = sparkline([float(each) for each in range(1440)], 24)
    assert (len(line), line[0], line[-1]) == (24, "▁", "█")

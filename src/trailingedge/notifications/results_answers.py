"""Answers about results over more than one day: the days, the trades and the profit of a run.

All results count from the start of this run. Values are in quote, at the best bid.
"""

from typing import Final

from trailingedge.accounting.performance import measure
from trailingedge.accounting.results import FinishedExit, PeriodResult, RunResults
from trailingedge.accounting.round_trips import ended_by
from trailingedge.accounting.summary_json import iso_time, order_json, period_json, totals_json
from trailingedge.model.market import SymbolRules
from trailingedge.notifications.event_messages import counted, duration, percent
from trailingedge.notifications.query_answers import date_text, exit_line, money
from trailingedge.notifications.result_messages import activity, headline
from trailingedge.notifications.session_heading import heading

USUAL_DAYS: Final = 7
MOST_DAYS: Final = 31  # what a message on a phone can hold
USUAL_TRADES: Final = 10
MOST_TRADES: Final = 50


def read_count(text: str, usual: int, most: int) -> int:
    """Return the number in `text`, or `usual` if it is empty. Raises ValueError, whose text is for the operator."""
    if not text:
        return usual
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text[:9]) <= most:
        raise ValueError(f"'{text[:20]}' is not a number from 1 to {most}")
    return int(text)


def daily(rules: SymbolRules, mode: str, results: RunResults, count: int) -> str:
    """Return the results of the last `count` days of the run, the newest first."""
    lines = [f"daily {heading(mode, rules.symbol)}, days begin at 00:00 UTC:"]
    for day in _newest_days(results, count):
        trips = counted(len(day.round_trips), "round trip") + (f", won {day.won}" if day.round_trips else "")
        lines.append(
            f"{date_text(day.from_ms)} {percent(day.result_frac)}, {money(rules, day.result)}, {trips}"
            if day.has_market
            else f"{date_text(day.from_ms)} no market data until {date_text(day.to_ms)}"
        )
    return "\n".join(lines)


def daily_data(results: RunResults, count: int) -> dict[str, object]:
    """Return the results of `daily` as data for JSON."""
    days = _newest_days(results, count)
    return {"days": [{"day": date_text(day.from_ms), **period_json(day), "market": day.has_market} for day in days]}


def _newest_days(results: RunResults, count: int) -> list[PeriodResult]:
    return list(reversed(results.days()))[:count]


def trades(rules: SymbolRules, mode: str, results: RunResults, count: int) -> str:
    """Return the last `count` sales and buy-backs of the run, the newest first."""
    head = f"trades {heading(mode, rules.symbol)}:"
    if not results.exits:
        return f"{head} none since this run began"
    told = _newest_exits(rules, results, count)
    lines = [f"{date_text(finished.ended_ms)} {line}" for finished, line in reversed(told)]
    left_out = len(results.exits) - len(told)
    return "\n".join([head, *lines, *([f"and {left_out} earlier"] if left_out else [])])


def trades_data(rules: SymbolRules, results: RunResults, count: int) -> dict[str, object]:
    """Return the trades of `trades` as data for JSON, the newest last.

    `round_trip_frac` is the result of the round trip that a sale ended.
    """
    trips = {number: trip.result_frac for number, trip in ended_by(results.round_trips).items()}
    return {
        "orders": [
            {**order_json(finished), "round_trip_frac": trips.get(finished.number), "text": line}
            for finished, line in _newest_exits(rules, results, count)
        ]
    }


def _newest_exits(rules: SymbolRules, results: RunResults, count: int) -> list[tuple[FinishedExit, str]]:
    trips = ended_by(results.round_trips)
    return [(each, exit_line(rules, each, trips.get(each.number))) for each in results.exits[-count:]]


def profit(rules: SymbolRules, mode: str, results: RunResults) -> str:
    """Return the result of the run: in money, then the figures of its summary."""
    whole = results.whole
    lasted = duration((whole.to_ms - whole.from_ms) / 1000)
    return "\n".join(
        [
            f"profit {heading(mode, rules.symbol)}, since the start {lasted} ago: {money(rules, whole.result)}",
            *headline(rules, results),
            *activity(rules, results),
        ]
    )


def profit_data(results: RunResults) -> dict[str, object]:
    """Return the results of `profit` as data for JSON."""
    times = {"from": iso_time(results.first.market_ms), "to": iso_time(results.last.market_ms)}
    return {**times, **totals_json(results, measure(results))}

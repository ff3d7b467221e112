"""Metric texts: name, value and meaning of each metric of a run, for page and terminal alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trailingedge.accounting.performance import Performance, measure
from trailingedge.accounting.results import RunResults
from trailingedge.core.time_units import DAY_MS
from trailingedge.model.market import SymbolRules
from trailingedge.notifications.event_messages import amounts, duration, notional, percent

NO_VALUE: Final = "–"
_LARGEST_YEAR: Final = 100
_FEWEST_DAYS: Final = 6.5  # for figures of a year
_MANY_DAYS: Final = 89.5
_NOT_SHORT: Final = "for a short run it says little, and for less than a week it is not shown"
_AN_HOUR_S: Final = 3600
_LONG_S: Final = 2 * 86_400
WON_MEANING: Final = (
    "a round trip is a buy and the sale that followed it; it is won if it brought more than it cost, fees paid"
)


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure as text: a short name, the value with its unit, and what it means in a sentence."""

    name: str
    value: str
    meaning: str


def metrics(rules: SymbolRules, results: RunResults) -> Mapping[str, Metric]:
    """Return all metrics by a fixed key, the most important first."""
    found, whole = measure(results), results.whole
    rejected = ", ".join(f"{code}: {count}" for code, count in sorted(results.rejected.items()) if count)
    year = "a year of 365 trading days"
    days = (whole.to_ms - whole.from_ms) / DAY_MS
    # Two days make a Sharpe ratio of -45 and a loss of everything in a year: figures that only mislead.
    is_long = days > _FEWEST_DAYS
    return {
        "round_trips": Metric("round trips", str(found.round_trips), WON_MEANING),
        "won": Metric("won", won_text(found), WON_MEANING),
        "profit_factor": Metric(
            "profit factor",
            ratio(found.profit_factor),
            "returns of the winning round trips divided by those of the losing ones; below 1 the losses were larger",
        ),
        "average_trade": Metric(
            "average trade", change(found.expectancy_frac), "the mean return of a round trip, fees paid"
        ),
        "best_trade": Metric("best", change(found.best_frac), "the highest return of a round trip"),
        "worst_trade": Metric("worst", change(found.worst_frac), "the lowest return of a round trip"),
        "average_held": Metric(
            "held", seconds(found.average_held_s), "the mean time from the buy to the sale of a round trip"
        ),
        "losing_streak": Metric(
            "longest losing streak",
            str(found.losing_streak),
            "the largest number of round trips in a row of which none was won",
        ),
        "drawdown": Metric(
            "deepest drawdown",
            percent(-found.max_drawdown_frac),
            "the largest fall of the account's value below its highest value so far; measured every minute",
        ),
        "longest_drawdown": Metric(
            "longest drawdown",
            seconds(found.max_drawdown_s),
            "the longest time that the account's value stayed below its highest value so far",
        ),
        "under_water": Metric(
            "below the peak",
            of_the_time(found.under_water_frac),
            "the share of time in which the account's value was below its highest value so far",
        ),
        "sharpe": Metric(
            "Sharpe",
            ratio(found.sharpe if is_long else None),
            "the mean of the daily returns divided by their standard deviation, for a year; above 1 is good; "
            f"{_NOT_SHORT}",
        ),
        "sortino": Metric(
            "Sortino",
            ratio(found.sortino if is_long else None),
            "like the Sharpe ratio, but only losses count in the deviation",
        ),
        "calmar": Metric(
            "Calmar",
            ratio(found.calmar if is_long else None),
            "return of a year divided by the deepest drawdown, both from daily closes",
        ),
        "annualised": Metric(
            "a year",
            _a_year(found.annualised_frac if is_long else None, days),
            f"what a year at the same pace would bring; {_NOT_SHORT}",
        ),
        "volatility": Metric(
            "volatility", share(found.volatility), f"the standard deviation of the daily returns, for {year}"
        ),
        "exposure": Metric(
            f"in {rules.base_asset}",
            of_the_time(found.exposure_frac),
            f"the share of time in which most of the account was in {rules.base_asset}, and rose and fell with it",
        ),
        "turnover": Metric(
            "turnover", ratio(found.turnover), "the value of all buys and sales, divided by the account's average value"
        ),
        "fees": Metric("fees", amounts(rules, whole.fees), "the commissions paid; they are subtracted in every result"),
        "slippage": Metric(
            "slippage",
            lost(rules, found.slippage),
            "how much worse the fills were than the mid price at the start of their exit; every result includes it",
        ),
        "exits": Metric(
            "sales and buy-backs",
            str(len(results.exits)),
            f"{whole.fills} fills, {whole.replaces} replaces: how often an order followed the market",
        ),
        "rejected": Metric(
            "rejected orders",
            rejected or "none",
            "requests that the exchange refused, as code: count; they cost nothing",
        ),
    }


def won_text(found: Performance) -> str:
    """Return how many round trips were won: "16 of 44 (36 %)"."""
    if found.win_rate is None:
        return NO_VALUE
    return f"{found.won} of {found.round_trips} ({found.win_rate * 100:.0f} %)"


def lost(rules: SymbolRules, amount: Decimal) -> str:
    """Return an amount without its sign, followed by the word "lost" or "gained"."""
    if not amount:
        return "none"
    return f"{notional(rules, abs(amount))} {'lost' if amount > 0 else 'gained'}"


def ratio(number: float | None) -> str:
    """Return a ratio with two decimals: "0.83"."""
    return NO_VALUE if number is None else f"{number:.2f}"


def share(fraction: float | None) -> str:
    """Return a share in whole percent, without a sign: "24 %"."""
    return NO_VALUE if fraction is None else f"{fraction * 100:.0f} %"


def _a_year(fraction: float | None, days: float) -> str:
    """Return the annual return, with a note on how few days it is computed from."""
    if fraction is None:
        return NO_VALUE
    text = f"over +{_LARGEST_YEAR * 100} %" if fraction > _LARGEST_YEAR else change(fraction)
    return f"{text} (from {days:.0f} days)" if days < _MANY_DAYS else text


def of_the_time(fraction: float | None) -> str:
    """Return a share of time: "24 % of the time"."""
    return NO_VALUE if fraction is None else f"{share(fraction)} of the time"


def change(fraction: float | None) -> str:
    """Return a change with its sign: "-0.07 %"."""
    return NO_VALUE if fraction is None else percent(fraction)


def seconds(number: float | None) -> str:
    """Return a duration as text, rounded according to its length: "5 d 18 h", "1 h 51 min"."""
    if number is None:
        return NO_VALUE
    grain = 3600 if number >= _LONG_S else 60 if number >= _AN_HOUR_S else 1
    return duration(round(number / grain) * grain)

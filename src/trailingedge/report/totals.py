"""Derived figures of a run report: totals, days, fees, equity curves, and the result of holding.

Terminal, page, CSV and JSON take their numbers from here or from the `RunReport` itself and compute
none of their own, so that they cannot disagree.
"""

import dataclasses
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from trailingedge.accounting.statistics import FinishedExit, growth, win_rate
from trailingedge.accounting.summary_json import DayTotals, Totals
from trailingedge.core.time_units import DAY_MS
from trailingedge.model.client_order_ids import ClientOrderId
from trailingedge.model.market import ZERO, SymbolRules
from trailingedge.report.model import Fill, RunReport


@dataclass(frozen=True, slots=True)
class Equity:
    """Equity curves in quote, with one value for each sample of a run.

    `account` is the account's value. `hold_base` and `hold_quote` are what its first value would be
    worth if held in base or in quote. `drawdown` is the change of the account from its highest
    value so far, as a fraction of that value; never positive.
    """

    times_ms: tuple[int, ...]
    account: tuple[float, ...]
    hold_base: tuple[float, ...]
    hold_quote: tuple[float, ...]
    drawdown: tuple[float, ...]


def totals(report: RunReport) -> Totals:
    """Totals of the whole run."""
    return Totals(
        exits=len(report.exits),
        win_rate=win_rate(report.exits),
        fills=len(report.fills),
        replaces=report.replaces,
        fees=fees(report.fills),
        rejected=report.rejected,
        first_value=report.first_value,
        value=report.last_value,
        result_frac=growth(report.first_value, report.last_value),
        hold_base_frac=growth(report.first_bid, report.last_bid),
        max_drawdown_frac=report.max_drawdown_frac,
    )


def fees(fills: Iterable[Fill]) -> dict[str, Decimal]:
    """Commission paid, by asset."""
    paid: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for fill in fills:
        if fill.commission:
            paid[fill.commission_asset] += fill.commission
    return dict(paid)


def days(report: RunReport) -> tuple[DayTotals, ...]:
    """Return the totals of every UTC day of the run.

    Consecutive days without market data are one entry. An exit belongs to the day in which it
    ended. The product of the growth factors of all days is the growth factor of the whole run.
    """
    first, last = report.from_ms // DAY_MS, max(report.to_ms, report.from_ms) // DAY_MS
    exits: defaultdict[int, list[FinishedExit]] = defaultdict(list)
    fills: defaultdict[int, list[Fill]] = defaultdict(list)
    # A time outside the run, by a clock that disagrees, still counts: the days must add up to the whole.
    for finished in report.exits:
        exits[min(max(finished.ended_ms // DAY_MS, first), last)].append(finished)
    for fill in report.fills:
        fills[min(max(fill.time_ms // DAY_MS, first), last)].append(fill)
    moments_ms = [moment.time_ms for moment in report.samples]
    seen = {first, last, *(time_ms // DAY_MS for time_ms in moments_ms), *exits, *fills}
    found: list[DayTotals] = []
    value, bid = report.first_value, float(report.first_bid)
    for day in range(first, last + 1):
        began_value, began_bid = value, bid
        if day == last:
            value, bid = report.last_value, float(report.last_bid)
        elif upto := bisect_right(moments_ms, (day + 1) * DAY_MS - 1):
            moment = report.samples[upto - 1]
            value, bid = Decimal(moment.value), moment.bid
        to_ms = min((day + 1) * DAY_MS, report.to_ms)
        if day not in seen and not found[-1].has_market:
            found[-1] = dataclasses.replace(found[-1], to_ms=to_ms)
            continue
        found.append(
            DayTotals(
                from_ms=max(day * DAY_MS, report.from_ms),
                to_ms=to_ms,
                exits=len(exits[day]),
                win_rate=win_rate(exits[day]),
                fills=len(fills[day]),
                fees=fees(fills[day]),
                value=value,
                result_frac=_growth(float(began_value), float(value)),
                hold_base_frac=_growth(began_bid, bid),
                has_market=day in seen,
            )
        )
    return tuple(found)


def exit_ids(report: RunReport) -> dict[int, str]:
    """Client order id of each exit, by exit number. An exit that became a hard stop has the hard stop's id."""
    under_way = {fill.number: str(ClientOrderId(fill.kind, fill.number)) for fill in report.fills}
    return under_way | {finished.number: finished.id for finished in report.exits}


def equity(report: RunReport) -> Equity:
    """The equity curves at each sample."""
    first_value, first_bid = float(report.first_value), float(report.first_bid)
    account = [moment.value for moment in report.samples]
    return Equity(
        times_ms=tuple(moment.time_ms for moment in report.samples),
        account=tuple(account),
        hold_base=tuple(first_value * (1 + _growth(first_bid, moment.bid)) for moment in report.samples),
        hold_quote=(first_value,) * len(account),
        drawdown=tuple(_drawdown(first_value, account)),
    )


def rules(report: RunReport) -> SymbolRules:
    """Symbol rules for formatting: the report's tick size, and a step size as fine as its finest fill."""
    decimals = max((_decimals(fill.quantity) for fill in report.fills), default=0)
    return SymbolRules(
        symbol=report.symbol,
        base_asset=report.base_asset,
        quote_asset=report.quote_asset,
        tick_size=report.tick_size,
        step_size=Decimal(1).scaleb(-decimals),
    )


def _drawdown(first_value: float, account: Sequence[float]) -> Iterable[float]:
    peak = first_value
    for value in account:
        peak = max(peak, value)
        yield _growth(peak, value)


def _decimals(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _growth(first: float, last: float) -> float:
    return last / first - 1.0 if first else 0.0

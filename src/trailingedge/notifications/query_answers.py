"""Answers to the operator's questions about figures: the balance, and the result of the day."""

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from trailingedge.accounting.metrics import DrawdownTracker
from trailingedge.accounting.results import FinishedExit, PeriodResult, utc
from trailingedge.accounting.round_trips import RoundTrip, ended_by
from trailingedge.model.intent import ExitEndReason
from trailingedge.model.market import ZERO, Balance, Regime, Side, SymbolRules, format_on_grid
from trailingedge.notifications.event_messages import (
    END_REASONS,
    EXIT_NAMES,
    amounts,
    counted,
    figure,
    held_asset,
    notional,
    percent,
    third_assets,
    unpriced_fees,
)
from trailingedge.notifications.result_messages import transfers_text
from trailingedge.notifications.session_heading import heading
from trailingedge.notifications.status import StatusView

_BARS: Final = "▁▂▃▄▅▆▇█"
SPARKLINE_WIDTH: Final = 24
_MAX_LISTED: Final = 8  # exits shown one by one; a phone shows no more at a glance


def balance(view: StatusView) -> str:
    """Return both balances, the amounts that open orders lock, and the value of all.

    The value is at the best bid.
    """
    rules = view.rules
    grids = ((view.base, rules.step_size), (view.quote, rules.tick_size))
    assets = [
        _asset(each, figure(each.total, grid), figure(each.locked, grid)) for each, grid in grids if each is not None
    ]
    lines = [f"balance {heading(view.mode, rules.symbol)}: {', '.join(assets) or 'not known yet'}"]
    if view.value is not None and view.top is not None:
        lines.append(f"value {notional(rules, view.value)} at the bid {figure(view.top.bid, rules.tick_size)}")
    reserves = {rules.base_asset: view.reserve_base, rules.quote_asset: view.reserve_quote}
    if any(reserves.values()):
        lines.append(f"reserve, never traded: {amounts(rules, reserves)}")
    return "\n".join(lines)


def _asset(balance: Balance, total: str, locked: str) -> str:
    return f"{total} {balance.asset}" + (f" ({locked} in orders)" if balance.locked > ZERO else "")


def daily_summary(
    rules: SymbolRules, mode: str, day: PeriodResult, regime: Regime | None, course: Sequence[float] = ()
) -> str:
    """Return the alert of 23:59 UTC on the day's result.

    It has the result, sales and buy-backs, fees, value and position. `course` has the results during the day, as
    fractions. They are shown as a line of bars, with the largest drawdown.
    """
    head = f"daily summary {date_text(day.to_ms)}, {heading(mode, rules.symbol)}:"
    return "\n".join([head, *_figures(rules, day, regime), *_course(course)])


def _course(course: Sequence[float]) -> list[str]:
    """Return the course of the day as a line of bars, with its bounds and its largest drawdown."""
    bars = sparkline(course)
    if not bars:
        return []
    drawdown = DrawdownTracker()
    for number, result in enumerate(course):
        drawdown.add(number, 1.0 + result)
    bounds = f"{percent(min(course))} to {percent(max(course))}"
    return [f"{bars} {bounds}, largest drawdown {percent(-drawdown.drawdown().max_frac)}"]


def sparkline(values: Sequence[float], width: int = SPARKLINE_WIDTH) -> str:
    """Return `values` as a line of bars, lowest to highest, at most `width` of them; "" for fewer than two values.

    Each bar shows the last value of its part of `values`.
    """
    if len(values) < 2:
        return ""
    bars = min(width, len(values))
    shown = [values[(index + 1) * len(values) // bars - 1] for index in range(bars)]
    low, high = min(shown), max(shown)
    if high == low:
        return _BARS[len(_BARS) // 2] * bars
    steps = len(_BARS) - 1
    return "".join(_BARS[round((value - low) / (high - low) * steps)] for value in shown)


def money(rules: SymbolRules, amount: Decimal) -> str:
    """Return a result in quote with its sign: "+12.30 FDUSD"."""
    rounded = Decimal(format_on_grid(amount, rules.tick_size))  # a loss of nothing is no loss
    return f"{'-' if rounded < 0 else '+'}{notional(rules, abs(rounded))}"


def today(rules: SymbolRules, mode: str, day: PeriodResult, regime: Regime | None) -> str:
    """Return the result of the day so far. If the run began today, it counts from the start of the run."""
    head = f"today {heading(mode, rules.symbol)}, since {_clock(day.from_ms)} UTC:"
    return "\n".join([head, *_figures(rules, day, regime)])


def _figures(rules: SymbolRules, day: PeriodResult, regime: Regime | None) -> list[str]:
    base = rules.base_asset
    instead = f"only holding {base}: {percent(day.hold_base_frac)}, half of each asset: {percent(day.hold_half_frac)}"
    lines = [f"result {percent(day.result_frac)}, {money(rules, day.result)} ({instead})"]
    # An exit that ended without a fill has traded nothing, and is counted apart.
    sales = sum(1 for finished in day.exits if finished.base and finished.side is Side.SELL)
    buys = sum(1 for finished in day.exits if finished.base and finished.side is Side.BUY)
    unfilled = len(day.exits) - sales - buys
    trades = f"{counted(sales, 'sale')}, {counted(buys, 'buy-back')}" + (f", {unfilled} unfilled" if unfilled else "")
    lines.append(f"{trades}, {counted(day.fills, 'fill')}, fees {amounts(rules, day.fees)}")
    lines += unpriced_fees(rules, day.fees, third_assets(rules, day.fees))
    if day.round_trips:
        lines.append(f"round trips {len(day.round_trips)}, won {day.won}")
    if day.transfers:
        lines.append(f"{transfers_text(rules, day.transfers)}: not part of the result")
    trips = ended_by(day.round_trips)
    lines += [exit_line(rules, finished, trips.get(finished.number)) for finished in day.exits[-_MAX_LISTED:]]
    if len(day.exits) > _MAX_LISTED:
        before = Counter(EXIT_NAMES[finished.kind] for finished in day.exits[:-_MAX_LISTED])
        lines.append("earlier: " + ", ".join(f"{count} × {name}" for name, count in before.items()))
    lines.append(f"value {notional(rules, day.value)}, holding {held_asset(rules, regime)}")
    return lines


def exit_line(rules: SymbolRules, finished: FinishedExit, trip: RoundTrip | None) -> str:
    """Return one exit in a line: "14:03 take-profit: SELL at 2551.20, round trip +1.95 %".

    `trip` is the round trip that the exit ended, if any. For a buy-back the line has the base gained: "-5.30 % ETH".
    """
    head = f"{_clock(finished.ended_ms)} {EXIT_NAMES[finished.kind]}: {finished.side.value}"
    ended = "" if finished.cause in (ExitEndReason.FILLED, ExitEndReason.DUST) else f", {END_REASONS[finished.cause]}"
    if finished.average is None:
        return f"{head}{ended}, nothing filled"
    brought = "" if trip is None else f", round trip {percent(trip.result_frac)}"
    if finished.brought_frac is not None:
        brought = f", {percent(finished.brought_frac)} {rules.base_asset}"
    return f"{head} at {figure(finished.average, rules.tick_size)}{brought}{ended}"


def date_text(unix_ms: int) -> str:
    """Return the day of a time, in UTC: "2026-07-02"."""
    return utc(unix_ms).strftime("%Y-%m-%d")


def _clock(unix_ms: int) -> str:
    return utc(unix_ms).strftime("%H:%M")

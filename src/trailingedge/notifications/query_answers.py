"""What the operator is answered when he asks for figures: the balance, and what the day has brought."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Final

from trailingedge.accounting.statistics import FinishedExit, PeriodResult
from trailingedge.model.intent import ExitEndReason
from trailingedge.model.market import ZERO, Balance, Regime, SymbolRules
from trailingedge.notifications.messages import (
    EXIT_NAMES,
    amounts,
    counted,
    figure,
    held_asset,
    notional,
    percent,
)
from trailingedge.notifications.status import StatusView
from trailingedge.notifications.titles import heading

_MOST_EXITS: Final = 8  # told one by one; a phone shows no more at a glance


def balance(view: StatusView) -> str:
    """Both assets with what orders have locked of them, and what it is all worth at the best bid."""
    rules = view.rules
    grids = ((view.base, rules.step_size), (view.quote, rules.tick_size))
    held = [
        _held(held, figure(held.total, grid), figure(held.locked, grid)) for held, grid in grids if held is not None
    ]
    lines = [f"balance {heading(view.mode, rules.symbol)}: {', '.join(held) or 'not known yet'}"]
    if view.value is not None and view.top is not None:
        lines.append(f"worth {notional(rules, view.value)} at the bid {figure(view.top.bid, rules.tick_size)}")
    kept = {rules.base_asset: view.reserve_base, rules.quote_asset: view.reserve_quote}
    if any(kept.values()):
        lines.append(f"kept back, never traded: {amounts(rules, kept)}")
    return "\n".join(lines)


def _held(balance: Balance, total: str, locked: str) -> str:
    return f"{total} {balance.asset}" + (f" ({locked} in orders)" if balance.locked > ZERO else "")


def daily_summary(rules: SymbolRules, mode: str, day: PeriodResult, regime: Regime | None) -> str:
    """For 23:59 UTC: the day's exits, result, fees, value and position."""
    return "\n".join(
        [f"daily summary {_date(day.to_ms)}, {heading(mode, rules.symbol)}:", *_figures(rules, day, regime)]
    )


def today(rules: SymbolRules, mode: str, day: PeriodResult, regime: Regime | None) -> str:
    """The day so far, or the part of it that this run has seen."""
    head = f"today {heading(mode, rules.symbol)}, since {_clock(day.from_ms)} UTC:"
    return "\n".join([head, *_figures(rules, day, regime)])


def _figures(rules: SymbolRules, day: PeriodResult, regime: Regime | None) -> list[str]:
    base = rules.base_asset
    lines = [f"result {percent(day.result_frac)} in {rules.quote_asset}; holding {base} {percent(day.hold_base_frac)}"]
    done = sum(1 for finished in day.exits if finished.base)
    unfilled = f" and {len(day.exits) - done} without a fill" if done < len(day.exits) else ""
    lines.append(f"{counted(done, 'exit')}{unfilled}, {counted(day.fills, 'fill')}, fees {amounts(rules, day.fees)}")
    lines += [_exit(rules, finished) for finished in day.exits[-_MOST_EXITS:]]
    if len(day.exits) > _MOST_EXITS:
        before = Counter(EXIT_NAMES[finished.kind] for finished in day.exits[:-_MOST_EXITS])
        lines.append("before those " + ", ".join(f"{count} × {name}" for name, count in before.items()))
    lines.append(f"value {notional(rules, day.value)}, holding {held_asset(rules, regime)}")
    return lines


def _exit(rules: SymbolRules, finished: FinishedExit) -> str:
    """ "14:03 take-profit: SELL at 2551.20, +1.95 %"."""
    head = f"{_clock(finished.ended_ms)} {EXIT_NAMES[finished.kind]}: {finished.side.value}"
    ended = "" if finished.cause in (ExitEndReason.FILLED, ExitEndReason.DUST) else f", {ENDINGS[finished.cause]}"
    if finished.average is None:
        return f"{head}{ended}, nothing filled"
    result = "" if finished.result_frac is None else f", {percent(finished.result_frac)}"
    return f"{head} at {figure(finished.average, rules.tick_size)}{result}{ended}"


def _moment(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=unix_ms)


def _date(unix_ms: int) -> str:
    return _moment(unix_ms).strftime("%Y-%m-%d")


def _clock(unix_ms: int) -> str:
    return _moment(unix_ms).strftime("%H:%M")

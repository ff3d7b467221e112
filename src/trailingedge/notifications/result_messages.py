"""Texts on the result of a run: the summary of a session, and the headline of every report."""

from collections.abc import Sequence
from decimal import Decimal
from statistics import fmean
from typing import Final

from trailingedge.accounting.performance import Performance, measure
from trailingedge.accounting.results import RunResults, Transfer
from trailingedge.model.market import SymbolRules
from trailingedge.notifications.event_messages import (
    EXIT_NAMES,
    amounts,
    counted,
    duration,
    figure,
    notional,
    percent,
    unpriced_fees,
)
from trailingedge.notifications.metric_texts import lost, metrics, ratio
from trailingedge.notifications.session_heading import heading

_RISK: Final = (
    ("sharpe", "sortino", "calmar"),
    ("annualised", "volatility"),
    ("exposure", "turnover", "under_water"),
)
_TRADES: Final = ("average_trade", "best_trade", "worst_trade", "average_held", "losing_streak")


def summary(rules: SymbolRules, results: RunResults, gaps: Sequence[str], mode: str) -> str:
    """Return the summary of a session in several lines; the first begins with "summary"."""
    whole = results.whole
    lines = [
        f"summary {heading(mode, rules.symbol)}: {duration((whole.to_ms - whole.from_ms) / 1000)} of market time",
        *(f"  note: {gap}" for gap in gaps),
        *(f"  {line}" for line in (*activity(rules, results), *headline(rules, results))),
    ]
    return "\n".join(lines)


def activity(rules: SymbolRules, results: RunResults) -> list[str]:
    """Return lines on the activity and its cost: exits, fills, replaces, fees, rejected orders, transfers."""
    whole, performance = results.whole, measure(results)
    rejected = ", ".join(f"{code} {count}" for code, count in results.rejected.items() if count)
    exits = f"sales and buy-backs {len(results.exits)}, fills {whole.fills}, replaces {whole.replaces}"
    lines = [
        f"{exits}, fees {amounts(rules, whole.fees)}",
        f"slippage {lost(rules, performance.slippage)}, rejected orders: {rejected or 'none'}",
    ]
    if results.transfers:
        lines.append(f"{transfers_text(rules, results.transfers)}: not part of the result")
    return lines


def risk(rules: SymbolRules, results: RunResults) -> list[str]:
    """Return lines on risk, trades and the use of the account: ratios, average trade, exposure, turnover."""
    told = metrics(rules, results)
    lines = (*_RISK, _TRADES) if results.round_trips else _RISK
    return [", ".join(f"{told[key].name} {told[key].value}" for key in line) for line in lines]


def headline(rules: SymbolRules, results: RunResults) -> list[str]:
    """Return the most important figures: round trips, result, the result of holding instead, and drawdown."""
    performance = measure(results)
    base, quote = rules.base_asset, rules.quote_asset
    lasted = duration(performance.max_drawdown_s)
    held = (
        f"{base} {percent(performance.hold_base_frac)}, {quote} {percent(performance.hold_quote_frac)}, "
        f"half of each {percent(performance.hold_half_frac)}"
    )
    return [
        f"round trips {trades_text(performance)}",
        f"result {percent(performance.result_frac)} in {quote}, value {notional(rules, results.last.value)}",
        *unpriced_fees(rules, results.whole.fees, results.unpriced),
        *([f"by reason: {why(rules, performance)}"] if performance.round_trips else []),
        *([f"these sums include {costs(rules, performance)}"] if performance.round_trips else []),
        *buy_backs(rules, performance),
        f"holding instead: {held}",
        f"deepest drawdown {percent(-performance.max_drawdown_frac)}, longest {lasted}",
    ]


def why(rules: SymbolRules, performance: Performance) -> str:
    """Return the result of each kind of exit in quote: "16 take-profits +384.61, 28 hard stops -467.72 USDT".

    The amounts add up to the result. Fees and slippage are already subtracted.
    """
    brought = [
        (counted(len(reason.trips), EXIT_NAMES[kind]), reason.result)
        for kind, reason in performance.by_reason.items()
        if reason.trips
    ]
    if not is_nothing(signed(rules, performance.open_result)):
        brought.append(("not sold yet", performance.open_result))
    listed = ", ".join(f"{name} {signed(rules, amount)}" for name, amount in brought)
    return f"{listed} {rules.quote_asset}"


def costs(rules: SymbolRules, performance: Performance) -> str:
    """Return by how much fees and slippage reduced the result: "fees -191.70 USDT, slippage -1.66 USDT"."""

    def cost(name: str, amount: Decimal) -> str:
        text = signed(rules, -amount)
        return f"no {name}" if is_nothing(text) else f"{name} {text} {rules.quote_asset}"

    return f"{cost('fees', performance.fees)}, {cost('slippage', performance.slippage)}"


def buy_backs(rules: SymbolRules, performance: Performance) -> list[str]:
    """Return a sentence on the gain of the buy-backs; "" if there were none."""
    brought = [each for reason in performance.by_reason.values() for each in reason.brought]
    if not brought:
        return []
    gained, base = sum(each > 0 for each in brought), rules.base_asset
    count = f"{gained} of {counted(len(brought), 'buy-back')}"
    return [f"{count} brought back more {base} than was sold; average {percent(fmean(brought))}"]


def trades_text(performance: Performance) -> str:
    """Return the count of round trips, and how they went: "44, won 16 (36 %), profit factor 0.83"."""
    if not performance.round_trips or performance.win_rate is None:
        return "0"
    share = f"{performance.win_rate * 100:.0f} %"
    won = f"{performance.round_trips}, won {performance.won} ({share})"
    return f"{won}, profit factor {ratio(performance.profit_factor)}"


def signed(rules: SymbolRules, amount: Decimal) -> str:
    """Return an amount of quote with its sign and without its unit: "+384.61"."""
    text = figure(abs(amount), rules.tick_size)
    return text if is_nothing(text) else f"{'-' if amount < 0 else '+'}{text}"


def is_nothing(text: str) -> bool:
    """Whether the text of an amount has only zeros as digits, because the amount is smaller than the grid of prices."""
    return not any(digit in "123456789" for digit in text)


def transfers_text(rules: SymbolRules, transfers: Sequence[Transfer]) -> str:
    """Return the number of transfers by kind, and their sum: "1 deposit, 2 withdrawals (+1000.00 FDUSD)"."""
    kinds = dict.fromkeys(each.kind for each in transfers)
    counts = ", ".join(counted(sum(each.kind == kind for each in transfers), kind) for kind in kinds)
    value = sum(each.value for each in transfers if each.value is not None)
    return f"{counts} ({'+' if value > 0 else ''}{notional(rules, value)})"

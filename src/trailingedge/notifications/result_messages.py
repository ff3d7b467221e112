"""Texts on the result of a run: the summary of a session, and the headline that stands in every report."""

from collections.abc import Sequence
from decimal import Decimal

from trailingedge.accounting.performance import Performance, measure
from trailingedge.accounting.results import RunResults, Transfer
from trailingedge.model.market import SymbolRules
from trailingedge.notifications.event_messages import amounts, counted, duration, notional, percent
from trailingedge.notifications.session_heading import heading

WON_MEANING = (
    "a round trip is a buy and the sale that followed it; it is won if it brought more than it cost, fees paid"
)


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
    """Return what was done and what it cost: exits, fills, replaces, fees, rejected orders, transfers."""
    whole, performance = results.whole, measure(results)
    rejected = ", ".join(f"{code} {count}" for code, count in results.rejected.items() if count)
    exits = f"sales and buy-backs {len(results.exits)}, fills {whole.fills}, replaces {whole.replaces}"
    lines = [
        f"{exits}, fees {amounts(rules, whole.fees)}",
        f"slippage {_lost(rules, performance.slippage)}, rejected orders: {rejected or 'none'}",
    ]
    if results.unpriced:
        lines.append(f"fees in {', '.join(results.unpriced)} have no known price and are in no result")
    if results.transfers:
        lines.append(f"{transfers_text(rules, results.transfers)}: no result")
    return lines


def risk(results: RunResults) -> list[str]:
    """Return risk, trades and the use of the account: ratios, average trade, exposure, turnover."""
    performance = measure(results)
    ratios = (("Sharpe", performance.sharpe), ("Sortino", performance.sortino), ("Calmar", performance.calmar))
    use = f"in base {_share(performance.exposure_frac)} of the time, turnover {_ratio(performance.turnover)}"
    lines = [
        ", ".join(f"{name} {_ratio(ratio)}" for name, ratio in ratios),
        f"a year: {_change(performance.annualised_frac)}, volatility {_share(performance.volatility)}",
        f"{use}, below the peak {_share(performance.under_water_frac)} of the time",
    ]
    if performance.average_held_s is not None:
        lines.append(
            f"average trade {_change(performance.expectancy_frac)}, best {_change(performance.best_frac)}, "
            f"worst {_change(performance.worst_frac)}, held {duration(performance.average_held_s)}, "
            f"longest losing streak {performance.losing_streak}"
        )
    return lines


def headline(rules: SymbolRules, results: RunResults) -> list[str]:
    """Return the figures that matter most: round trips, result, what holding would have brought, and the drawdown."""
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
        f"holding instead: {held}",
        f"deepest drawdown {percent(-performance.max_drawdown_frac)}, longest {lasted}",
    ]


def trades_text(performance: Performance) -> str:
    """Return the count of round trips, and how they went: "44, won 16 (36 %), profit factor 0.83"."""
    if not performance.round_trips or performance.win_rate is None:
        return "0"
    share = f"{performance.win_rate * 100:.0f} %"
    return f"{performance.round_trips}, won {performance.won} ({share}), profit factor {factor(performance)}"


def factor(performance: Performance) -> str:
    """Return the profit factor as text; a dash if nothing was lost or nothing traded."""
    return "–" if performance.profit_factor is None else f"{performance.profit_factor:.2f}"


def transfers_text(rules: SymbolRules, transfers: Sequence[Transfer]) -> str:
    """Return the number of transfers by kind, and their sum: "1 deposit, 2 withdrawals (+1000.00 FDUSD)"."""
    kinds = dict.fromkeys(each.kind for each in transfers)
    counts = ", ".join(counted(sum(each.kind == kind for each in transfers), kind) for kind in kinds)
    value = sum(each.value for each in transfers if each.value is not None)
    return f"{counts} ({'+' if value > 0 else ''}{notional(rules, value)})"


def _lost(rules: SymbolRules, amount: Decimal) -> str:
    """Return an amount with a word for its sign, which alone could mean either."""
    if not amount:
        return "none"
    return f"{notional(rules, abs(amount))} {'lost' if amount > 0 else 'gained'}"


def _ratio(number: float | None) -> str:
    return "–" if number is None else f"{number:.2f}"


def _share(fraction: float | None) -> str:
    return "–" if fraction is None else f"{fraction * 100:.0f} %"


def _change(fraction: float | None) -> str:
    return "–" if fraction is None else percent(fraction)

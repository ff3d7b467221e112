"""The result of a run as JSON, version 2: one shape for the daemon's summary, the backtest and the report.

Amounts and prices are strings, not rounded; fractions and metrics are numbers; times are ISO 8601 in UTC: the market's,
in sim and in a backtest. A fraction of a drawdown is positive; texts show it with a minus. `robustness` is null for a
run that is not a backtest; a metric that is not defined, such as the Sharpe ratio of a single day, is null.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from trailingedge.accounting.performance import Performance, ReasonResult, measure
from trailingedge.accounting.results import FinishedExit, PeriodResult, RunResults, Transfer, utc
from trailingedge.accounting.round_trips import RoundTrip
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import format_plain

SUMMARY_VERSION = 2


def build_summary(
    symbol: str,
    settings: Mapping[str, str],
    results: RunResults,
    gaps: Sequence[str] = (),
    robustness: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Build the JSON summary of any run. The keys are an interface: scripts read them.

    `settings` are those that may be shown, by name: see `config.shareable_settings`.
    """
    performance = measure(results)
    return {
        "version": SUMMARY_VERSION,
        "symbol": symbol,
        "from": iso_time(results.first.market_ms),
        "to": iso_time(results.last.market_ms),
        "settings": dict(settings),
        "orders": [order_json(finished) for finished in results.exits],
        "round_trips": [_round_trip(trip) for trip in results.round_trips],
        "totals": totals_json(results, performance),
        "metrics": _metrics(results, performance),
        "robustness": robustness,
        "transfers": [_transfer(each) for each in results.transfers],
        "gaps": list(gaps),
    }


def day_json(day: PeriodResult) -> dict[str, object]:
    """Return the JSON of today's result. It counts from midnight UTC, or from the start if that was today."""
    return {
        **period_json(day),  # its counts of orders and round trips give way to lists of them
        "replaces": day.replaces,
        "orders": [order_json(finished) for finished in day.exits],
        "round_trips": [_round_trip(trip) for trip in day.round_trips],
        "transfers": [_transfer(each) for each in day.transfers],
    }


def iso_time(unix_ms: int) -> str:
    """A time in ISO 8601, UTC, to the millisecond."""
    return utc(unix_ms).isoformat(timespec="milliseconds")


def kind_name(kind: ExitKind) -> str:
    """The kind of an order as one word for JSON and CSV files; the hard stop is "flush"."""
    return kind.name.lower()


def order_json(finished: FinishedExit) -> dict[str, object]:
    """Return the JSON of a sale or a buy-back."""
    return {
        "id": finished.id,
        "number": finished.number,
        "kind": kind_name(finished.kind),
        "side": finished.side.value,
        "cause": finished.cause.value,
        "from": iso_time(finished.started_ms),
        "to": iso_time(finished.ended_ms),
        "base": format_plain(finished.base),
        "quote": format_plain(finished.quote),
        "average": _plain(finished.average),
        "slippage": _plain(finished.slippage),
        "slippage_frac": finished.slippage_frac,
        "anchor_gain_frac": finished.anchor_gain_frac,
        "brought_frac": finished.brought_frac,
        "replaces": finished.replaces,
        "fees": _amounts(finished.fees),
    }


def _round_trip(trip: RoundTrip) -> dict[str, object]:
    return {
        "kind": kind_name(trip.kind),
        "buys": list(trip.buys),
        "sales": list(trip.sales),
        "from": iso_time(trip.opened_ms),
        "to": iso_time(trip.closed_ms),
        "held_s": trip.held_ms / 1000,
        "base": format_plain(trip.base),
        "cost": format_plain(trip.cost),
        "proceeds": format_plain(trip.proceeds),
        "fees": format_plain(trip.fees),
        "result": format_plain(trip.result),
        "result_frac": trip.result_frac,
        "won": trip.won,
    }


def totals_json(results: RunResults, performance: Performance) -> dict[str, object]:
    """Return the JSON of the totals of a run."""
    whole = results.whole
    return {
        "orders": len(results.exits),
        "fills": whole.fills,
        "replaces": whole.replaces,
        "round_trips": performance.round_trips,
        "won": performance.won,
        "fees": _amounts(whole.fees),
        "rejected": {str(code): count for code, count in sorted(results.rejected.items())},
        "first_value": format_plain(results.first.value),
        "value": format_plain(results.last.value),
        "transferred": format_plain(performance.transferred),
        "result": format_plain(performance.result),
        "result_frac": performance.result_frac,
        "hold_base_frac": performance.hold_base_frac,
        "hold_quote_frac": performance.hold_quote_frac,
        "hold_half_frac": performance.hold_half_frac,
        "excess_half_frac": performance.excess_half_frac,
        "max_drawdown_frac": performance.max_drawdown_frac,
    }


def _metrics(results: RunResults, performance: Performance) -> dict[str, object]:
    return {
        "win_rate": performance.win_rate,
        "profit_factor": performance.profit_factor,
        "expectancy_frac": performance.expectancy_frac,
        "best_frac": performance.best_frac,
        "worst_frac": performance.worst_frac,
        "average_held_s": performance.average_held_s,
        "losing_streak": performance.losing_streak,
        "trades_result": format_plain(performance.trades_result),
        "open_result": format_plain(performance.open_result),
        "annualised_frac": performance.annualised_frac,
        "volatility": performance.volatility,
        "sharpe": performance.sharpe,
        "sortino": performance.sortino,
        "calmar": performance.calmar,
        "max_drawdown_s": performance.max_drawdown_s,
        "max_drawdown_from": iso_time(results.drawdown.longest_from_ms) if results.drawdown.longest_ms else None,
        "under_water_s": performance.under_water_s,
        "under_water_frac": performance.under_water_frac,
        "exposure_frac": performance.exposure_frac,
        "turnover": performance.turnover,
        "slippage": format_plain(performance.slippage),
        "fees": format_plain(performance.fees),
        "unpriced_fees": list(results.unpriced),
        "by_reason": {kind_name(kind): _reason(result) for kind, result in performance.by_reason.items()},
        "days": [{**period_json(day), "market": day.has_market} for day in results.days()],
        "weeks": [period_json(week) for week in results.weeks()],
        "months": [period_json(month) for month in results.months()],
    }


def _reason(reason: ReasonResult) -> dict[str, object]:
    return {
        "round_trips": len(reason.trips),
        "won": reason.won,
        "mean_frac": reason.mean_frac,
        "sum_frac": sum(reason.trips),
        "result": format_plain(reason.result),
        "buy_backs": len(reason.brought),
        "mean_brought_frac": reason.mean_brought_frac,
    }


def period_json(span: PeriodResult) -> dict[str, object]:
    """Return the JSON of the result of a day, a week or a month."""
    return {
        "from": iso_time(span.from_ms),
        "to": iso_time(span.to_ms),
        "orders": len(span.exits),
        "round_trips": len(span.round_trips),
        "won": span.won,
        "fills": span.fills,
        "fees": _amounts(span.fees),
        "value": format_plain(span.value),
        "transferred": format_plain(span.transferred),
        "result": format_plain(span.result),
        "result_frac": span.result_frac,
        "hold_base_frac": span.hold_base_frac,
        "hold_half_frac": span.hold_half_frac,
    }


def _transfer(transfer: Transfer) -> dict[str, object]:
    return {
        "time": iso_time(transfer.time_ms),
        "kind": transfer.kind,
        "amounts": _amounts(transfer.amounts),
        "value": _plain(transfer.value),
    }


def _plain(amount: Decimal | None) -> str | None:
    return None if amount is None else format_plain(amount)


def _amounts(amounts: Mapping[str, Decimal]) -> dict[str, str]:
    return {asset: format_plain(amount) for asset, amount in amounts.items() if amount}

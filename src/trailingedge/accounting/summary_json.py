"""The result of a run as JSON: one shape for the daemon's summary, the backtest and the report.

Amounts and prices are strings, fractions are numbers, times ISO 8601 in UTC: the market's, in sim and in a backtest.
A fraction of a drawdown is positive; texts show it with a minus.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from trailingedge.accounting.statistics import FinishedExit, PeriodResult, RunStatistics, WinRate, win_rate
from trailingedge.core.time_units import DAY_MS
from trailingedge.model.intent import ExitKind
from trailingedge.model.market import SymbolRules, format_on_grid, format_plain

SUMMARY_VERSION = 1


@dataclass(frozen=True, slots=True)
class Totals:
    """The result of a whole run. Fractions are of the value at the beginning of the run.

    `first_value` and `value` are the account's value in quote at the beginning and at the end.
    `rejected` counts rejected requests by error code.
    """

    exits: int
    win_rate: WinRate
    fills: int
    replaces: int
    fees: Mapping[str, Decimal]
    rejected: Mapping[int, int]
    first_value: Decimal
    value: Decimal
    result_frac: float
    hold_base_frac: float
    max_drawdown_frac: float
    hold_quote_frac: float = 0.0  # all values are in quote


@dataclass(frozen=True, slots=True)
class DayTotals:
    """The result of one UTC day, or of the part of the day that the run covers.

    Fractions are of the account's value at the beginning of the day; `value` is the account's value
    in quote at its end. Consecutive days without market data are one entry with `has_market` False.
    """

    from_ms: int
    to_ms: int
    exits: int
    win_rate: WinRate
    fills: int
    fees: Mapping[str, Decimal]
    value: Decimal
    result_frac: float
    hold_base_frac: float
    has_market: bool = True


def compute_totals(tally: RunStatistics) -> Totals:
    """Return the totals of a run from `tally`, which counted the events as they happened."""
    return Totals(
        exits=len(tally.exits),
        win_rate=win_rate(tally.exits),
        fills=tally.fills,
        replaces=tally.replaces,
        fees=dict(tally.fees),
        rejected=dict(tally.rejected),
        first_value=tally.first_value,
        value=tally.last_value,
        result_frac=tally.result_frac,
        hold_base_frac=tally.hold_base_frac,
        max_drawdown_frac=tally.max_drawdown_frac,
    )


def summarize_run(
    settings: Mapping[str, str], rules: SymbolRules, tally: RunStatistics, gaps: Sequence[str] = ()
) -> dict[str, object]:
    """Build the JSON summary of a run from `tally`, which counted the events as they happened.

    `settings` are those that may be shown, by name.
    """
    return build_summary(
        symbol=rules.symbol,
        tick_size=rules.tick_size,
        from_ms=tally.from_ms,
        to_ms=tally.to_ms,
        settings=settings,
        exits=tally.exits,
        totals=compute_totals(tally),
        days=map(_day_totals, tally.days()),
        gaps=gaps,
    )


def build_summary(
    *,
    symbol: str,
    tick_size: Decimal,
    from_ms: int,
    to_ms: int,
    settings: Mapping[str, str],
    exits: Iterable[FinishedExit],
    totals: Totals,
    days: Iterable[DayTotals],
    gaps: Sequence[str],
) -> dict[str, object]:
    """Build the JSON summary of any run. The keys are an interface: scripts read them."""
    return {
        "version": SUMMARY_VERSION,
        "symbol": symbol,
        "from": iso_time(from_ms),
        "to": iso_time(to_ms),
        # Only the settings that a report may show: see `config.shareable_settings`.
        "settings": dict(settings),
        "exits": [_exit(finished, tick_size) for finished in exits],
        "totals": {
            "exits": totals.exits,
            **_hits(totals.win_rate),
            "fills": totals.fills,
            "replaces": totals.replaces,
            "fees": _amounts(totals.fees),
            "rejected": {str(code): count for code, count in sorted(totals.rejected.items())},
            "first_value": format_plain(totals.first_value),
            "value": format_plain(totals.value),
            "result_frac": totals.result_frac,
            "hold_base_frac": totals.hold_base_frac,
            "hold_quote_frac": totals.hold_quote_frac,
            "max_drawdown_frac": totals.max_drawdown_frac,
        },
        "days": [_day(day, tick_size) for day in days],
        "gaps": list(gaps),
    }


def day_json(rules: SymbolRules, day: PeriodResult) -> dict[str, object]:
    """Return the JSON of today's result. It counts from midnight UTC, or from the start if that was today."""
    return {
        "from": iso_time(day.from_ms),
        "to": iso_time(day.to_ms),
        "exits": [_exit(finished, rules.tick_size) for finished in day.exits],
        "fills": day.fills,
        "replaces": day.replaces,
        "fees": _amounts(day.fees),
        "value": format_plain(day.value),
        "result_frac": day.result_frac,
        "hold_base_frac": day.hold_base_frac,
    }


def iso_time(unix_ms: int) -> str:
    """A time in ISO 8601, UTC, to the millisecond."""
    # By a timedelta: fromtimestamp takes a float, and on Windows no time before 1970.
    return (datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=unix_ms)).isoformat(timespec="milliseconds")


def _exit(finished: FinishedExit, tick_size: Decimal) -> dict[str, object]:
    average = finished.average
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
        "average": None if average is None else format_on_grid(average, tick_size),
        "slippage_frac": finished.slippage_frac,
        "result_frac": finished.result_frac,
        "replaces": finished.replaces,
        "fees": _amounts(finished.fees),
    }


def _day(day: DayTotals, tick_size: Decimal) -> dict[str, object]:
    return {
        "from": iso_time(day.from_ms),
        "to": iso_time(day.to_ms),
        "market": day.has_market,
        "exits": day.exits,
        **_hits(day.win_rate),
        "fills": day.fills,
        "fees": _amounts(day.fees),
        "value": format_on_grid(day.value, tick_size),
        "result_frac": day.result_frac,
        "hold_base_frac": day.hold_base_frac,
    }


def _day_totals(period: PeriodResult) -> DayTotals:
    return DayTotals(
        # The part begins with the last valuation before midnight, but the day is named by its own midnight.
        from_ms=max(period.from_ms, period.to_ms - period.to_ms % DAY_MS),
        to_ms=period.to_ms,
        exits=len(period.exits),
        win_rate=win_rate(period.exits),
        fills=period.fills,
        fees=period.fees,
        value=period.value,
        result_frac=period.result_frac,
        hold_base_frac=period.hold_base_frac,
    )


def _hits(hits: WinRate) -> dict[str, int]:
    return {"won": hits.wins, "judged": hits.known}


def kind_name(kind: ExitKind) -> str:
    """The kind of an order as one word, which stands in JSON and CSV files."""
    return kind.name.lower()


def _amounts(amounts: Mapping[str, Decimal]) -> dict[str, str]:
    return {asset: format_plain(amount) for asset, amount in amounts.items() if amount}

"""Tables of exits and days as text, the same for terminal and page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from trailingedge.accounting.performance import ReasonResult, by_reason, measure
from trailingedge.accounting.results import FinishedExit, PeriodResult, Transfer, utc
from trailingedge.accounting.round_trips import RoundTrip, ended_by
from trailingedge.core.time_units import DAY_MS
from trailingedge.model.intent import ExitEndReason, ExitKind
from trailingedge.model.market import SymbolRules, format_plain
from trailingedge.notifications.event_messages import EXIT_NAMES, amounts, counted, elapsed, figure, percent
from trailingedge.notifications.result_messages import signed
from trailingedge.report.model import RunReport

NO_VALUE: Final = "–"
MAX_GAPS_SHOWN: Final = 8

# One word each, for a table column; the log has the whole sentence.
_ENDINGS: Final[Mapping[ExitEndReason, str]] = {
    ExitEndReason.DUST: "all but dust",
    ExitEndReason.CANCELLED: "cancelled",
    ExitEndReason.STOPPED: "stopped",
    ExitEndReason.PAUSED: "paused",
    ExitEndReason.EXPIRED: "expired",
    ExitEndReason.HALTED: "halted",
    ExitEndReason.FUNDS_GONE: "funds gone",
}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with one cell for each heading, or with a single cell across the whole table.

    `numeric` names the columns that are aligned to the right. `sort_keys` has, for each row, one number per cell by
    which that column can be sorted; it may be empty.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[str]
    sort_keys: tuple[tuple[float, ...], ...] = ()


def exits_table(report: RunReport) -> Table:
    """Return a table with one row for each exit, oldest first.

    The column "result" shows for a sale the result of its round trip, in quote, and for a buy-back the base gained.
    """
    base, quote = report.base_asset, report.quote_asset
    headings = (
        "ended, UTC",
        "why",
        "result",
        "side",
        f"amount, {base}",
        f"price, {quote}",
        "since anchor",
        "slippage",
        "time to fill",
        "replaces",
        "fees",
        "exit id",
    )
    numeric = frozenset(headings) - {"ended, UTC", "why", "side", "fees", "exit id"}
    trips = ended_by(report.results.round_trips)
    rows = tuple(_exit_row(report, finished, trips.get(finished.number)) for finished in report.exits)
    return Table(headings, rows, numeric)


def days_table(report: RunReport) -> Table:
    """Return a table with one row for each day, oldest first.

    Consecutive days without market data are one row.
    """
    return _spans_table(report, "day", report.results.days())


def weeks_table(report: RunReport) -> Table:
    """Return a table with one row for each week, oldest first. A week begins on Monday."""
    return _spans_table(report, "week of", report.results.weeks())


def months_table(report: RunReport) -> Table:
    """Return a table with one row for each month, oldest first, with the result of each kind of exit in quote."""
    months = report.results.months()
    table = _spans_table(report, "month", months)
    brought = [by_reason(month.round_trips, month.exits) for month in months]
    kinds = [kind for kind in ExitKind if any(kind in each and each[kind].trips for each in brought)]
    headings = tuple(f"{EXIT_NAMES[kind]}s, {report.quote_asset}" for kind in kinds)
    rows = tuple(
        (
            row[0][:-3],
            *row[1:],
            *(signed(report.rules, each[kind].result) if kind in each else NO_VALUE for kind in kinds),
        )
        for row, each in zip(table.rows, brought, strict=True)
    )
    return Table((*table.headings, *headings), rows, table.numeric | set(headings))


def reasons_table(report: RunReport) -> Table:
    """Return a table with one row for each kind of exit: the round trips that it ended, and its buy-backs."""
    base, quote = report.base_asset, report.quote_asset
    headings = ("why", "round trips", "won", "mean", f"sum, {quote}", "buy-backs", f"mean, {base}")
    rows = tuple(_reason_row(report, kind, found) for kind, found in measure(report.results).by_reason.items())
    return Table(headings, rows, frozenset(headings) - {"why"})


def transfers_table(report: RunReport) -> Table:
    """Return a table with one row for each deposit, withdrawal and foreign fill, oldest first."""
    headings = ("time, UTC", "what", f"value, {report.quote_asset}", "amounts")
    rows = tuple(_transfer_row(report, each) for each in report.results.transfers)
    return Table(headings, rows, frozenset({headings[2]}))


def timestamp(unix_ms: int) -> str:
    """A UTC time for people: "2025-06-02 14:03:11"."""
    return utc(unix_ms).strftime("%Y-%m-%d %H:%M:%S")


def date_text(unix_ms: int) -> str:
    """A UTC date for people: "2025-06-02"."""
    return utc(unix_ms).strftime("%Y-%m-%d")


def exit_reason(finished: FinishedExit) -> str:
    """Return the kind of an exit and, if it was not filled, how it ended: "take-profit", "manual flip, cancelled"."""
    name = EXIT_NAMES[finished.kind]
    return name if finished.cause is ExitEndReason.FILLED else f"{name}, {_ENDINGS[finished.cause]}"


def slippage_text(fraction: float | None) -> str:
    """Return the slippage against the mid price at the trigger: "0.05 % worse" or "0.05 % better".

    Words are used because the meaning of a sign would be unclear.
    """
    if fraction is None:
        return NO_VALUE
    share = f"{abs(fraction) * 100:.2f} %"
    if share == "0.00 %":
        return "none"
    return f"{share} {'worse' if fraction > 0 else 'better'}"


def fees_text(fees: Mapping[str, Decimal]) -> str:
    """Return fees with all their digits: "0.0012 ETH + 0.3 FDUSD", or "none"."""
    return " + ".join(f"{format_plain(amount)} {asset}" for asset, amount in fees.items() if amount) or "none"


def shown_gaps(gaps: Sequence[str]) -> tuple[str, ...]:
    """Return the first gaps, and a line with the number of gaps left out."""
    left = len(gaps) - MAX_GAPS_SHOWN
    return tuple(gaps) if left <= 1 else (*gaps[:MAX_GAPS_SHOWN], f"and {left} more, which are in the JSON")


def wins_text(won: int, trips: int) -> str:
    """Return the number of round trips won and the number of all: "3 of 5"."""
    return f"{won} of {trips}" if trips else NO_VALUE


def _spans_table(report: RunReport, name: str, spans: Sequence[PeriodResult]) -> Table:
    base, quote = report.base_asset, report.quote_asset
    headings = (name, "result", f"holding {base}", "half of each", f"value, {quote}", "exits", "won", "fees")
    rows = tuple(_span_row(report.rules, span) for span in spans)
    shown = len(headings) - (not report.results.last.fees)  # a column without a figure only takes space
    return Table(headings[:shown], tuple(row[:shown] for row in rows), frozenset(headings) - {name, "fees"})


def _exit_row(report: RunReport, finished: FinishedExit, trip: RoundTrip | None) -> tuple[str, ...]:
    average = finished.average
    result = finished.brought_frac if trip is None else trip.result_frac
    return (
        timestamp(finished.ended_ms),
        exit_reason(finished),
        NO_VALUE if result is None else percent(result),
        finished.side.value,
        format_plain(finished.base),
        NO_VALUE if average is None else figure(average, report.tick_size),
        NO_VALUE if finished.anchor_gain_frac is None else percent(finished.anchor_gain_frac),
        slippage_text(finished.slippage_frac),
        elapsed(finished.age_s) if finished.base else NO_VALUE,
        str(finished.replaces),
        fees_text(finished.fees),
        finished.id,
    )


def _span_row(symbol: SymbolRules, span: PeriodResult) -> tuple[str, ...]:
    if not span.has_market:
        count = -(-(span.to_ms - span.from_ms) // DAY_MS)
        dates = date_text(span.from_ms) if count == 1 else f"{date_text(span.from_ms)} to {date_text(span.to_ms - 1)}"
        return (f"{dates}: no market data, {counted(count, 'day')}; the change in value counts for the day after",)
    return (
        date_text(span.from_ms),
        percent(span.result_frac),
        percent(span.hold_base_frac),
        percent(span.hold_half_frac),
        figure(span.value, symbol.tick_size),
        str(len(span.exits)),
        wins_text(span.won, len(span.round_trips)),
        amounts(symbol, span.fees),
    )


def _reason_row(report: RunReport, kind: ExitKind, reason: ReasonResult) -> tuple[str, ...]:
    mean, brought = reason.mean_frac, reason.mean_brought_frac
    return (
        EXIT_NAMES[kind],
        str(len(reason.trips)),
        str(reason.won),
        NO_VALUE if mean is None else percent(mean),
        signed(report.rules, reason.result),
        str(len(reason.brought)),
        NO_VALUE if brought is None else percent(brought),
    )


def _transfer_row(report: RunReport, transfer: Transfer) -> tuple[str, ...]:
    moved = " ".join(f"{format_plain(amount)} {asset}" for asset, amount in transfer.amounts.items() if amount)
    value = NO_VALUE if transfer.value is None else figure(transfer.value, report.tick_size)
    return (timestamp(transfer.time_ms), transfer.kind, value, moved)

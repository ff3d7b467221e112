"""Tables of exits and days as text, the same for terminal and page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from trailingedge.accounting.statistics import FinishedExit, WinRate
from trailingedge.accounting.summary_json import DayTotals
from trailingedge.core.time_units import DAY_MS
from trailingedge.model.intent import ExitEndReason
from trailingedge.model.market import SymbolRules, format_plain
from trailingedge.notifications.event_messages import EXIT_NAMES, amounts, counted, elapsed, figure, percent
from trailingedge.report.model import RunReport
from trailingedge.report.totals import days, rules

NO_VALUE: Final = "–"
MAX_GAPS_SHOWN: Final = 8
# The meaning of "won", shown beside the word: the account can lose although most of its exits have won.
WON_MEANING: Final = (
    "exits that gained against their anchor, after fees; the count does not show how much each gained or lost"
)

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

    `numeric` names the columns that are aligned to the right.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[str]


def exits_table(report: RunReport) -> Table:
    """Return a table with one row for each exit, oldest first."""
    base, quote = report.base_asset, report.quote_asset
    headings = (
        "ended, UTC",
        "why",
        "result",
        "side",
        f"amount, {base}",
        f"price, {quote}",
        "slippage",
        "time to fill",
        "replaces",
        "fees",
        "exit id",
    )
    numeric = frozenset(headings) - {"ended, UTC", "why", "side", "fees", "exit id"}
    return Table(headings, tuple(_exit_row(report, finished) for finished in report.exits), numeric)


def days_table(report: RunReport) -> Table:
    """Return a table with one row for each day, oldest first.

    Consecutive days without market data are one row.
    """
    base, quote = report.base_asset, report.quote_asset
    headings = ("day", "result", f"holding {base}", f"value, {quote}", "exits", "won", "fees")
    symbol = rules(report)
    return Table(headings, tuple(_day_row(symbol, day) for day in days(report)), frozenset(headings) - {"day", "fees"})


def timestamp(unix_ms: int) -> str:
    """A UTC time for people: "2025-06-02 14:03:11"."""
    return _utc(unix_ms).strftime("%Y-%m-%d %H:%M:%S")


def date_text(unix_ms: int) -> str:
    """A UTC date for people: "2025-06-02"."""
    return _utc(unix_ms).strftime("%Y-%m-%d")


def exit_reason(finished: FinishedExit) -> str:
    """Kind of an exit, and how it ended if not by a fill: "take-profit", "manual flip, cancelled"."""
    name = EXIT_NAMES[finished.kind]
    return name if finished.cause is ExitEndReason.FILLED else f"{name}, {_ENDINGS[finished.cause]}"


def slippage_text(fraction: float | None) -> str:
    """Return the slippage against the mid price at the trigger: "0.05 % worse" or "0.05 % better".

    Words are used because a sign could mean either.
    """
    if fraction is None:
        return NO_VALUE
    share = f"{abs(fraction) * 100:.2f} %"
    if share == "0.00 %":
        return "none"
    return f"{share} {'worse' if fraction > 0 else 'better'}"


def fees_text(fees: Mapping[str, Decimal]) -> str:
    """Fees to the last digit: "0.0012 ETH + 0.3 FDUSD", or "none"."""
    return " + ".join(f"{format_plain(amount)} {asset}" for asset, amount in fees.items() if amount) or "none"


def shown_gaps(gaps: Sequence[str]) -> tuple[str, ...]:
    """The first gaps, and a line with the number of those left out."""
    left = len(gaps) - MAX_GAPS_SHOWN
    return tuple(gaps) if left <= 1 else (*gaps[:MAX_GAPS_SHOWN], f"and {left} more, which are in the JSON")


def wins_text(rate: WinRate) -> str:
    """Exits won, of those that can be judged: "3 of 5"."""
    return f"{rate.wins} of {rate.known}" if rate.known else NO_VALUE


def _exit_row(report: RunReport, finished: FinishedExit) -> tuple[str, ...]:
    average = finished.average
    return (
        timestamp(finished.ended_ms),
        exit_reason(finished),
        NO_VALUE if finished.result_frac is None else percent(finished.result_frac),
        finished.side.value,
        format_plain(finished.base),
        NO_VALUE if average is None else figure(average, report.tick_size),
        slippage_text(finished.slippage_frac),
        elapsed(finished.age_s) if finished.base else NO_VALUE,
        str(finished.replaces),
        fees_text(finished.fees),
        finished.id,
    )


def _day_row(symbol: SymbolRules, day: DayTotals) -> tuple[str, ...]:
    if not day.has_market:
        count = -(-(day.to_ms - day.from_ms) // DAY_MS)
        span = date_text(day.from_ms) if count == 1 else f"{date_text(day.from_ms)} to {date_text(day.to_ms - 1)}"
        return (f"{span}: no market data, {counted(count, 'day')}; the change is in the day after",)
    return (
        date_text(day.from_ms),
        percent(day.result_frac),
        percent(day.hold_base_frac),
        figure(day.value, symbol.tick_size),
        str(day.exits),
        wins_text(day.win_rate),
        amounts(symbol, day.fees),
    )


def _utc(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=unix_ms)

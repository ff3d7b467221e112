"""The exits and the days of a story as tables of words, the same on terminal and page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from trailingedge.accounting.statistics import FinishedExit, WinRate
from trailingedge.accounting.summary_json import DayTotals
from trailingedge.model.intent import ExitEndReason
from trailingedge.model.market import SymbolRules, plain
from trailingedge.notifications.messages import EXIT_NAMES, amounts, counted, figure, lasting, percent
from trailingedge.report.model import RunReport
from trailingedge.report.totals import DAY_MS, days, rules

NOTHING: Final = "–"
GAPS_SHOWN: Final = 8
# What "won" counts, wherever it stands: most exits may win, and the account lose by the others.
WON: Final = "exits that ended better than their anchor, after fees; by how much is not in this count"

# In a word, for a column; the log says more of it.
_ENDINGS: Final[Mapping[ExitEndReason, str]] = {
    ExitEndReason.DUST: "all but dust",
    ExitEndReason.WITHDRAWN: "withdrawn",
    ExitEndReason.STOPPED: "stopped",
    ExitEndReason.HELD: "held back",
    ExitEndReason.EXPIRED: "expired",
    ExitEndReason.HALTED: "halted",
    ExitEndReason.VANISHED: "funds gone",
}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of as many cells as there are headings, or of one that stands across all of them.

    `numeric` are the columns that are read by their last digits.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[str]


def exits_table(story: RunReport) -> Table:
    """One row for each exit, oldest first."""
    base, quote = story.base_asset, story.quote_asset
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
    return Table(headings, tuple(_exit_row(story, finished) for finished in story.exits), numeric)


def days_table(story: RunReport) -> Table:
    """One row for each day, oldest first; days without a market are one row together."""
    base, quote = story.base_asset, story.quote_asset
    headings = ("day", "result", f"holding {base}", f"value, {quote}", "exits", "won", "fees")
    symbol = rules(story)
    return Table(headings, tuple(_day_row(symbol, day) for day in days(story)), frozenset(headings) - {"day", "fees"})


def moment(unix_ms: int) -> str:
    """A time for people, in UTC: "2025-06-02 14:03:11"."""
    return _utc(unix_ms).strftime("%Y-%m-%d %H:%M:%S")


def date(unix_ms: int) -> str:
    return _utc(unix_ms).strftime("%Y-%m-%d")


def why(finished: FinishedExit) -> str:
    """ "take-profit", "manual flip, withdrawn"."""
    name = EXIT_NAMES[finished.kind]
    return name if finished.cause is ExitEndReason.FILLED else f"{name}, {_ENDINGS[finished.cause]}"


def slippage(fraction: float | None) -> str:
    """Against the mid price at the trigger, in words, for a sign could mean either."""
    if fraction is None:
        return NOTHING
    share = f"{abs(fraction) * 100:.2f} %"
    if share == "0.00 %":
        return "none"
    return f"{share} {'worse' if fraction > 0 else 'better'}"


def paid(fees: Mapping[str, Decimal]) -> str:
    """Fees as they were paid, to the last digit: "0.0012 ETH + 0.3 FDUSD", or "none"."""
    return " + ".join(f"{plain(amount)} {asset}" for asset, amount in fees.items() if amount) or "none"


def missing(gaps: Sequence[str]) -> tuple[str, ...]:
    """The first of them, and how many there are beside."""
    left = len(gaps) - GAPS_SHOWN
    return tuple(gaps) if left <= 1 else (*gaps[:GAPS_SHOWN], f"and {left} more, which are in the JSON")


def hits(rate: WinRate) -> str:
    """ "3 of 5"."""
    return f"{rate.won} of {rate.judged}" if rate.judged else NOTHING


def _exit_row(story: RunReport, finished: FinishedExit) -> tuple[str, ...]:
    average = finished.average
    return (
        moment(finished.ended_ms),
        why(finished),
        NOTHING if finished.result_frac is None else percent(finished.result_frac),
        finished.side.value,
        plain(finished.base),
        NOTHING if average is None else figure(average, story.tick_size),
        slippage(finished.slippage_frac),
        lasting(finished.age_s) if finished.base else NOTHING,
        str(finished.replaces),
        paid(finished.fees),
        finished.id,
    )


def _day_row(symbol: SymbolRules, day: DayTotals) -> tuple[str, ...]:
    if not day.seen:
        count = -(-(day.to_ms - day.from_ms) // DAY_MS)
        span = date(day.from_ms) if count == 1 else f"{date(day.from_ms)} to {date(day.to_ms - 1)}"
        return (f"{span}: no market, {counted(count, 'day')}; the change is in the day after",)
    return (
        date(day.from_ms),
        percent(day.result_frac),
        percent(day.hold_base_frac),
        figure(day.value, symbol.tick_size),
        str(day.exits),
        hits(day.hits),
        amounts(symbol, day.fees),
    )


def _utc(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=unix_ms)

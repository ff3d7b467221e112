"""The exits and the days of a story as tables of words, the same on terminal and page."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from trailingedge.execution.ids import OwnId
from trailingedge.market import plain
from trailingedge.notifications.texts import ENDINGS, EXIT_NAMES, figure, lasting, percent
from trailingedge.report.figures import Day, HitRate, days
from trailingedge.report.story import Story
from trailingedge.strategy.want import Cause
from trailingedge.tally import FinishedExit

NOTHING: Final = "–"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of as many cells as there are headings. `numeric` are the columns that are read by their last digits."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[str]


def exits_table(story: Story) -> Table:
    """One row for each exit, oldest first."""
    base, quote = story.base_asset, story.quote_asset
    headings = (
        "ended, UTC",
        "why",
        "side",
        f"amount, {base}",
        f"average price, {quote}",
        "result",
        "slippage",
        "time to fill",
        "replaces",
        "fees",
        "order id",
    )
    numeric = frozenset(headings) - {"ended, UTC", "why", "side", "fees", "order id"}
    return Table(headings, tuple(_exit_row(story, finished) for finished in story.exits), numeric)


def days_table(story: Story) -> Table:
    """One row for each day, oldest first."""
    base, quote = story.base_asset, story.quote_asset
    headings = ("day", "result", f"holding {base}", f"value, {quote}", "exits", "won", "fills", "fees")
    return Table(headings, tuple(_day_row(story, day) for day in days(story)), frozenset(headings) - {"day", "fees"})


def moment(unix_ms: int) -> str:
    """A time for people, in UTC: "2025-06-02 14:03:11"."""
    return _utc(unix_ms).strftime("%Y-%m-%d %H:%M:%S")


def date(unix_ms: int) -> str:
    return _utc(unix_ms).strftime("%Y-%m-%d")


def why(finished: FinishedExit) -> str:
    """ "take-profit", "manual flip, withdrawn by the operator"."""
    name = EXIT_NAMES[finished.kind]
    return name if finished.cause is Cause.FILLED else f"{name}, {ENDINGS[finished.cause]}"


def slippage(fraction: float | None) -> str:
    """Against the mid price at the trigger, in words, for a sign could mean either."""
    if fraction is None:
        return NOTHING
    share = f"{abs(fraction) * 100:.2f} %"
    if share == "0.00 %":
        return "none"
    return f"{share} {'worse' if fraction > 0 else 'better'}"


def paid(amounts: Mapping[str, Decimal]) -> str:
    """Fees as they were paid, to the last digit: "0.0012 ETH + 0.3 FDUSD", or "none"."""
    return " + ".join(f"{plain(amount)} {asset}" for asset, amount in amounts.items() if amount) or "none"


def hits(rate: HitRate) -> str:
    """ "3 of 5"."""
    return f"{rate.won} of {rate.judged}" if rate.judged else NOTHING


def _exit_row(story: Story, finished: FinishedExit) -> tuple[str, ...]:
    average = finished.average
    return (
        moment(finished.ended_ms),
        why(finished),
        finished.side.value,
        plain(finished.base),
        NOTHING if average is None else figure(average, story.tick_size),
        NOTHING if finished.result_frac is None else percent(finished.result_frac),
        slippage(finished.slippage_frac),
        lasting(finished.age_s) if finished.base else NOTHING,
        str(finished.replaces),
        paid(finished.fees),
        str(OwnId(finished.kind, finished.number)),
    )


def _day_row(story: Story, day: Day) -> tuple[str, ...]:
    return (
        date(day.from_ms),
        percent(day.result_frac),
        percent(day.hold_base_frac),
        figure(day.value, story.tick_size),
        str(len(day.exits)),
        hits(day.hits),
        str(day.fills),
        paid(day.fees),
    )


def _utc(unix_ms: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=unix_ms)

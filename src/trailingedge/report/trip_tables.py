"""Tables of round trips: a list with one row for each, and the distribution of their results."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import Final

from trailingedge.accounting.round_trips import RoundTrip
from trailingedge.model.intent import ExitKind
from trailingedge.notifications.event_messages import EXIT_NAMES, duration, figure, percent
from trailingedge.notifications.result_messages import signed
from trailingedge.report.model import RunReport
from trailingedge.report.tables import Table, timestamp

_MOST_BINS: Final = 16
_WIDTHS: Final = (1, 2, 5, 10, 20, 25, 50)  # of a bin, in 0.1 %; larger ones are multiples of 10 %
_KINDS: Final = tuple(ExitKind)


@dataclass(frozen=True, slots=True)
class ResultBin:
    """How many round trips had a result from `low` to below `high`, as fractions of their cost."""

    low: float
    high: float
    count: int


def trips_table(report: RunReport) -> Table:
    """Return a table with one row for each round trip, oldest first.

    Costs include the fees paid; fees are subtracted from proceeds.
    """
    base, quote = report.base_asset, report.quote_asset
    headings = (
        "sold, UTC",
        "why",
        "result",
        f"result, {quote}",
        "held",
        "bought, UTC",
        f"amount, {base}",
        f"cost per {base}",
        f"brought per {base}",
        f"fees, {quote}",
    )
    trips = report.results.round_trips
    return Table(
        headings,
        tuple(_row(report, trip) for trip in trips),
        frozenset(headings) - set(headings[:2]),
        tuple(map(_sort_keys, trips)),
    )


def result_bins(report: RunReport) -> tuple[ResultBin, ...]:
    """Return the distribution of the round trips' results, lowest first, in bins of equal width.

    Zero is a boundary between two bins.
    """
    results = [trip.result_frac for trip in report.results.round_trips]
    if not results:
        return ()
    width = _bin_width(max(results) - min(results))
    # A result on an edge belongs to the bin above it; the quotient of two floats may lie just below the edge.
    counts = Counter(math.floor(result / width + 1e-9) for result in results)
    return tuple(
        ResultBin(number * width, (number + 1) * width, counts[number])
        for number in range(min(counts), max(counts) + 1)
    )


def _bin_width(spread: float) -> float:
    return next(
        (width / 1000 for width in _WIDTHS if spread / (width / 1000) <= _MOST_BINS - 2),
        math.ceil(spread / (_MOST_BINS - 2) * 10) / 10,
    )


def _row(report: RunReport, trip: RoundTrip) -> tuple[str, ...]:
    return (
        timestamp(trip.closed_ms),
        EXIT_NAMES[trip.kind],
        percent(trip.result_frac),
        signed(report.rules, trip.result),
        duration(trip.held_ms / 1000),
        timestamp(trip.opened_ms),
        figure(trip.base, report.rules.step_size),
        figure(trip.cost / trip.base, report.tick_size),
        figure(trip.proceeds / trip.base, report.tick_size),
        figure(trip.fees, report.tick_size),
    )


def _sort_keys(trip: RoundTrip) -> tuple[float, ...]:
    return (
        trip.closed_ms,
        _KINDS.index(trip.kind),
        trip.result_frac,
        float(trip.result),
        trip.held_ms,
        trip.opened_ms,
        float(trip.base),
        float(trip.cost / trip.base),
        float(trip.proceeds / trip.base),
        float(trip.fees),
    )

"""Robustness of a backtest: its result on several paths within the candles, as a median with a band.

The report lists the orders of one path, the "listed" path, and shows its robustness beside them. The texts and the JSON
about it are made here, so that terminal, page and JSON agree.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from trailingedge.core.number_text import finite, id_number
from trailingedge.notifications.event_messages import counted, percent

LOW_SHARE, HIGH_SHARE = 0.05, 0.95  # the percentiles of the band
# The paths alone are too sure of themselves: `tests.calibration` shows it, on trades. So the band is widened by a
# quarter, and that of a result goes a quarter of a point each way at least.
WIDENING: Final = 1.25
LEAST_FRAC: Final = 0.0025
_MEANING: Final = "5th to 95th percentile, widened by a quarter"


class Walk(Enum):
    """The assumption on how prices move within a candle."""

    RANDOM = "random"  # seeded random paths
    STRAIGHT = "straight"  # open, low, high, close if it closes up, else open, high, low, close
    OPPOSITE = "opposite"  # the other order
    RECORDED = "recorded"  # the market has trades or quotes: nothing is made up


@dataclass(frozen=True, slots=True)
class PathFigures:
    """The figures of one path. Fractions are of the first value; `number` is also the seed of a random path.

    `excess_frac` is the result minus that of holding half base, half quote. `changes` is the change of the account
    since the start at each daily valuation, for the charts alone.
    """

    number: int
    result_frac: float
    excess_frac: float
    max_drawdown_frac: float
    exits: int
    hard_stops: int
    round_trips: int
    won: int
    rejected: int
    changes: tuple[float, ...] = field(default=(), compare=False)  # a saved report has the band of them instead


@dataclass(frozen=True, slots=True)
class Band:
    """Median, 5th percentile and 95th percentile of one figure over the paths. The two percentiles are widened."""

    median: float
    p5: float
    p95: float


FIGURES: Final[Mapping[str, Callable[[PathFigures], float]]] = {
    "result_frac": lambda path: path.result_frac,
    "excess_frac": lambda path: path.excess_frac,
    "max_drawdown_frac": lambda path: path.max_drawdown_frac,
    "exits": lambda path: path.exits,
    "hard_stops": lambda path: path.hard_stops,
    "round_trips": lambda path: path.round_trips,
    "won": lambda path: path.won,
    "rejected": lambda path: path.rejected,
}


_RESULTS: Final = ("result_frac", "excess_frac")  # no other figure is ever below 0


@dataclass(frozen=True, slots=True)
class Robustness:
    """The results of all paths, by number. `listed` is the number of the path whose orders the report lists.

    `latency_ms` is the latency of a message in each direction. `planned` is the number of paths requested; after Ctrl-C
    fewer have been run. `hides` has a sentence for each reason to distrust the result.
    """

    walk: Walk
    latency_ms: int
    planned: int
    listed: int
    figures: tuple[PathFigures, ...]
    hides: tuple[str, ...] = ()

    def band(self, name: str) -> Band:
        """Return the band of one of `FIGURES`."""
        # An account that only held is known exactly.
        least = LEAST_FRAC if name in _RESULTS and any(path.exits for path in self.figures) else 0.0
        band = band_of(list(map(FIGURES[name], self.figures)), least)
        return band if name in _RESULTS else Band(band.median, max(0.0, band.p5), band.p95)


def band_of(values: Sequence[float], least: float, widening: float = WIDENING) -> Band:
    """Return the band of these values, widened, so that it extends at least `least` below and above the median.

    For a single value there is no band.
    """
    ordered = sorted(values)
    median = statistics.median(ordered)
    below, above = (abs(_quantile(ordered, share) - median) * widening for share in (LOW_SHARE, HIGH_SHARE))
    least = least if len(ordered) > 1 else 0.0
    return Band(median, median - max(below, least), median + max(above, least))


def median_path(figures: Sequence[PathFigures]) -> PathFigures:
    """Return the path whose result is the median.

    If the number of paths is even, it is the lower of the two in the middle.
    """
    return sorted(figures, key=lambda path: (path.result_frac, path.number))[(len(figures) - 1) // 2]


def _quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile of sorted values, interpolated between two of them (Hyndman and Fan's type 7)."""
    place = share * (len(values) - 1)
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (place - below)


def robustness_texts(robustness: Robustness) -> list[str]:
    """Return the lines beside a result: the band, and which path's orders are listed."""
    result, excess, drawdown = (robustness.band(name) for name in ("result_frac", "excess_frac", "max_drawdown_frac"))
    paths, late = len(robustness.figures), f"{robustness.latency_ms} ms each way"
    lines = []
    if paths > 1:
        exits = robustness.band("exits")
        lines += [
            f"{paths} random paths within the candles, latency {late}: median ({_MEANING})",
            f"  result {_shown(result)}, compared with half and half {_shown(excess)}",
            f"  deepest drawdown {percent(-drawdown.median)} ({percent(-drawdown.p95)} to {percent(-drawdown.p5)})",
            f"  exits {exits.median:.0f} ({exits.p5:.0f} to {exits.p95:.0f})",
            f"  orders, days and totals are those of path {robustness.listed}, nearest to the median",
        ]
    else:
        what = {
            Walk.RANDOM: "one random path within the candles",
            Walk.STRAIGHT: "straight lines within the candles",
            Walk.OPPOSITE: "straight lines within the candles, in the opposite order",
            Walk.RECORDED: "every recorded trade or quote",
        }
        lines.append(f"one result, on {what[robustness.walk]}, latency {late}")
    if paths < robustness.planned:
        lines.append(f"  {counted(robustness.planned - paths, 'path')} of {robustness.planned} not done")
    return lines + [f"  {hidden}" for hidden in robustness.hides]


def _shown(band: Band) -> str:
    return f"{percent(band.median)} ({percent(band.p5)} to {percent(band.p95)})"


def robustness_json(robustness: Robustness) -> dict[str, object]:
    """Return the value `robustness` of the JSON of a backtest. Fractions are numbers."""
    bands = {name: robustness.band(name) for name in FIGURES}
    return {
        "paths": len(robustness.figures),
        "planned": robustness.planned,
        "walk": robustness.walk.value,
        "latency_ms": robustness.latency_ms,
        "listed": robustness.listed,
        "median": {name: band.median for name, band in bands.items()},
        "p5": {name: band.p5 for name, band in bands.items()},
        "p95": {name: band.p95 for name, band in bands.items()},
        "each": [
            {"path": path.number, **{name: figure(path) for name, figure in FIGURES.items()}}
            for path in robustness.figures
        ],
        "hides": list(robustness.hides),
    }


def robustness_from_json(data: Mapping[str, Any], text: Callable[[object], str]) -> Robustness:
    """Read what `robustness_json` wrote; `text` checks a text. Raises LookupError, TypeError or ValueError."""
    figures = tuple(
        PathFigures(
            id_number(each["path"]),
            finite(each["result_frac"]),
            finite(each["excess_frac"]),
            finite(each["max_drawdown_frac"]),
            id_number(each["exits"]),
            id_number(each["hard_stops"]),
            id_number(each["round_trips"]),
            id_number(each["won"]),
            id_number(each["rejected"]),
        )
        for each in data["each"]
    )
    if not figures:
        raise ValueError("no path")
    latency_ms, planned, listed = (id_number(data[name]) for name in ("latency_ms", "planned", "listed"))
    return Robustness(Walk(data["walk"]), latency_ms, planned, listed, figures, tuple(map(text, data["hides"])))

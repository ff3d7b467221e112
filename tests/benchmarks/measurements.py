"""Measurements of the benchmarks: medians, quantiles, ratios, and the tables they are printed in."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

_GAP: Final = "  "


def quantile(values: Sequence[float], fraction: float) -> float:
    """The smallest value that at least `fraction` of all values do not exceed; NaN for no values."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(fraction * len(values)) - 1)]


@dataclass(frozen=True, slots=True)
class Sample:
    """The values of one program, a list per round, in the measure's unit."""

    name: str
    rounds: Sequence[Sequence[float]]

    @property
    def pooled(self) -> list[float]:
        return list(chain.from_iterable(self.rounds))

    @property
    def median(self) -> float:
        return statistics.median(self.pooled)

    @property
    def p99(self) -> float:
        return quantile(self.pooled, 0.99)

    def spread(self, floor: "Sample") -> tuple[float, float]:
        """The smallest and the largest ratio of medians to the floor's in any single round."""
        pairs = zip(self.rounds, floor.rounds, strict=True)
        ratios = [statistics.median(ours) / statistics.median(theirs) for ours, theirs in pairs]
        return min(ratios), max(ratios)


def ratio(value: float, floor: float) -> str:
    return f"{value / floor:.2f}" if floor else "-"


def latency_rows(samples: Sequence[Sample]) -> Iterable[Sequence[str]]:
    """One row per program, in microseconds, under `LATENCY_HEAD`; the first sample is the floor."""
    floor = samples[0]
    for sample in samples:
        least, most = sample.spread(floor)
        yield (
            sample.name,
            str(len(sample.pooled)),
            f"{sample.median * 1e6:.0f}",
            f"{sample.p99 * 1e6:.0f}",
            ratio(sample.median, floor.median),
            ratio(sample.p99, floor.p99),
            f"{least:.2f} - {most:.2f}",
        )


LATENCY_HEAD: Final = ("", "n", "p50 us", "p99 us", "p50 / floor", "p99 / floor", "p50 by round")


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]], notes: Sequence[str] = ()) -> str:
    """A table as text: the first column aligned left, figures aligned right."""
    cells = [tuple(head), *map(tuple, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = [
        _GAP.join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in cells
    ]
    rule = "-" * len(lines[0])
    return "\n".join([title, "", lines[0].rstrip(), rule, *(line.rstrip() for line in lines[1:]), *notes])

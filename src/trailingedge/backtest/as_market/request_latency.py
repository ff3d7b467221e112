"""Latency of a session: the round-trip times of its requests, from sending to the reply, and a histogram of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from statistics import median
from typing import Final

from trailingedge.backtest.paths import MOST_LATENCY_MS

_EDGES_MS: Final = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, inf)
_P95: Final = 0.95


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many requests had a round-trip time of at least `from_ms` and less than `to_ms`."""

    from_ms: float
    to_ms: float
    count: int


@dataclass(frozen=True, slots=True)
class RequestLatency:
    """Round-trip times of requests in milliseconds, sorted.

    `of_orders` is True if they are those of order requests. If the session sent no order request, they are those of all
    other requests.
    """

    round_trips_ms: tuple[float, ...]
    of_orders: bool

    @property
    def median_ms(self) -> float:
        return median(self.round_trips_ms)

    @property
    def p95_ms(self) -> float:
        return self.round_trips_ms[min(len(self.round_trips_ms) - 1, int(len(self.round_trips_ms) * _P95))]

    @property
    def one_way_ms(self) -> int:
        """Half of the median round-trip time, in whole milliseconds: the value for `backtest --latency`."""
        return min(MOST_LATENCY_MS, round(self.median_ms / 2))

    def buckets(self) -> tuple[Bucket, ...]:
        """Return the histogram, from the first to the last bucket that is not empty."""
        found = [Bucket(low, high, _count(self.round_trips_ms, low, high)) for low, high in pairwise(_EDGES_MS)]
        filled = [number for number, bucket in enumerate(found) if bucket.count]
        return tuple(found[filled[0] : filled[-1] + 1])


def measure(order_ms: Sequence[float], other_ms: Sequence[float]) -> RequestLatency | None:
    """Return the latency of the order requests.

    Without order requests, return that of the other requests. Without any request, return None.
    """
    trips = order_ms or other_ms
    return RequestLatency(tuple(sorted(trips)), bool(order_ms)) if trips else None


def _count(trips_ms: Sequence[float], low: float, high: float) -> int:
    return sum(low <= trip < high for trip in trips_ms)

"""Tests of the latency of a session's requests."""

import pytest

from trailingedge.backtest.as_market.request_latency import Bucket, RequestLatency, measure
from trailingedge.backtest.paths import MOST_LATENCY_MS


def test_the_order_requests_count_if_there_are_any() -> None:
    assert measure([30.0, 10.0], [900.0]) == RequestLatency((10.0, 30.0), of_orders=True)
    assert measure([], [900.0]) == RequestLatency((900.0,), of_orders=False)
    assert measure([], []) is None


@pytest.mark.parametrize(
    ("trips", "one_way_ms"),
    [((0.3,), 0), ((40.0, 60.0, 900.0), 30), ((40.0, 60.0), 25), ((1e6,), MOST_LATENCY_MS)],
)
def test_one_way_is_half_of_the_median_and_at_most_what_the_backtest_takes(
    trips: tuple[float, ...], one_way_ms: int
) -> None:
    assert RequestLatency(trips, of_orders=True).one_way_ms == one_way_ms


def test_the_histogram_goes_from_the_first_filled_bucket_to_the_last() -> None:
    latency = RequestLatency((10.0, 19.9, 50.0), of_orders=True)
    assert latency.buckets() == (Bucket(10.0, 20.0, 2), Bucket(20.0, 50.0, 0), Bucket(50.0, 100.0, 1))


def test_every_round_trip_is_in_a_bucket() -> None:
    latency = RequestLatency((0.0, 1.0, 1999.9, 2000.0, 1e9), of_orders=True)
    assert sum(bucket.count for bucket in latency.buckets()) == 5


def test_the_95th_percentile_of_few_round_trips_is_the_longest() -> None:
    assert RequestLatency((1.0, 2.0), of_orders=True).p95_ms == 2.0
    assert RequestLatency(tuple(map(float, range(100))), of_orders=True).p95_ms == 95.0
